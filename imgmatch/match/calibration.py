"""How often different pictures score as high as a match does: false-match rates from a background, with intervals.

A rate speaks of pairs of unrelated pictures: of so many, one scores this high. It is no probability of identity.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

import numpy as np
import numpy.typing as npt

from imgmatch.errors import UsageError
from imgmatch.match.interval import clopper_pearson
from imgmatch.types import FalseMatchRate
from imgmatch.workers.wire import WireError, checked

Matrix = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]

RANK, SHARE = 10, 50
"""From a score the similarity of the query to its 10th nearest background picture is subtracted, of a large background
to its n/50th nearest. SSCD (arXiv 2202.10261, equation 8) takes the three nearest, which may show what the query does.
"""
MIN_PICTURES = 50
# Thresholds a factor of ten of the rate; a score between two of them gets the higher rate.
_STEPS = 40
# Below so many exceedances the spread between pictures can't be estimated: that of the rates just above is taken.
_FEW, _SOME = 10, 100


_Count = Annotated[int, range(1 << 48)]
_Numbers = list[float | int]


class _Record(TypedDict):
    pictures: Annotated[int, range(1 << 31)]
    pairs: _Count
    left_out: _Count
    bound: float | int
    thresholds: _Numbers
    rates: _Numbers
    lower: _Numbers
    upper: _Numbers


@dataclass(frozen=True, slots=True)
class Calibration:
    """The scores of different pictures: ``thresholds`` ascending, and the rate at or above each with its interval.

    ``pictures`` make ``pairs`` ordered pairs that were compared; ``left_out`` more were taken as related. ``bound`` is
    what the rate beyond the highest score seen stays under, at 95 %.
    """

    pictures: int
    pairs: int
    left_out: int
    bound: float
    thresholds: tuple[float, ...]
    rates: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]

    def rate(self, score: float) -> FalseMatchRate:
        """How often unrelated pictures reach a normalised score. Nothing is extrapolated beyond the highest seen."""
        place = int(np.searchsorted(self.thresholds, score, side="right")) - 1
        if place < 0:
            return FalseMatchRate(1.0, self.lower[0], 1.0)
        if score > self.thresholds[-1]:
            return FalseMatchRate(None, 0.0, self.bound)
        # Of the few highest scores no lower rate is said than of one above them all: nobody could read that.
        return FalseMatchRate(max(self.rates[place], self.bound), self.lower[place], self.upper[place])

    def record(self) -> dict[str, Any]:
        """As it is stored: JSON has lists."""
        told = dataclasses.asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in told.items()}

    @staticmethod
    def of(record: Mapping[str, Any]) -> Calibration:
        """From what was stored. Raises ValueError where that is none."""
        try:
            checked(_Record, record)
        except WireError as error:
            raise ValueError("no calibration: a field is missing, or not of its kind") from error
        values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in record.items()}
        made = Calibration(**values)
        tables = (made.thresholds, made.rates, made.lower, made.upper)
        if not made.thresholds or len(set(map(len, tables))) > 1 or list(made.thresholds) != sorted(made.thresholds):
            raise ValueError("no calibration: its thresholds and rates do not fit together")
        return made


def false_match_text(rate: FalseMatchRate | None) -> str:
    """A false-match rate in words: of how many unrelated pairs one scores this high; where none was seen to, it is
    said to be a bound.
    """
    if rate is None:
        return ""
    if rate.rate is None:
        return f"fewer than 1 in {1 / rate.upper:,.0f}, none seen"
    return f"about 1 in {1 / rate.rate:,.0f}" if rate.rate < 0.5 else "more than 1 in 2"


def expected_text(rate: FalseMatchRate) -> str:
    """How many false matches to expect in a search, in words; ``rate`` must know the size of the gallery."""
    value = rate.expected if rate.expected is not None else rate.expected_upper
    assert value is not None
    return f"{'<' if rate.expected is None else ''}{value:.2g}" if value < 100 else f"{value:,.0f}"


def usual(similarities: Matrix) -> Matrix:
    """How near the background is to each query as a matter of course: ``similarities`` (n, pictures), any below -1 left
    out; returns (n,). A few pictures of the background that show the same as the query, known or not, change next to
    nothing: the same query has one figure, whatever else was found with it.
    """
    rank = min(max(RANK, similarities.shape[1] // SHARE), similarities.shape[1])
    return -np.partition(-similarities, rank - 1, axis=1)[:, rank - 1]


def normalised(similarities: Matrix, related: Flags) -> Matrix:
    """Scores of each picture of a background as a query against each other one, as a search would give them.

    ``similarities`` (n, n) and ``related`` (n, n) bool, both symmetric. From each similarity what is ``usual`` for the
    query is subtracted; related pairs and the diagonal come back as NaN. Raises UsageError when a background has fewer
    than MIN_PICTURES.
    """
    count = len(similarities)
    if count < MIN_PICTURES:
        raise UsageError(f"{count} unrelated pictures are too few to state a false-match rate: {MIN_PICTURES} needed")
    itself = np.eye(count, dtype=bool)
    scores = similarities - usual(np.where(itself, np.float32(-2), similarities))[:, np.newaxis]
    scores[related | itself] = np.nan
    return scores


def calibrate(scores: Matrix) -> Calibration:
    """The distribution of scores of unrelated pictures: ``scores`` (n, n), query by item, NaN where related.

    Pairs that share a picture are not independent, so that a plain binomial interval would be too narrow. The variance
    of each rate is estimated by leaving out one picture at a time (jackknife), turned into an effective number of
    pairs, and that into a Clopper-Pearson interval (Korn and Graubard, Survey Methodology 24, 1998).
    """
    count = len(scores)
    kept = ~np.isnan(scores)
    pairs = int(kept.sum())
    if not pairs:
        raise UsageError("no two pictures of the background are unrelated; give another background")
    flat = np.sort(scores[kept])[::-1]
    decades = np.log10(pairs)
    counts = np.unique(np.rint(10 ** np.linspace(0, decades, int(decades * _STEPS) + 1)).astype(np.int64))
    thresholds = np.unique(flat[counts - 1])
    exceeding = np.searchsorted(-flat, -thresholds, side="right")
    variance = _jackknife(scores, kept, thresholds)
    rates = exceeding / pairs
    plain = rates * (1 - rates) / pairs
    effect = np.divide(variance, plain, out=np.ones_like(rates), where=plain > 0)
    tail = (exceeding >= _FEW) & (exceeding <= _SOME)
    usual = max(1.0, effect[tail].max(initial=1.0))
    # Never better than pairs without a picture in common, nor worse than what the pairs are worth one a picture.
    effect = np.clip(np.where(exceeding < _FEW, np.maximum(effect, usual), effect), 1.0, pairs / (count / 2))
    trials = pairs / effect
    lower, upper = clopper_pearson(rates * trials, trials)
    bound = clopper_pearson(np.zeros(1), np.array([pairs / min(usual, pairs / (count / 2))]))[1][0]
    # A higher score can't be more frequent than a lower one: the same holds for what is said of it.
    upper = np.minimum.accumulate(np.maximum(upper, bound))
    lower = np.maximum.accumulate(lower[::-1])[::-1]
    return Calibration(
        count,
        pairs,
        count * (count - 1) - pairs,
        float(bound),
        tuple(map(float, thresholds)),
        tuple(map(float, rates)),
        tuple(map(float, lower)),
        tuple(map(float, upper)),
    )


def _jackknife(scores: Matrix, kept: Flags, thresholds: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Variance of the rate at each threshold, from leaving out one picture, as query and as item, at a time."""
    count, bins = len(scores), len(thresholds)
    as_query = np.zeros((count, bins + 1))
    as_item = np.zeros((count, bins + 1))
    for number in range(count):
        placed = np.searchsorted(thresholds, scores[number][kept[number]], side="right")
        as_query[number] = np.bincount(placed, minlength=bins + 1)
        np.add.at(as_item, (np.flatnonzero(kept[number]), placed), 1)
    own = (as_query + as_item)[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]
    total = own.sum(axis=0) / 2
    compared = kept.sum(axis=0) + kept.sum(axis=1)
    left = np.maximum(kept.sum() - compared, 1)[:, None]
    without = (total - own) / left
    spread: npt.NDArray[np.float64] = (count - 1) / count * ((without - without.mean(axis=0)) ** 2).sum(axis=0)
    return spread
