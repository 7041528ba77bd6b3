"""Retrieval figures. Equal scores always count as the worst case: a wrong one that ties comes before a right one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.floating]
Flags = npt.NDArray[np.bool_]


def first_ranks(scores: Scores, relevant: Flags) -> npt.NDArray[np.int64]:
    """Rank, from 1, of the best relevant gallery entry of each query.

    ``scores`` (Q, G), higher is nearer; -inf takes an entry out (the query itself). ``relevant`` (Q, G) bool. Raises
    ValueError when a query has no relevant entry.
    """
    _check(scores, relevant)
    best = np.where(relevant, scores, -np.inf).max(axis=1, keepdims=True)
    if not np.isfinite(best).all():
        raise ValueError(f"query {int(np.argmin(np.isfinite(best)))} has no relevant entry in the gallery")
    return 1 + ((scores >= best) & ~relevant).sum(axis=1)


def recall_at_k(scores: Scores, relevant: Flags, k: int) -> float:
    """Share of queries with a relevant entry among the first k (0..1)."""
    return float((first_ranks(scores, relevant) <= k).mean())


def average_precision(scores: Scores, relevant: Flags) -> float:
    """Average precision of one ranking: ``scores`` (G,), ``relevant`` (G,) bool; the mean of precision at each hit."""
    kept = np.isfinite(scores)
    scores, relevant = scores[kept], relevant[kept]
    if not relevant.any():
        raise ValueError("no relevant entry in the gallery")
    hits = relevant[np.lexsort((relevant, -scores))]
    return float((np.cumsum(hits)[hits] / (np.flatnonzero(hits) + 1)).mean())


def mean_average_precision(scores: Scores, relevant: Flags) -> float:
    """Mean of ``average_precision`` over queries; shapes as in ``first_ranks``."""
    _check(scores, relevant)
    return float(np.mean([average_precision(s, r) for s, r in zip(scores, relevant, strict=True)]))


def micro_average_precision(scores: Scores, correct: Flags, positives: int) -> float:
    """Average precision over all predicted pairs of all queries in one ranking, as in the Image Similarity Challenge
    (arXiv 2106.09672): ``scores`` and ``correct`` (P,), ``positives`` true pairs in all, found or not.
    """
    if positives < 1:
        raise ValueError("there must be at least one true pair")
    hits = correct[np.lexsort((correct, -scores))]
    return float((np.cumsum(hits)[hits] / (np.flatnonzero(hits) + 1)).sum() / positives)


def recall_at_precision(scores: Scores, correct: Flags, positives: int, precision: float) -> float:
    """Highest recall reached at a threshold whose precision is at least ``precision``; shapes as above."""
    order = np.argsort(-scores, kind="stable")
    scores, correct = scores[order], correct[order]
    found = np.cumsum(correct)
    # A threshold lies between different scores only: the last of a run of equal ones.
    last = np.append(scores[1:] != scores[:-1], True)
    good = last & (found / np.arange(1, len(found) + 1) >= precision)
    return float(found[good].max(initial=0) / positives)


def _check(scores: Scores, relevant: Flags) -> None:
    if scores.shape != relevant.shape or scores.ndim != 2:
        raise ValueError(f"scores {scores.shape} and relevant {relevant.shape} must both be (queries, gallery)")
