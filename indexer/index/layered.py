"""Base and tail: a built index over the rows it was made from, exact search over those since, one exact order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from indexer.index import kinds, policy
from indexer.index.exact import ExactIndex
from indexer.index.manifest import Manifest
from indexer.index.protocol import Ids, Queries, Similarities, best, nothing
from indexer.index.store import Store

# Rounding in the codes must not push a true neighbour off the end of the tail's list before exact scoring.
_MARGIN = 8
# Queries searched together: bounds candidates and their rows in memory.
_BATCH = 1024


@dataclass(frozen=True, slots=True)
class Base:
    """A built index with its manifest."""

    index: Any
    manifest: Manifest

    def covers(self, ids: Ids) -> Any:
        """Which ids are those of rows that it was built from, as booleans."""
        if not self.manifest.coverage:
            return np.zeros(len(ids), dtype=bool)
        first, last = np.array(self.manifest.coverage, dtype=np.int64).T
        run = np.searchsorted(first, ids, side="right") - 1
        return (run >= 0) & (ids <= last[np.maximum(run, 0)])


class LayeredIndex:
    """A case's vectors of one model: base, tail, and the segments for the final order."""

    def __init__(self, store: Store, base: Base | None) -> None:
        """Without a base every row is tail, and so compared."""
        self._store = store
        self._base = base
        tail = []
        covered = 0
        for ids, rows in store.blocks():
            mask = base.covers(ids) if base else np.zeros(len(ids), dtype=bool)
            covered += int(mask.sum())
            if not mask.all():
                tail.append((ids, rows) if not mask.any() else (ids[~mask], rows[~mask]))
        self.covered = covered
        self._tail = ExactIndex(store.dim, tail)

    @property
    def rows(self) -> int:
        """How many vectors it holds."""
        return self._store.rows

    @property
    def tail_rows(self) -> int:
        """How many of them are compared one by one."""
        return self._tail.rows

    def search(self, queries: Queries, k: int, within: Ids | None = None) -> tuple[Similarities, Ids]:
        """As VectorIndex.search."""
        if self._base is None:
            return self._tail.search(queries, k, within)
        similarities, ids = nothing(len(queries), k)
        for start in range(0, len(queries), _BATCH):
            part = slice(start, start + _BATCH)
            similarities[part], ids[part] = self._search(queries[part], k, within)
        return similarities, ids

    def _search(self, queries: Queries, k: int, within: Ids | None) -> tuple[Similarities, Ids]:
        assert self._base is not None
        manifest = self._base.manifest
        visit, allowed = policy.probes(k, manifest.nprobe), None
        if within is not None:
            share = max(len(within), 1) / max(1, self.rows)
            # Allowed neighbours lie further away the fewer are allowed, so more lists must be visited ...
            visit = int(min(manifest.nlist or 1 << 14, visit / min(1.0, share)))
            scan = policy.scan_cost(manifest.rows, manifest.nlist, visit, policy.candidates(k, manifest.candidates))
            # ... until it is cheaper, and certain, to compare all that are allowed.
            if manifest.kind != "ivf" or scan > policy.SCORE_NS * len(within):
                return self._store.nearest(queries, k, within)
            allowed = kinds.bits(within, min(manifest.coverage[-1][1], int(within.max(initial=0))) + 1)
        wanted = policy.candidates(k, manifest.candidates)
        near = kinds.nearest(self._base.index, manifest.kind, queries, wanted, visit, allowed)
        tail = self._tail.search(queries, min(k + _MARGIN, self._tail.rows), within)[1]
        similarities, ids = best(*self._store.score(queries, np.concatenate([near, tail], axis=1)), k)
        # Too few (the lists visited held no more, or deleted rows took their places): compare every row.
        short = (ids >= 0).sum(axis=1) < min(k, self.rows if within is None else len(within))
        if short.any():
            everything = self._store.ids() if within is None else within
            similarities[short], ids[short] = self._store.nearest(queries[short], k, everything)
        return similarities, ids
