"""Text, faces, watermarks and screens over a picture."""

from __future__ import annotations

import math
import string
from typing import TYPE_CHECKING

import cv2
import numpy as np

from imgmatch.lab.alterations.geometry import rotate
from imgmatch.lab.alterations.tools import blend, rgb, some_colour

if TYPE_CHECKING:
    import numpy.typing as npt

    from imgmatch.types import Pixels

    Mask = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float32]


FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_TRIPLEX)
_LETTERS = np.array(list(string.ascii_letters + "     " + string.digits))


def _words(rng: np.random.Generator, length: int) -> str:
    return "".join(rng.choice(_LETTERS, length))


def _write(
    canvas: Pixels, text: str, at: tuple[int, int], letter_px: float, ink: tuple[int, int, int], font: int = 0
) -> None:
    """Write ``text`` with its left base point at ``at`` and capitals ``letter_px`` high."""
    scale = max(letter_px, 2) / 21
    cv2.putText(canvas, text, at, font, scale, ink, max(1, round(scale * 1.6)), cv2.LINE_AA)


def text_overlay(pixels: Pixels, rng: np.random.Generator, lines: int = 3, letter_share: float = 0.07) -> Pixels:
    """Write ``lines`` of random letters over the picture, some on a bar; ``letter_share`` of the height each."""
    rows, cols = pixels.shape[:2]
    out = pixels.copy()
    for _ in range(lines):
        size = rows * letter_share * rng.uniform(0.7, 1.4)
        text = _words(rng, int(rng.integers(6, 19)))
        left, base = int(cols * rng.uniform(-0.02, 0.5)), int(rows * rng.uniform(0.1, 0.97))
        ink = some_colour(rng) if rng.random() < 0.5 else ((255, 255, 255) if rng.random() < 0.6 else (0, 0, 0))
        if rng.random() < 0.4:
            band = out[max(0, int(base - 1.5 * size)) : max(0, int(base + 0.6 * size))]
            band[:] = band * 0.4
        _write(out, text, (left, base), size, ink, int(rng.choice(FONTS)))
    return out


