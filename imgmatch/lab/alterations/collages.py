"""The picture in another one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np

from imgmatch.errors import UsageError
from imgmatch.lab.alterations.tools import cover, resize, some_colour

if TYPE_CHECKING:
    import numpy.typing as npt

    from imgmatch.types import Pixels

    Mask = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float32]


def paste_into(pixels: Pixels, rng: np.random.Generator, other: Pixels, area: float = 0.2) -> Pixels:
    """Paste the picture at a random place into ``other``, where it takes ``area`` (0..1) of the whole."""
    rows, cols = pixels.shape[:2]
    other_rows, other_cols = other.shape[:2]
    scale = math.sqrt(area * other_rows * other_cols / (rows * cols))
    width = max(1, min(other_cols, round(cols * scale)))
    height = max(1, min(other_rows, round(rows * scale)))
    top, left = int(rng.integers(0, other_rows - height + 1)), int(rng.integers(0, other_cols - width + 1))
    out = other.copy()
    out[top : top + height, left : left + width] = resize(pixels, width, height)
    return out


def collage(
    pixels: Pixels,
    rng: np.random.Generator,
    others: Sequence[Pixels],
    area: float = 0.2,
    layout: Literal["2x2", "1x3"] | None = None,
    gap_share: float = 0.01,
) -> Pixels:
    """Put the picture whole into a collage of its own size with others, where it takes about ``area``.

    ``layout`` is 2x2 or 1x3 (in a row or in a column); None draws one. Raises UsageError when ``others`` is empty.
    """
    if len(others) == 0:
        raise UsageError("a collage needs at least one other photograph: pass others=[pixels, ...]")
    rows, cols = pixels.shape[:2]
    layout = layout or ("2x2" if rng.random() < 0.6 else "1x3")
    paper = some_colour(rng) if rng.random() < 0.3 else ((255, 255, 255) if rng.random() < 0.5 else (0, 0, 0))
    side = math.sqrt(area)
    if layout == "2x2":
        height, width = rows, cols
        x_cut, y_cut = round(cols * side), round(rows * side)
        cells = [(0, 0, x_cut, y_cut), (x_cut, 0, cols - x_cut, y_cut)]
        cells += [(0, y_cut, x_cut, rows - y_cut), (x_cut, y_cut, cols - x_cut, rows - y_cut)]
    else:
        # Equal strips, the picture whole inside the first; pictures that lie are stacked, pictures that stand are put
        # side by side, which keeps the collage's shape near a square.
        strip = max(area, 1 / 3)
        along, across = math.sqrt(area) / strip, strip / math.sqrt(area)
        lies = cols >= rows
        width, height = (cols * across, rows * along) if lies else (cols * along, rows * across)
        width, height = max(3, round(width)), max(3, round(height))
        cuts = [round(share * (height if lies else width)) for share in (0, strip, (1 + strip) / 2, 1)]
        if lies:
            cells = [(0, start, width, end - start) for start, end in pairwise(cuts)]
        else:
            cells = [(start, 0, end - start, height) for start, end in pairwise(cuts)]
    sheet = np.full((height, width, 3), paper, np.uint8)
    gap = round(gap_share * min(height, width) / 2)
    picks = rng.permutation(len(others))
    flip_x, flip_y = rng.random() < 0.5, rng.random() < 0.5
    for number, (x, y, cell_w, cell_h) in enumerate(cells):
        left = width - x - cell_w if flip_x else x
        top = height - y - cell_h if flip_y else y
        inner_w, inner_h = cell_w - 2 * gap, cell_h - 2 * gap
        if inner_w < 1 or inner_h < 1:
            continue
        tile = pixels if number == 0 else others[int(picks[(number - 1) % len(others)])]
        if number == 0:
            scale = min(inner_w / cols, inner_h / rows)
            fitted = resize(tile, min(inner_w, round(cols * scale)), min(inner_h, round(rows * scale)))
        else:
            fitted = cover(tile, inner_w, inner_h)
        top += (cell_h - fitted.shape[0]) // 2
        left += (cell_w - fitted.shape[1]) // 2
        sheet[top : top + fitted.shape[0], left : left + fitted.shape[1]] = fitted
    return sheet
