"""Faces in a picture that is shown: numbered, or hidden so that nobody can be told by them."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from imgmatch.models.faces import weights
from imgmatch.types import Box

if TYPE_CHECKING:
    from imgmatch.match.masking import Mask
    from imgmatch.models.faces.detector import Detector
    from imgmatch.types import Pixels

    Part = tuple[float, float, float, float]

_CELLS = 6
"""So many blocks across a hidden face: who it is can't be told from them, by a person or a network (docs/faces.md)."""
_MARGIN = 0.25
_BODY = (3.5, 8.0)
"""Of a standing person, width by that of the face, and height by its height."""
_LINE, _PAPER, _INK = (255, 140, 0), (255, 140, 0), (20, 20, 20)


@functools.cache
def _detector() -> Detector | None:
    if not weights.installed():
        return None
    from imgmatch.models.faces.reader import load_detector

    return load_detector(threads=1)


def hides_faces() -> bool:
    """Whether faces are found here to be hidden: the package that finds them is installed."""
    return weights.installed()


def faces_to_hide(pixels: Pixels) -> list[Part] | None:
    """Boxes of whatever may be a face in (H, W, 3) uint8, in its pixels; None where the package is not installed.
    Nothing is kept of them, and none is compared: this needs no gate.
    """
    from imgmatch.models.faces.detector import HIDDEN_CONFIDENCE

    detector = _detector()
    return (
        None
        if detector is None
        else [hit.box for hit in detector.detect(pixels, thorough=True, least=HIDDEN_CONFIDENCE)]
    )


def without_faces(pixels: Pixels, keep: Sequence[Part] = ()) -> Pixels:
    """A picture with every face in it hidden, but those that lie mostly in one of the boxes ``keep``; as it is, where
    faces can't be found here.
    """
    found = faces_to_hide(pixels)
    if not found:
        return pixels
    made = hidden_faces(pixels, (box for box in found if not any(_within(box, other) for other in keep)))
    for x, y, width, height in keep:  # a neighbour's margin must not cover it
        part = slice(max(0, int(y)), int(y + height)), slice(max(0, int(x)), int(x + width))
        made[part] = pixels[part]
    return made


def people_mask(boxes: Iterable[Part], size_px: tuple[int, int]) -> Mask:
    """(H, W) bool of a picture of (width, height): where people are by their faces, heads with what lies below them."""
    wide, tall = size_px
    mask = np.zeros((tall, wide), bool)
    for x, y, width, height in boxes:
        left, right = x - width * (_BODY[0] - 1) / 2, x + width * (_BODY[0] + 1) / 2
        mask[
            max(0, int(y - height * _MARGIN)) : max(0, int(y + height * _BODY[1])),
            max(0, int(left)) : max(0, int(right) + 1),
        ] = True
    return mask


def _within(box: Part, other: Part) -> bool:
    across = min(box[0] + box[2], other[0] + other[2]) - max(box[0], other[0])
    down = min(box[1] + box[3], other[1] + other[3]) - max(box[1], other[1])
    return across > 0 and down > 0 and across * down > 0.5 * box[2] * box[3]


def scaled(box: Box, size_px: tuple[int, int], full_px: tuple[int, int]) -> Part:
    """A box of the full-size picture in one of (width, height) ``size_px``."""
    across, down = size_px[0] / full_px[0], size_px[1] / full_px[1]
    return box[0] * across, box[1] * down, box[2] * across, box[3] * down


def hidden_faces(pixels: Pixels, boxes: Iterable[Part]) -> Pixels:
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


def numbered(pixels: Pixels, boxes: Sequence[Part], faint: Sequence[bool]) -> Pillow.Image:
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
