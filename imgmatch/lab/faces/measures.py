"""What a model of faces does on labelled ones: how many pairs of one person it finds at fixed rates of false matches,
by group, by years between the pictures and by quality, with intervals.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from imgmatch.errors import UsageError
from imgmatch.lab.faces.layouts import FaceSet, Pair
from imgmatch.match.calibration import clopper_pearson

FPRS = (1e-2, 1e-3, 1e-4)
GAPS = (0, 5, 10, 20, 30)
"""Least years between the pictures of each class."""
QUALITIES = (0.0, 0.35, 0.7)
_MOST_FALSE = 1_000_000

Vectors = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Read:
    """What was read of a data set: of each picture the vector of its face, how fit that is, and its height in pixels;
    ``there`` is false where no face was found.
    """

    vectors: Vectors
    quality: Numbers
    there: npt.NDArray[np.bool_]


def pairs_of(faces: FaceSet, there: Sequence[bool], seed: int = 0) -> list[Pair]:
    """The pairs to compare: those of the protocol, or every pair of one person and as many of two as fit, drawn evenly;
    of pictures in which a face was found.
    """
    if faces.pairs:
        return [pair for pair in faces.pairs if there[pair[0]] and there[pair[1]]]
    known = [place for place, found in enumerate(there) if found]
    people: dict[str, list[int]] = {}
    for place in known:
        people.setdefault(faces.pictures[place].person, []).append(place)
    same = [(a, b, True) for own in people.values() for n, a in enumerate(own) for b in own[n + 1 :]]
    names = {name: number for number, name in enumerate(people)}
    who = np.array([names[faces.pictures[place].person] for place in known])
    if len(known) ** 2 // 2 <= _MOST_FALSE:
        ones, others = np.triu_indices(len(known), 1)
    else:
        rng = np.random.default_rng(seed)
        ones, others = rng.integers(0, len(known), (2, _MOST_FALSE))
    apart = who[ones] != who[others]
    chosen = zip(ones[apart].tolist(), others[apart].tolist(), strict=True)
    return same + [(known[one], known[other], False) for one, other in chosen]


def measure(faces: FaceSet, read: Read) -> dict[str, Any]:
    """Pictures, faces found, and a table each: of all, by group, by years and by quality. Raises UsageError where there
    are no pairs of one person, or none of two.
    """
    pairs = pairs_of(faces, read.there.tolist())
    ones = np.array([pair[0] for pair in pairs], np.int64)
    others = np.array([pair[1] for pair in pairs], np.int64)
    same = np.array([pair[2] for pair in pairs], bool)
    if not same.any() or same.all():
        raise UsageError("no pairs of one person, or none of two people, in which faces were found; nothing to measure")
    scores = np.concatenate(
        [
            np.einsum("nd,nd->n", read.vectors[ones[at : at + 65_536]], read.vectors[others[at : at + 65_536]])
            for at in range(0, len(ones), 65_536)
        ]
    )
    worst = np.minimum(read.quality[ones], read.quality[others])
    # One threshold for all, as a case has one: at it the groups are compared.
    at = {fpr: _threshold(scores[~same], fpr) for fpr in FPRS}
    rows = [_row("all", "", scores, same, at)]
    for name, which in _classes(faces, ones, others, worst):
        rows.append(_row(*name, scores[which], same[which], at))
    return {
        "dataset": faces.name,
        "pictures": len(faces.pictures),
        "people": len({one.person for one in faces.pictures}),
        "faces_found": int(read.there.sum()),
        "pairs_of_one": int(same.sum()),
        "pairs_of_two": int((~same).sum()),
        "thresholds": {f"{fpr:g}": None if value is None else round(value, 4) for fpr, value in at.items()},
        "table": [row for row in rows if row["pairs_of_one"] + row["pairs_of_two"]],
    }


def _classes(
    faces: FaceSet, ones: npt.NDArray[np.int64], others: npt.NDArray[np.int64], worst: Numbers
) -> Iterator[tuple[tuple[str, str], npt.NDArray[np.bool_]]]:
    """The classes of pairs that are told apart: (by what, which) and the pairs."""
    groups = np.array([one.group for one in faces.pictures])
    for group in sorted(set(groups.tolist()) - {""}):
        yield ("group", group), (groups[ones] == group) & (groups[others] == group)
    ages = np.array([-1 if one.age is None else one.age for one in faces.pictures])
    if (ages >= 0).any():
        gap = np.where((ages[ones] >= 0) & (ages[others] >= 0), np.abs(ages[ones] - ages[others]), -1)
        for least, most in zip(GAPS, [*GAPS[1:], 1000], strict=True):
            name = f"{least} to {most - 1} years" if most < 1000 else f"{least} years and more"
            yield ("years", name), (gap >= least) & (gap < most)
    for low, high in zip(QUALITIES, [*QUALITIES[1:], np.inf], strict=True):
        yield ("quality", f"{low:g} to {min(high, 1.0):g}"), (worst >= low) & (worst < high)


def _threshold(impostors: npt.NDArray[np.float32], fpr: float) -> float | None:
    """The score that so many pairs of two people exceed; None where there are too few to tell."""
    allowed = int(np.floor(fpr * len(impostors)))
    return None if allowed < 1 else float(np.sort(impostors)[::-1][allowed])


def _row(
    by: str, which: str, scores: npt.NDArray[np.float32], same: npt.NDArray[np.bool_], at: dict[float, float | None]
) -> dict[str, Any]:
    """One line of the table: at each threshold the share of true pairs found and of false ones let through, with 95 %
    intervals (Clopper-Pearson; pairs that share a picture are not independent, so that they are too narrow).
    """
    row: dict[str, Any] = {
        "by": by, "which": which, "pairs_of_one": int(same.sum()), "pairs_of_two": int((~same).sum()),
    }  # fmt: skip
    for fpr, least in at.items():
        for name, those in (("tpr", scores[same]), ("fpr", scores[~same])):
            told: list[float] | None = None
            if least is not None and len(those):
                hits = int((those > least).sum())
                low, high = clopper_pearson(np.array([float(hits)]), np.array([float(len(those))]))
                told = [round(hits / len(those), 6), round(float(low[0]), 6), round(float(high[0]), 6)]
            row[f"{name}@{fpr:g}"] = told
    return row
