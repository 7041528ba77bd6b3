"""Cameras, and a z-buffered renderer of flat textured surfaces: perspective-correct, clipped, antialiased.

The inverse depth of a plane is an affine function of the pixel position, so each surface costs one affine ramp, one
comparison and one homography warp over its own rectangle on the screen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from imgmatch.lab.rooms.lighting import Shading
    from imgmatch.lab.rooms.mesh import Mesh
    from imgmatch.types import Pixels

    Doubles = npt.NDArray[np.float64]
    Floats = npt.NDArray[np.float32]

NEAR_M = 0.05


@dataclass(frozen=True, slots=True)
class Camera:
    """A pinhole camera: x ~ K (R X + t), with x to the right, y down, z forward; pixel centres at whole numbers.

    ``K`` (3, 3), ``R`` (3, 3), ``t`` (3,) are float64; ``size_px`` is (width, height).
    """

    K: Doubles
    R: Doubles
    t: Doubles
    size_px: tuple[int, int]

    @staticmethod
    def looking(
        position_m: Doubles, target_m: Doubles, fov_degrees: float, roll_degrees: float, size_px: tuple[int, int]
    ) -> Camera:
        """Build a camera at a position that looks at a target; ``fov_degrees`` spans the longer side."""
        forward = (target_m - position_m) / np.linalg.norm(target_m - position_m)
        right = np.cross(forward, (0.0, 0.0, 1.0))
        right /= np.linalg.norm(right)
        down = np.cross(forward, right)
        cos, sin = math.cos(math.radians(roll_degrees)), math.sin(math.radians(roll_degrees))
        rotation = np.stack([right * cos + down * sin, down * cos - right * sin, forward])
        width, height = size_px
        focal = max(width, height) / 2 / math.tan(math.radians(fov_degrees) / 2)
        K = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
        return Camera(K, rotation, -rotation @ position_m, size_px)

    @property
    def position_m(self) -> Doubles:
        """Where the camera is, (3,)."""
        return -self.R.T @ self.t

    def scaled(self, factor: float, size_px: tuple[int, int] | None = None) -> Camera:
        """Return the same camera with ``factor`` times as many pixels a side."""
        shift = np.array([[factor, 0, (factor - 1) / 2], [0, factor, (factor - 1) / 2], [0, 0, 1]])
        size = size_px or (max(1, round(self.size_px[0] * factor)), max(1, round(self.size_px[1] * factor)))
        return Camera(shift @ self.K, self.R, self.t, size)

    def project(self, points_m: Doubles) -> tuple[Doubles, Doubles]:
        """Return pixel positions (N, 2) and depths (N,) of world points (N, 3); depths <= 0 lie behind."""
        seen = points_m @ self.R.T + self.t
        depth = seen[:, 2]
        flat = seen @ self.K.T
        return flat[:, :2] / np.where(np.abs(depth) < 1e-9, 1e-9, depth)[:, None], depth


@dataclass(frozen=True, slots=True)
class Buffers:
    """What was drawn: ``inverse_depth`` (H, W) float32 in 1/m, 0 where there is nothing.

    Either ``pixels`` (H, W, 4) uint8 RGBA, or ``index`` (H, W) int16 with the numbers of the surfaces and -1 where
    there is none; the other one is empty.
    """

    inverse_depth: Floats
    pixels: Pixels
    index: npt.NDArray[np.int16]


def _clip_near(corners: Doubles) -> list[list[float]]:
    """Cut a quadrilateral in camera axes at the near plane (Sutherland and Hodgman, CACM 1974).

    Five corners come back, the last one repeated where fewer would do.
    """
    kept: list[list[float]] = []
    points = corners.tolist()
    for start, end in zip(points, points[1:] + points[:1], strict=True):
        if start[2] >= NEAR_M:
            kept.append(start)
        if (start[2] >= NEAR_M) != (end[2] >= NEAR_M):
            share = (NEAR_M - start[2]) / (end[2] - start[2])
            kept.append([a + (b - a) * share for a, b in zip(start, end, strict=True)])
    return kept + kept[-1:] * (5 - len(kept))


@dataclass(frozen=True, slots=True)
class _Outline:
    """A polygon on the screen: ``fixed`` (N, 2) in 16ths of a pixel from the corner x0, y0 of its window."""

    x0: int
    y0: int
    width: int
    height: int
    fixed: npt.NDArray[np.int32]
    area_px: float


def _outlines(seen: Doubles, camera: Camera, wanted: npt.NDArray[np.bool_], least_px: float) -> dict[int, _Outline]:
    """Project the wanted of (N, 4, 3) surfaces in camera axes; leave out what is off the screen or too small."""
    width, height = camera.size_px
    in_front = (seen[..., 2] > NEAR_M).sum(axis=1)
    found: dict[int, _Outline] = {}
    whole = np.flatnonzero(wanted & (in_front == 4)).tolist()
    partial = np.flatnonzero(wanted & (in_front > 0) & (in_front < 4)).tolist()
    groups = [(whole, seen[whole]), (partial, np.array([_clip_near(seen[number]) for number in partial]))]
    for numbers, corners in groups:
        if not numbers:
            continue
        flat = corners @ camera.K.T
        screen = flat[..., :2] / flat[..., 2:]
        low, high = screen.min(axis=1), screen.max(axis=1)
        start = np.maximum(np.floor(low), 0).astype(int)
        end = np.minimum(np.ceil(high) + 1, (width, height)).astype(int)
        fixed = ((screen - start[:, None]) * 16).astype(np.int32)
        following = np.roll(screen, -1, axis=1)
        areas = np.abs((screen[..., 0] * following[..., 1] - screen[..., 1] * following[..., 0]).sum(axis=1)) / 2
        kept = (end > start).all(axis=1) & ((high - low).max(axis=1) > least_px)
        sizes = (end - start).tolist()
        for at in np.flatnonzero(kept).tolist():
            x0, y0 = start[at].tolist()
            found[numbers[at]] = _Outline(x0, y0, sizes[at][0], sizes[at][1], fixed[at], float(areas[at]))
    return found


def draw(mesh: Mesh, camera: Camera, shading: Shading | None) -> Buffers:
    """Draw a mesh: with ``shading`` the lit pixels, without it only the numbers of the surfaces.

    Any order of surfaces gives the same result; nearest first only saves the warps of what is hidden.
    """
    width, height = camera.size_px
    seen = mesh.corners @ camera.R.T + camera.t
    normals = mesh.normals @ camera.R.T
    # In camera axes a plane is n.X = d; along the ray of a pixel 1/z = n.K^-1(x, y, 1) / d.
    distance = np.einsum("ni,ni->n", normals, seen[:, 0])
    facing = (distance < -1e-4) | (mesh.two_sided & (np.abs(distance) > 1e-4))
    # Without pixels to show, what is smaller than a pixel may be left out.
    outlines = _outlines(seen, camera, facing, 1.0 if shading is None else 0.0)
    safe = np.where(np.abs(distance) > 1e-4, distance, 1.0)
    ramps = ((normals / safe[:, None]) @ np.linalg.inv(camera.K)).tolist()
    to_screen = camera.K @ np.hstack([camera.R, camera.t[:, None]]) @ mesh.unit_to_world

    inverse_depth = np.zeros((height, width), np.float32)
    pixels = np.zeros((height, width, 4) if shading is not None else (0, 0, 4), np.uint8)
    index = np.full((height, width) if shading is None else (0, 0), -1, np.int16)
    xs, ys = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    depths = seen[..., 2].sum(axis=1)
    for number in sorted(outlines, key=depths.tolist().__getitem__):
        outline = outlines[number]
        x0, y0, w, h = outline.x0, outline.y0, outline.width, outline.height
        mask = np.zeros((h, w), np.uint8)
        cv2.fillConvexPoly(mask, outline.fixed, 255, cv2.LINE_8, 4)
        a, b, c = ramps[number]
        ramp = np.add.outer(ys[y0 : y0 + h] * b + c, xs[x0 : x0 + w] * a)
        visible = cv2.bitwise_and(cv2.compare(ramp, inverse_depth[y0 : y0 + h, x0 : x0 + w], cv2.CMP_GT), mask)
        left, top, w, h = cv2.boundingRect(visible)
        if w == 0 or h == 0:
            continue
        x0, y0 = x0 + left, y0 + top
        visible, ramp = visible[top : top + h, left : left + w], ramp[top : top + h, left : left + w]
        surface = mesh.surfaces[number]
        to_window = to_screen[number].copy()
        to_window[0] -= to_window[2] * x0
        to_window[1] -= to_window[2] * y0
        window = slice(y0, y0 + h), slice(x0, x0 + w)
        if shading is None:
            if surface.alpha is not None:
                warped = _warped(surface.alpha, to_window, (w, h))
                visible = cv2.bitwise_and(visible, cv2.threshold(warped, 127, 255, cv2.THRESH_BINARY)[1])
            cv2.copyTo(ramp, visible, inverse_depth[window])
            index[window][visible > 0] = number
            continue
        warped = _warped(shading.texture(number, outline.area_px), to_window, (w, h))
        if surface.alpha is not None:
            opaque = cv2.threshold(cv2.extractChannel(warped, 3), 127, 255, cv2.THRESH_BINARY)[1]
            visible = cv2.bitwise_and(visible, opaque)
        cv2.copyTo(ramp, visible, inverse_depth[window])
        cv2.copyTo(warped, visible, pixels[window])
    return Buffers(inverse_depth, pixels, index)


def _warped(texture: Pixels, unit_to_window: Doubles, size: tuple[int, int]) -> Pixels:
    """Warp a texture that fills the unit square to a window of that (width, height)."""
    rows, cols = texture.shape[:2]
    matrix = unit_to_window * ((1 / cols, 1 / rows, 1.0),)
    matrix[:, 2] += 0.5 * (matrix[:, 0] + matrix[:, 1])
    return cv2.warpPerspective(texture, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
