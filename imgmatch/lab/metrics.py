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


def worst_case_ranks(right: Scores, wrong: Scores) -> npt.NDArray[np.int64]:
    """Ranks, from 1 and ascending, of one query's right entries among its wrong ones: scores (R,) and (W,) in any
    order. -inf stands for an entry that can't be found: as a right one it gets no rank, as a wrong one it is last.
    """
    right = np.sort(right[np.isfinite(right)])[::-1]
    if right.size == 0:
        return np.empty(0, np.int64)
    before = np.sort(wrong[wrong >= right[-1]])
    return np.arange(1, right.size + 1) + before.size - np.searchsorted(before, right, side="left")


def average_precision_of_ranks(ranks: npt.NDArray[np.integer], positives: int, *, trapezoid: bool = False) -> float:
    """Average precision from ``ranks``, from 1 and ascending, of the right entries found, of ``positives`` in all.

    ``trapezoid`` joins the points of the precision-recall curve by lines, as the evaluation programs of Oxford5k, INRIA
    Holidays, Copydays and revisited Oxford and Paris (arXiv 1803.11285) do; else it is the mean of precision at each
    hit, as everywhere else.
    """
    if positives < 1:
        raise ValueError("there must be at least one right entry")
    found = np.arange(len(ranks))
    after = (found + 1) / ranks
    if not trapezoid:
        return float(after.sum() / positives)
    before = np.where(ranks == 1, 1.0, found / np.maximum(ranks - 1, 1))
    return float((before + after).sum() / 2 / positives)


def background_similarity(scores: Scores, count: int = 3) -> npt.NDArray[np.floating]:
    """Mean of each query's ``count`` highest similarities to a background set: ``scores`` (Q, B), returns (Q,).

    Subtracted from a query's scores, it makes them comparable between queries: score normalisation as in SSCD
    (arXiv 2202.10261, equation 8, there with weight 1 and the three nearest). Raises ValueError on fewer entries.
    """
    if scores.ndim != 2 or not 1 <= count <= scores.shape[1]:
        raise ValueError(f"scores {scores.shape} must be (queries, background) with at least {count} in the background")
    return np.partition(scores, scores.shape[1] - count, axis=1)[:, -count:].mean(axis=1)


def precision_recall(scores: Scores, correct: Flags, positives: int) -> tuple[Scores, Scores]:
    """Precision and recall, each (T,), at each different threshold over predicted pairs; shapes as in
    ``micro_average_precision``.
    """
    order = np.argsort(-scores, kind="stable")
    scores, correct = scores[order], correct[order]
    # A threshold lies between different scores only: the last of a run of equal ones.
    last = np.append(scores[1:] != scores[:-1], True)[: len(scores)]
    found = np.cumsum(correct)
    return (found / np.arange(1, len(found) + 1))[last], (found / positives)[last]


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
    precisions, recalls = precision_recall(scores, correct, positives)
    return float(recalls[precisions >= precision].max(initial=0))


def _check(scores: Scores, relevant: Flags) -> None:
    if scores.shape != relevant.shape or scores.ndim != 2:
        raise ValueError(f"scores {scores.shape} and relevant {relevant.shape} must both be (queries, gallery)")
