"""PDQ, the perceptual hash of ThreatExchange: 256 bits that copies of a picture share but for a few.

Davis and Rosen, "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm" (Facebook, 2019); computed
by its reference code, in the package pdqhash (MIT).
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image as Pillow

if TYPE_CHECKING:
    from imgmatch.types import Pixels

BITS = 256
DISTANCE = 31
"""Two hashes within so many bits are of one picture, as ThreatExchange has it."""
LEAST_QUALITY = 50
"""Hashes of a lower quality (flat, empty pictures) meet each other by chance: they are not compared."""
_SIDE_PX = 512


@dataclass(frozen=True, slots=True)
class Pdq:
    """A PDQ hash, 32 bytes in the order of its hexadecimal form, and its quality 0..100."""

    hash: bytes
    quality: int


@cache
def has_pdq() -> bool:
    """Is the package installed that computes it?"""
    return importlib.util.find_spec("pdqhash") is not None


def pdq_of(pixels: Pixels) -> Pdq | None:
    """The PDQ hash of (H, W, 3) uint8 pixels; None where ``imgmatch[pdq]`` is not installed.

    Larger pictures are brought to 512 x 512 first, as the reference program does; smaller ones are taken as they are.
    """
    if not has_pdq():
        return None
    bits, quality = _library().compute(scaled(pixels))
    return Pdq(np.packbits(np.asarray(bits, dtype=np.uint8)).tobytes(), int(quality))


def distance(one: bytes, other: bytes) -> int:
    """In how many bits two hashes differ."""
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).bit_count()


def scaled(pixels: Pixels) -> Any:
    """Pixels as the reference code takes them: contiguous, neither side longer than 512."""
    if max(pixels.shape[:2]) > _SIDE_PX:
        pixels = np.asarray(Pillow.fromarray(pixels).resize((_SIDE_PX, _SIDE_PX), Pillow.Resampling.BOX))
    return np.ascontiguousarray(pixels)


def _library() -> Any:
    import pdqhash

    return pdqhash
