"""One ranking out of several: over the queries of a set, and over the reference pictures of a label."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from imgmatch.errors import UsageError

Key = TypeVar("Key", bound=Hashable)

RRF_CONSTANT = 60
"""Cormack, Clarke and Buettcher, SIGIR 2009."""
VOTE_TEMPERATURE = 0.05


def _max(scores: Sequence[float]) -> float:
    return max(scores)


def _mean_top(count: int) -> Callable[[Sequence[float]], float]:
    return lambda scores: float(np.mean(sorted(scores, reverse=True)[:count]))


def _vote(scores: Sequence[float]) -> float:
    """Soft voting: many good pictures outweigh one, the best ones most."""
    return float(np.log(np.sum(np.exp(np.asarray(scores) / VOTE_TEMPERATURE))) * VOTE_TEMPERATURE)


AGGREGATIONS: dict[str, Callable[[Sequence[float]], float]] = {
    "max": _max,
    "mean of top 2": _mean_top(2),
    "mean of top 3": _mean_top(3),
    "soft voting": _vote,
}


def fuse(lists: Sequence[Mapping[Key, float]], method: str) -> list[tuple[Key, float]]:
    """One ranking of what several queries found: each list maps items to scores, higher is nearer.

    ``method`` is ``max``, ``mean of top 2``, ``mean of top 3``, ``soft voting`` (over the queries, of comparable
    scores) or ``reciprocal ranks``. An item that a query did not find counts there as that query's last. Best first;
    equal scores in the order of items. Raises UsageError on another method.
    """
    lists = [scores for scores in lists if scores]
    keys = sorted({key for scores in lists for key in scores})  # type: ignore[type-var]
    if method == "reciprocal ranks":
        total = dict.fromkeys(keys, 0.0)
        for scores in lists:
            for rank, key in enumerate(sorted(scores, key=lambda k: -scores[k]), start=1):
                total[key] += 1 / (RRF_CONSTANT + rank)
    else:
        aggregate = _aggregation(method)
        lowest = [min(scores.values()) for scores in lists]
        total = {
            key: aggregate([scores.get(key, low) for scores, low in zip(lists, lowest, strict=True)]) for key in keys
        }
    return sorted(total.items(), key=lambda pair: -pair[1])


def rank_labels(scores: Mapping[Key, Sequence[float]], method: str) -> list[tuple[Key, float]]:
    """Labels by the scores of their pictures, best first; equal ones in the order of labels.

    Means of the top m divide by m where a label has fewer pictures too: what is missing counts as 0, a similarity of
    nothing. Raises UsageError on a method that is not in AGGREGATIONS.
    """
    aggregate = _aggregation(method)
    least = {"mean of top 2": 2, "mean of top 3": 3}.get(method, 1)
    total = {label: aggregate([*found, *[0.0] * (least - len(found))]) for label, found in sorted(scores.items())}
    return sorted(total.items(), key=lambda pair: -pair[1])


def _aggregation(method: str) -> Callable[[Sequence[float]], float]:
    if method not in AGGREGATIONS:
        raise UsageError(f"no aggregation {method!r}: choose one of {', '.join(AGGREGATIONS)}")
    return AGGREGATIONS[method]
