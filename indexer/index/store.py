"""Rows of a case's segments by vector id, mapped from disk: what candidates are scored by for the final order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from indexer.index.protocol import Ids, Queries, Similarities
from indexer.segments import Rows

# Candidates scored together: bounds the copies to some tens of megabytes.
_SCORED = 65_536


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
        out = np.zeros((len(ids), self.dim), dtype=np.float16)
        found = np.zeros(len(ids), dtype=bool)
        if not len(self._blocks) or not len(ids):
            return out, found
        order = np.argsort(ids, kind="stable")
        ordered = ids[order]
        block_of = np.searchsorted(self._first, ordered, side="right") - 1
        # Where each block's run of ids begins: only blocks that are met are looked at.
        starts = np.flatnonzero(np.diff(block_of, prepend=-2))
        for start, end in zip(starts, [*starts[1:], len(ordered)], strict=True):
            number = block_of[start]
            if number < 0:
                continue
            owned, rows = self._blocks[number]
            wanted = ordered[start:end]
            places = wanted - owned if isinstance(owned, int) else np.searchsorted(owned, wanted)
            there = places < len(rows)
            if not isinstance(owned, int):
                there &= owned[np.minimum(places, len(rows) - 1)] == wanted
            target = order[start:end][there]
            out[target] = rows[places[there]]
            found[target] = True
        if len(self._dead):
            found &= ~np.isin(ids, self._dead)
        return out, found

    def score(self, queries: Queries, ids: Ids) -> tuple[Similarities, Ids]:
        """Exact cosine of (Q, dim) queries with (Q, n) ids; ids that are not live come back as -1."""
        similarities = np.full(ids.shape, -np.inf, dtype=np.float32)
        kept = ids.copy()
        step = max(1, _SCORED // max(1, ids.shape[1]))
        for start in range(0, len(queries), step):
            part = ids[start : start + step]
            rows, found = self.gather(part.ravel())
            # Row by row, not by a matrix product: equal rows get equal scores, whatever stands beside them.
            cosines = np.einsum(
                "qnd,qd->qn",
                rows.reshape(*part.shape, self.dim).astype(np.float32),
                queries[start : start + step],
            )
            there = found.reshape(part.shape)
            similarities[start : start + step] = np.where(there, cosines, -np.inf)
            kept[start : start + step] = np.where(there, part, -1)
        return similarities, kept

    def nearest(self, queries: Queries, k: int, within: Ids) -> tuple[Similarities, Ids]:
        """The k nearest of some rows by exact comparison, a bounded number of rows in memory at a time."""
        top = np.full((len(queries), k), -np.inf, dtype=np.float32)
        top_ids = np.full((len(queries), k), -1, dtype=np.int64)
        for start in range(0, len(within), _SCORED):
            part = within[start : start + _SCORED]
            rows, found = self.gather(part)
            part, rows = part[found], rows[found]
            if not len(part):
                continue
            cosines = queries @ rows.astype(np.float32).T
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
