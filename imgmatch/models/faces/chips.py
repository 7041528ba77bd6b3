"""A face brought upright to the size that a network takes, and what can be measured of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from imgmatch.types import Pixels

    Numbers = npt.NDArray[np.float32]

CHIP_PX = 112
# Where the five points lie in a chip of each side: those that SFace was trained with (as ArcFace, arXiv 1801.07698);
# where they lie in what dlib cuts out by five points of its own (the median of 37 faces, made even on both sides).
_PLACES = {
    CHIP_PX: np.array(
        [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], np.float64
    ),
    150: np.array([[48.2, 45.0], [99.8, 45.0], [74.1, 76.5], [50.4, 101.9], [97.6, 101.9]], np.float64),
}
_SHARPNESS_PX = 56
_WHITE, _LEAST_CONTRAST = 250, 0.1
_UPRIGHT_PX = 256


@dataclass(frozen=True, slots=True)
class Pose:
    """How a head is turned, from five points: ``yaw`` (to a side) and ``pitch`` (up or down) as shares of the distance
    between the eyes and of that from eyes to mouth, 0 straight ahead; ``roll`` in degrees.
    """

    yaw: float
    pitch: float
    roll: float


def chip(pixels: Pixels, points: Numbers, side_px: int = CHIP_PX) -> Pixels:
    """(S, S, 3) uint8: the face with its points where the network of this side wants them, turned and scaled, not
    sheared.
    """
    places = _PLACES[side_px]
    matrix = _similarity(points.astype(np.float64), places)
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if scale < 0.5:  # averaged first: a warp alone would skip pixels
        smaller = 2 * scale
        pixels, left, top = _around(pixels, points)
        size = max(1, round(pixels.shape[1] * smaller)), max(1, round(pixels.shape[0] * smaller))
        across, down = size[0] / pixels.shape[1], size[1] / pixels.shape[0]
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        moved = (points.astype(np.float64) - (left, top)) * (across, down)
        matrix = _similarity(moved, places)
    kind = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_LINEAR
    made = cv2.warpAffine(pixels, matrix, (side_px, side_px), flags=kind, borderMode=cv2.BORDER_CONSTANT)
    return made.astype(np.uint8, copy=False)


def sharpness(face: Pixels) -> float:
    """How much of a chip's contrast is detail, 0 (a blur) to about 1: of its Laplacian at half its size."""
    grey = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)[10:-4, 16:-16].astype(np.float32)
    share = _SHARPNESS_PX / CHIP_PX
    small = cv2.resize(grey, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
    spread = float(small.var())
    return float(np.sqrt(cv2.Laplacian(small, cv2.CV_32F).var() / spread)) if spread > 1 else 0.0


def light(face: Pixels) -> float:
    """How much of a chip's face the light leaves to be seen, 0..1: what is not burnt out, and how far it stands out
    from plain grey. In the dark, faces are known as well as in the light, as far as they are found.
    """
    middle = face[20:100, 24:88]
    plain = float(middle.std()) / max(float(middle.mean()), 1.0)
    return min(1 - float((middle.min(axis=2) >= _WHITE).mean()), plain / _LEAST_CONTRAST, 1.0)


def upright(pixels: Pixels, points: Numbers, height_px: float) -> tuple[Pixels, npt.NDArray[np.float64]]:
    """(256, 256, 3) uint8: a face so high, and what is around it, turned upright by its points, with its middle in the
    middle; and the (2, 3) matrix that takes places there back to the picture.
    """
    turn = np.radians(pose(points).roll)
    scale = _UPRIGHT_PX * 0.4 / max(height_px, 1.0)
    cosine, sine = scale * np.cos(turn), scale * np.sin(turn)
    matrix = np.array([[cosine, sine], [-sine, cosine]])
    middle = points.astype(np.float64).mean(axis=0)
    forth = np.hstack([matrix, (_UPRIGHT_PX / 2 - matrix @ middle)[:, None]])
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    made = cv2.warpAffine(pixels, forth, (_UPRIGHT_PX, _UPRIGHT_PX), flags=kind, borderMode=cv2.BORDER_REPLICATE)
    return made.astype(np.uint8, copy=False), cv2.invertAffineTransform(forth)


def pose(points: Numbers) -> Pose:
    """How a head is turned."""
    right, left, nose, mouth_right, mouth_left = points.astype(np.float64)
    eyes, mouth = (right + left) / 2, (mouth_right + mouth_left) / 2
    along = left - right
    roll = float(np.degrees(np.arctan2(along[1], along[0])))
    turn = np.radians(-roll)
    back = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    nose, mouth = back @ (nose - eyes), back @ (mouth - eyes)
    # Of a head that is turned away the eyes come near each other: the face's height tells by how much.
    wide, tall = float(np.hypot(*along)), max(float(mouth[1]), 1e-6)
    middle = mouth[0] * nose[1] / tall
    yaw = (nose[0] - middle) / max(wide, 0.4 * tall)
    return Pose(float(yaw), float(nose[1] / tall - 0.57), roll)


def _similarity(points: npt.NDArray[np.float64], places: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The turn, scale and shift that brings points nearest to places, (2, 3) (Umeyama, IEEE PAMI 13, 1991)."""
    middle, target = points.mean(axis=0), places.mean(axis=0)
    one, other = points - middle, places - target
    weight = max(float((one**2).sum()), 1e-9)
    cosine = float((one * other).sum()) / weight
    sine = float((one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]).sum()) / weight
    turn = np.array([[cosine, -sine], [sine, cosine]])
    return np.hstack([turn, (target - turn @ middle)[:, None]])


def _around(pixels: Pixels, points: Numbers) -> tuple[Pixels, int, int]:
    """The part of a picture that a chip can show: pixels, its left and its top."""
    middle = points.mean(axis=0)
    reach = 4 * float(np.abs(points - middle).max()) + 2
    height, width = pixels.shape[:2]
    left, top = (int(np.clip(place - reach, 0, most - 1)) for place, most in zip(middle, (width, height), strict=True))
    right, bottom = (
        int(np.clip(place + reach, low + 1, most))
        for place, low, most in zip(middle, (left, top), (width, height), strict=True)
    )
    return pixels[top:bottom, left:right], left, top
