"""The exact index: every row compared."""

from __future__ import annotations

from collections.abc import Sequence

import faiss
import numpy as np

from indexer.index.protocol import Ids, Queries, Similarities, nothing
from indexer.index.segments import Rows


class ExactIndex:
    """Every row compared: FAISS inner product over float16 codes, which are the segments' own bytes.

    Holds (rows, dim) float16 in memory. Vectors and queries are of unit length, so inner product is cosine.
    """

    def __init__(self, dim: int, blocks: Sequence[tuple[int | Ids, Rows]]) -> None:
        """``blocks``: (n, dim) float16 rows of each segment with their ids, or the first of them; ids ascending."""
        total = sum(len(rows) for _, rows in blocks)
        self._ids = np.empty(total, dtype=np.int64)
        self._index = faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
        self._index.is_trained = True
        # Straight into FAISS's own buffer, a block at a time: no second copy of the case, no float32 detour.
        self._index.codes.resize(total * dim * 2)
        self._index.ntotal = total
        if total:
            codes = faiss.rev_swig_ptr(self._index.codes.data(), total * dim * 2).view(np.float16).reshape(total, dim)
            start = 0
            for ids, rows in blocks:
                end = start + len(rows)
                codes[start:end] = rows
                self._ids[start:end] = ids + np.arange(len(rows)) if isinstance(ids, int) else ids
                start = end

    @property
    def rows(self) -> int:
        """How many vectors it holds."""
        return int(self._index.ntotal)

    def search(self, queries: Queries, k: int, within: Ids | None = None) -> tuple[Similarities, Ids]:
        """As VectorIndex.search."""
        similarities, ids = nothing(len(queries), k)
        found = min(k, self.rows)
        parameters = None
        if not found or not len(queries):
            return similarities, ids
        if within is not None:
            places = np.searchsorted(self._ids, within)
            places = places[(places < self.rows) & (self._ids[np.minimum(places, self.rows - 1)] == within)]
            found = min(k, len(places))
            allowed = np.zeros(self.rows, dtype=bool)
            allowed[places] = True
            bits = np.packbits(allowed, bitorder="little")
            selector = faiss.IDSelectorBitmap(self.rows, faiss.swig_ptr(bits))
            parameters = faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]
        if found:
            vectors = np.ascontiguousarray(queries, dtype=np.float32)
            near, rows = self._index.search(vectors, found, params=parameters)
            order = np.lexsort((rows, -near), axis=1)
            similarities[:, :found] = np.take_along_axis(near, order, axis=1)
            ids[:, :found] = self._ids[np.take_along_axis(rows, order, axis=1)]
        return similarities, ids
