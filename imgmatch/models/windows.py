"""Windows of a feature map, each pooled to a vector of its own: regions of a picture that one network run gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from imgmatch.models.base import Cells

_A_SIDE = 3


def windows(grid: tuple[int, int]) -> Cells:
    """Cell weights (R, h, w) of a feature map: the whole, then windows of half of each side, three by three."""
    rows, columns = grid
    tall, wide = max(1, round(rows / 2)), max(1, round(columns / 2))
    tops, lefts = (_spread(side - part) for side, part in ((rows, tall), (columns, wide)))
    weights = np.zeros((1 + _A_SIDE**2, rows, columns), np.float32)
    weights[0] = 1.0
    for number, (top, left) in enumerate((top, left) for top in tops for left in lefts):
        weights[1 + number, top : top + tall, left : left + wide] = 1.0
    return weights


def _spread(free: int) -> list[int]:
    return [round(free * step / (_A_SIDE - 1)) for step in range(_A_SIDE)]
