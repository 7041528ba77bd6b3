"""Which faces are one person's: joined from the nearest pair on, as long as groups stay alike as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from indexer.index.protocol import Ids

_BLOCK = 2048
_NEIGHBOURS = 64

Rows = npt.NDArray[np.float16]


@dataclass(slots=True)
class _Group:
    """Faces of one person: their places, the sum of their vectors, the items that they are in, whose they are by an
    examiner's word.
    """

    places: list[int]
    total: npt.NDArray[np.float32]
    items: set[int]
    person: int | None = None


@dataclass(slots=True)
class _Groups:
    """Groups by the place of any of their faces."""

    all: list[_Group]
    of: list[int] = field(default_factory=list)


def grouped(rows: Rows, items: Ids, pinned: Mapping[int, int], edge: float, mean: float) -> list[list[int]]:
    """Places of the faces of each person with two or more, by the rows (n, dim) of all and the items that they are in;
    ``pinned`` are places that an examiner gave to a person; ``edge`` and ``mean`` as in
    ``imgmatch.models.face.Likeness``. The same faces give the same groups.

    A wrong join is worse than a split: two faces of one picture are never joined, nor are people whom an examiner keeps
    apart; and a chain of faces, each near the next, is cut where its ends are not alike.
    """
    groups = _started(rows, items, pinned)
    for _, one, other in _edges(rows, edge):
        first, second = groups.of[one], groups.of[other]
        if first != second:
            _join(groups, min(first, second), max(first, second), mean)
    found = [sorted(group.places) for group in groups.all if len(group.places) > 1 or group.person is not None]
    return sorted(found)


def alike_in_one(rows: Rows, items: Ids, least: float) -> list[int]:
    """Items in which two faces are at least so alike: a mirror, a collage, a frame of a frame, or twins."""
    by_item: dict[int, list[int]] = {}
    for place, item in enumerate(items.tolist()):
        by_item.setdefault(item, []).append(place)
    found = []
    for item, places in by_item.items():
        near = rows[places].astype(np.float32)
        if len(places) > 1 and float(np.triu(near @ near.T, 1).max()) >= least:
            found.append(item)
    return sorted(found)


def _started(rows: Rows, items: Ids, pinned: Mapping[int, int]) -> _Groups:
    """A group a face; those that an examiner put together are one from the start."""
    groups = _Groups([])
    by_person: dict[int, int] = {}
    for place, row in enumerate(rows.astype(np.float32)):
        person = pinned.get(place)
        known = by_person.get(person) if person is not None else None
        if known is not None:
            group = groups.all[known]
            group.places.append(place)
            group.total = group.total + row
            group.items.add(int(items[place]))
            groups.of.append(known)
            continue
        if person is not None:
            by_person[person] = len(groups.all)
        groups.of.append(len(groups.all))
        groups.all.append(_Group([place], row, {int(items[place])}, person))
    return groups


def _join(groups: _Groups, first: int, second: int, mean: float) -> None:
    """Put the second group into the first, where nothing speaks against it."""
    one, other = groups.all[first], groups.all[second]
    apart = one.person is not None and other.person is not None
    if apart or one.items & other.items:
        return
    if float(one.total @ other.total) < mean * len(one.places) * len(other.places):
        return
    for place in other.places:
        groups.of[place] = first
    one.places += other.places
    one.total = one.total + other.total
    one.items |= other.items
    one.person = other.person if one.person is None else one.person
    groups.all[second] = _Group([], other.total, set())


def _edges(rows: Rows, least: float) -> Iterable[tuple[float, int, int]]:
    """Pairs of faces at least so alike, the nearest first; of each face so many of its nearest as can matter."""
    found: list[tuple[float, int, int]] = []
    for start in range(0, len(rows), _BLOCK):
        near = rows[start : start + _BLOCK].astype(np.float32) @ rows[start:].astype(np.float32).T
        near[np.tril_indices(near.shape[0], 0, near.shape[1])] = -1
        if near.shape[1] > _NEIGHBOURS:
            floor = np.partition(near, near.shape[1] - _NEIGHBOURS, axis=1)[:, -_NEIGHBOURS][:, None]
            near[near < floor] = -1
        ones, others = np.nonzero(near >= least)
        scores = near[ones, others].round(6)
        found += zip((-scores).tolist(), (ones + start).tolist(), (others + start).tolist(), strict=True)
    return ((-score, one, other) for score, one, other in sorted(found))
