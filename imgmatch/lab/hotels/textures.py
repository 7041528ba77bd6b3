"""Procedural materials: square tiles that repeat without a seam, (256, 256, 3) uint8 sRGB, with a size in metres.

Every function draws from the generator that it is given and from nothing else.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from imgmatch.types import Pixels

    Floats = npt.NDArray[np.float32]
    Colour = npt.NDArray[np.float32]

TILE_PX = 256


class Material:
    """A seamless tile: ``tile`` (256, 256, 3) uint8 covers ``size_m`` x ``size_m``."""

    def __init__(self, tile: Pixels, size_m: float) -> None:
        self.tile = tile
        self.size_m = size_m
        self._sheet = tile

    def cut(self, width_m: float, height_m: float, offset_px: int = 0) -> Pixels:
        """Return a surface of that size, at least 4 x 4 pixels, repeated or cropped: a view, not to be written to."""
        density = TILE_PX / self.size_m
        width, height = max(4, math.ceil(width_m * density)), max(4, math.ceil(height_m * density))
        top, left = offset_px % TILE_PX, offset_px * 7 % TILE_PX
        down, across = math.ceil((top + height) / TILE_PX), math.ceil((left + width) / TILE_PX)
        rows, cols = self._sheet.shape[:2]
        if down * TILE_PX > rows or across * TILE_PX > cols:
            self._sheet = cv2.repeat(self.tile, max(down, rows // TILE_PX), max(across, cols // TILE_PX))
        return self._sheet[top : top + height, left : left + width]


# --- colour ----------------------------------------------------------------------------------------------------------


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """Return sRGB 0..255 from hue, saturation and value in 0..1."""
    return np.array(colorsys.hsv_to_rgb(hue % 1, min(max(saturation, 0), 1), min(max(value, 0), 1)), np.float32) * 255


def muted(rng: np.random.Generator, value: tuple[float, float] = (0.6, 0.92), strength: float = 0.3) -> Colour:
    """Draw a wall colour: mostly warm, rarely saturated."""
    hue = rng.normal(0.1, 0.05) if rng.random() < 0.6 else rng.random()
    return hsv(hue, strength * rng.beta(1.2, 2.0), rng.uniform(*value))


def vivid(rng: np.random.Generator) -> Colour:
    """Draw the colour of a small thing: a cushion, a book, a towel."""
    return hsv(rng.random(), rng.uniform(0.2, 0.85), rng.uniform(0.25, 0.9))


WOODS = ((196, 160, 112), (160, 116, 72), (120, 78, 46), (84, 52, 34), (58, 40, 32), (214, 190, 154), (228, 222, 210))


def wood_tone(rng: np.random.Generator) -> Colour:
    """Draw the tone of a wood from pale ash to wenge, or white lacquer."""
    return np.array(WOODS[rng.integers(len(WOODS))], np.float32) * np.float32(rng.uniform(0.9, 1.08))


# --- noise -----------------------------------------------------------------------------------------------------------


def _wrapped(grid: Floats, rows: int, cols: int, interpolation: int) -> Floats:
    """Enlarge a small periodic grid to rows x cols such that the result is periodic."""
    pad = 2
    padded = cv2.copyMakeBorder(grid, pad, pad, pad, pad, cv2.BORDER_WRAP)
    scale_y, scale_x = rows / grid.shape[0], cols / grid.shape[1]
    big = cv2.resize(padded, None, fx=scale_x, fy=scale_y, interpolation=interpolation)
    top, left = round(pad * scale_y), round(pad * scale_x)
    return big[top : top + rows, left : left + cols]


def noise(rng: np.random.Generator, cells_y: int, cells_x: int, size: int = TILE_PX) -> Floats:
    """Return smooth periodic noise in about -1..1 with that many cells a side, (size, size) float32."""
    grid = rng.random((cells_y, cells_x), dtype=np.float32) * 2 - 1
    if max(cells_y, cells_x) > 16:
        return _wrapped(grid, size, size, cv2.INTER_LINEAR)
    # Cubic only while the sheet is small: it costs ten times as much, and its curves are smooth enough to enlarge.
    return _wrapped(_wrapped(grid, 64, 64, cv2.INTER_CUBIC), size, size, cv2.INTER_LINEAR)


def fractal(rng: np.random.Generator, first: int = 4, octaves: int = 3, size: int = TILE_PX) -> Floats:
    """Sum noise of doubling frequency and halving strength."""
    total = noise(rng, first, first, size)
    for octave in range(1, octaves):
        cells = first << octave
        total = total + noise(rng, cells, cells, size) * np.float32(0.5**octave)
    return total


# Row and column numbers that broadcast to a sheet: what depends on one of them alone costs next to nothing.
_ROWS = np.arange(TILE_PX, dtype=np.float32)[:, None]
_COLS = np.arange(TILE_PX, dtype=np.float32)[None, :]


def _planes(value: Floats | Colour) -> Sequence[Floats]:
    """The three channels of a colour or a sheet: numpy is ten times slower over a last axis of three."""
    return cv2.split(value) if value.ndim == 3 else list(value)


def _shade(base: Floats | Colour, amount: Floats) -> Floats:
    """``base`` made lighter or darker by ``amount`` (0: as it is, 0.1: a tenth lighter)."""
    factor = 1 + amount
    return cv2.merge([plane * factor for plane in _planes(base)])


def _mix(first: Floats | Colour, second: Floats | Colour, weight: Floats) -> Floats:
    """``first`` where ``weight`` is 0, ``second`` where it is 1."""
    return cv2.merge([a + (b - a) * weight for a, b in zip(_planes(first), _planes(second), strict=True)])


def _bytes(values: Floats) -> Pixels:
    return cv2.convertScaleAbs(cv2.max(values, 0.0))


def _soft(mask: npt.NDArray[np.bool_] | Floats, sigma: float = 0.8) -> Floats:
    """Return a mask with soft edges, wrapped around."""
    pad = 4
    whole = np.broadcast_to(mask, (TILE_PX, TILE_PX)).astype(np.float32)
    wrapped = cv2.copyMakeBorder(whole, pad, pad, pad, pad, cv2.BORDER_WRAP)
    return cv2.GaussianBlur(wrapped, (0, 0), sigma)[pad:-pad, pad:-pad]


def _second(rng: np.random.Generator, base: Colour) -> Colour:
    """Draw the other colour of a pattern: mostly tone on tone, as decorators have it, sometimes bold."""
    kind = rng.random()
    if kind < 0.45:
        return base * np.float32(rng.choice([0.7, 0.82, 0.9, 1.12]))
    if kind < 0.8:
        return base * np.float32(0.6) + muted(rng, (0.3, 0.95), 0.6) * np.float32(0.4)
    return muted(rng, (0.25, 0.95), 0.8)


# --- walls -----------------------------------------------------------------------------------------------------------


def plaster(rng: np.random.Generator, base: Colour) -> Pixels:
    """Return painted plaster: faint stains, faint grain, sometimes a rough coat."""
    rough = float(rng.choice([0.01, 0.025, 0.05], p=[0.6, 0.25, 0.15]))
    return _bytes(_shade(base, fractal(rng, 3, 2) * 0.02 + noise(rng, 128, 128) * rough))


def stripes(rng: np.random.Generator, base: Colour) -> Pixels:
    """Return a wallpaper of vertical stripes, of one width or of several."""
    count = int(rng.choice([4, 6, 8, 12, 16, 24]))
    second = _second(rng, base)
    pitch = TILE_PX / count
    phase = (_COLS % pitch) / pitch
    weight = (phase < rng.uniform(0.2, 0.6)).astype(np.float32)
    if rng.random() < 0.5:
        weight = np.maximum(weight, ((phase > 0.72) & (phase < 0.78)).astype(np.float32) * 0.8)
    return _bytes(_shade(_mix(base, second, _soft(weight)), noise(rng, 128, 128) * 0.015))


def damask(rng: np.random.Generator, base: Colour) -> Pixels:
    """Return a wallpaper of mirrored ornaments in a half-drop repeat, as damask has them."""
    side = int(rng.choice([32, 64]))
    blot = fractal(rng, 3, 2, side)
    half = np.hypot(*np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]).astype(np.float32)
    motif = np.sin(blot * rng.uniform(3, 6) + half * rng.uniform(4, 9)) - half * 0.8
    motif = np.vstack([np.hstack([motif, motif[:, ::-1]]), np.hstack([motif, motif[:, ::-1]])[::-1]])
    column = np.vstack([motif] * (TILE_PX // motif.shape[0]))
    dropped = np.roll(column, motif.shape[0] // 2, axis=0)
    pair = np.hstack([column, dropped])
    sheet = np.hstack([pair] * max(1, TILE_PX // pair.shape[1]))[:, :TILE_PX]
    second = _second(rng, base)
    return _bytes(_shade(_mix(base, second, _soft(sheet > 0)), noise(rng, 128, 128) * 0.015))


def geometric(rng: np.random.Generator, base: Colour) -> Pixels:
    """Return chevrons, lozenges, circles, triangles or waves in two or three colours."""
    pitch = TILE_PX / float(rng.choice([4, 6, 8, 10, 16]))
    x, y = (_COLS % pitch) / pitch - 0.5, (_ROWS % pitch) / pitch - 0.5
    kind = rng.integers(6)
    if kind == 0:
        field = np.sin(2 * np.pi * (_ROWS / pitch + np.abs(x) * 2))
    elif kind == 1:
        field = 0.36 - (np.abs(x) + np.abs(y))
    elif kind == 2:
        field = np.sin(np.hypot(x, y) * rng.uniform(10, 24))
    elif kind == 3:
        field = y - np.abs(x) * 2 + 0.5
    elif kind == 4:
        field = np.sin(2 * np.pi * (_ROWS / pitch + 0.3 * np.sin(2 * np.pi * _COLS / pitch)))
    else:
        field = np.minimum(np.abs(x), np.abs(y)) - 0.08
    second = _second(rng, base)
    sheet = _mix(base, second, _soft(field > 0))
    if rng.random() < 0.3:
        spots = ((np.abs(x) + np.abs(y)) < 0.12).astype(np.float32)
        sheet = _mix(sheet, vivid(rng), _soft(spots))
    return _bytes(_shade(sheet, noise(rng, 128, 128) * 0.02))


def foliage(rng: np.random.Generator, base: Colour) -> Pixels:
    """Return a wallpaper or print of scattered leaves and blossoms."""
    sheet = np.empty((TILE_PX, TILE_PX, 3), np.float32)
    sheet[:] = base
    inks = [_second(rng, base) for _ in range(3)]
    big = rng.uniform(8, 26)
    for _ in range(int(5200 / big / big * 6)):
        x, y, angle = rng.uniform(0, TILE_PX), rng.uniform(0, TILE_PX), float(rng.uniform(0, 360))
        ink = [float(c) for c in inks[rng.integers(3)]]
        axes = (max(2, int(big * rng.uniform(0.5, 1))), max(1, int(big * rng.uniform(0.15, 0.4))))
        for dx in (-TILE_PX, 0, TILE_PX) if x < 30 or x > TILE_PX - 30 else (0,):
            for dy in (-TILE_PX, 0, TILE_PX) if y < 30 or y > TILE_PX - 30 else (0,):
                cv2.ellipse(sheet, (int(x + dx), int(y + dy)), axes, angle, 0, 360, ink, -1)
    return _bytes(_shade(sheet, noise(rng, 128, 128) * 0.02))


def brick(rng: np.random.Generator, base: Colour) -> Pixels:
    """Return bricks in running bond with mortar; each brick has its own tone."""
    courses, across = int(rng.choice([16, 20, 24])), int(rng.choice([5, 6]))
    course = np.floor(_ROWS / TILE_PX * courses).astype(int)
    shifted = _COLS / TILE_PX * across + (course % 2) * 0.5
    column = np.floor(shifted).astype(int) % across
    tones = rng.normal(0, 0.09, (courses, across)).astype(np.float32)
    x, y = shifted % 1, (_ROWS / TILE_PX * courses) % 1
    mortar = (x < 0.045) | (y < 0.13)
    clay = _shade(base, tones[course, column] + noise(rng, 64, 64) * 0.08 + noise(rng, 128, 128) * 0.05)
    return _bytes(_mix(clay, hsv(0.1, 0.08, rng.uniform(0.5, 0.85)), _soft(mortar, 0.6)))


def tiles(rng: np.random.Generator, base: Colour) -> Pixels:
    """Return ceramic tiles with joints: square, flat, checked, mosaic or with a motif."""
    across = int(rng.choice([4, 6, 8, 12, 24]))
    down = across * int(rng.choice([1, 1, 2]))
    bond = 0.5 if rng.random() < 0.3 and down % 2 == 0 else 0.0
    row = np.floor(_ROWS / TILE_PX * down).astype(int)
    shifted = _COLS / TILE_PX * across + (row % 2) * bond
    column = np.floor(shifted).astype(int) % across
    tones = rng.normal(0, rng.choice([0.01, 0.03, 0.1]), (down, across)).astype(np.float32)
    x, y = shifted % 1, (_ROWS / TILE_PX * down) % 1
    sheet = _shade(base, tones[row, column] + noise(rng, 8, 8) * 0.02)
    second = muted(rng, (0.3, 0.95), 0.6)
    decor = rng.random()
    if decor < 0.15:
        sheet = _mix(sheet, second, ((row + column) % 2).astype(np.float32))
    elif decor < 0.3 and across <= 8:
        sheet = _mix(sheet, second, _soft(np.sin(np.hypot(x - 0.5, y - 0.5) * rng.uniform(9, 25)) > 0.2))
    elif decor < 0.4:
        chosen = (rng.random((down, across)) < 0.2).astype(np.float32)
        sheet = _mix(sheet, second, chosen[row, column])
    joint = 0.8 * across / TILE_PX
    joints = (x < joint * 1.6) | (y < joint * 1.6 * down / across)
    return _bytes(_mix(sheet, hsv(0.1, 0.04, rng.uniform(0.45, 0.95)), _soft(joints, 0.5) * 0.85))


def marble(rng: np.random.Generator, base: Colour) -> Pixels:
    """Return veined stone slabs."""
    veins = np.abs(fractal(rng, 3, 4) + 0.25 * noise(rng, 2, 2))
    weight = np.clip(1 - veins * np.float32(rng.uniform(6, 14)), 0, 1).astype(np.float32)
    sheet = _mix(_shade(base, fractal(rng, 4, 3) * 0.05), base * np.float32(rng.uniform(0.45, 0.8)), weight * 0.8)
    joints = (_COLS % (TILE_PX / 4) < 1.2) | (_ROWS % (TILE_PX / 4) < 1.2)
    return _bytes(_mix(sheet, base * np.float32(0.7), _soft(joints, 0.5) * 0.7))


# --- wood, floors ----------------------------------------------------------------------------------------------------


def _grain(rng: np.random.Generator, along_rows: bool) -> Floats:
    wave = noise(rng, 4, 32) * 0.08 + noise(rng, 6, 128) * 0.06
    return wave if along_rows else wave.T


def wood(rng: np.random.Generator, base: Colour) -> Pixels:
    """Return a plain wooden face with horizontal grain, for furniture."""
    return _bytes(_shade(base, _grain(rng, along_rows=False) + noise(rng, 2, 2) * 0.03))


def boards(rng: np.random.Generator, base: Colour, vertical: bool = True) -> Pixels:
    """Return planks of uneven tone and length: a floor, or panelling when vertical."""
    count = int(rng.choice([8, 10, 14, 16]))
    plank = np.floor(_COLS / TILE_PX * count).astype(int)
    start = rng.integers(0, TILE_PX, count)
    cut = ((_ROWS + start[plank]) % TILE_PX) / TILE_PX
    piece = np.floor(cut * 2).astype(int) % 2
    tones = rng.normal(0, rng.uniform(0.02, 0.1), (count, 2)).astype(np.float32)
    joints = ((_COLS / TILE_PX * count) % 1 < 1.2 * count / TILE_PX) | ((cut * 2) % 1 < 2.0 / TILE_PX)
    sheet = _shade(base, tones[plank, piece] + _grain(rng, along_rows=True))
    sheet = _mix(sheet, base * np.float32(0.45), _soft(joints, 0.5) * 0.8)
    return _bytes(sheet if vertical else sheet.swapaxes(0, 1))


def parquet(rng: np.random.Generator, base: Colour) -> Pixels:
    """Return parquet in basket weave or herringbone."""
    cell = TILE_PX // int(rng.choice([4, 8]))
    staves = 4
    if rng.random() < 0.5:
        turned = ((_ROWS // cell + _COLS // cell) % 2).astype(bool)
        across = np.where(turned, _ROWS, _COLS) % cell / cell * staves
    else:
        diagonal = (_COLS + _ROWS) % (2 * cell)
        turned = diagonal < cell
        across = np.where(turned, _ROWS * 2, _COLS * 2) % cell / cell * staves
    tones = noise(rng, TILE_PX // cell * 2, TILE_PX // cell * 2) * 0.08
    stave = np.floor(across).astype(int) % staves
    level = rng.normal(0, 0.07, (2, staves)).astype(np.float32)[turned.astype(int), stave]
    joints = across % 1 < 0.12
    sheet = _shade(base, level + tones + noise(rng, 128, 128) * 0.04)
    return _bytes(_mix(sheet, base * np.float32(0.55), _soft(joints, 0.6) * 0.7))


def carpet(rng: np.random.Generator, base: Colour) -> Pixels:
    """Return pile carpet: speckled, sometimes with a hotel's repeating pattern."""
    sheet = _shade(base, noise(rng, 128, 128) * 0.12 + noise(rng, 16, 16) * 0.04)
    if rng.random() < 0.55:
        pattern = geometric(rng, base) if rng.random() < 0.6 else damask(rng, base)
        sheet = sheet * 0.35 + pattern * np.float32(0.65)
    return _bytes(sheet)


