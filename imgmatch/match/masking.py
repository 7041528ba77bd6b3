"""Parts of a query picture to leave out: masks and boxes, brought to the cells that a model pools over."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from imgmatch.errors import EvidenceError, UsageError
from imgmatch.picture.image import decode
from imgmatch.types import Box

if TYPE_CHECKING:
    from imgmatch.models.base import Embedder
    from imgmatch.types import Pixels

Mask = npt.NDArray[np.bool_]
"""(H, W), true where the picture is to be left out."""

Stroke = tuple[int, tuple[tuple[int, int], ...]]
"""Width of the brush and the points it went through, in upright full-size pixels."""

_MAX_BRUSH_PX = 32_767


def read_mask(path: Path, size_px: tuple[int, int]) -> Mask:
    """Read a mask picture: white is left out, black is kept (the brighter half counts as white).

    ``size_px`` is the (width, height) of the upright picture it belongs to. Raises UsageError, naming the file, when it
    can't be read or has another size.
    """
    try:
        pixels = decode(path.read_bytes()).pixels
    except (OSError, EvidenceError) as error:
        raise UsageError(
            f"{path}: the mask can't be read ({error}); give a picture that is white where to look away"
        ) from error
    size = (pixels.shape[1], pixels.shape[0])
    if size != size_px:
        raise UsageError(
            f"{path}: the mask is {size[0]} x {size[1]} px, the picture {size_px[0]} x {size_px[1]} px (upright); "
            "make them the same size"
        )
    return pixels.mean(axis=2) >= 128


def boxes_mask(boxes: Sequence[Box], size_px: tuple[int, int]) -> Mask:
    """A mask that leaves out boxes (x, y, width, height). Raises UsageError on a box that is not inside the picture."""
    width, height = size_px
    mask = np.zeros((height, width), bool)
    for box in boxes:
        x, y, w, h = checked_box(box, size_px)
        mask[y : y + h, x : x + w] = True
    return mask


def strokes_mask(strokes: Sequence[Stroke], size_px: tuple[int, int]) -> Mask:
    """A mask that leaves out what a brush went over. Raises UsageError on a brush that is no width."""
    width, height = size_px
    painted = np.zeros((height, width), np.uint8)
    for brush_px, points in strokes:
        if not 1 <= brush_px <= min(max(size_px), _MAX_BRUSH_PX):
            raise UsageError(f"{brush_px}: no width of a brush for a picture of {width} x {height} px")
        # OpenCV counts in 32 bits: what lies far outside paints nothing anyway.
        path = np.clip(np.array(points, np.int64).reshape(-1, 1, 2), -_MAX_BRUSH_PX, 2 * max(size_px)).astype(np.int32)
        for point in path[:: max(1, len(path) - 1)]:
            cv2.circle(painted, point[0].tolist(), max(1, brush_px // 2), 1, -1)
        cv2.polylines(painted, [path], False, 1, brush_px)
    return painted > 0


def checked_box(box: Box, size_px: tuple[int, int]) -> Box:
    """The box. Raises UsageError when it is not inside a picture of (width, height) ``size_px``."""
    x, y, w, h = box
    width, height = size_px
    if x < 0 or y < 0 or w < 1 or h < 1 or x + w > width or y + h > height:
        raise UsageError(
            f"{x},{y},{w},{h}: the box is not inside the picture of {width} x {height} px (upright); "
            "give x,y,width,height in its pixels"
        )
    return box


def cut_mask(mask: Mask, box: Box) -> Mask:
    """The part of a mask that lies in a box."""
    x, y, w, h = box
    return mask[y : y + h, x : x + w]


def cell_weights(mask: Mask, grid: tuple[int, int]) -> npt.NDArray[np.float32]:
    """How much each cell of a (h, w) feature map counts: the share of it that is free, none when under a third is.

    Raises UsageError when nothing is left to look at. Where no cell is a third free, the freest ones count.
    """
    if mask.all():
        raise UsageError("the mask covers the whole picture; leave some part of it free")
    free = cv2.resize((~mask).astype(np.float32), (grid[1], grid[0]), interpolation=cv2.INTER_AREA)
    weights = np.where(free >= min(1 / 3, float(free.max())), free, 0.0)
    return np.ascontiguousarray(weights, dtype=np.float32)


def filled(pixels: Pixels, mask: Mask) -> Pixels:
    """Paint what is left out with its surroundings, so that it does not shine into the cells beside it.

    ``pixels`` (H, W, 3) uint8 may be smaller than the mask. The colours flow in from the edge of the mask (a blur of
    the free part only, at growing radius).
    """
    height, width = pixels.shape[:2]
    covered = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    # A margin: edges of a mask drawn by hand are never exact.
    covered = cv2.dilate(covered, np.ones((3, 3), np.uint8))[..., None]
    free = 1.0 - covered
    result = pixels.astype(np.float32)
    painted = np.zeros_like(result)
    known = np.zeros((height, width, 1), np.float32)
    for share in (0.02, 0.06, 0.2, 0.6):
        sigma = max(1.0, share * max(height, width))
        weight = cv2.GaussianBlur(free, (0, 0), sigma)[..., None]
        colour = cv2.GaussianBlur(result * free, (0, 0), sigma) / np.maximum(weight, 1e-6)
        new = np.clip(weight * 20, 0, 1) * (1 - known)
        painted += colour * new
        known += new
    painted += (1 - known) * (result * free).sum((0, 1)) / max(float(free.sum()), 1e-6)
    return np.clip(np.rint(result * free + painted * covered), 0, 255).astype(np.uint8)


def prepared(
    embedder: Embedder, pixels: Pixels, mask: Mask | None, side_px: int
) -> tuple[Pixels, npt.NDArray[np.float32] | None]:
    """A picture as it is prepared for ``side_px``, (S, S, 3) uint8, and how much of each cell the mask leaves (None:
    all of all).
    """
    if mask is None or not mask.any():
        return embedder.prepare(pixels, side_px), None
    rows, columns = embedder.grid
    share = side_px / embedder.spec.input_px
    left = cell_weights(mask, (round(rows * share), round(columns * share)))
    return embedder.prepare(filled(pixels, mask), side_px), left
