"""Which regions of two views show the same: by the known warp of an alteration, or by the depth of rendered views."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from imgmatch.lab.training.augment import Shown

Points = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float32]

_STEPS = 64


def same_picture() -> Points:
    """(n, 4) points of a stored square (0..1) that are where they are in both views' source: of one picture."""
    steps = (np.arange(_STEPS) + 0.5) / _STEPS
    x, y = (axis.ravel() for axis in np.meshgrid(steps, steps))
    return np.stack([x, y, x, y], axis=1)


def overlaps(first: Shown, second: Shown, there: Points, back: Points, windows: Matrix) -> Matrix:
    """(R, R) overlap of each window of the first view with each of the second, as intersection over union, 0..1.

    ``there`` (n, 4) are points spread evenly over the first source and where the second shows them (NaN where it does
    not), in shares of the stored squares: x and y, x and y; ``back`` those of the second in the first. ``windows``
    (R, h, w) are 0 or 1 for each cell. Shares are of what a window shows of its source: what fills it from elsewhere
    doesn't count.
    """
    of_first = _shared(first, second, there, windows)
    of_second = _shared(second, first, back, windows).T
    least = np.minimum(of_first, of_second)
    both = of_first * of_second
    # 1 / (1/a + 1/b - 1) of shares a and b of one intersection.
    return np.where(least > 0, both / np.maximum(of_first + of_second - both, 1e-6), 0).astype(np.float32)


def _shared(one: Shown, other: Shown, points: Points, windows: Matrix) -> Matrix:
    """(R, R): the share of each window of ``one`` that each window of ``other`` shows too."""
    count, rows, columns = windows.shape
    flat = windows.reshape(count, -1)
    here, seen = one.find(points[:, :2])
    there, met = other.find(points[:, 2:])
    met &= seen
    cells = _cells(here, rows, columns)
    shown = np.bincount(cells[seen], minlength=rows * columns)
    pairs = np.zeros((rows * columns, rows * columns))
    np.add.at(pairs, (cells[met], _cells(there, rows, columns)[met]), 1.0)
    return (flat @ pairs @ flat.T / np.maximum(flat @ shown, 1)[:, None]).astype(np.float32)


def _cells(points: Points, rows: int, columns: int) -> npt.NDArray[np.int64]:
    x = np.clip((points[:, 0] * columns).astype(np.int64), 0, columns - 1)
    y = np.clip((points[:, 1] * rows).astype(np.int64), 0, rows - 1)
    return y * columns + x
