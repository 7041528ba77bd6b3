"""Where a view looks: boxes in a picture, turned, tilted, seen from elsewhere; each sampled once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from imgmatch.lab.alterations.tools import some_colour

Pixels = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]
Generator = np.random.Generator


@dataclass(frozen=True, slots=True)
class Source:
    """One stored picture: ``pixels`` (P, P, 3) uint8 squashed to a square, ``aspect`` the true width / height."""

    pixels: Pixels
    aspect: float = 1.0


def between(rng: Generator, low: float, high: float) -> float:
    """Any number between two."""
    return float(rng.uniform(low, high))


def log_between(rng: Generator, low: float, high: float) -> float:
    """The same with small ones as likely as large ones."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def box(cx: float, cy: float, width: float, height: float, degrees: float = 0.0) -> Points:
    """The four corners of a box in the true frame (x in 0..aspect, y in 0..1), clockwise from the top left."""
    angle = np.deg2rad(degrees)
    half = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], dtype=float) * [width / 2, height / 2]
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return half @ turn + [cx, cy]


def crop(rng: Generator, aspect: float, low: float, high: float) -> Points:
    """A box that covers a share of the area between ``low`` and ``high``, small shares as likely as large ones."""
    share = log_between(rng, low, high)
    shape = np.clip(aspect * log_between(rng, 0.6, 1.7), 0.4, 2.6)
    width, height = np.sqrt(share * aspect * shape), np.sqrt(share * aspect / shape)
    width, height = min(width, aspect), min(height, 1.0)
    cx, cy = between(rng, width / 2, aspect - width / 2), between(rng, height / 2, 1 - height / 2)
    return box(cx, cy, width, height)


def whole(aspect: float, degrees: float = 0.0, expand: bool = True) -> Points:
    """The whole picture turned by an angle; ``expand`` grows the canvas until no corner is lost."""
    angle = np.deg2rad(degrees)
    cos, sin = abs(np.cos(angle)), abs(np.sin(angle))
    width, height = (aspect * cos + sin, aspect * sin + cos) if expand else (aspect, 1.0)
    return box(aspect / 2, 0.5, width, height, degrees)


def tilt(rng: Generator, corners: Points, amount: float) -> Points:
    """Move each corner by up to ``amount`` of the box's own sides: a homography."""
    right, down = corners[1] - corners[0], corners[3] - corners[0]
    moves = rng.uniform(-amount, amount, (4, 2))
    return corners + moves[:, :1] * right + moves[:, 1:] * down


def turn(corners: Points, quarter_turns: int, mirrored: bool) -> Points:
    """The same box read from another corner, or the other way round."""
    turned = np.roll(corners, quarter_turns, axis=0)
    return turned[[1, 0, 3, 2]] if mirrored else turned


@dataclass(frozen=True, slots=True)
class Shown:
    """One view, (S, S, 3) uint8, and where in it its source is seen.

    ``to_view`` (3, 3) takes points of the stored square (0..1) to the view (0..1); None where no homography does.
    ``inside`` (left, top, right, bottom) is the part of the view that shows the source: all of it, but for insets.
    """

    pixels: Pixels
    to_view: Points | None
    inside: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)

    def look(self, pixels: Pixels) -> Shown:
        """Return the same view with another look."""
        return replace(self, pixels=pixels)

    def placed(self, pixels: Pixels, box: tuple[float, float, float, float]) -> Shown:
        """Return the view ``pixels``, which shows this one pressed into ``box`` (left, top, right, bottom; 0..1)."""
        left, top, right, bottom = box
        wide, high = right - left, bottom - top
        press = np.array([[wide, 0, left], [0, high, top], [0, 0, 1]])
        x0, y0, x1, y1 = self.inside
        inside = (left + wide * x0, top + high * y0, left + wide * x1, top + high * y1)
        return Shown(pixels, None if self.to_view is None else press @ self.to_view, inside)

    def find(self, points: Points) -> tuple[Points, npt.NDArray[np.bool_]]:
        """(n, 2) points of the source in the view, and which of them are seen there."""
        if self.to_view is None:
            return np.zeros_like(points), np.zeros(len(points), bool)
        ahead = np.column_stack([points, np.ones(len(points))]) @ self.to_view.T
        with np.errstate(divide="ignore", invalid="ignore"):
            found = ahead[:, :2] / ahead[:, 2:]
        left, top, right, bottom = self.inside
        seen = (ahead[:, 2] > 0) & (found >= [left, top]).all(1) & (found < [right, bottom]).all(1)
        return np.where(seen[:, None], found, 0), seen


def shown(rng: Generator, source: Source, corners: Points, size: int, filler: Pixels | None) -> Shown:
    """As ``warp_to``, with where it looks."""
    unit = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    to_view = cv2.getPerspectiveTransform((corners / [source.aspect, 1.0]).astype(np.float32), unit)
    return Shown(warp_to(rng, source, corners, size, filler), to_view)


