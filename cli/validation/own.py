"""The laboratory's own photographs: how often an altered copy is missed, and a picture that is not there is found."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cli.validation.bench import Bench
from imgmatch.errors import ImgmatchError, UsageError
from imgmatch.lab.alterations import alter
from imgmatch.match.interval import clopper_pearson
from imgmatch.picture.image import decode

ALTERATIONS = ("jpeg_20", "resize_quarter", "crop_half", "crop_quarter", "mirror", "grey", "text_overlay", "person")
"""Of docs/model-card.md: what happens to pictures on their way."""
_MOST, _LEAST = 400, 80
_ABSENT_ONE_IN = 4
_QUERIES = 20
_LEVELS = (1e-2, 1e-3)
_FEW = 10


def measure(bench: Bench, photographs: list[Path]) -> list[dict[str, Any]]:
    """Miss rates of copies, false rates of pictures that are not in the case, and what stated rates hold, each with
    its interval of 95 %, of photographs that are ``chosen``.

    A quarter of them, drawn by their names, stays out of the case. Nothing of any picture is kept.
    """
    absent = photographs[::_ABSENT_ONE_IN]
    gallery = [file for number, file in enumerate(photographs) if number % _ABSENT_ONE_IN]
    case = bench.case(*gallery)
    bench.imgmatch("calibrate", case)
    rates = []
    with tempfile.TemporaryDirectory(prefix="imgmatch-validate-") as scratch:
        wanted: dict[str, dict[str, str]] = {
            name: _queries(name, gallery[:_QUERIES], Path(scratch)) for name in ALTERATIONS
        }
        # One command, copies of one photograph in a row: what geometry needs of their candidates is worked out once.
        answers = bench.imgmatch("search", case, scratch, "-k", 1, "--format", "jsonl").objects()
    first = {Path(one["query"]).name: one["matches"][0]["sha256"] if one["matches"] else None for one in answers}
    for name, right in wanted.items():
        missed = sum(first.get(file) != sha256 for file, sha256 in right.items())
        rates.append(_rate(f"copies missed in first place: {name}", missed, len(right)))
    answers = bench.imgmatch("search", case, *absent, "-k", len(gallery), "--format", "jsonl").objects()
    verified = [one["query"] for one in answers if any(_is_verified(match) for match in one["matches"])]
    false = _rate("photographs not in the case with a match called verified", len(verified), len(answers))
    rates.append({**false, "look_at": verified})
    columns: dict[int, int] = {}
    for match in (match for one in answers for match in one["matches"]):
        columns.setdefault(match["item_id"], len(columns))
    stated = np.ones((len(answers), len(columns)))
    for row, one in zip(stated, answers, strict=True):
        for match in one["matches"]:
            row[columns[match["item_id"]]] = _stated(match)
    effect = 1.0
    for level in _LEVELS:
        rate, effect = _of_pairs(f"pairs with a stated rate of at most {level:g}", stated <= level, effect)
        rates.append({**rate, "stated": level})
    return rates


def _stated(match: dict[str, Any]) -> float:
    """What is said of a match: its rate, or what that is below where none was seen; 1 where nothing is said."""
    told = match["false_match"] or {"rate": 1.0}
    return float(told["upper"] if told["rate"] is None else told["rate"])


def _of_pairs(what: str, high: np.ndarray[Any, np.dtype[np.bool_]], usual: float) -> tuple[dict[str, Any], float]:
    """The rate of pairs, query by item (n, m), and what pairs that share a picture add to its variance.

    Such pairs are not independent: the variance is that of the means by query and by item together (Cameron, Gelbach
    and Miller, J. Bus. Econ. Stat. 29, 2011), turned into an effective number of pairs (Korn and Graubard 1998). Of few
    high pairs it can't be estimated: ``usual`` is taken where it is larger.
    """
    rate, pairs = high.mean(), high.size
    alone = rate * (1 - rate) / pairs
    means = (high.mean(axis=1), high.mean(axis=0))
    shared = sum(one.var(ddof=1) / one.size for one in means) - alone
    effect = max(1.0, shared / alone) if alone else 1.0
    effect = min(max(effect, usual) if high.sum() < _FEW else effect, pairs / min(high.shape))
    lower, upper = clopper_pearson(np.array([rate * pairs / effect]), np.array([pairs / effect]))
    return _told(what, int(high.sum()), pairs, float(lower[0]), float(upper[0])), effect


def _is_verified(match: dict[str, Any]) -> bool:
    return bool((match["verification"] or {}).get("verified"))


def chosen(folder: Path) -> list[Path]:
    """Up to so many photographs, in the order of the SHA-256 of their names: a draw that anybody can repeat.

    Raises UsageError where there are too few.
    """
    found: dict[str, Path] = {}
    for file in sorted(file for file in folder.rglob("*") if file.is_file()):
        if file.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".heic"):
            found.setdefault(hashlib.sha256(os.fsencode(file.relative_to(folder))).hexdigest(), file)
    drawn = [found[key] for key in sorted(found)][:_MOST]
    if len(drawn) < _LEAST:
        raise UsageError(f"{folder}: holds {len(drawn)} photographs; {_LEAST} or more are needed to measure rates")
    return drawn


def _queries(name: str, files: list[Path], folder: Path) -> dict[str, str]:
    """Write altered copies; gives the name of each, and the SHA-256 of what it was made from."""
    others = [_pixels(file) for file in files[:4]]
    made = {}
    for number, file in enumerate(files):
        pixels = _pixels(file)
        if pixels is None:
            continue
        altered = alter(name, pixels, number, [other for other in others if other is not None])
        Image.fromarray(altered).save(folder / f"{number:03}-{name}.png")
        made[f"{number:03}-{name}.png"] = hashlib.sha256(file.read_bytes()).hexdigest()
    return made


def _pixels(file: Path) -> np.ndarray[Any, np.dtype[np.uint8]] | None:
    try:
        return decode(file.read_bytes()).pixels
    except (ImgmatchError, OSError):
        return None


def _rate(what: str, count: int, of: int) -> dict[str, Any]:
    lower, upper = clopper_pearson(np.array([count]), np.array([max(of, 1)]))
    return _told(what, count, of, float(lower[0]), float(upper[0]))


def _told(what: str, count: int, of: int, lower: float, upper: float) -> dict[str, Any]:
    return {"what": what, "count": count, "of": of, "rate": count / max(of, 1), "lower": lower, "upper": upper}
