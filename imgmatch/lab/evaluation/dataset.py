"""What every data set is to the evaluation: pictures to search in, pictures to search for, and who belongs to whom."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from imgmatch.errors import UsageError

if TYPE_CHECKING:
    import numpy.typing as npt

    Indices = npt.NDArray[np.int64]

_NONE = np.empty(0, np.int64)


class LayoutError(UsageError):
    """A data set is not laid out as published; the message names the file at fault. How to get the set is added."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of a data set, and what its protocol does to it before it is embedded.

    ``crop`` is (left, top, right, bottom) in pixels of the file; ``mask`` a file whose covered part is painted over;
    ``alteration`` a name in ``imgmatch.lab.alterations.ALTERATIONS``, applied with ``seed`` and the files ``others``.
    Paths are text, not Path: a gallery holds a million of them.
    """

    path: str
    crop: tuple[float, float, float, float] | None = None
    mask: str | None = None
    alteration: str | None = None
    seed: int = 0
    others: tuple[str, ...] = ()


class Truth(Protocol):
    """Which gallery entries are right for a query, and which don't count at all."""

    @property
    def gallery_labels(self) -> Indices | None:
        """(G,) label of each gallery entry, where the truth is one of labels."""

    def relevant(self, query: int) -> Indices:
        """Gallery numbers of the right answers to a query."""

    def junk(self, query: int) -> Indices:
        """Gallery numbers that are taken out of a query's ranking: the query itself, doubtful entries."""


@dataclass(frozen=True)
class Pairs:
    """Truth as lists: right and junk entries, a tuple of gallery numbers for each query."""

    right: Sequence[Sequence[int]]
    left_out: Sequence[Sequence[int]] = ()

    gallery_labels: None = None

    def relevant(self, query: int) -> Indices:
        """As Truth.relevant."""
        return np.asarray(self.right[query], np.int64)

    def junk(self, query: int) -> Indices:
        """As Truth.junk."""
        return np.asarray(self.left_out[query], np.int64) if self.left_out else _NONE


@dataclass(frozen=True)
class Labels:
    """Truth by labels: right is what has the query's label. Negative labels match nothing.

    ``queries`` (Q,), ``gallery_labels`` (G,); ``own`` (Q,) is the gallery number of the query itself, which is junk,
    or -1.
    """

    queries: Indices
    gallery_labels: Indices
    own: Indices | None = None

    @cached_property
    def _order(self) -> Indices:
        return np.argsort(self.gallery_labels, kind="stable")

    @cached_property
    def _sorted(self) -> Indices:
        return self.gallery_labels[self._order]

    def relevant(self, query: int) -> Indices:
        """As Truth.relevant."""
        label = self.queries[query]
        if label < 0:
            return _NONE
        first, last = np.searchsorted(self._sorted, [label, label + 1])
        found = self._order[first:last]
        return found[found != self.own[query]] if self.own is not None else found

    def junk(self, query: int) -> Indices:
        """As Truth.junk."""
        if self.own is None or self.own[query] < 0:
            return _NONE
        return self.own[query : query + 1]


@dataclass(frozen=True, slots=True)
class Task:
    """One row of the result: some of the queries, their truth, and what is measured (names in ``MEASURES``).

    ``depth`` is how many predictions of each query enter measures over all pairs.
    """

    name: str
    truth: Truth
    queries: Indices
    measures: tuple[str, ...]
    depth: int = 10


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set, read: what is searched, what is asked, and the tasks. ``protocol`` says in words what is measured.

    ``background`` holds pictures that are neither, for score normalisation.
    """

    name: str
    root: Path
    gallery: Sequence[Picture]
    queries: Sequence[Picture]
    tasks: Sequence[Task]
    protocol: str
    background: Sequence[Picture] = ()


def with_distractors(dataset: Dataset, pictures: Sequence[Picture]) -> Dataset:
    """The same data set with more pictures in its gallery that are right for no query, each of a label of its own."""
    if not pictures:
        return dataset
    tasks = []
    for task in dataset.tasks:
        truth = task.truth
        if isinstance(truth, Labels):
            # Above every label in use: no query has them, and they count as different wrong labels.
            start = max(truth.gallery_labels.max(initial=-1), truth.queries.max(initial=-1)) + 1
            fresh = np.arange(start, start + len(pictures))
            truth = Labels(truth.queries, np.concatenate([truth.gallery_labels, fresh]), truth.own)
        tasks.append(replace(task, truth=truth))
    return replace(dataset, gallery=[*dataset.gallery, *pictures], tasks=tasks)


def batches(count: int, size: int) -> Iterator[slice]:
    """Slices that cover ``count`` entries, at most ``size`` at a time."""
    return (slice(start, min(start + size, count)) for start in range(0, count, size))
