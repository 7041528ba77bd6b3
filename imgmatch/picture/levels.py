"""Sample values of any depth to 8 bits: what a person's viewer would show, whatever the file counts in."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

_MOSTLY = 95  # per cent: a few values above (highlights, dead pixels) do not say what a picture counts in
_WIDTHS = (8, 16, 24, 32)


def to_8_bit(values: npt.NDArray[Any], bits: int | None = None) -> npt.NDArray[np.uint8]:
    """Values as 0..255 uint8, in the same shape.

    Whole numbers of up to 16 ``bits`` (default: those of their type) count from 0 to the most that these hold; wider
    ones are often smaller numbers in a wide type, and count to the most of the least of 8, 16, 24 or 32 bits that holds
    them all. Signed ones count to their positive end, below 0 is black. Fractions count to 1, unless more than a
    twentieth of them is above it: then they are whole numbers in disguise. What is no finite number is black.
    """
    if values.dtype.kind == "f":
        finite = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
        top = float(np.percentile(finite, _MOSTLY)) if finite.size else 0.0
        # Between 1 and 255 nothing is counted in: such a picture is of 8 bits, and dark.
        scale = 255.0 if top <= 1 else 1.0 if top <= 255 else 255.0 / (_most_of(top, 0))
        return _bytes(finite * scale)
    signed = int(values.dtype.kind == "i")
    bits = bits or 8 * values.dtype.itemsize
    if bits == 8 and not signed:
        return values.astype(np.uint8)
    most = (1 << (bits - signed)) - 1 if bits <= 16 else _most_of(float(values.max(initial=0)), signed)
    return _bytes(values.astype(np.float64) * (255.0 / most))


def _most_of(top: float, signed: int) -> float:
    width = next((bits for bits in _WIDTHS if top <= (1 << bits) - 1), None)
    if width is None:
        return top
    return float((1 << (width - (signed if width == 32 else 0))) - 1)


def _bytes(values: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
