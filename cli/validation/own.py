"""The laboratory's own photographs: how often an altered copy is missed, and a picture that is not there is found."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cli.validation.bench import Bench
from imgmatch.errors import ImgmatchError, UsageError
from imgmatch.lab.alterations import alter
from imgmatch.match.interval import clopper_pearson
from imgmatch.picture.image import decode

ALTERATIONS = ("jpeg_20", "resize_quarter", "crop_half", "crop_quarter", "mirror", "grey", "text", "person")
"""Of docs/model-card.md: what happens to pictures on their way."""
_MOST, _LEAST = 400, 80
_ABSENT_ONE_IN = 4
_QUERIES = 20
_LEVELS = (1e-2, 1e-3)


def measure(bench: Bench, photographs: Path) -> list[dict[str, Any]]:
    """Miss rates of copies, false rates of pictures that are not in the case, and what stated rates hold, each with
    its exact interval of 95 %. Raises UsageError where there are too few photographs.

    A quarter of them, drawn by their content, stays out of the case. Nothing of any picture is kept.
    """
    chosen = _chosen(photographs)
    absent, gallery = chosen[::_ABSENT_ONE_IN], [file for n, file in enumerate(chosen) if n % _ABSENT_ONE_IN]
    case = bench.case(*gallery)
    bench.imgmatch("calibrate", case)
    rates = []
    with tempfile.TemporaryDirectory(prefix="imgmatch-validate-") as scratch:
        for name in ALTERATIONS:
            folder = Path(scratch) / name
            folder.mkdir()
            wanted = dict(_queries(name, gallery[:_QUERIES], folder))
            answers = bench.imgmatch("search", case, folder, "-k", 1, "--format", "jsonl").objects()
            missed = sum(wanted[Path(one["query"]).name] != _first(one) for one in answers)
            rates.append(_rate(f"copies missed in first place: {name}", missed, len(answers)))
    answers = bench.imgmatch("search", case, *absent, "-k", len(gallery), "--format", "jsonl").objects()
    verified = [one["query"] for one in answers if any(_is_verified(match) for match in one["matches"])]
    false = _rate("photographs not in the case with a match called verified", len(verified), len(answers))
    rates.append({**false, "look_at": verified})
    pairs = len(answers) * len(gallery)
    stated = [match["false_match"] or {} for one in answers for match in one["matches"]]
    for level in _LEVELS:
        as_high = sum((found.get("upper") or 1.0) <= level for found in stated)
        rates.append({**_rate(f"pairs with a stated rate of at most {level:g}", as_high, pairs), "stated": level})
    return rates


def _is_verified(match: dict[str, Any]) -> bool:
    return bool((match["verification"] or {}).get("verified"))


def _chosen(folder: Path) -> list[Path]:
    """Up to so many photographs, in the order of their SHA-256: a draw that anybody can repeat."""
    found: dict[str, Path] = {}
    for file in sorted(file for file in folder.rglob("*") if file.is_file()):
        if file.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".heic"):
            found.setdefault(hashlib.sha256(os.fsencode(file.relative_to(folder))).hexdigest(), file)
    chosen = [found[key] for key in sorted(found)][:_MOST]
    if len(chosen) < _LEAST:
        raise UsageError(f"{folder}: holds {len(chosen)} photographs; {_LEAST} or more are needed to measure rates")
    return chosen


def _queries(name: str, files: list[Path], folder: Path) -> Iterator[tuple[str, str]]:
    """Write altered copies; gives the name of each, and the SHA-256 of what it was made from."""
    others = [_pixels(file) for file in files[:4]]
    for number, file in enumerate(files):
        pixels = _pixels(file)
        if pixels is None:
            continue
        altered = alter(name, pixels, number, [other for other in others if other is not None])
        Image.fromarray(altered).save(folder / f"{number:03}.png")
        yield f"{number:03}.png", hashlib.sha256(file.read_bytes()).hexdigest()


def _pixels(file: Path) -> np.ndarray[Any, np.dtype[np.uint8]] | None:
    try:
        return decode(file.read_bytes()).pixels
    except (ImgmatchError, OSError):
        return None


def _first(answer: dict[str, Any]) -> str | None:
    return answer["matches"][0]["sha256"] if answer["matches"] else None


def _rate(what: str, count: int, of: int) -> dict[str, Any]:
    lower, upper = clopper_pearson(np.array([count]), np.array([max(of, 1)]))
    rate = count / max(of, 1)
    return {"what": what, "count": count, "of": of, "rate": rate, "lower": float(lower[0]), "upper": float(upper[0])}
