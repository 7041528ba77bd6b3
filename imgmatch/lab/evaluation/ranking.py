"""From vectors to the rank of every right answer, a block of queries at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from imgmatch.lab.evaluation.dataset import Task, batches
from imgmatch.lab.metrics import background_similarity, worst_case_ranks

if TYPE_CHECKING:
    import numpy.typing as npt

    from imgmatch.lab.evaluation.dataset import Indices

    Vectors = npt.NDArray[np.floating]
    Scores = npt.NDArray[np.float32]
    Flags = npt.NDArray[np.bool_]

# Scores held at once, and gallery vectors brought to float32 at once: 128 MB each at 512 dimensions.
_SCORES = 32 << 20
_ROWS = 65_536
# The last bits of a product depend on where in the matrix it stands. Rounded, equal vectors give equal scores, which
# then count as ties.
_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class Ranking:
    """What became of one query in one task. Ranks are from 1; a wrong answer of equal score comes first.

    ``ranks``: of the right answers that could be found, ascending; ``positives`` right answers there should be.
    ``label_rank``: rank of the right label, each label by its nearest picture (None: not found, or no labels).
    ``scores`` and ``correct``: the nearest answers, best first. ``right``, ``wrong``: gallery number and score of the
    nearest right and wrong answer (None: there is none). ``usable`` is False for a query that could not be read.
    """

    query: int
    usable: bool
    positives: int
    ranks: Indices
    label_rank: int | None
    scores: Scores
    correct: Flags
    right: tuple[int, float] | None
    wrong: tuple[int, float] | None
    background: float | None = None

    @property
    def first_rank(self) -> int | None:
        """Rank of the nearest right answer; None where none was found."""
        return int(self.ranks[0]) if self.ranks.size else None


def rank_block(
    queries: Vectors,
    usable: Flags,
    gallery: Vectors,
    gallery_usable: Flags,
    background: Vectors,
    first: int,
    tasks: list[tuple[Task, frozenset[int]]],
) -> Iterator[tuple[Task, Ranking]]:
    """Rank a block of queries (B, dim), the first of which is number ``first``, for every task that asks for them."""
    scores = similarities(queries, gallery)
    scores[:, ~gallery_usable] = -np.inf
    offsets = _background(queries, background)
    for row in range(len(queries)):
        number = first + row
        for task, asked in tasks:
            if number in asked:
                offset = None if offsets is None else float(offsets[row])
                yield task, _rank(scores[row], number, bool(usable[row]), task, offset)


def block_size(gallery: int) -> int:
    """How many queries to rank at once among so many gallery entries."""
    return max(1, min(256, _SCORES // max(1, gallery)))


def similarities(queries: Vectors, gallery: Vectors) -> Scores:
    """Cosine similarity (Q, G) float32 of unit vectors, rounded to six decimals."""
    found = np.empty((len(queries), len(gallery)), np.float32)
    queries = queries.astype(np.float32)
    for part in batches(len(gallery), _ROWS):
        np.matmul(queries, gallery[part].astype(np.float32).T, out=found[:, part])
    return np.round(found, _DECIMALS, out=found)


def _background(queries: Vectors, background: Vectors, count: int = 3) -> Scores | None:
    """Mean of the three highest similarities of each query to the background; None where there is none."""
    if not len(background):
        return None
    best = np.full((len(queries), 0), 0, np.float32)
    for part in batches(len(background), _ROWS):
        found = np.concatenate([best, similarities(queries, background[part])], axis=1)
        keep = min(count, found.shape[1])
        best = np.partition(found, found.shape[1] - keep, axis=1)[:, -keep:]
    return background_similarity(best, best.shape[1]).astype(np.float32)


def _rank(row: Scores, query: int, usable: bool, task: Task, background: float | None) -> Ranking:
    relevant = task.truth.relevant(query)
    if not usable:
        nothing = np.empty(0, np.int64)
        return Ranking(
            query, False, relevant.size, nothing, None, row[:0], np.empty(0, np.bool_), None, None, background
        )
    right_scores = row[relevant]
    wrong = row.copy()
    wrong[task.truth.junk(query)] = -np.inf
    wrong[relevant] = -np.inf
    ranks = worst_case_ranks(right_scores, wrong)
    label_rank = None
    labels = task.truth.gallery_labels
    if labels is not None and ranks.size:
        label_rank = 1 + np.unique(labels[wrong >= right_scores.max()]).size
    depth = min(task.depth, wrong.size)
    near = np.argpartition(-wrong, depth - 1)[:depth]
    near = near[np.isfinite(wrong[near])]
    found = right_scores[np.isfinite(right_scores)]
    scores = np.concatenate([wrong[near], found])
    correct = np.arange(scores.size) >= near.size
    order = np.lexsort((correct, -scores))[:depth]
    best = int(relevant[np.argmax(right_scores)]) if found.size else None
    worst = int(near[np.argmax(wrong[near])]) if near.size else None
    return Ranking(
        query,
        True,
        relevant.size,
        ranks,
        label_rank,
        scores[order],
        correct[order],
        None if best is None else (best, float(row[best])),
        None if worst is None else (worst, float(row[worst])),
        background,
    )
