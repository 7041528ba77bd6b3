"""Local features of a picture: SIFT points with RootSIFT descriptors, and how they pair with those of another one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from imgmatch.match.masking import Mask
    from imgmatch.types import Pixels

Floats = npt.NDArray[np.float32]
Indexes = npt.NDArray[np.intp]

QUERY_PX, QUERY_LIMIT = 512, 1000
"""Longer side to which a query is brought before points are sought, and how many, the strongest, it keeps."""
ITEM_PX, ITEM_LIMIT = 320, 500
"""The same of a candidate: fewer, as one search reads many; docs/verification.md says how they were chosen."""
_CONTRAST = 0.015  # below OpenCV's default of 0.04: dark and blurred copies keep points
_RATIO = 0.85
_LONGEST = 10
"""A long picture is read at up to so many times the usual longer side, and keeps points in proportion."""


@dataclass(frozen=True, slots=True)
class Features:
    """Local features of one picture at its working size.

    ``points`` (N, 2) float32 x, y in working pixels; ``sizes`` (N,) float32 diameters in working pixels; ``angles``
    (N,) float32 degrees; ``descriptors`` (N, 128) float32 of unit length; ``grey`` (h, w) uint8, the picture at its
    working size; ``size_px`` its full upright (width, height); ``left_out`` (h, w) bool is true where nothing is
    compared.
    """

    points: Floats
    sizes: Floats
    angles: Floats
    descriptors: Floats
    grey: npt.NDArray[np.uint8]
    size_px: tuple[int, int]
    left_out: npt.NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.points)

    @property
    def scale(self) -> tuple[float, float]:
        """Full pixels a working pixel, along x and y."""
        height, width = self.grey.shape
        return self.size_px[0] / width, self.size_px[1] / height

    def without(self, left_out: npt.NDArray[np.bool_]) -> Features:
        """The same, of which a part (h, w) is not compared and has no points."""
        x, y = np.minimum(self.points.astype(int).T, np.array([left_out.shape[::-1]]).T - 1)
        kept = ~left_out[y, x]
        parts = (self.points[kept], self.sizes[kept], self.angles[kept], self.descriptors[kept])
        return Features(*parts, self.grey, self.size_px, left_out)


def extract(
    pixels: Pixels, size_px: tuple[int, int], mask: Mask | None = None, side_px: int = ITEM_PX, limit: int = ITEM_LIMIT
) -> Features:
    """Find the local features of (H, W, 3) uint8 sRGB pixels; N may be 0 (a black frame).

    SIFT (Lowe, IJCV 2004) with the square-rooted descriptors of Arandjelovic and Zisserman (CVPR 2012). ``size_px`` is
    the picture's full upright (width, height), of which ``pixels`` may be a smaller version. ``mask`` (bool, any size
    of the same shape of picture) is true where no point may lie.
    """
    grey = working(pixels, side_px)
    limit = limit * max(side_px, *grey.shape) // side_px
    free = None
    if mask is not None:
        free = cv2.resize((~mask).astype(np.uint8), grey.shape[::-1], interpolation=cv2.INTER_NEAREST)
        # A point near the edge of what is left out would describe its outline.
        free = cv2.erode(free, np.ones((9, 9), np.uint8))
    # Made anew each time: a detector keeps no state, but nothing says that threads may share one.
    sift = cv2.SIFT.create(limit, 3, _CONTRAST, 12.0, 1.6, True)
    found, descriptors = sift.detectAndCompute(grey, free)
    if not found:
        empty = np.empty(0, np.float32)
        return Features(np.empty((0, 2), np.float32), empty, empty, np.empty((0, 128), np.float32), grey, size_px)
    # retainBest keeps ties: cut for good, in a fixed order.
    order = np.lexsort(([p.angle for p in found], [p.pt[0] for p in found], [-p.response for p in found]))[:limit]
    points = [found[i] for i in order]
    rooted = np.sqrt(descriptors[order] / np.maximum(np.abs(descriptors[order]).sum(1, keepdims=True), 1e-6))
    return Features(
        np.array([p.pt for p in points], np.float32),
        np.array([p.size for p in points], np.float32),
        np.array([p.angle for p in points], np.float32),
        rooted.astype(np.float32),
        grey,
        size_px,
    )


def working(pixels: Pixels, side_px: int) -> npt.NDArray[np.uint8]:
    """(H, W, 3) uint8 pixels as the grey picture in which points are sought: no side longer than ``side_px``, but of
    long pictures (``_LONGEST``).
    """
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    height, width = grey.shape
    # Of a picture more than twice as long as it is wide the shorter side decides, or a strip would keep no detail.
    long, short = max(height, width), min(height, width)
    factor = min(max(side_px, side_px / 2 * long / short), _LONGEST * side_px) / long
    if factor < 1:
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return np.asarray(grey, np.uint8)


def mirrored(features: Features) -> Features:
    """The features of the picture mirrored left to right, without seeking points again.

    A SIFT descriptor (4 rows, 4 columns, 8 directions, in the frame of its point) of a mirrored picture holds the same
    numbers: the rows in reverse and each direction negated.
    """
    points = features.points.copy()
    points[:, 0] = features.grey.shape[1] - 1 - points[:, 0]
    cells = features.descriptors.reshape(-1, 4, 4, 8)[:, ::-1][..., -np.arange(8) % 8]
    return replace(
        features,
        points=points,
        angles=(180 - features.angles) % 360,
        descriptors=np.ascontiguousarray(cells).reshape(-1, 128),
        grey=np.ascontiguousarray(features.grey[:, ::-1]),
        left_out=None if features.left_out is None else np.ascontiguousarray(features.left_out[:, ::-1]),
    )


def pairs(one: Features, other: Features, ratio: float = _RATIO) -> tuple[Indexes, Indexes]:
    """Which points pair: mutual nearest neighbours whose second-nearest is clearly farther (Lowe's ratio test).

    Gives the indexes of the points in ``one`` and in ``other``, (M,) each, the surest pairs first.
    """
    if len(one) < 2 or len(other) < 2:
        return np.empty(0, np.intp), np.empty(0, np.intp)
    similarity = one.descriptors @ other.descriptors.T
    nearest = similarity.argmax(axis=1)
    best = similarity[np.arange(len(one)), nearest]
    rows = np.flatnonzero(best == similarity.max(axis=0)[nearest])
    # Of two equal descriptors the first one pairs.
    rows = np.sort(rows[np.unique(nearest[rows], return_index=True)[1]])
    columns, best = nearest[rows], best[rows]
    rest = similarity[rows]
    rest[np.arange(len(rows)), columns] = -1
    # The same spot found twice (a second orientation, a neighbouring scale) is no rival.
    second = _second(rest, other.points, columns)
    ratios = np.sqrt(np.maximum(1 - best, 0) / np.maximum(1 - second, 1e-9))
    good = ratios < ratio
    order = np.argsort(ratios[good], kind="stable")
    return rows[good][order], columns[good][order]


def _second(rest: Floats, points: Floats, columns: Indexes, tries: int = 3) -> Floats:
    """The similarity of the nearest rival that lies elsewhere, of ``rest`` (M, N) whose best entries are taken out."""
    index = np.arange(len(rest))
    second = np.zeros(len(rest), np.float32)
    open_ = np.ones(len(rest), bool)
    for _ in range(tries):
        rival = rest.argmax(axis=1)
        apart = np.abs(points[rival] - points[columns]).max(axis=1) > 4
        second = np.where(open_, rest[index, rival], second)
        open_ &= ~apart
        if not open_.any():
            break
        rest[index, rival] = -1
    return second
