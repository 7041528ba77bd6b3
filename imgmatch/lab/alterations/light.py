"""Alterations of light, colour, sharpness, and by compression."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from imgmatch.errors import UsageError
from imgmatch.lab.alterations.tools import to_bytes

if TYPE_CHECKING:
    import numpy.typing as npt

    from imgmatch.types import Pixels

    Mask = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float32]


def jpeg(pixels: Pixels, rng: np.random.Generator, quality: int = 20) -> Pixels:
    """Compress as baseline JPEG with chroma subsampling and decode again. ``quality`` 1..100 as in libjpeg."""
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    if not done:
        raise UsageError(f"can't compress a picture of shape {pixels.shape} as JPEG: pass (H, W, 3) uint8 pixels")
    return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def grey(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Luma (ITU-R BT.601) in all three channels."""
    return cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def colour(
    pixels: Pixels,
    rng: np.random.Generator,
    brightness: float = 1.0,
    contrast: float = 1.0,
    saturation: float = 1.0,
    hue_degrees: float = 0.0,
    gamma: float = 1.0,
    cast: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> Pixels:
    """Change light and colour: factors of 1 and a hue shift of 0 leave the picture as it is.

    ``cast`` multiplies red, green and blue (a wrong white balance); ``contrast`` turns about middle grey.
    """
    changed = pixels
    if saturation != 1 or hue_degrees:
        hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)
        hue = (hsv[..., 0].astype(np.int16) + round(hue_degrees / 2)) % 180
        strength = np.clip(np.arange(256) * saturation, 0, 255).astype(np.uint8)[hsv[..., 1]]
        changed = cv2.cvtColor(cv2.merge([hue.astype(np.uint8), strength, hsv[..., 2]]), cv2.COLOR_HSV2RGB)
    level = np.arange(256, dtype=np.float64)[:, None] / 255 * np.asarray(cast) * brightness
    level = np.clip((level - 0.5) * contrast + 0.5, 0, 1) ** gamma
    return cv2.LUT(changed, to_bytes(level * 255)[:, None, :])


def random_colour(pixels: Pixels, rng: np.random.Generator, strength: float = 1.0) -> Pixels:
    """Change brightness, contrast, saturation, hue, gamma and white balance at once; ``strength`` 1 is strong."""

    def factor(spread: float) -> float:
        return math.exp(rng.uniform(-spread, spread) * strength)

    return colour(
        pixels,
        rng,
        brightness=factor(0.4),
        contrast=factor(0.4),
        saturation=factor(0.8),
        hue_degrees=rng.uniform(-40, 40) * strength,
        gamma=factor(0.4),
        cast=(factor(0.2), factor(0.1), factor(0.2)),
    )


def darken(pixels: Pixels, rng: np.random.Generator, factor: float = 0.3) -> Pixels:
    """Multiply the light by ``factor`` with the rounding loss of 8 bits."""
    return colour(pixels, rng, brightness=factor)


def blur(pixels: Pixels, rng: np.random.Generator, sigma_share: float = 0.01) -> Pixels:
    """Gaussian blur; the standard deviation is ``sigma_share`` of the shorter side."""
    sigma = max(0.3, sigma_share * min(pixels.shape[:2]))
    return cv2.GaussianBlur(pixels, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)


def motion_blur(pixels: Pixels, rng: np.random.Generator, length_share: float = 0.05) -> Pixels:
    """Blur along a line of a random direction; its length is ``length_share`` of the shorter side."""
    angle = rng.uniform(0, math.pi)
    size = max(3, round(length_share * min(pixels.shape[:2]))) | 1
    reach = size // 2
    kernel = np.zeros((size, size), np.float32)
    offset = round(reach * math.cos(angle)), round(reach * math.sin(angle))
    cv2.line(kernel, (reach - offset[0], reach - offset[1]), (reach + offset[0], reach + offset[1]), 1.0)
    return cv2.filter2D(pixels, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)


def sharpen(pixels: Pixels, rng: np.random.Generator, amount: float = 1.5, sigma_share: float = 0.006) -> Pixels:
    """Unsharp mask, of what a blur by ``sigma_share`` of the shorter side takes away."""
    soft = cv2.GaussianBlur(pixels, (0, 0), max(0.5, sigma_share * min(pixels.shape[:2])))
    return cv2.addWeighted(pixels, 1 + amount, soft, -amount, 0)


def noise(pixels: Pixels, rng: np.random.Generator, sigma: float = 20.0) -> Pixels:
    """Add Gaussian noise of ``sigma`` levels (of 255), independent in each channel."""
    return to_bytes(pixels + rng.standard_normal(pixels.shape, dtype=np.float32) * sigma)


def posterise(pixels: Pixels, rng: np.random.Generator, levels: int = 5) -> Pixels:
    """Keep ``levels`` (2 or more) values a channel."""
    steps = np.rint(np.arange(256) / 255 * (levels - 1)) * 255 / (levels - 1)
    return cv2.LUT(pixels, to_bytes(steps))


# Rows give the new red, green and blue as mixtures of the old ones, then an offset.
_FILTERS: dict[str, list[list[float]]] = {
    "sepia": [[0.393, 0.769, 0.189, 0], [0.349, 0.686, 0.168, 0], [0.272, 0.534, 0.131, 0]],
    "cold": [[0.75, 0.05, 0.05, 0], [0.05, 0.9, 0.1, 5], [0.1, 0.1, 1.0, 25]],
    "warm": [[1.05, 0.1, 0.0, 15], [0.05, 0.95, 0.0, 5], [0.0, 0.1, 0.7, 0]],
    "faded": [[0.6, 0.15, 0.05, 50], [0.1, 0.6, 0.1, 45], [0.1, 0.15, 0.5, 60]],
    "crossed": [[1.3, -0.2, 0.0, -10], [0.0, 1.1, 0.0, -5], [0.1, 0.3, 0.5, 40]],
}


def photo_filter(pixels: Pixels, rng: np.random.Generator, name: str | None = None) -> Pixels:
    """One of the colour filters of phone apps: sepia, cold, warm, faded, crossed; None draws one."""
    name = name or str(rng.choice(sorted(_FILTERS)))
    if name not in _FILTERS:
        raise UsageError(f"no photo filter {name!r}: choose one of {', '.join(sorted(_FILTERS))}")
    return cv2.transform(pixels, np.array(_FILTERS[name], np.float32))
