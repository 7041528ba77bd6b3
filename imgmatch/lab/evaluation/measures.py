"""The figures of the published protocols, from the rankings of a task's queries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from imgmatch.lab.evaluation.ranking import Ranking
from imgmatch.lab.metrics import average_precision_of_ranks, micro_average_precision, recall_at_precision

if TYPE_CHECKING:
    import numpy.typing as npt

    Scores = npt.NDArray[np.floating]
    Flags = npt.NDArray[np.bool_]

Measure = Callable[[Sequence[Ranking]], float]


def recall_at(rankings: Sequence[Ranking], k: int) -> float:
    """Share of the queries with a right answer that have one among the first k (0..1)."""
    return float(np.mean([r.first_rank is not None and r.first_rank <= k for r in _answerable(rankings)]))


def predictions(rankings: Sequence[Ranking], *, normalised: bool = False) -> tuple[Scores, Flags, int]:
    """The nearest answers of all queries in one list: scores (P,), correct (P,), and how many right ones there are.

    ``normalised``: less each query's similarity to the background.
    """
    scores = [r.scores - (r.background or 0.0) if normalised else r.scores for r in rankings]
    correct = [r.correct for r in rankings]
    return np.concatenate(scores), np.concatenate(correct), sum(r.positives for r in rankings)


def _mean_average_precision(rankings: Sequence[Ranking], trapezoid: bool) -> float:
    asked = _answerable(rankings)
    return float(np.mean([average_precision_of_ranks(r.ranks, r.positives, trapezoid=trapezoid) for r in asked]))


def _map_at_5(rankings: Sequence[Ranking]) -> float:
    """One label is right, so average precision at 5 is one over its rank, 0 beyond the fifth."""
    ranks = [r.label_rank for r in _answerable(rankings)]
    return float(np.mean([1 / rank if rank is not None and rank <= 5 else 0.0 for rank in ranks]))


def _top4_score(rankings: Sequence[Ranking]) -> float:
    return float(np.mean([int((r.ranks <= 4).sum()) for r in _answerable(rankings)]))


def _micro_ap(rankings: Sequence[Ranking], normalised: bool) -> float:
    return micro_average_precision(*predictions(rankings, normalised=normalised))


def _recall_at_precision_90(rankings: Sequence[Ranking], normalised: bool) -> float:
    return recall_at_precision(*predictions(rankings, normalised=normalised), 0.9)


def _answerable(rankings: Sequence[Ranking]) -> list[Ranking]:
    return [r for r in rankings if r.positives]


MEASURES: dict[str, Measure] = {
    **{f"recall_at_{k}": partial(recall_at, k=k) for k in (1, 3, 5, 10, 100)},
    "map": partial(_mean_average_precision, trapezoid=False),
    "map_trapezoid": partial(_mean_average_precision, trapezoid=True),
    "map_at_5": _map_at_5,
    "top4_score": _top4_score,
    "micro_ap": partial(_micro_ap, normalised=False),
    "recall_at_precision_90": partial(_recall_at_precision_90, normalised=False),
    "micro_ap_normalised": partial(_micro_ap, normalised=True),
    "recall_at_precision_90_normalised": partial(_recall_at_precision_90, normalised=True),
}
