"""Light, colour and quality of a view: what one day, one camera and one program make of it."""

from __future__ import annotations

import cv2
import numpy as np

from imgmatch.lab.alterations import light as altered
from imgmatch.lab.alterations.tools import to_bytes
from imgmatch.lab.training.augment.geometry import Generator, Pixels, between, log_between


def light(rng: Generator, image: Pixels, strength: float) -> Pixels:
    """Brightness, contrast, gamma and a cast of colour, as one table a channel."""
    ramp = np.arange(256, dtype=np.float64)[:, None] / 255
    gamma = np.exp(rng.normal(0, 0.35 * strength))
    gain = np.exp(rng.normal(0, 0.25 * strength)) * np.exp(rng.normal(0, 0.1 * strength, 3))
    offset = rng.normal(0, 0.08 * strength)
    contrast = np.exp(rng.normal(0, 0.2 * strength))
    curve = ((ramp**gamma * gain + offset - 0.5) * contrast + 0.5) * 255
    return cv2.merge([cv2.LUT(image[..., c], np.clip(curve[:, c], 0, 255).astype(np.uint8)) for c in range(3)])


def darken(rng: Generator, image: Pixels) -> Pixels:
    """A picture taken, or made, much too dark; sometimes with the noise that comes with it."""
    gamma, factor = between(rng, 1.0, 2.0), between(rng, 0.15, 0.6)
    dark = altered.colour(image, rng, brightness=factor ** (1 / gamma), gamma=gamma)
    return noise(rng, dark, 0.5) if rng.random() < 0.4 else dark


def colour(rng: Generator, image: Pixels, strength: float) -> Pixels:
    """Saturation, hue and mixed channels, as one 3 x 3 matrix."""
    luma = np.tile([0.299, 0.587, 0.114], (3, 1))
    saturation = np.clip(rng.normal(1, 0.5 * strength), 0, 2.2)
    matrix = luma * (1 - saturation) + np.eye(3) * saturation + rng.normal(0, 0.06 * strength, (3, 3))
    if rng.random() < 0.08 * strength:
        matrix = matrix[rng.permutation(3)]
    return cv2.transform(image, matrix)


def grey(rng: Generator, image: Pixels) -> Pixels:
    """Grey, or one tint over grey."""
    plain = altered.grey(image, rng)
    return plain if rng.random() < 0.7 else to_bytes(plain * rng.uniform(0.6, 1.2, 3))


def lamp(rng: Generator, image: Pixels) -> Pixels:
    """Light that falls off across the picture: a flash, a window, a vignette."""
    coarse = 9
    y, x = np.mgrid[0:coarse, 0:coarse] / (coarse - 1)
    distance = np.hypot(x - between(rng, -0.2, 1.2), y - between(rng, -0.2, 1.2)) / between(rng, 0.4, 1.2)
    gain = (1 + between(rng, 0, 0.7) * np.exp(-(distance**2)) - between(rng, 0, 0.6) * np.minimum(distance, 1))[
        ..., None
    ]
    gain = np.clip(gain * rng.uniform(0.85, 1.15, 3), 0.1, 2).astype(np.float32)
    return np.clip(image * cv2.resize(gain, image.shape[1::-1]), 0, 255).astype(np.uint8)


def noise(rng: Generator, image: Pixels, strength: float) -> Pixels:
    """Sensor noise, from one small tile that is repeated: fast and good enough."""
    tile = rng.normal(0, between(rng, 3, 28) * strength, (61, 67, 3)).astype(np.int16)
    height, width = image.shape[:2]
    rows, columns = np.arange(height) % 61, np.arange(width) % 67
    return np.clip(image + tile[rows][:, columns], 0, 255).astype(np.uint8)


def blur(rng: Generator, image: Pixels) -> Pixels:
    """Out of focus, or moved."""
    if rng.random() < 0.75:
        return altered.blur(image, rng, log_between(rng, 0.5 / image.shape[0], 0.02))
    return altered.motion_blur(image, rng, between(rng, 3 / image.shape[0], 1 / 16))


def jpeg(rng: Generator, image: Pixels, low: int = 8, high: int = 80) -> Pixels:
    """JPEG at a random quality."""
    return altered.jpeg(image, rng, int(rng.integers(low, high)))


def shrink(rng: Generator, image: Pixels) -> Pixels:
    """Down to a thumbnail and up again."""
    size = image.shape[0]
    small = max(int(size * log_between(rng, 0.14, 0.7)), 16)
    up = [cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC][int(rng.integers(3))]
    return cv2.resize(cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA), (size, size), interpolation=up)


def sharpen(rng: Generator, image: Pixels) -> Pixels:
    """Unsharp mask: what phones and filters do."""
    return altered.sharpen(image, rng, between(rng, 0.5, 2.5), between(rng, 0.7, 2.5) / image.shape[0])


def filters(rng: Generator, image: Pixels) -> Pixels:
    """What picture editors offer: few levels, edges, inverted, equalised."""
    way = rng.random()
    if way < 0.3:
        return altered.photo_filter(image, rng)
    if way < 0.5:
        return altered.posterise(image, rng, int(rng.integers(3, 9)))
    if way < 0.75:
        ycc = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)
        ycc[..., 0] = cv2.equalizeHist(ycc[..., 0])
        return cv2.cvtColor(ycc, cv2.COLOR_YCrCb2RGB)
    if way < 0.87:
        return 255 - image
    return cv2.medianBlur(image, 5)
