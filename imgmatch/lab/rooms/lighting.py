"""Light on the surfaces of a room: lamps, windows, darkening in corners and by furniture, baked into textures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from imgmatch.lab.rooms.scene import Item, Light

if TYPE_CHECKING:
    import numpy.typing as npt

    from imgmatch.lab.rooms.mesh import Mesh
    from imgmatch.types import Pixels

    Floats = npt.NDArray[np.float32]

LIGHTINGS = ("day", "evening", "bright")
"""By daylight; by its lamps with a dark window; both."""

_AMBIENT = {"day": (0.50, 0.53, 0.58), "evening": (0.30, 0.26, 0.21), "bright": (0.58, 0.57, 0.55)}
_SHELL_CELLS, _CELLS = 32, 5
_UNIT = 128  # A light of 1 in the 8-bit light maps, which reach to 2.


@dataclass(frozen=True, slots=True)
class Cells:
    """Points on some surfaces, in ``cells`` x ``cells`` grids, and how much ambient occlusion darkens each."""

    numbers: npt.NDArray[np.intp]
    cells: int
    points: Floats
    normals: Floats
    shade: Floats


def cells_of(mesh: Mesh, items: Sequence[Item], room_m: tuple[float, float, float]) -> list[Cells]:
    """Return the grids on which light is computed: fine on walls, floor and ceiling, coarse on furniture."""
    shell = np.array([surface.item == "room" for surface in mesh.surfaces])
    found = []
    for numbers, cells in ((np.flatnonzero(shell), _SHELL_CELLS), (np.flatnonzero(~shell), _CELLS)):
        if len(numbers) == 0:
            continue
        points, normals = _grid(mesh, numbers, cells)
        shade = _corner_shade(points, normals, np.array(room_m, np.float32))
        if cells == _SHELL_CELLS:
            shade *= _contact_shade(points, mesh, numbers, items)
        else:
            # Faces of furniture darken a little towards their edges, where real ones are rounded or joined.
            edge = np.full((cells, cells), 0.88, np.float32)
            edge[1:-1, 1:-1] = 1
            shade *= np.tile(edge.ravel(), len(numbers))
        found.append(Cells(numbers, cells, points, normals, shade))
    return found


class Shading:
    """The textures of a mesh under one lighting, baked when a surface is first seen, with smaller copies.

    They are RGBA: four channels warp twice as fast as three.
    """

    def __init__(self, mesh: Mesh, lights: Sequence[Light], grids: Sequence[Cells], lighting: str) -> None:
        self._mesh = mesh
        self._lighting = lighting
        self._pyramids: dict[int, list[Pixels]] = {}
        self._maps: dict[int, Pixels] = {}
        lights = [light for light in lights if lighting in light.lightings]
        for grid in grids:
            light = _lit(grid.points, grid.normals, lights, np.array(_AMBIENT[lighting], np.float32))
            # Textures hold display values, and light is linear: 2.2 is the display's exponent.
            maps = np.full((len(light), 4), _UNIT, np.uint8)
            maps[:, :3] = np.clip(np.power(light * grid.shade[:, None], 1 / 2.2) * _UNIT, 0, 255)
            by_surface = maps.reshape(len(grid.numbers), grid.cells, grid.cells, 4)
            self._maps.update(zip(grid.numbers.tolist(), by_surface, strict=True))

    def texture(self, number: int, screen_px: float) -> Pixels:
        """Return the lit texture of a surface, at the scale that suits so many pixels on the screen."""
        pyramid = self._pyramids.get(number)
        if pyramid is None:
            pyramid = self._pyramids[number] = [self._bake(number)]
        rows, cols = pyramid[0].shape[:2]
        ratio = math.sqrt(rows * cols / max(screen_px, 1.0))
        level = min(max(0, round(math.log2(ratio) - 0.1)), max(0, int(math.log2(min(rows, cols))) - 1))
        while len(pyramid) <= level:
            last = pyramid[-1]
            half = max(1, last.shape[1] // 2), max(1, last.shape[0] // 2)
            pyramid.append(cv2.resize(last, half, interpolation=cv2.INTER_AREA))
        return pyramid[level]

    def _bake(self, number: int) -> Pixels:
        surface = self._mesh.surfaces[number]
        texture = surface.texture
        if surface.evening is not None and self._lighting == "evening":
            texture = surface.evening
        if surface.alpha is not None and surface.alpha.shape != texture.shape[:2]:
            texture = cv2.resize(texture, surface.alpha.shape[::-1], interpolation=cv2.INTER_LINEAR)
        rgba = cv2.cvtColor(texture, cv2.COLOR_RGB2RGBA)
        rows, cols = rgba.shape[:2]
        if surface.alpha is not None:
            cv2.insertChannel(surface.alpha, rgba, 3)
        if self._lighting in surface.glows:
            return rgba
        light = cv2.resize(self._maps[number], (cols, rows), interpolation=cv2.INTER_LINEAR)
        return cv2.multiply(rgba, light, scale=1 / _UNIT)


def _grid(mesh: Mesh, numbers: npt.NDArray[np.intp], cells: int) -> tuple[Floats, Floats]:
    """Points (N * cells^2, 3) at the centres of cells on the surfaces, and their normals."""
    centres = (np.arange(cells) + 0.5) / cells
    t, s = (grid.reshape(-1, 1) for grid in np.meshgrid(centres, centres, indexing="ij"))
    top_left, top_right, bottom_right, bottom_left = (mesh.corners[numbers, k][:, None] for k in range(4))
    points = (top_left * (1 - s) + top_right * s) * (1 - t) + (bottom_left * (1 - s) + bottom_right * s) * t
    normals = np.repeat(mesh.normals[numbers], cells * cells, axis=0)
    return points.reshape(-1, 3).astype(np.float32), normals.astype(np.float32)


def _lit(points: Floats, normals: Floats, lights: Sequence[Light], ambient: Floats) -> Floats:
    """Linear light (N, 3): ambient from above and below, then each lamp with half-Lambert softness."""
    up = normals[:, 2:3]
    total = ambient * (0.88 + 0.12 * up + 0.08 * normals[:, 0:1])
    for light in lights:
        way = light.position_m.astype(np.float32) - points
        squared = np.einsum("ni,ni->n", way, way)
        length = np.sqrt(squared) + 1e-6
        cosine = np.einsum("ni,ni->n", way, normals) / length
        weight = np.square(np.clip(cosine * 0.6 + 0.4, 0, 1)) / (squared + 0.25)
        if light.facing is not None:
            leaving = -(way @ light.facing.astype(np.float32)) / length
            weight *= np.clip(leaving * 0.85 + 0.15, 0, 1)
        total = total + weight[:, None] * light.colour.astype(np.float32)
    return total


def _corner_shade(points: Floats, normals: Floats, room_m: Floats) -> Floats:
    """Ambient occlusion where planes meet: near the walls, the floor and the ceiling (N,)."""
    shade = np.ones(len(points), np.float32)
    for axis in range(3):
        across = 1 - np.abs(normals[:, axis])
        for distance in (points[:, axis], room_m[axis] - points[:, axis]):
            reach, depth = (0.22, 0.38) if axis == 2 else (0.3, 0.3)
            shade *= 1 - depth * across * np.exp(-np.maximum(distance, 0) / reach)
    return shade * np.where(normals[:, 2] < -0.9, np.where(points[:, 2] > room_m[2] - 0.1, 1, 0.55), 1)


def _contact_shade(points: Floats, mesh: Mesh, numbers: npt.NDArray[np.intp], items: Sequence[Item]) -> Floats:
    """Soft shadows of furniture on the floor and the walls that it is near, for each point (N,)."""
    shade = np.ones((len(numbers), len(points) // len(numbers)), np.float32)
    clouds = points.reshape(len(numbers), -1, 3)
    solid = [item for item in items if item.solid]
    for row, number in enumerate(numbers.tolist()):
        axis = int(np.abs(mesh.normals[number]).argmax())
        level = float(clouds[row, 0, axis])
        flat = clouds[row][:, [other for other in range(3) if other != axis]]
        for item in solid:
            gap = max(item.low_m[axis] - level, level - item.high_m[axis], 0.0)
            if gap < 0.7:
                low, high = (np.delete(end, axis).astype(np.float32) for end in (item.low_m, item.high_m))
                outside = np.maximum(np.maximum(low - flat, flat - high), 0)
                along = np.hypot(outside[:, 0], outside[:, 1])
                shade[row] *= 1 - np.float32(0.5 * math.exp(-gap / 0.25)) * np.exp(along / np.float32(-0.12))
    return shade.ravel()
