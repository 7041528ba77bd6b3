"""Faces in a picture that is shown: numbered, or hidden so that nobody can be told by them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from imgmatch.types import Box

if TYPE_CHECKING:
    from imgmatch.types import Pixels

_CELLS = 6
"""So many blocks across a hidden face: who it is can't be told from them, by a person or a network (docs/faces.md)."""
_MARGIN = 0.25
_LINE, _PAPER, _INK = (255, 140, 0), (255, 140, 0), (20, 20, 20)


def scaled(box: Box, size_px: tuple[int, int], full_px: tuple[int, int]) -> tuple[float, float, float, float]:
    """A box of the full-size picture in one of (width, height) ``size_px``."""
    across, down = size_px[0] / full_px[0], size_px[1] / full_px[1]
    return box[0] * across, box[1] * down, box[2] * across, box[3] * down


def hidden_faces(pixels: Pixels, boxes: Iterable[tuple[float, float, float, float]]) -> Pixels:
    """(H, W, 3) uint8 with what lies in boxes of it, and a margin around each, in coarse blocks; a copy."""
    made = pixels.copy()
    tall, wide = pixels.shape[:2]
    for x, y, width, height in boxes:
        left, top = max(0, int(x - width * _MARGIN)), max(0, int(y - height * _MARGIN))
        right, bottom = min(wide, int(x + width * (1 + _MARGIN)) + 1), min(tall, int(y + height * (1 + _MARGIN)) + 1)
        if right <= left or bottom <= top:
            continue
        part = pixels[top:bottom, left:right]
        cells = min(_CELLS, right - left), min(_CELLS, bottom - top)
        small = cv2.resize(part, cells, interpolation=cv2.INTER_AREA)
        made[top:bottom, left:right] = cv2.resize(small, (right - left, bottom - top), interpolation=cv2.INTER_NEAREST)
    return made


def numbered(pixels: Pixels, boxes: Sequence[tuple[float, float, float, float]], faint: Sequence[bool]) -> Pillow.Image:
    """A picture with its faces framed and numbered from 1; ``faint`` ones, which are not fit to be compared, with a
    thin frame.
    """
    shown = Pillow.fromarray(np.ascontiguousarray(pixels))
    pen = ImageDraw.Draw(shown)
    font = ImageFont.load_default(max(14, max(shown.size) // 50))
    for number, ((x, y, width, height), thin) in enumerate(zip(boxes, faint, strict=True), start=1):
        pen.rectangle([x, y, x + width, y + height], outline=_LINE, width=1 if thin else max(2, max(shown.size) // 400))
        text = str(number)
        left, top, right, bottom = pen.textbbox((x, y), text, font=font)
        pen.rectangle([left - 3, top - 3, right + 3, bottom + 3], fill=_PAPER)
        pen.text((x, y), text, _INK, font)
    return shown
