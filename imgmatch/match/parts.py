"""How well parts of a query meet parts of a picture: late interaction over windows of their feature maps.

One vector says what a whole picture is like; which of two alike rooms it is, or where a small crop comes from, is said
by parts. Sixteen windows of a picture's map (one network run) are compared with the query and its windows, each by its
best cosine (Khattab and Zaharia, ColBERT, SIGIR 2020). What was chosen, and why, stands in docs/regions.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from imgmatch.models.base import Embedder
from imgmatch.models.windows import of_item, of_query

if TYPE_CHECKING:
    from imgmatch.models.base import Cells, Vectors
    from imgmatch.types import Pixels, Vector

_WINDOW_COST = 0.05
"""What is taken off the cosine of the whole query and a window before it is held against that of both wholes."""
_LEFT = 0.25
"""A window of which less than this share is left by a mask says nothing."""


@dataclass(frozen=True, slots=True)
class QueryParts:
    """A query's vectors of its copy part: ``wholes`` (n, d), one a size, and ``parts`` (m, d), wholes and windows."""

    wholes: Vectors
    parts: Vectors


def has_parts(embedder: Embedder) -> bool:
    """Can a model pool parts of its feature map? One that takes a picture and gives a vector can't."""
    return not embedder.spec.graph and not embedder.spec.of_faces


def item_parts(embedder: Embedder, pixels: Pixels) -> Vectors:
    """The windows of a gallery picture, (16, d) float16 of unit length."""
    vectors = embedder.embed_parts(embedder.prepare(pixels), of_item(embedder.grid))
    return _copy_part(embedder, vectors).astype(np.float16)


def query_parts(
    embedder: Embedder, wholes_of: Mapping[int, tuple[Pixels, Cells | None]]
) -> tuple[list[Vector], QueryParts]:
    """The vector of a query at each of its sides, (dim,) as ``Embedder.embed`` gives it; and its wholes and windows, by
    the same runs of the network. ``wholes_of`` each side that it is read at, the picture prepared for it, (S, S, 3)
    uint8, and how much of each cell is to be seen, (h, w) in 0..1 (None: all of all).

    Sides above the network's input give their whole only: their windows gained nothing.
    """
    vectors, wholes, parts = [], [], []
    for side, (pixels, left) in wholes_of.items():
        rows, columns = (cells * side // embedder.spec.input_px for cells in embedder.grid)
        whole_and_windows = of_query((rows, columns))
        weights = whole_and_windows if left is None else whole_and_windows * left
        kept = weights.sum(axis=(1, 2)) >= _LEFT * whole_and_windows.sum(axis=(1, 2))
        kept[0] = True
        if side > embedder.spec.input_px:
            kept[1:] = False
        full = embedder.embed_parts(pixels, weights[kept])
        vectors.append(full[0])
        found = _copy_part(embedder, full)
        wholes.append(found[:1])
        if side <= embedder.spec.input_px:
            parts.append(found)
    return vectors, QueryParts(np.concatenate(wholes), np.concatenate(parts))


def parts_score(similarity: float, query: QueryParts, item: Vectors) -> float:
    """What to order by, of a query and an item whose vectors have a cosine of ``similarity``: that, or the whole
    query's with the item's best window, and the mean over all parts of the query of theirs with their best windows.
    """
    windows_of = item.astype(np.float32).T
    inside = float((query.wholes @ windows_of).max()) - _WINDOW_COST
    return max(similarity, inside) + float((query.parts @ windows_of).max(axis=1).mean())


def _copy_part(embedder: Embedder, vectors: Vectors) -> Vectors:
    part = vectors[:, : embedder.spec.copy_dim or None]
    unit: Vectors = part / np.linalg.norm(part, axis=1, keepdims=True).clip(1e-9)
    return unit
