"""A person in the way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import cv2
import numpy as np

from imgmatch.lab.alterations.tools import blend, some_colour, to_bytes

if TYPE_CHECKING:
    import numpy.typing as npt

    from imgmatch.types import Pixels

    Mask = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float32]


_HAIR, _SKIN, _TOP, _LEGS, _SHOES = 1, 2, 3, 4, 5
_SKIN_TONES = ((241, 214, 192), (224, 186, 152), (198, 148, 110), (156, 106, 72), (108, 70, 46), (70, 45, 32))
_HAIR_TONES = ((24, 20, 18), (60, 40, 26), (110, 74, 42), (186, 150, 92), (150, 146, 142), (140, 62, 34))
# How far from upright, in degrees, and how far the thighs and shins turn: standing, leaning, sitting, lying.
_POSES = ((0, 4, 6, 5), (18, 10, 12, 8), (6, 8, 75, 80), (84, 12, 20, 20))


def _limb(labels: Pixels, path: Sequence[npt.NDArray[np.float64]], widths: Sequence[float], label: int) -> None:
    """Draw a tapering limb: a convex hull of two discs a segment."""
    for (start, end), (first, last) in zip(pairwise(path), pairwise(widths), strict=True):
        along = end - start
        across = np.array([-along[1], along[0]]) / (np.hypot(*along) + 1e-9)
        quad = np.array([start + across * first, end + across * last, end - across * last, start - across * first])
        cv2.fillConvexPoly(labels, np.rint(quad).astype(np.int32), label)
        for centre, radius in ((start, first), (end, last)):
            cv2.circle(labels, (round(centre[0]), round(centre[1])), max(1, round(radius)), label, -1)


def _turned(degrees: float, length: float) -> npt.NDArray[np.float64]:
    """A vector of ``length``, straight down for 0 degrees."""
    return np.array([math.sin(math.radians(degrees)), math.cos(math.radians(degrees))]) * length


def _person_labels(height: int, width: int, rng: np.random.Generator, height_share: float | None) -> Pixels:
    """Which part of a person covers each pixel, 0 where none does; (height, width) uint8."""
    share = rng.uniform(0.65, 1.1) if height_share is None else height_share
    tilt, tilt_jitter, thigh_turn, shin_turn = _POSES[rng.choice(len(_POSES), p=[0.5, 0.2, 0.17, 0.13])]
    side = rng.choice([-1.0, 1.0])
    tilt = side * tilt + rng.uniform(-1, 1) * tilt_jitter
    build = rng.uniform(0.8, 1.35)
    # Proportions are shares of the body height, seven and a half heads.
    neck = np.array([0.0, 0.17])
    hip = neck + np.array([0.0, 0.32])
    shoulder = rng.uniform(0.095, 0.125) * (0.6 + 0.4 * build)
    pelvis = rng.uniform(0.07, 0.09) * build
    parts: list[tuple[list[npt.NDArray[np.float64]], list[float], int]] = []
    long_trousers = rng.random() < 0.7
    for leg_side in (-1.0, 1.0):
        start = hip + np.array([leg_side * pelvis * 0.55, 0.0])
        thigh = side * thigh_turn * rng.uniform(0.6, 1) + leg_side * rng.uniform(0, 14)
        knee = start + _turned(thigh, 0.245)
        ankle = knee + _turned(thigh - side * shin_turn * rng.uniform(0.5, 1.1), 0.24)
        toe = ankle + np.array([leg_side * 0.03 + side * 0.02, 0.025])
        parts.append(([start, knee, ankle], [0.062 * build, 0.045 * build, 0.03 * build], _LEGS))
        if not long_trousers:
            parts.append(([knee, ankle], [0.042 * build, 0.028 * build], _SKIN))
        parts.append(([ankle, toe], [0.026, 0.022], _SHOES))
    torso = [neck + np.array([0.0, 0.035]), neck + np.array([0.0, 0.17]), hip]
    parts.append(([neck - np.array([0, 0.05]), neck + np.array([0, 0.03])], [0.034, 0.04], _SKIN))
    parts.append((torso, [shoulder * 0.8, shoulder * 0.8, pelvis * 1.15], _TOP))
    collar = neck + np.array([0.0, 0.04])
    parts.append(
        (
            [collar - np.array([shoulder, -0.015]), collar + np.array([shoulder, 0.015])],
            [0.04 * build, 0.04 * build],
            _TOP,
        )
    )
    long_sleeves = rng.random() < 0.5
    for arm_side in (-1.0, 1.0):
        start = collar + np.array([arm_side * shoulder, 0.02])
        raise_by = rng.choice([rng.uniform(5, 30), rng.uniform(60, 165)], p=[0.7, 0.3])
        elbow = start + _turned(arm_side * raise_by, 0.17)
        wrist = elbow + _turned(arm_side * raise_by + rng.uniform(-100, 100) * 0.6, 0.15)
        parts.append(([start, elbow], [0.042 * build, 0.034 * build], _TOP))
        parts.append(([elbow, wrist], [0.033 * build, 0.024], _TOP if long_sleeves else _SKIN))
        parts.append(([wrist, wrist + (wrist - elbow) * 0.25], [0.024, 0.02], _SKIN))

    # Place the body: its length is a share of the picture height; its feet may lie below the border.
    scale = share * height
    turn = math.radians(tilt)
    rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    middle = np.array([0.0, 0.5])
    down = rng.uniform(0.5, 0.62) if share < 1 else rng.uniform(0.45, 0.75)
    at = np.array([width * rng.uniform(0.25, 0.75), height * down])

    def placed(point: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return rotation @ (point - middle) * scale + at

    labels = np.zeros((height, width), np.uint8)
    for path, widths, label in parts:
        _limb(labels, [placed(point) for point in path], [w * scale for w in widths], label)
    head = placed(np.array([rng.uniform(-0.01, 0.01), 0.075]))
    axes = (max(1, round(0.05 * scale)), max(1, round(0.07 * scale)))
    hair_long = rng.random() < 0.4
    hair_axes = (round(axes[0] * 1.22), round(axes[1] * (1.5 if hair_long else 1.12)))
    hair_at = placed(np.array([0.0, 0.085 if hair_long else 0.06]))
    turned_away = rng.random() < 0.35
    cv2.ellipse(labels, (round(hair_at[0]), round(hair_at[1])), hair_axes, tilt, 0, 360, _HAIR, -1)
    if not turned_away:
        face = placed(np.array([0.0, 0.088]))
        cv2.ellipse(labels, (round(face[0]), round(face[1])), axes, tilt, 0, 360, _SKIN, -1)
    else:
        cv2.ellipse(labels, (round(head[0]), round(head[1])), axes, tilt, 0, 360, _HAIR, -1)
    return labels


def person_mask(
    height: int, width: int, rng: np.random.Generator, height_share: float | None = None
) -> npt.NDArray[np.bool_]:
    """Return a (height, width) bool mask that is true where a person stands, sits, leans or lies in the picture.

    ``height_share`` is the body's length as a share of the picture height, above 1 for a person near the camera; None
    draws it. With a generator in the same state this is the very mask that ``person`` covers.
    """
    return _person_labels(height, width, rng, height_share) > 0


def _cloth(shape: tuple[int, int], picture_rows: int, rng: np.random.Generator) -> Floats:
    """Return a plain, striped, checked or speckled cloth, (H, W, 3) float32, fit for a picture of that height."""
    base, second = np.array(some_colour(rng, 15), np.float32), np.array(some_colour(rng, 15), np.float32)
    kind = rng.integers(5)
    rows, cols = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    period = max(3.0, picture_rows * rng.uniform(0.015, 0.05))
    turn = rng.uniform(0, math.pi)
    wave = np.sin((rows * math.cos(turn) + cols * math.sin(turn)) * 2 * math.pi / period)
    if kind <= 1:
        weight = np.zeros(shape, np.float32)
    elif kind == 2:
        weight = (wave > 0).astype(np.float32)
    elif kind == 3:
        other = np.sin((cols * math.cos(turn) - rows * math.sin(turn)) * 2 * math.pi / period)
        weight = ((wave > 0).astype(np.float32) + (other > 0)) / 2
    else:
        cells = rng.random((max(2, shape[0] // 6), max(2, shape[1] // 6)), dtype=np.float32)
        weight = (cv2.resize(cells, shape[::-1], interpolation=cv2.INTER_LINEAR) > 0.6).astype(np.float32)
    return base + (second - base) * weight[..., None].astype(np.float32)


def person(
    pixels: Pixels,
    rng: np.random.Generator,
    height_share: float | None = None,
    flat: tuple[int, int, int] | None = None,
) -> Pixels:
    """Put a person in front of the room; ``flat`` gives one colour instead of skin, hair and clothes.

    ``person_mask`` with a generator in the same state and the same ``height_share`` returns what is covered.
    """
    rows, cols = pixels.shape[:2]
    labels = _person_labels(rows, cols, rng, height_share)
    covered = labels > 0
    if flat is not None:
        return np.where(covered[..., None], np.array(flat, np.uint8), pixels)
    if not covered.any():
        return pixels.copy()
    # Clothes are made only where the body is: the work follows its size.
    x, y, width, height = cv2.boundingRect(covered.astype(np.uint8))
    labels, covered = labels[y : y + height, x : x + width], covered[y : y + height, x : x + width]
    figure = np.zeros((height, width, 3), np.float32)
    figure[labels == _HAIR] = _HAIR_TONES[rng.integers(len(_HAIR_TONES))]
    figure[labels == _SKIN] = _SKIN_TONES[rng.integers(len(_SKIN_TONES))]
    figure[labels == _SHOES] = some_colour(rng, 10, 120)
    for part in (_TOP, _LEGS):
        worn = labels == part
        figure[worn] = _cloth((height, width), rows, rng)[worn]
    # Rounded bodies are darker at their edge, and folds make uneven light.
    inside = np.minimum(cv2.distanceTransform(covered.astype(np.uint8), cv2.DIST_L2, 3) / (0.05 * rows + 1), 1)
    folds = cv2.resize(rng.random((9, 9), dtype=np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    figure *= ((0.62 + 0.38 * inside) * (0.85 + 0.3 * folds) * rng.uniform(0.7, 1.05))[..., None]
    alpha = cv2.GaussianBlur(covered.astype(np.float32), (0, 0), max(0.4, rows / 500)) * covered
    out = pixels.copy()
    region = out[y : y + height, x : x + width]
    region[:] = blend(region, to_bytes(figure), alpha)
    return out
