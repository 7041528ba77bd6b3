"""YuNet: where faces are in a picture, with five points of each (Wu et al., Machine Intelligence Research 20, 2023).

The network sees faces of some 10 to 300 pixels. So a picture is looked at in two sizes, a small one for faces that fill
it and a larger one for the rest; what is smaller still is found when the picture is gone through in tiles at full size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from imgmatch.errors import ModelError
from imgmatch.models.runtimes.onnx_model import open_session

if TYPE_CHECKING:
    from imgmatch.types import Pixels

    Numbers = npt.NDArray[np.float32]

SIDES_PX = (320, 960)
"""The longer side of the picture, each time it is looked at."""
TILE_PX, OVERLAP_PX = 1024, 256
LEAST_CONFIDENCE, HIDDEN_CONFIDENCE = 0.6, 0.5
"""From where on a find is one; and from where on it is hidden, where faces are: rather too much."""
_SAME = 0.35
"""Two finds that share so much of both, or twice as much of the smaller one, are one face."""
_STRIDES = (8, 16, 32)
_MOST = 1000
_TURNS = ((1, cv2.ROTATE_90_COUNTERCLOCKWISE), (2, cv2.ROTATE_180), (3, cv2.ROTATE_90_CLOCKWISE))
"""By how many quarters counter-clockwise; NumPy's own way takes several times as long."""


@dataclass(frozen=True, slots=True)
class Detection:
    """A find in pixels of the picture that was looked at: x, y, width, height; the five points (right eye, left eye,
    nose, right and left corner of the mouth, as the person has them) as (5, 2) float32; confidence 0..1.
    """

    box: tuple[float, float, float, float]
    points: Numbers
    confidence: float


