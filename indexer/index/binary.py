"""Hashes of bits within a Hamming distance of each other: every one compared."""

from __future__ import annotations

from collections.abc import Iterator

import faiss
import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint8]


class BinaryIndex:
    """Hashes (n, bytes) uint8, as many bytes in memory.

    Compared one by one: exact at any distance, and at a million PDQ hashes faster than multi-index hashing, which has
    to look into 272 tables for a distance of 31.
    """

    def __init__(self, hashes: Hashes) -> None:
        self._index = faiss.IndexBinaryFlat(hashes.shape[1] * 8)
        self._index.add(np.ascontiguousarray(hashes))

    def within(self, queries: Hashes, distance: int) -> Iterator[list[tuple[int, int]]]:
        """For each query its hashes within ``distance`` bits (included): how far, and their rows; the nearest first."""
        limits, distances, rows = self._index.range_search(np.ascontiguousarray(queries), distance + 1)
        for start, end in zip(limits[:-1].tolist(), limits[1:].tolist(), strict=True):
            found = zip(distances[start:end].tolist(), rows[start:end].tolist(), strict=True)
            yield sorted((int(bits), int(row)) for bits, row in found)

    def near(self, queries: Hashes, distance: int) -> Iterator[tuple[int, int, int]]:
        """For each query with hashes within ``distance`` bits (included), its number, the row of the nearest and how
        far that is; of equally near ones the first.
        """
        for number, found in enumerate(self.within(queries, distance)):
            if found:
                bits, row = found[0]
                yield number, row, bits
