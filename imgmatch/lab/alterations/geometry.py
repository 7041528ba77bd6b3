"""Alterations of geometry: size, crop, turn, viewpoint."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np

from imgmatch.lab.alterations.tools import resize

if TYPE_CHECKING:
    import numpy.typing as npt

    from imgmatch.types import Pixels

    Mask = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float32]


def resize_by(pixels: Pixels, rng: np.random.Generator, factor: float = 0.25) -> Pixels:
    """Scale both sides by ``factor`` and leave the picture small (or large)."""
    rows, cols = pixels.shape[:2]
    return resize(pixels, round(cols * factor), round(rows * factor))


def crop_area(pixels: Pixels, rng: np.random.Generator, fraction: float = 0.5, aspect_jitter: float = 0.0) -> Pixels:
    """Keep a random rectangle that holds ``fraction`` of the area.

    ``aspect_jitter`` j changes the aspect ratio by a factor drawn log-uniformly from exp(-j)..exp(j).
    """
    rows, cols = pixels.shape[:2]
    stretch = math.exp(rng.uniform(-aspect_jitter, aspect_jitter)) if aspect_jitter > 0 else 1.0
    # A stretch beyond 1 / fraction would need more than a whole side; the other side could not make up for it.
    stretch = min(max(stretch, fraction), 1 / fraction)
    height = max(1, min(rows, round(rows * math.sqrt(fraction * stretch))))
    width = max(1, min(cols, round(cols * math.sqrt(fraction / stretch))))
    top, left = int(rng.integers(0, rows - height + 1)), int(rng.integers(0, cols - width + 1))
    return pixels[top : top + height, left : left + width].copy()


def mirror(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Swap left and right."""
    return np.ascontiguousarray(pixels[:, ::-1])


def flip_vertical(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Swap top and bottom."""
    return np.ascontiguousarray(pixels[::-1])


def rotate(
    pixels: Pixels,
    rng: np.random.Generator,
    degrees: float = 15.0,
    corners: Literal["fill", "crop"] = "fill",
    fill: tuple[int, int, int] = (0, 0, 0),
) -> Pixels:
    """Rotate counter-clockwise by any angle.

    ``corners="fill"`` grows the canvas and fills the corners; ``"crop"`` keeps the largest upright rectangle of the
    old aspect ratio that has no corner in it. Multiples of 90 degrees are exact.
    """
    if degrees % 90 == 0:
        return np.ascontiguousarray(np.rot90(pixels, int(degrees // 90) % 4))
    rows, cols = pixels.shape[:2]
    cos, sin = abs(math.cos(math.radians(degrees))), abs(math.sin(math.radians(degrees)))
    if corners == "fill":
        width, height = cols * cos + rows * sin, rows * cos + cols * sin
    else:
        scale = min(cols / (cols * cos + rows * sin), rows / (rows * cos + cols * sin))
        width, height = cols * scale, rows * scale
    out_w, out_h = max(1, round(width)), max(1, round(height))
    matrix = cv2.getRotationMatrix2D(((cols - 1) / 2, (rows - 1) / 2), degrees, 1.0)
    matrix[:, 2] += ((out_w - cols) / 2, (out_h - rows) / 2)
    return cv2.warpAffine(pixels, matrix, (out_w, out_h), flags=cv2.INTER_LINEAR, borderValue=fill)


def perspective(pixels: Pixels, rng: np.random.Generator, strength: float = 0.2) -> Pixels:
    """Another viewpoint: a random quadrilateral inside the picture becomes the whole picture.

    Each corner moves inwards by up to ``strength`` (0..0.45) of each side.
    """
    rows, cols = pixels.shape[:2]
    inward = rng.uniform(0, min(strength, 0.45), (4, 2))
    # One corner always moves by the full strength: a draw of four small moves would alter nothing.
    inward[rng.integers(4)] = min(strength, 0.45)
    towards = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    unit = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    size = np.array([cols, rows])
    matrix = cv2.getPerspectiveTransform(
        ((unit + towards * inward) * size - 0.5).astype(np.float32), (unit * size - 0.5).astype(np.float32)
    )
    return cv2.warpPerspective(pixels, matrix, (cols, rows), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
