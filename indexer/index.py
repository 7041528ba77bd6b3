"""Nearest vectors. The protocol that every index speaks, and the exact one. The only module that imports faiss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import faiss
import numpy as np
import numpy.typing as npt

from indexer.segments import Rows

Similarities = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]


class VectorIndex(Protocol):
    """Finds the vectors of highest cosine similarity. Ids are the catalogue's vector ids."""

    @property
    def rows(self) -> int:
        """How many vectors it holds."""

    def search(self, queries: npt.NDArray[np.float32], k: int) -> tuple[Similarities, Ids]:
        """For (Q, dim) float32 unit vectors: (Q, k) similarities, best first, and vector ids.

        Equal similarities are in the order of ids. Where fewer than k exist, the rest is -inf and -1.
        """


class ExactIndex:
    """Every row compared: FAISS inner product over float16 codes, which are the segments' own bytes.

    Holds (rows, dim) float16 in memory. Vectors and queries are of unit length, so inner product is cosine.
    """

    def __init__(self, dim: int, blocks: Sequence[tuple[int, Rows]]) -> None:
        """``blocks``: first vector id and (n, dim) float16 rows of each segment, ids ascending."""
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
            for first, rows in blocks:
                end = start + len(rows)
                codes[start:end] = rows
                self._ids[start:end] = np.arange(first, first + len(rows))
                start = end

    @property
    def rows(self) -> int:
        """How many vectors it holds."""
        return int(self._index.ntotal)

    def search(self, queries: npt.NDArray[np.float32], k: int) -> tuple[Similarities, Ids]:
        """As VectorIndex.search."""
        similarities = np.full((len(queries), k), -np.inf, dtype=np.float32)
        ids = np.full((len(queries), k), -1, dtype=np.int64)
        found = min(k, self.rows)
        if found and len(queries):
            near, places = self._index.search(np.ascontiguousarray(queries, dtype=np.float32), found)
            order = np.lexsort((places, -near), axis=1)
            similarities[:, :found] = np.take_along_axis(near, order, axis=1)
            ids[:, :found] = self._ids[np.take_along_axis(places, order, axis=1)]
        return similarities, ids