class Detector:
    """YuNet, loaded. Safe to use from several threads."""

    def __init__(self, path: Path, threads: int | None = None) -> None:
        """``path`` is its float32 file; ``threads`` share one run. Raises ModelError where it can't be loaded."""
        self._session = open_session(path, threads)
        self._outputs = [f"{kind}_{stride}" for stride in _STRIDES for kind in ("cls", "obj", "bbox", "kps")]

    def detect(self, pixels: Pixels, *, thorough: bool = False, least: float = LEAST_CONFIDENCE) -> list[Detection]:
        """Faces in (H, W, 3) uint8 sRGB of at least this confidence, the surest first; ``thorough`` also looks at tiles
        of the picture as it is, and for faces that lie on a side or stand on their heads.
        """
        found = self._at_sizes(pixels, least)
        if thorough:
            for quarter, turn in _TURNS:
                turned = cv2.rotate(pixels, turn).astype(np.uint8, copy=False)
                found += [_turned_back(hit, quarter, turned.shape[:2]) for hit in self._at_sizes(turned, least)]
            if max(pixels.shape[:2]) > SIDES_PX[-1]:
                for x, y, tile in _tiles(pixels):
                    found += [_moved(hit, x, y) for hit in self.look(tile, least)]
        return _each_once(found)

    def _at_sizes(self, pixels: Pixels, least: float) -> list[Detection]:
        """Finds in a picture, looked at as a whole in each size."""
        height, width = pixels.shape[:2]
        found: list[Detection] = []
        shown = pixels
        for side in self._sides(pixels):
            shown = _sized(shown, side)
            across, down = width / shown.shape[1], height / shown.shape[0]
            found += [_scaled(hit, across, down) for hit in self.look(shown, least)]
        return found

    def _sides(self, pixels: Pixels) -> tuple[int, ...]:
        """The larger first, of which the smaller is made. A small picture is looked at larger than it is, and, where a
        face that fills it would then be too large, as it is.
        """
        longer = max(pixels.shape[:2])
        if 2 * longer <= SIDES_PX[0]:
            return (SIDES_PX[0],)
        if longer <= SIDES_PX[0]:
            return 2 * longer, SIDES_PX[0]
        return min(longer, SIDES_PX[1]), SIDES_PX[0]

    def look(self, pixels: Pixels, least: float = LEAST_CONFIDENCE) -> list[Detection]:
        """Finds of one run over a picture as it is, which is padded to what the network takes, in no order."""
        height, width = pixels.shape[:2]
        tall, wide = -(-height // 32) * 32, -(-width // 32) * 32
        fed = np.zeros((1, 3, tall, wide), np.float32)
        for channel in range(3):  # it was made for BGR
            fed[0, channel, :height, :width] = pixels[..., 2 - channel]
        try:
            told = self._session.run(self._outputs, {"input": fed})
        except Exception as error:  # ONNX Runtime's errors share no base of their own
            raise ModelError(
                f"the detector of faces can't run on {pixels.shape} ({error}); verify the models"
            ) from error
        found: list[Detection] = []
        for number, stride in enumerate(_STRIDES):
            found += _decoded(told[4 * number : 4 * number + 4], stride, wide // stride, least)
        return found


def _sized(pixels: Pixels, side_px: int) -> Pixels:
    """A picture with its longer side of so many pixels."""
    height, width = pixels.shape[:2]
    scale = side_px / max(height, width)
    if scale == 1:
        return pixels
    size = max(1, round(width * scale)), max(1, round(height * scale))
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(pixels, size, interpolation=kind).astype(np.uint8, copy=False)


def _decoded(told: list[Numbers], stride: int, columns: int, least: float) -> list[Detection]:
    """What one scale of the network says, in pixels."""
    sure, there, boxes, points = (part[0] for part in told)
    confidence = np.sqrt(np.clip(sure[:, 0], 0, 1) * np.clip(there[:, 0], 0, 1))
    hits = np.flatnonzero(confidence >= least)
    found = []
    for hit in hits[np.argsort(-confidence[hits], kind="stable")][:_MOST].tolist():
        cell = np.array([hit % columns, hit // columns], np.float32)
        centre, size = (cell + boxes[hit, :2]) * stride, np.exp(np.minimum(boxes[hit, 2:], 8)) * stride
        (x, y), (width, height) = (centre - size / 2).tolist(), size.tolist()
        marks = (points[hit].reshape(5, 2) + cell) * stride
        found.append(Detection((x, y, width, height), marks.astype(np.float32), float(confidence[hit])))
    return found


def _tiles(pixels: Pixels) -> Iterator[tuple[int, int, Pixels]]:
    """Overlapping parts that cover a picture: x, y, pixels."""
    height, width = pixels.shape[:2]
    step = TILE_PX - OVERLAP_PX
    for y in range(0, max(1, height - OVERLAP_PX), step):
        for x in range(0, max(1, width - OVERLAP_PX), step):
            yield x, y, pixels[y : y + TILE_PX, x : x + TILE_PX]


def _scaled(hit: Detection, across: float, down: float) -> Detection:
    x, y, width, height = hit.box
    points = hit.points * np.array([across, down], np.float32)
    return Detection((x * across, y * down, width * across, height * down), points, hit.confidence)


def _turned_back(hit: Detection, quarters: int, size: tuple[int, ...]) -> Detection:
    """A find in a picture of (height, width) that was turned by so many quarters counter-clockwise, as it was
    before.
    """
    (x, y, width, height), points = hit.box, hit.points
    tall, wide = size
    for _ in range(quarters):  # a quarter clockwise: what was up is right
        x, y, width, height = tall - y - height, x, height, width
        points = np.stack([tall - points[:, 1], points[:, 0]], axis=1).astype(np.float32)
        tall, wide = wide, tall
    return Detection((x, y, width, height), points, hit.confidence)


def _moved(hit: Detection, dx: int, dy: int) -> Detection:
    x, y, width, height = hit.box
    return Detection((x + dx, y + dy, width, height), hit.points + np.array([dx, dy], np.float32), hit.confidence)


def _each_once(found: list[Detection]) -> list[Detection]:
    """The surest of finds that are one face."""
    kept: list[Detection] = []
    for hit in sorted(found, key=lambda hit: (-hit.confidence, hit.box)):
        if not any(_one_face(hit.box, other.box) for other in kept):
            kept.append(hit)
    return kept


def _one_face(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    across = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    down = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    if across <= 0 or down <= 0:
        return False
    shared, areas = across * down, (one[2] * one[3], other[2] * other[3])
    return shared >= _SAME * (sum(areas) - shared) or shared >= 2 * _SAME * min(areas)
