"""Bringing pictures to the size that a network takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from imgmatch.types import Pixels


def prepared(pixels: Pixels, side_px: int) -> Pixels:
    """(H, W, 3) uint8 pressed to (side, side, 3): averaged where it shrinks, bilinear where it grows."""
    height, width = pixels.shape[:2]
    if (height, width) == (side_px, side_px):
        return np.ascontiguousarray(pixels)
    shrinks = height >= side_px and width >= side_px
    kind = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    # A side that shrinks while the other grows is averaged first: bilinear alone would skip pixels.
    if not shrinks and (height > side_px or width > side_px):
        inner = (min(width, side_px), min(height, side_px))
        pixels = cv2.resize(pixels, inner, interpolation=cv2.INTER_AREA)
    return cv2.resize(pixels, (side_px, side_px), interpolation=kind)
