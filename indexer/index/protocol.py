"""What every index promises, whoever keeps the vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

Queries = npt.NDArray[np.float32]
Similarities = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]
Progress = Callable[[str, int, int], None]
"""Is told the part of the work, how much of it is done, and how much there is."""


class VectorIndex(Protocol):
    """Finds the vectors of highest cosine similarity. Ids are the catalogue's vector ids."""

    @property
    def rows(self) -> int:
        """How many vectors it holds."""

    def search(self, queries: Queries, k: int, within: Ids | None = None) -> tuple[Similarities, Ids]:
        """For (Q, dim) float32 unit vectors: (Q, k) similarities, best first, and vector ids.

        ``within``: only these ids may be returned (ascending, no doubles; those that it does not hold don't matter).
        Equal similarities are in the order of ids. Where fewer than k exist, the rest is -inf and -1.
        """


def nothing(queries: int, k: int) -> tuple[Similarities, Ids]:
    """The answer that holds nothing."""
    return np.full((queries, k), -np.inf, dtype=np.float32), np.full((queries, k), -1, dtype=np.int64)


def best(similarities: Similarities, ids: Ids, k: int) -> tuple[Similarities, Ids]:
    """The k best columns of each row, best first, equal ones in the order of ids; -1 marks what is not there."""
    similarities = np.where(ids < 0, np.float32(-np.inf), similarities)
    order = np.lexsort((ids, -similarities), axis=1)[:, :k]
    top = np.take_along_axis(similarities, order, axis=1)
    chosen = np.take_along_axis(ids, order, axis=1)
    if chosen.shape[1] < k:
        pad = ((0, 0), (0, k - chosen.shape[1]))
        top = np.pad(top, pad, constant_values=-np.inf)
        chosen = np.pad(chosen, pad, constant_values=-1)
    return top, chosen
