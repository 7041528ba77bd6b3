"""Windows of a feature map, each pooled to a vector of its own: regions of a picture that one network run gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from imgmatch.models.base import Cells


def of_query(grid: tuple[int, int]) -> Cells:
    """Cell weights (10, h, w) of a query's map: the whole, then windows of half of each side, three by three."""
    return np.concatenate([np.ones((1, *grid), np.float32), _spread(grid, 3, 1 / 2)])


def of_item(grid: tuple[int, int]) -> Cells:
    """Cell weights (16, h, w) of a gallery picture's map: windows of three eighths of each side, four by four."""
    return _spread(grid, 4, 3 / 8)


def in_training(grid: tuple[int, int]) -> Cells:
    """Cell weights (17, h, w): the whole, then the windows of a gallery picture."""
    return np.concatenate([np.ones((1, *grid), np.float32), of_item(grid)])


def _spread(grid: tuple[int, int], a_side: int, share: float) -> Cells:
    """Cell weights (n, h, w) of ``a_side`` x ``a_side`` windows with a ``share`` of each side, evenly spread."""
    rows, columns = grid
    tall, wide = max(1, round(rows * share)), max(1, round(columns * share))
    tops, lefts = (
        [round(free * step / max(1, a_side - 1)) for step in range(a_side)] for free in (rows - tall, columns - wide)
    )
    weights = np.zeros((a_side**2, rows, columns), np.float32)
    for number, (top, left) in enumerate((top, left) for top in tops for left in lefts):
        weights[number, top : top + tall, left : left + wide] = 1.0
    return weights
