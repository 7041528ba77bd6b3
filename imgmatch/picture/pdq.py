"""PDQ, the perceptual hash of ThreatExchange: 256 bits that copies of a picture share but for a few.

Davis and Rosen, "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm" (Facebook, 2019). Every step
before the median is linear and works along rows and columns by itself, so that each is one small matrix. The tests
hold it against the reference code.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image as Pillow

if TYPE_CHECKING:
    import numpy.typing as npt

    from imgmatch.types import Pixels

BITS = 256
DISTANCE = 31
"""Two hashes within so many bits are of one picture, as ThreatExchange has it."""
LEAST_QUALITY = 50
"""Hashes of a lower quality (flat, empty pictures) meet each other by chance: they are not compared."""
_SIDE_PX = 512
_SMALL = 64
_LEAST_PX = 5
_STRIP = 32


@dataclass(frozen=True, slots=True)
class Pdq:
    """A PDQ hash, 32 bytes in the order of its hexadecimal form, and its quality 0..100."""

    hash: bytes
    quality: int


def pdq_of(pixels: Pixels) -> Pdq:
    """The PDQ hash of (H, W, 3) uint8 pixels.

    Larger pictures are brought to 512 x 512 first, as the reference program does; smaller ones are taken as they are.
    One with a side of less than 5 has the hash 0.
    """
    if min(pixels.shape[:2]) < _LEAST_PX:
        return Pdq(bytes(BITS // 8), 0)
    small = _filtered(scaled(pixels))
    waves = _dct() @ small.astype(np.float64) @ _dct().T
    # Of an even number of values, the lower one in the middle.
    median = np.partition(waves, BITS // 2 - 1, axis=None)[BITS // 2 - 1]
    bits = (waves > median).ravel()
    steps = (np.abs(np.trunc(np.diff(small, axis=axis) * (100 / 255))).sum() for axis in (0, 1))
    return Pdq(np.packbits(bits[::-1]).tobytes(), min(100, int(sum(steps)) // 90))


def distance(one: bytes, other: bytes) -> int:
    """In how many bits two hashes differ."""
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).bit_count()


def scaled(pixels: Pixels) -> Pixels:
    """Pixels of which neither side is longer than 512: means over areas where there are more."""
    if max(pixels.shape[:2]) <= _SIDE_PX:
        return pixels
    # OpenCV's means are rounded otherwise, which turns up to six bits.
    return np.asarray(Pillow.fromarray(pixels).resize((_SIDE_PX, _SIDE_PX), Pillow.Resampling.BOX))


def _filtered(pixels: Pixels) -> npt.NDArray[np.float32]:
    """Luma through Jarosz's filter (two means over a window, each way), at 64 x 64 places: (64, 64) float32."""
    import cv2

    rows, cols = pixels.shape[:2]
    luma = np.empty((rows, cols), np.float32)
    # A strip at a time stays in the cache, and costs a tenth of the whole.
    strip = np.empty((_STRIP, cols, 3), np.float32)
    for at in range(0, rows, _STRIP):
        part = strip[: min(_STRIP, rows - at)]
        np.copyto(part, pixels[at : at + _STRIP])
        cv2.cvtColor(part, cv2.COLOR_RGB2GRAY, dst=luma[at : at + _STRIP])
    along = _means(luma, rows)
    return _means(np.ascontiguousarray(along.T), cols).T


def _means(lines: npt.NDArray[np.float32], length: int) -> npt.NDArray[np.float32]:
    """(length, n) to (64, n)."""
    taps, weights = _sparse(length)
    return np.einsum("st,stn->sn", weights, lines[taps])


@cache
def _filter(length: int) -> npt.NDArray[np.float32]:
    """(64, length): each of 64 places as a mean of a mean of what lies around it."""
    window = (length + 2 * _SMALL - 1) // (2 * _SMALL)
    half = (window + 2) // 2
    at = np.arange(length)
    ahead = at[None] - at[:, None]
    box = ((ahead >= half - window) & (ahead < half)).astype(np.float64)
    box /= box.sum(axis=1, keepdims=True)
    chosen = ((np.arange(_SMALL) + 0.5) * length / _SMALL).astype(int)
    return (box @ box)[chosen].astype(np.float32)


@cache
def _sparse(length: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """The same filter as (64, taps): which places each mean is of, and their weights."""
    dense = _filter(length)
    taps = int((dense > 0).sum(axis=1).max())
    places = np.sort(np.argsort(-dense, axis=1, kind="stable")[:, :taps], axis=1)
    return places, np.take_along_axis(dense, places, axis=1)


@cache
def _dct() -> npt.NDArray[np.float64]:
    """(16, 64): the first 16 waves of the DCT, without the mean."""
    waves = np.outer(np.arange(1, 17), 2 * np.arange(_SMALL) + 1)
    return np.asarray(np.sqrt(2 / _SMALL) * np.cos(np.pi / (2 * _SMALL) * waves))
