"""All pairs above a similarity: duplicate groups within a case, links between two; in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from indexer.index import kinds, policy
from indexer.index.layered import Base
from indexer.index.protocol import Ids, Progress, Queries, Similarities
from indexer.index.store import Store

# Rows on each side of a matrix product: 4096 x 4096 float32 similarities are 64 MiB.
_BLOCK = 4096
# Queries of an index at a time, and the most candidates that are scored for each at once.
_QUERIES = 1024
_FIRST = 64

Floor = Callable[[], float]
"""How alike two must be by now to be of use; it may rise as pairs are found."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of vector ids with their exact cosine; within one case ``first`` < ``second``, each pair once."""

    first: Ids
    second: Ids
    similarity: Similarities


def pairs_above(
    store: Store,
    least: float,
    *,
    other: Store | None = None,
    base: Base | None = None,
    floor: Floor | None = None,
    progress: Progress | None = None,
) -> Iterator[Pairs]:
    """Yield every pair of rows of ``store`` with a cosine of at least ``least``; with ``other``, pairs of a row of
    ``store`` and one of ``other``.

    Without ``base`` every pair is compared, by matrix products: complete, and time grows with the square of the rows.
    With ``base``, an index over rows of ``store``, each row's neighbours come from the index, as many as are near
    enough, and rows that it does not cover are compared one by one: time grows little more than with the rows, and as
    few pairs are missed as the index misses neighbours. Similarities are exact in both. An index is not asked for
    more neighbours of a row than are above the ``floor`` of the moment: of pairs below it some may then be missed.
    ``progress`` is told how many of the rows (of ``other``, where given) are done.
    """
    if base is None:
        yield from _by_products(store, least, other, progress)
    else:
        yield from _by_index(store, least, other, base, floor or (lambda: least), progress)


def _by_products(store: Store, least: float, other: Store | None, progress: Progress | None) -> Iterator[Pairs]:
    right_ids = (other or store).ids()
    left_ids = store.ids()
    for start in range(0, len(right_ids), _BLOCK):
        seconds = right_ids[start : start + _BLOCK]
        right = (other or store).gather(seconds)[0].astype(np.float32)
        # Within one case, only the half in which the first id is the lower.
        end = len(left_ids) if other else min(len(left_ids), start + _BLOCK)
        for left_start in range(0, end, _BLOCK):
            firsts = left_ids[left_start : min(left_start + _BLOCK, end)]
            cosines = store.gather(firsts)[0].astype(np.float32) @ right.T
            row, column = np.nonzero(cosines >= least)
            if other is None:
                once = firsts[row] < seconds[column]
                row, column = row[once], column[once]
            if len(row):
                yield Pairs(firsts[row], seconds[column], cosines[row, column])
        if progress:
            progress("pairs", min(start + _BLOCK, len(right_ids)), len(right_ids))


def _by_index(
    store: Store, least: float, other: Store | None, base: Base, floor: Floor, progress: Progress | None
) -> Iterator[Pairs]:
    queried = other or store
    query_ids = queried.ids()
    own_ids = store.ids()
    tail = own_ids[~base.covers(own_ids)]
    for start in range(0, len(query_ids), _QUERIES):
        seconds = query_ids[start : start + _QUERIES]
        queries = queried.gather(seconds)[0].astype(np.float32)
        near = _near(store, base, queries, seconds, least, floor)
        for found in (near, _compare(store, tail, queries, seconds, least)):
            for pairs in found:
                yield pairs if other else _once(pairs)
        if progress:
            progress("pairs", min(start + _QUERIES, len(query_ids)), len(query_ids))


def _near(store: Store, base: Base, queries: Queries, seconds: Ids, least: float, floor: Floor) -> Iterator[Pairs]:
    """Neighbours by the index; for rows whose candidates are all near enough, ask for four times as many."""
    manifest = base.manifest
    left = np.arange(len(queries))
    count = max(_FIRST, manifest.candidates)
    while len(left):
        step = max(1, _QUERIES * _FIRST // count)
        unfinished = []
        for start in range(0, len(left), step):
            part = left[start : start + step]
            visit = policy.probes(count // 4, manifest.nprobe)
            near = kinds.nearest(base.index, manifest.kind, queries[part], count, visit)
            similarities, ids = store.score(queries[part], near)
            more = (near >= 0).all(axis=1) & (
                np.sort(similarities, axis=1)[:, near.shape[1] // 2] >= max(least, floor())
            )
            more &= count < manifest.rows
            row, column = np.nonzero((similarities >= least) & ~more[:, None])
            if len(row):
                yield Pairs(ids[row, column], seconds[part[row]], similarities[row, column])
            unfinished.append(part[more])
        left = np.concatenate(unfinished)
        count *= 4


def _compare(store: Store, rows: Ids, queries: Queries, seconds: Ids, least: float) -> Iterator[Pairs]:
    for start in range(0, len(rows), _BLOCK):
        firsts = rows[start : start + _BLOCK]
        cosines = store.gather(firsts)[0].astype(np.float32) @ queries.T
        row, column = np.nonzero(cosines >= least)
        if len(row):
            yield Pairs(firsts[row], seconds[column], cosines[row, column])


def _once(pairs: Pairs) -> Pairs:
    """Keep each pair from the side of its higher id; a pair with itself not at all.

    The lower id is then the one that was looked for among index and tail: as ids of a base are below those of its
    tail, every pair is met from that side.
    """
    once = pairs.first < pairs.second
    return Pairs(pairs.first[once], pairs.second[once], pairs.similarity[once])
