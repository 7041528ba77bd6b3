"""What a score of two faces means: how often faces of different people score as high, by a background that the
laboratory supplies. Rates are told apart by how fit the faces are, and grow with how many were compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from imgmatch.errors import UsageError
from imgmatch.match.calibration import MIN_PICTURES, Calibration, calibrate
from imgmatch.types import FalseMatchRate

if TYPE_CHECKING:
    from indexer.catalogue import CalibrationRow

    Vectors = npt.NDArray[np.float32]

BINS = (0.0, 0.35, 0.7)
"""Least quality of a pair (that of the less fit face) of each class."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Calibrations by the least quality of the pairs that they speak of; ``faces`` and ``people`` of the background."""

    by_quality: Mapping[float, Calibration]
    faces: int = 0
    people: int = 0

    def __bool__(self) -> bool:
        return bool(self.by_quality)

    def of(self, score: float, quality: float, compared: int) -> FalseMatchRate | None:
        """The rate of pairs as fit as this one, with how many false matches to expect among so many faces; None where
        there is no background. Where a class had too few faces, that of all speaks for it.
        """
        if not self.by_quality:
            return None
        fitting = [least for least in self.by_quality if least <= quality]
        rate = self.by_quality[max(fitting) if fitting else min(self.by_quality)].rate(score)
        expected = None if rate.rate is None else rate.rate * compared
        return replace(rate, expected=expected, expected_upper=rate.upper * compared)

    def check(self, max_fmr: float, case: Path) -> None:
        """Raises UsageError where no rate can be shown, or none so low."""
        if not self.by_quality:
            raise UsageError(
                f"{case}: no background of faces, so no false-match rate can be stated; leave out --max-fmr, or run: "
                f"imgmatch faces calibrate {case} --background FOLDER --reason TEXT"
            )
        bound = min(known.bound for known in self.by_quality.values())
        if max_fmr < bound:
            raise UsageError(
                f"the background of {self.faces} faces can't show rates below {bound:.2g}; give a higher one"
            )


def rates_of(row: CalibrationRow | None) -> Rates:
    """The stored rates of a case; empty where there are none."""
    if row is None:
        return Rates({})
    told: Mapping[str, Any] = row.record
    known = {float(least): Calibration.of(record) for least, record in told["by_quality"].items()}
    return Rates(known, int(told["faces"]), int(told["people"]))


def measured(vectors: Vectors, people: Sequence[str], quality: Sequence[float]) -> tuple[dict[str, Any], Rates]:
    """Rates from faces (n, dim) of different people, each with a name that tells people apart and how fit it is; as
    they are stored, and as they are used. Raises UsageError where there are fewer than MIN_PICTURES people.
    """
    names, fit = np.array(people), np.array(quality, np.float64)
    if len(set(people)) < MIN_PICTURES:
        raise UsageError(
            f"faces of {len(set(people))} people are too few to state a false-match rate: {MIN_PICTURES} needed"
        )
    scores = (vectors @ vectors.T).astype(np.float32)
    scores[names[:, None] == names[None, :]] = np.nan
    worst = np.minimum(fit[:, None], fit[None, :])
    known: dict[float, Calibration] = {}
    for number, least in enumerate(BINS):
        most = BINS[number + 1] if number + 1 < len(BINS) else np.inf
        within = (worst >= least) & (worst < most)
        those = np.where(within, scores, np.nan)
        rows = ~np.isnan(those).all(axis=1)
        if len(set(names[rows])) >= MIN_PICTURES:
            known[least] = calibrate(those[np.ix_(rows, rows)])
    if not known or min(known) > 0:
        known[0.0] = calibrate(scores)
    record = {
        "by_quality": {str(least): one.record() for least, one in known.items()},
        "faces": len(vectors),
        "people": len(set(people)),
    }
    return record, Rates(known, len(vectors), len(set(people)))
