"""What a phone makes of the light: exposure, white balance, tone curve, noise, vignetting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from imgmatch.types import Pixels

GREY = 0.17
"""The mean that automatic exposure aims at, in linear light."""


def developed(light: npt.NDArray[np.floating[Any]], rng: np.random.Generator) -> Pixels:
    """Return linear light (rows, cols, 3) as an sRGB picture of a phone, (rows, cols, 3) uint8."""
    light = np.maximum(np.nan_to_num(light), 0)
    luminance = light @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    rows, cols = luminance.shape
    # Phones meter the middle more than the border, and what is blown out less than what is not.
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : cols * 1j]
    weight = np.exp(-(x * x + y * y)) * np.where(luminance > np.percentile(luminance, 95), 0.2, 1.0)
    mean = np.exp(np.sum(weight * np.log(luminance + 1e-4)) / weight.sum())
    aim = GREY * float(np.exp(rng.normal(-0.05, 0.28)))
    light = light * np.float32(aim / mean)
    grey = (light * weight[..., None]).sum(axis=(0, 1)) / weight.sum()
    gain = (grey.mean() / np.maximum(grey, 1e-6)) ** float(rng.uniform(0.35, 0.85))
    gain = gain * np.array([np.exp(rng.normal(0, 0.05)), 1.0, np.exp(rng.normal(0, 0.05))])
    light = light * gain.astype(np.float32)
    light *= (1 - float(rng.uniform(0.02, 0.22)) * (x * x + y * y) / 2).astype(np.float32)[..., None]
    # Little light means a high gain: noise as in the dark.
    noise = float(np.clip(0.004 / np.sqrt(mean + 1e-3), 0.002, 0.05)) * float(rng.uniform(0.3, 1.2))
    light = light + noise * np.sqrt(np.maximum(light, 0) + 0.02) * rng.standard_normal(light.shape).astype(np.float32)
    light = np.maximum(light, 0)
    white = float(rng.uniform(2.2, 5.0))
    light = light * (1 + light / (white * white)) / (1 + light) * np.float32(1.35)
    srgb = np.where(light <= 0.0031308, light * 12.92, 1.055 * np.power(np.maximum(light, 1e-8), 1 / 2.4) - 0.055)
    if rng.random() < 0.5:
        srgb = srgb + (srgb - cv2.GaussianBlur(srgb, (0, 0), 1.0)) * np.float32(rng.uniform(0.1, 0.5))
    elif rng.random() < 0.25:
        srgb = cv2.GaussianBlur(srgb, (0, 0), float(rng.uniform(0.4, 0.9)))
    return np.clip(srgb * 255 + 0.5, 0, 255).astype(np.uint8)
