"""Rows of a case's segments by vector id, mapped from disk: what candidates are scored by for the final order."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from indexer.index import kinds
from indexer.index.kinds import widened
from indexer.index.protocol import Ids, Queries, Similarities
from indexer.index.segments import Rows

# Rows compared together: bounds the copies to some tens of megabytes.
_COMPARED = 65_536
# Candidates scored together: their copies stay in the processor's cache.
_SCORED = 4096
# Fewer queries than this a thread are scored at once faster than they are shared out.
_SHARED = 32


class Store:
    """The live rows of one model. Memory: the ids of segments that have gaps; vectors stay on disk until read."""

    def __init__(self, dim: int, blocks: Sequence[tuple[int | Ids, Rows]], dead: Ids | None = None) -> None:
        """``blocks`` in the order of ids, as for ExactIndex; ``dead``: ids, ascending, that are to be passed over."""
        self.dim = dim
        self._blocks = [(ids, rows) for ids, rows in blocks if len(rows)]
        self._first = np.array([ids if isinstance(ids, int) else ids[0] for ids, _ in self._blocks], dtype=np.int64)
        self._dead = np.empty(0, np.int64) if dead is None else dead
        self.rows = sum(len(rows) for _, rows in self._blocks) - len(self._dead)

    def live(self, block: int) -> tuple[Ids, npt.NDArray[np.bool_]]:
        """Ids of a block's rows and which of them are live."""
        ids, rows = self._blocks[block]
        all_ids = ids + np.arange(len(rows), dtype=np.int64) if isinstance(ids, int) else ids
        return all_ids, ~np.isin(all_ids, self._dead, assume_unique=True)

    def blocks(self) -> Iterator[tuple[Ids, Rows]]:
        """Live rows, a segment at a time, with their ids; rows stay mapped where all of a segment is live."""
        for number, (_, rows) in enumerate(self._blocks):
            ids, keep = self.live(number)
            yield (ids, rows) if keep.all() else (ids[keep], rows[keep])

    def ids(self) -> Ids:
        """Ids of all live rows, ascending."""
        parts = [ids for ids, _ in self.blocks()]
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    def gather(self, ids: Ids) -> tuple[Rows, npt.NDArray[np.bool_]]:
        """(n, dim) float16 rows of n ids in any order, and which are there; the others are zeros."""
        if not len(self._blocks) or not len(ids):
            return np.zeros((len(ids), self.dim), dtype=np.float16), np.zeros(len(ids), dtype=bool)
        order = np.argsort(ids, kind="stable")
        ordered = ids[order]
        block_of = np.searchsorted(self._first, ordered, side="right") - 1
        # Where each block's run of ids begins: only blocks that are met are looked at.
        starts = np.flatnonzero(block_of[1:] != block_of[:-1]) + 1
        # Rows are taken in the order of ids, then put in their places: each is copied whole, block by block.
        taken = np.empty((len(ids), self.dim), dtype=np.float16)
        there = np.zeros(len(ids), dtype=bool)
        for start, end in zip([0, *starts.tolist()], [*starts.tolist(), len(ordered)], strict=True):
            number = block_of[start]
            if number < 0:
                continue
            owned, rows = self._blocks[number]
            wanted = ordered[start:end]
            places = wanted - owned if isinstance(owned, int) else np.searchsorted(owned, wanted)
            there[start:end] = places < len(rows)
            np.minimum(places, len(rows) - 1, out=places)
            if not isinstance(owned, int):
                there[start:end] &= owned[places] == wanted
            np.take(rows, places, axis=0, out=taken[start:end], mode="clip")
        taken[~there] = 0
        place = np.empty(len(ids), dtype=np.int64)
        place[order] = np.arange(len(ids))
        out, found = np.take(taken, place, axis=0), there[place]
        if len(self._dead):
            found &= ~np.isin(ids, self._dead)
        return out, found

    def score(self, queries: Queries, ids: Ids) -> tuple[Similarities, Ids]:
        """Exact cosine of (Q, dim) queries with (Q, n) ids; ids that are not live come back as -1."""
        similarities = np.full(ids.shape, -np.inf, dtype=np.float32)
        kept = ids.copy()
        step = max(1, _SCORED // max(1, ids.shape[1]))
        threads = kinds.thread_count()
        if len(queries) >= _SHARED * threads > _SHARED:
            step = min(step, math.ceil(len(queries) / threads))

        def part(start: int) -> None:
            some = ids[start : start + step]
            rows, found = self.gather(some.ravel())
            # Row by row, not by a matrix product: equal rows get equal scores, whatever stands beside them.
            cosines = np.einsum(
                "qnd,qd->qn", widened(rows).reshape(*some.shape, self.dim), queries[start : start + step]
            )
            there = found.reshape(some.shape)
            similarities[start : start + step] = np.where(there, cosines, -np.inf)
            kept[start : start + step] = np.where(there, some, -1)

        starts = range(0, len(queries), step)
        if threads > 1 and len(starts) > 1:
            # Copying rows out of mapped files and multiplying them lets go of the interpreter: threads share it.
            with ThreadPoolExecutor(threads, "score", kinds.one_thread) as pool:
                list(pool.map(part, starts))
        else:
            for start in starts:
                part(start)
        return similarities, kept

    def nearest(self, queries: Queries, k: int, within: Ids) -> tuple[Similarities, Ids]:
        """The k nearest of some rows by exact comparison, a bounded number of rows in memory at a time."""
        top = np.full((len(queries), k), -np.inf, dtype=np.float32)
        top_ids = np.full((len(queries), k), -1, dtype=np.int64)
        for start in range(0, len(within), _COMPARED):
            part = within[start : start + _COMPARED]
            rows, found = self.gather(part)
            part, rows = part[found], rows[found]
            if not len(part):
                continue
            cosines = queries @ widened(rows).T
            if len(part) > k:
                chosen = np.argpartition(-cosines, k - 1, axis=1)[:, :k]
                cosines = np.take_along_axis(cosines, chosen, axis=1)
                part_ids = part[chosen]
            else:
                part_ids = np.broadcast_to(part, cosines.shape)
            merged = np.concatenate([top, cosines], axis=1)
            merged_ids = np.concatenate([top_ids, part_ids], axis=1)
            order = np.lexsort((merged_ids, -merged), axis=1)[:, :k]
            top = np.take_along_axis(merged, order, axis=1)
            top_ids = np.take_along_axis(merged_ids, order, axis=1)
        return top, top_ids