def warp_to(rng: Generator, source: Source, corners: Points, size: int, filler: Pixels | None) -> Pixels:
    """Sample the quadrilateral ``corners`` (true frame) of ``source`` into a square of ``size`` pixels."""
    stored = source.pixels.shape[0]
    scaled = corners * [stored / source.aspect, stored]
    low, high = scaled.min(0), scaled.max(0)
    upright = np.allclose(scaled, [[low[0], low[1]], [high[0], low[1]], [high[0], high[1]], [low[0], high[1]]])
    if upright and (low >= -0.5).all() and (high <= stored + 0.5).all():
        x0, y0 = np.floor(np.maximum(low, 0)).astype(int)
        x1, y1 = np.minimum(np.ceil(high).astype(int), stored)
        part = source.pixels[y0:y1, x0:x1]
        shrinks = part.shape[0] > size and part.shape[1] > size
        return cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    target = np.array([[0, 0], [size, 0], [size, size], [0, size]], dtype=np.float32) - 0.5
    matrix = cv2.getPerspectiveTransform((scaled - 0.5).astype(np.float32), target)
    return _with_filler(
        rng, lambda image, **border: cv2.warpPerspective(image, matrix, (size, size), **border), source, size, filler
    )


def _with_filler(
    rng: Generator, warp: Callable[..., Pixels], source: Source, size: int, filler: Pixels | None
) -> Pixels:
    """Run ``warp`` with a random way to fill what lies outside the picture."""
    way = rng.random()
    if way < 0.25 or (way >= 0.85 and filler is None):
        return warp(source.pixels, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    if way < 0.85:
        grey = (0, 0, 0) if way < 0.6 else (255, 255, 255) if way < 0.7 else some_colour(rng)
        return warp(source.pixels, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=grey)
    canvas = cv2.resize(filler, (size, size), interpolation=cv2.INTER_AREA)
    return warp(source.pixels, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_TRANSPARENT, dst=canvas)


def other_viewpoint(rng: Generator, source: Source, size: int, filler: Pixels | None, strength: float = 1.0) -> Pixels:
    """The picture as seen from another position, if it showed the inside of a box.

    The five visible walls of a random box carry the picture as texture; a second camera looks at them from elsewhere. A
    smooth random disparity on top stands for furniture. Parts that the first camera did not see are filled.
    ``strength`` 0 gives the picture itself.
    """
    aspect = source.aspect
    focal = between(rng, 0.55, 1.1)
    centre = np.array([between(rng, 0.35, 0.65), between(rng, 0.35, 0.6)])
    depth = between(rng, 1.5, 4.0)
    # The back wall covers this share of the picture's sides; the side walls follow from it.
    back = rng.uniform(0.35, 0.75, 2)
    half_width, half_height = back * [aspect, 1.0] * depth / focal / 2
    camera = rng.normal(0, [0.28 * half_width, 0.16 * half_height, 0.16 * depth]) * strength
    camera = np.clip(
        camera,
        [-0.7 * half_width, -0.6 * half_height, -0.25 * depth],
        [0.7 * half_width, 0.6 * half_height, 0.5 * depth],
    )
    yaw, pitch, roll = np.deg2rad(rng.normal(0, [14, 5, 3])) * strength
    # Turn back towards the middle of the scene after a step aside, as a photographer does.
    yaw -= np.arctan2(camera[0], depth) * between(rng, 0.3, 1.0)
    zoom = focal * log_between(rng, 0.75, 1.35) ** strength
    new_aspect = aspect * log_between(rng, 0.75, 1.33) ** strength

    grid = max(size // 3, 16)
    steps = (np.arange(grid) + 0.5) / grid
    x, y = np.meshgrid((steps - centre[0]) * new_aspect / zoom, (steps - centre[1]) / zoom)
    cos, sin = np.cos(roll), np.sin(roll)
    x, y = cos * x - sin * y, sin * x + cos * y
    z = np.ones_like(x)
    cos, sin = np.cos(pitch), np.sin(pitch)
    y, z = cos * y - sin * z, sin * y + cos * z
    cos, sin = np.cos(yaw), np.sin(yaw)
    x, z = cos * x + sin * z, -sin * x + cos * z

    with np.errstate(divide="ignore", invalid="ignore"):
        to_side = (np.where(x > 0, half_width, -half_width) - camera[0]) / x
        to_level = (np.where(y > 0, half_height, -half_height) - camera[1]) / y
        to_back = np.where(z > 0, (depth - camera[2]) / z, np.inf)
    away = np.minimum(
        np.minimum(np.where(to_side > 0, to_side, np.inf), np.where(to_level > 0, to_level, np.inf)), to_back
    )
    if rng.random() < 0.7:
        bumps = cv2.resize(rng.normal(0, 1, (5, 5)).astype(np.float32), (grid, grid), interpolation=cv2.INTER_CUBIC)
        away = away * np.clip(1 - 0.18 * strength * np.maximum(bumps, 0), 0.5, 1)
    px, py, pz = camera[0] + away * x, camera[1] + away * y, camera[2] + away * z
    seen = pz > 0.05 * depth
    pz = np.where(seen, pz, 1.0)
    stored = source.pixels.shape[0]
    map_x = np.where(seen, (focal * px / pz / aspect + centre[0]) * stored - 0.5, -stored)
    map_y = np.where(seen, (focal * py / pz + centre[1]) * stored - 0.5, -stored)
    maps = np.stack([map_x, map_y], -1).clip(-2 * stored, 3 * stored).astype(np.float32)
    maps = cv2.resize(maps, (size, size), interpolation=cv2.INTER_LINEAR)
    return _with_filler(
        rng, lambda image, **border: cv2.remap(image, maps, None, border.pop("flags"), **border), source, size, filler
    )