# --- cloth -----------------------------------------------------------------------------------------------------------


def _creases(rng: np.random.Generator) -> Floats:
    """Light on a cloth that doesn't lie quite flat: the slope of a smooth bump, about -0.1..0.1."""
    bumps = fractal(rng, 4, 2)
    return (bumps - np.roll(bumps, (3, 5), (0, 1))) * np.float32(0.22)


def fabric(rng: np.random.Generator, base: Colour) -> Pixels:
    """Return woven cloth of one colour."""
    weave = noise(rng, 128, 32) * 0.03 + noise(rng, 32, 128) * 0.03
    return _bytes(_shade(base, weave + _creases(rng) + fractal(rng, 3, 2) * 0.04))


def bedspread(rng: np.random.Generator, base: Colour) -> Pixels:
    """Return a blanket or cushion cover: plain, striped, checked, quilted, floral or geometric."""
    kind = rng.integers(6)
    if kind == 0:
        return fabric(rng, base)
    if 1 <= kind <= 3:
        printed = (stripes, geometric, foliage)[kind - 1](rng, base)
        return _bytes(_shade(printed.astype(np.float32), _creases(rng)))
    pitch = TILE_PX / float(rng.choice([4, 6, 8]))
    if kind == 4:
        second = muted(rng, (0.2, 0.9), 0.9)
        bands = ((_ROWS % pitch < pitch * 0.4).astype(np.float32) + (_COLS % pitch < pitch * 0.4)) * np.float32(0.5)
        return _bytes(_shade(_mix(base, second, bands), _creases(rng) + noise(rng, 128, 128) * 0.04))
    quilt = np.abs(np.sin((_ROWS + _COLS) * np.pi / pitch)) * np.abs(np.sin((_ROWS - _COLS) * np.pi / pitch))
    return _bytes(_shade(base, np.sqrt(quilt) * 0.25 - 0.15 + noise(rng, 128, 128) * 0.02))


def folds(rng: np.random.Generator, base: Colour) -> Pixels:
    """Return a hanging curtain: vertical folds that wander a little, plain or printed."""
    sheet = base if rng.random() < 0.6 else bedspread(rng, base).astype(np.float32)
    wander = noise(rng, 2, 8) * 9
    wave = np.sin((_COLS + wander) * 2 * np.pi / TILE_PX * float(rng.choice([8, 10, 14])))
    return _bytes(_shade(sheet, wave * 0.2 + noise(rng, 1, 40) * 0.08))


WALLS: dict[str, tuple[Callable[[np.random.Generator, Colour], Pixels], float]] = {
    "plaster": (plaster, 2.6),
    "stripes": (stripes, 2.4),
    "damask": (damask, 2.4),
    "geometric": (geometric, 2.4),
    "foliage": (foliage, 2.4),
    "brick": (brick, 1.8),
    "boards": (boards, 2.2),
}
"""Wall finishes: the function and the size of its tile in metres."""