def _emoji(canvas: Pixels, alpha: Floats, at: tuple[int, int], radius: int, rng: np.random.Generator) -> None:
    """Draw a face, a heart or a star on ``canvas`` and what it covers on ``alpha``."""
    x, y = at
    kind = rng.choice(["face", "heart", "star"], p=[0.6, 0.2, 0.2])
    if kind == "face":
        for target, ink in ((canvas, (255, 205, 60)), (alpha, 1.0)):
            cv2.circle(target, at, radius, ink, -1, cv2.LINE_AA)
        eye = max(1, radius // 7)
        for way in (-1, 1):
            cv2.circle(canvas, (x + way * radius * 2 // 5, y - radius // 4), eye, (60, 40, 20), -1, cv2.LINE_AA)
        mouth = (radius // 2, max(1, int(radius * rng.uniform(0.15, 0.45))))
        line = -1 if rng.random() < 0.4 else max(1, radius // 8)
        cv2.ellipse(canvas, (x, y + radius // 5), mouth, 0, 0, 180, (110, 50, 20), line, cv2.LINE_AA)
        return
    angle = np.linspace(0, 2 * math.pi, 60 if kind == "heart" else 10, endpoint=False)
    if kind == "heart":
        shape = np.stack(
            [
                16 * np.sin(angle) ** 3,
                -(13 * np.cos(angle) - 5 * np.cos(2 * angle) - 2 * np.cos(3 * angle) - np.cos(4 * angle)),
            ],
            axis=1,
        )
        shape /= 17
    else:
        reach = np.where(np.arange(10) % 2 == 0, 1.0, 0.42)
        shape = np.stack([np.sin(angle) * reach, -np.cos(angle) * reach], axis=1)
    points = np.rint(shape * radius + at).astype(np.int32)
    ink = (225, 40, 60) if kind == "heart" else (250, 200, 40)
    cv2.fillPoly(canvas, [points], ink, cv2.LINE_AA)
    cv2.fillPoly(alpha, [points], 1.0, cv2.LINE_AA)


def emoji_overlay(pixels: Pixels, rng: np.random.Generator, count: int = 4, radius_share: float = 0.1) -> Pixels:
    """Stick ``count`` faces, hearts and stars on the picture; ``radius_share`` is of the shorter side."""
    rows, cols = pixels.shape[:2]
    canvas, alpha = pixels.copy(), np.zeros((rows, cols), np.float32)
    for _ in range(count):
        at = int(rng.integers(0, cols)), int(rng.integers(0, rows))
        radius = max(1, int(min(rows, cols) * radius_share * rng.uniform(0.6, 1.4)))
        _emoji(canvas, alpha, at, radius, rng)
    return blend(pixels, canvas, alpha)


def watermark(pixels: Pixels, rng: np.random.Generator, opacity: float = 0.45) -> Pixels:
    """Repeat a slanted, half-transparent word all over the picture."""
    rows, cols = pixels.shape[:2]
    side = int(math.hypot(rows, cols)) + 2
    sheet = np.zeros((side, side, 3), np.uint8)
    size, text = max(3.0, min(rows, cols) * rng.uniform(0.05, 0.08)), _words(rng, 8)
    for row, base in enumerate(range(int(size), side + 1, max(4, int(size * 4)))):
        for left in range(-int(size * 4) * (row % 2), side, max(8, int(size * 11))):
            _write(sheet, text, (left, base), size, (255, 255, 255), cv2.FONT_HERSHEY_DUPLEX)
    turned = rotate(sheet, rng, rng.uniform(20, 35), corners="fill")
    top, left = (turned.shape[0] - rows) // 2, (turned.shape[1] - cols) // 2
    alpha = turned[top : top + rows, left : left + cols, 0].astype(np.float32) * np.float32(opacity / 255)
    return blend(pixels, (255, 255, 255), alpha)


def screenshot(pixels: Pixels, rng: np.random.Generator, area: float = 0.5) -> Pixels:
    """Show the picture on a phone: status bar, title, picture, lines of text; it keeps about ``area`` of the screen."""
    rows, cols = pixels.shape[:2]
    margin = round(cols * rng.choice([0.0, 0.03, 0.08]))
    width = cols + 2 * margin
    height = max(rows + 4, round(rows * cols / area / width))
    dark = rng.random() < 0.5
    paper, ink = ((18, 18, 20), (225, 225, 228)) if dark else ((250, 250, 250), (30, 30, 34))
    faint = (120, 120, 125)
    screen = np.full((height, width, 3), paper, np.uint8)
    free = height - rows
    top = int(free * rng.uniform(0.35, 0.6))
    bar = max(1, int(free * 0.09))
    screen[:bar] = rgb(np.array(paper) * 0.85)
    _write(screen, f"{rng.integers(24)}:{rng.integers(60):02d}", (max(1, width // 40), int(bar * 0.8)), bar * 0.6, ink)
    battery = (int(width * 0.9), int(bar * 0.25)), (int(width * 0.96), int(bar * 0.75))
    cv2.rectangle(screen, *battery, ink, -1)
    title = max(2.0, bar * 0.8)
    cv2.circle(screen, (int(width * 0.07), int(bar * 2.2)), max(1, int(bar * 0.7)), some_colour(rng, 60), -1)
    _write(screen, _words(rng, 12), (int(width * 0.14), int(bar * 2.5)), title, ink, cv2.FONT_HERSHEY_DUPLEX)
    line = bar * 1.5
    gaps = [(bar * 3.4, top - line * 0.4), (top + rows + line, height - line * 0.5)]
    for start, end in gaps:
        for base in np.arange(start + line * 0.4, end, line):
            _write(screen, _words(rng, int(rng.integers(10, 28))), (int(width * 0.05), int(base)), line * 0.45, faint)
    screen[top : top + rows, margin : margin + cols] = pixels
    return screen
