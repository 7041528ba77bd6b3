"""What two rendered views of a place have in common, by their depth and cameras."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from imgmatch.lab.hotels.views import View

_NEAR = 0.04
"""A point is seen where the other view's depth is its own but for so large a part."""


def correspondences(first: View, second: View) -> tuple[npt.NDArray[np.float64], float]:
    """Return where both views see the same surface, and the share of the first that is.

    The places are (n, 4) float64: x and y in the first picture, x and y in the second, in pixels, centres at halves.
    What stood elsewhere at the other visit is as wrong as the depth says it isn't: ask for views of one visit, or take
    the instances in ``movable`` out.
    """
    depth, _ = first.geometry()
    seen, _ = second.geometry()
    rows, cols = np.mgrid[: depth.shape[0], : depth.shape[1]]
    scale = first.fields["width"] / depth.shape[1]
    x, y = (cols + 0.5) * scale, (rows + 0.5) * scale
    ahead = depth.astype(float)
    points = np.linalg.inv(first.intrinsics()) @ np.stack([x, y, np.ones_like(x)]).reshape(3, -1) * ahead.ravel()
    moved = np.linalg.inv(second.pose()) @ first.pose() @ np.vstack([points, np.ones(points.shape[1])])
    there = second.intrinsics() @ moved[:3]
    with np.errstate(divide="ignore", invalid="ignore"):
        u, v = there[:2] / there[2]
    width, height = second.fields["width"], second.fields["height"]
    inside = (there[2] > 0) & np.isfinite(ahead.ravel()) & (u >= 0) & (u < width) & (v >= 0) & (v < height)
    u, v = np.where(inside, u, 0), np.where(inside, v, 0)
    shrink = seen.shape[1] / width
    there_depth = seen[(v * shrink).astype(int), (u * shrink).astype(int)].astype(float)
    same = inside & (np.abs(there_depth - moved[2]) < _NEAR * moved[2])
    return np.stack([x.ravel(), y.ravel(), u, v], axis=1)[same], float(same.mean())
