"""What two rendered views of a place have in common, by their depth and cameras."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from imgmatch.lab.hotels.views import View

    Points = npt.NDArray[np.float64]

_NEAR = 0.04
"""A point is seen where the other view's depth is its own but for so large a part."""


def correspondences(first: View, second: View) -> tuple[Points, float]:
    """Return where both views see the same surface, and the share of the first that is.

    The places are (n, 4) float64: x and y in the first picture, x and y in the second, in pixels, centres at halves.
    """
    depth, _ = first.geometry()
    rows, cols = np.mgrid[: depth.shape[0], : depth.shape[1]]
    scale = first.fields["width"] / depth.shape[1]
    points = _traced(first, second, np.stack([cols.ravel() + 0.5, rows.ravel() + 0.5], axis=1) * scale)
    same = np.isfinite(points).all(axis=1)
    return points[same], float(same.mean())


def traced(first: View, second: View, steps: int) -> Points:
    """``steps`` x ``steps`` points spread evenly over the first view, and where the second shows them: (n, 4), each
    as a share of its picture's sides; NaN where the second does not.
    """
    at = (np.arange(steps) + 0.5) / steps
    x, y = (axis.ravel() for axis in np.meshgrid(at, at))
    sizes = [view.fields[side] for view in (first, second) for side in ("width", "height")]
    return _traced(first, second, np.stack([x, y], axis=1) * sizes[:2]) / sizes


def shared(first: View, second: View, steps: int) -> float:
    """The share of what the first view shows that the second shows too, by ``steps`` x ``steps`` points."""
    return float(np.isfinite(traced(first, second, steps)[:, 2]).mean())


def _traced(first: View, second: View, points: Points) -> Points:
    """(n, 2) pixels of the first view beside those of the second that show the same surface, NaN where none does.

    What may stand elsewhere at another visit corresponds to nothing there.
    """
    depth, ids = first.geometry()
    seen, _ = second.geometry()
    shrink = depth.shape[1] / first.fields["width"]
    cell = (points * shrink).astype(int)
    ahead = depth[cell[:, 1], cell[:, 0]].astype(float)
    x, y = points.T
    local = np.linalg.inv(first.intrinsics()) @ np.stack([x, y, np.ones_like(x)]) * ahead
    moved = np.linalg.inv(second.pose()) @ first.pose() @ np.vstack([local, np.ones(local.shape[1])])
    there = second.intrinsics() @ moved[:3]
    with np.errstate(divide="ignore", invalid="ignore"):
        u, v = there[:2] / there[2]
    width, height = second.fields["width"], second.fields["height"]
    inside = (there[2] > 0) & np.isfinite(ahead) & (u >= 0) & (u < width) & (v >= 0) & (v < height)
    if first.fields["visit"] != second.fields["visit"]:
        inside &= ~np.isin(ids[cell[:, 1], cell[:, 0]], first.fields["movable"])
    u, v = np.where(inside, u, 0), np.where(inside, v, 0)
    shrink = seen.shape[1] / width
    there_depth = seen[(v * shrink).astype(int), (u * shrink).astype(int)].astype(float)
    same = inside & (np.abs(there_depth - moved[2]) < _NEAR * moved[2])
    return np.stack([x, y, np.where(same, u, np.nan), np.where(same, v, np.nan)], axis=1)
