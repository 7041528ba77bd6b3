"""What all runtimes share: checking what goes in and what comes out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from imgmatch.errors import ModelError
from imgmatch.types import ModelSpec

if TYPE_CHECKING:
    from imgmatch.models.base import Cells, Vectors
    from imgmatch.types import Pixels


def grid_of(spec: ModelSpec, batch: Pixels, grid: tuple[int, ...]) -> tuple[int, ...]:
    """(h, w) of the feature map of (N, S, S, 3) pictures, where those of ``spec.input_px`` have ``grid``."""
    side = batch.shape[1] if batch.ndim == 4 else 0
    return tuple(cells * side // spec.input_px for cells in grid) if side in spec.query_sides_px else grid


def checked(
    spec: ModelSpec, batch: Pixels, weights: Cells, grid: tuple[int, ...], run: Callable[[], Vectors]
) -> Vectors:
    """Call ``run`` on a batch that fits; give (N, dim) float32 that are certainly unit vectors, or raise ModelError."""
    sides = spec.query_sides_px
    if batch.shape[1:] not in {(side, side, 3) for side in sides} or batch.dtype != np.uint8:
        takes = " or ".join(f"{side} x {side}" for side in sides)
        raise ModelError(f"{spec.name}: takes uint8 pictures of {takes} px, was given {batch.dtype} {batch.shape}")
    if weights.shape != (len(batch), *grid):
        raise ModelError(f"{spec.name}: cell weights must be {(len(batch), *grid)}, were {weights.shape}")
    if not len(batch):
        return np.empty((0, spec.dim), np.float32)
    if not ((weights >= -1e-6) & (weights <= 1 + 1e-4)).all():  # averages round; catches NaN too
        raise ModelError(f"{spec.name}: cell weights must lie between 0 and 1")
    if not (weights.max(axis=(1, 2)) > 0).all():
        raise ModelError(f"{spec.name}: the mask covers the whole picture; leave some part of it free")
    vectors = run()
    if vectors.shape != (len(batch), spec.dim):
        raise ModelError(f"{spec.name}: gave {vectors.shape}, its dim is {spec.dim}; verify the model")
    off = np.abs(np.linalg.norm(vectors, axis=1) - 1.0)
    if not (off < 1e-3).all():  # also catches values that are not finite
        raise ModelError(f"{spec.name}: gave a vector that is not finite or not of unit length; verify the model")
    return vectors.astype(np.float32, copy=False)
