"""Pictures inside rendered rooms: paintings on walls, the view out of a window, screens. (H, W, 3) uint8 sRGB."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from imgmatch.lab.hotels.textures import hsv, muted, vivid

if TYPE_CHECKING:
    from imgmatch.types import Pixels


def _ink(colour: np.ndarray) -> tuple[int, int, int]:
    return int(colour[0]), int(colour[1]), int(colour[2])


def _gradient(top: np.ndarray, bottom: np.ndarray, rows: int, cols: int) -> np.ndarray:
    ramp = np.linspace(0, 1, rows, dtype=np.float32)[:, None, None]
    return np.ascontiguousarray(np.broadcast_to(top + (bottom - top) * ramp, (rows, cols, 3)))


def _ridge(rng: np.random.Generator, cols: int, level: float, height: float) -> np.ndarray:
    """A wandering horizon: (cols, 2) points."""
    coarse = rng.uniform(-1, 1, 7).astype(np.float32)
    fine = rng.uniform(-0.25, 0.25, 24).astype(np.float32)
    xs = np.arange(cols)
    line = np.interp(xs, np.linspace(0, cols, 7), coarse) + np.interp(xs, np.linspace(0, cols, 24), fine)
    return np.stack([xs, level + line * height], axis=1)


def _landscape(rng: np.random.Generator, rows: int, cols: int) -> Pixels:
    sky = hsv(rng.choice([0.58, 0.08, 0.75, 0.5]), rng.uniform(0.15, 0.6), rng.uniform(0.6, 1))
    sheet = _gradient(sky, hsv(rng.uniform(0.03, 0.15), 0.25, 0.95), rows, cols).astype(np.uint8)
    if rng.random() < 0.6:
        at = int(rng.uniform(0.1, 0.9) * cols), int(rng.uniform(0.1, 0.4) * rows)
        cv2.circle(sheet, at, max(2, int(rows * rng.uniform(0.04, 0.1))), (255, 240, 200), -1, cv2.LINE_AA)
    hue = rng.random()
    for layer in range(int(rng.integers(2, 6))):
        level = rows * (0.45 + 0.12 * layer)
        line = _ridge(rng, cols, level, rows * 0.1)
        shape = np.vstack([line, [[cols, rows], [0, rows]]]).astype(np.int32)
        tone = hsv(hue + rng.normal(0, 0.04), rng.uniform(0.2, 0.7), 0.75 - 0.13 * layer)
        cv2.fillPoly(sheet, [shape], _ink(tone), cv2.LINE_AA)
    return sheet


def _abstract(rng: np.random.Generator, rows: int, cols: int) -> Pixels:
    sheet = np.full((rows, cols, 3), _ink(muted(rng, (0.3, 0.97), 0.6)), np.uint8)
    palette = [_ink(vivid(rng)) for _ in range(4)]
    for _ in range(int(rng.integers(5, 18))):
        ink = palette[rng.integers(4)]
        x, y = int(rng.uniform(0, cols)), int(rng.uniform(0, rows))
        size = max(2, int(min(rows, cols) * rng.uniform(0.05, 0.35)))
        kind = rng.integers(5)
        if kind == 0:
            cv2.circle(sheet, (x, y), size, ink, -1 if rng.random() < 0.7 else 3, cv2.LINE_AA)
        elif kind == 1:
            cv2.rectangle(sheet, (x - size, y - size // 2), (x + size // 2, y + size), ink, -1)
        elif kind == 2:
            end = int(rng.uniform(0, cols)), int(rng.uniform(0, rows))
            cv2.line(sheet, (x, y), end, ink, max(1, size // 5), cv2.LINE_AA)
        elif kind == 3:
            points = rng.uniform(-size, size, (3, 2)) + np.array([x, y])
            cv2.fillPoly(sheet, [points.astype(np.int32)], ink, cv2.LINE_AA)
        else:
            cv2.ellipse(sheet, (x, y), (size, size // 2), float(rng.uniform(0, 180)), 0, 270, ink, 4, cv2.LINE_AA)
    return sheet


def _bands(rng: np.random.Generator, rows: int, cols: int) -> Pixels:
    """Colour fields, one above another."""
    sheet = np.full((rows, cols, 3), _ink(muted(rng, (0.2, 0.9), 0.7)), np.uint8)
    cuts = np.sort(rng.uniform(0.05, 0.95, int(rng.integers(2, 5)))) * rows
    for top, bottom in zip(np.r_[rows * 0.06, cuts], np.r_[cuts, rows * 0.94], strict=True):
        left = int(cols * rng.uniform(0.03, 0.12))
        cv2.rectangle(sheet, (left, int(top) + 2), (cols - left, int(bottom) - 2), _ink(vivid(rng)), -1)
    return cv2.GaussianBlur(sheet, (0, 0), max(0.6, rows / 90))


def _flower(rng: np.random.Generator, rows: int, cols: int) -> Pixels:
    sheet = np.full((rows, cols, 3), _ink(muted(rng, (0.75, 0.98), 0.3)), np.uint8)
    for _ in range(int(rng.integers(1, 6))):
        x, y = rng.uniform(0.2, 0.8) * cols, rng.uniform(0.15, 0.6) * rows
        stem = _ink(hsv(rng.uniform(0.22, 0.4), 0.6, 0.45))
        cv2.line(sheet, (int(x), int(y)), (int(cols / 2), rows), stem, max(1, cols // 60), cv2.LINE_AA)
        size, petals, ink = min(rows, cols) * rng.uniform(0.08, 0.22), int(rng.integers(5, 10)), _ink(vivid(rng))
        for petal in range(petals):
            angle = 2 * math.pi * petal / petals
            at = int(x + math.cos(angle) * size * 0.55), int(y + math.sin(angle) * size * 0.55)
            axes = max(1, int(size * 0.5)), max(1, int(size * 0.25))
            cv2.ellipse(sheet, at, axes, math.degrees(angle), 0, 360, ink, -1, cv2.LINE_AA)
        cv2.circle(sheet, (int(x), int(y)), max(1, int(size * 0.25)), _ink(vivid(rng)), -1, cv2.LINE_AA)
    return sheet


STYLES = {"landscape": _landscape, "abstract": _abstract, "bands": _bands, "flower": _flower}
"""What a painting can show."""


def painting(rng: np.random.Generator, rows: int, cols: int, style: str | None = None) -> Pixels:
    """Return a picture to hang, of one of STYLES or of any."""
    kinds = tuple(STYLES.values())
    sheet = (STYLES[style] if style else kinds[rng.integers(len(kinds))])(rng, rows, cols)
    if rng.random() < 0.15:
        sheet = cv2.cvtColor(cv2.cvtColor(sheet, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return sheet


def framed(picture: Pixels, rng: np.random.Generator, rows: int, cols: int) -> Pixels:
    """Return ``picture`` behind glass in a frame, with or without a mount, as rows x cols."""
    wooden = rng.random() < 0.5
    frame = hsv(0.08, 0.5, rng.uniform(0.15, 0.6)) if wooden else hsv(0, 0, rng.choice([0.06, 0.2, 0.8, 0.95]))
    sheet = np.full((rows, cols, 3), _ink(frame), np.uint8)
    edge = max(1, int(min(rows, cols) * rng.uniform(0.03, 0.08)))
    cv2.rectangle(sheet, (0, 0), (cols - 1, rows - 1), _ink(frame * 0.7), 1)
    if rng.random() < 0.5:
        sheet[edge : rows - edge, edge : cols - edge] = _ink(hsv(0.12, 0.05, 0.95))
        edge *= 3
    edge = min(edge, (min(rows, cols) - 2) // 2)
    inner_w, inner_h = cols - 2 * edge, rows - 2 * edge
    sheet[edge : rows - edge, edge : cols - edge] = cv2.resize(
        picture, (inner_w, inner_h), interpolation=cv2.INTER_AREA
    )
    return sheet


def outside(rng: np.random.Generator, rows: int, cols: int) -> tuple[Pixels, Pixels]:
    """Return the view out of a window by day and by night, each rows x cols."""
    sky = hsv(0.58, rng.uniform(0.05, 0.4), rng.uniform(0.9, 1.0))
    day = _gradient(sky, np.full(3, 252, np.float32), rows, cols).astype(np.uint8)
    dark = np.array([14, 16, 28], np.float32)
    night = _gradient(dark, dark * 2, rows, cols).astype(np.uint8)
    if rng.random() < 0.5:
        _skyline(rng, day, night)
        return day, night
    hue = rng.uniform(0.2, 0.4)
    for layer in range(3):
        line = _ridge(rng, cols, rows * (0.45 + 0.17 * layer), rows * 0.08)
        shape = np.vstack([line, [[cols, rows], [0, rows]]]).astype(np.int32)
        tone = hsv(hue, rng.uniform(0.25, 0.6), 0.8 - 0.15 * layer)
        cv2.fillPoly(day, [shape], _ink(tone), cv2.LINE_AA)
        cv2.fillPoly(night, [shape], _ink(tone * 0.12), cv2.LINE_AA)
    return day, night


def _skyline(rng: np.random.Generator, day: Pixels, night: Pixels) -> None:
    """Build houses with rows of windows into both pictures."""
    rows, cols = day.shape[:2]
    step = max(4, cols // 30)
    for layer in range(2):
        x = 0
        while x < cols:
            width, top = int(cols * rng.uniform(0.1, 0.24)) + 2, int(rows * rng.uniform(0.25, 0.8))
            tone = muted(rng, (0.5, 0.85), 0.25) * np.float32(1.1 - 0.2 * layer)
            wide, tall = min(width, cols - x), rows - top
            inner = slice(top, rows), slice(x, x + wide)
            across = (np.arange(wide) % step >= step // 3) & (np.arange(wide) < width - step // 3)
            panes = np.logical_and.outer(np.arange(tall) % step >= step // 2, across)
            lit = rng.random((tall // step + 1, wide // step + 1)) < 0.3
            glow = panes & lit[np.arange(tall)[:, None] // step, np.arange(wide) // step]
            day[inner] = _ink(tone)
            day[inner][panes] = _ink(tone * 0.72)
            night[inner] = _ink(tone * 0.14)
            night[inner][glow] = (255, 214, 140)
            x += width
