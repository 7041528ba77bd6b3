"""Small tools of alterations: colours, bytes, sizes, mixtures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from imgmatch.types import Pixels

    Mask = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float32]


def rgb(colour: Sequence[float] | npt.NDArray[np.generic]) -> tuple[int, int, int]:
    """A colour for OpenCV to draw with."""
    red, green, blue = (int(np.clip(channel, 0, 255)) for channel in colour)
    return red, green, blue


def some_colour(rng: np.random.Generator, low: int = 0, high: int = 256) -> tuple[int, int, int]:
    """Any colour between two levels."""
    return rgb(rng.integers(low, high, 3))


def to_bytes(values: npt.NDArray[np.floating]) -> Pixels:
    """Rounded, and cut to what a byte holds."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def resize(pixels: Pixels, width: int, height: int) -> Pixels:
    """Scale to that size, or to one pixel where it is less."""
    width, height = max(1, width), max(1, height)
    shrinks = width * height < pixels.shape[0] * pixels.shape[1]
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def cover(pixels: Pixels, width: int, height: int) -> Pixels:
    """Scale and crop centrally so that the picture fills width x height."""
    width, height = max(1, width), max(1, height)
    rows, cols = pixels.shape[:2]
    scale = max(width / cols, height / rows)
    crop_w, crop_h = max(1, min(cols, round(width / scale))), max(1, min(rows, round(height / scale)))
    left, top = (cols - crop_w) // 2, (rows - crop_h) // 2
    return resize(pixels[top : top + crop_h, left : left + crop_w], width, height)


def blend(under: Pixels, over: Pixels | tuple[int, int, int], alpha: Floats) -> Pixels:
    """``over`` laid on ``under``; ``alpha`` is (H, W) in 0..1."""
    weight = alpha[..., None]
    return to_bytes(under * (1 - weight) + np.asarray(over, np.float32) * weight)
