"""Rendered rooms: photographs of invented hotel bedrooms, bathrooms and living rooms, with ground truth.

For the demo, the tests and training. The same seeds give the same bytes; there are as many rooms as there are integers.

    room = Room.random(7)
    first, second = room.views(2, seed=1, min_overlap=0.3)
    matrix = homography(first, second, "room.wall_north")
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

from imgmatch.errors import UsageError
from imgmatch.lab.rooms.layout import KINDS, Kind, build
from imgmatch.lab.rooms.lighting import LIGHTINGS, Shading, cells_of
from imgmatch.lab.rooms.mesh import Mesh
from imgmatch.lab.rooms.render import Camera, draw
from imgmatch.lab.rooms.scene import Builder, Item, Light, Surface
from imgmatch.lab.rooms.style import Style
from imgmatch.lab.rooms.views import Look, View, develop, homography, overlap, overlap_of, propose, quality, stepped

if TYPE_CHECKING:
    from imgmatch.types import Pixels

__all__ = ["KINDS", "LIGHTINGS", "Camera", "Item", "Kind", "Room", "Surface", "View", "homography", "overlap"]

_TRIES = 12
_STREAM_ROOM, _STREAM_VIEW, _STREAM_VIEWS = 1, 2, 3


class Room:
    """A furnished room. Build one with ``Room.random``; its photographs come from ``view`` and ``views``."""

    def __init__(
        self,
        kind: Kind,
        size_m: tuple[float, float, float],
        surfaces: Sequence[Surface],
        items: Sequence[Item],
        lights: Sequence[Light],
    ) -> None:
        self.kind = kind
        self.size_m = size_m
        self.mesh = Mesh(surfaces)
        self.items = list(items)
        self.lights = list(lights)
        names = sorted({surface.item for surface in surfaces} - {"room", "trim"})
        numbers = {name: number for number, name in enumerate(names)} | {"room": len(names), "trim": len(names)}
        self._owners = np.array([numbers[surface.item] for surface in surfaces])
        self._shell = len(names)
        self._cells = cells_of(self.mesh, self.items, self.size_m)
        self._shadings: dict[str, Shading] = {}

    @staticmethod
    def random(seed: int, style: int | None = None, kind: Kind | None = None, pictures: Sequence[Pixels] = ()) -> Room:
        """Invent a room.

        ``style`` fixes the design, as a hotel chain does: finishes, headboard, lamps, cloths, woods. Rooms of one style
        differ in size, layout, pictures and small things. ``kind`` is one of KINDS, drawn when None. ``pictures`` are
        (H, W, 3) uint8 photographs to hang first. Raises UsageError on an unknown kind.
        """
        if kind is not None and kind not in KINDS:
            raise UsageError(f"no kind of room {kind!r}: choose one of {', '.join(KINDS)}")
        rng = np.random.default_rng([_STREAM_ROOM, seed])
        own_style = int(rng.integers(1 << 62))
        drawn = KINDS[rng.choice(len(KINDS), p=[0.6, 0.18, 0.22])]
        builder = Builder(rng)
        chosen = kind or drawn
        size = build(builder, Style(own_style if style is None else style), rng, chosen, pictures)
        return Room(chosen, size, builder.surfaces, builder.items, builder.lights)

    def view(self, seed: int, size_px: tuple[int, int] = (320, 240), lighting: str | None = None) -> View:
        """Photograph the room from a random plausible camera that sees several things.

        ``size_px`` is (width, height). ``lighting`` is one of LIGHTINGS, drawn when None. Raises UsageError on another.
        """
        rng = np.random.default_rng([_STREAM_VIEW, seed])
        return self._photograph(rng, self._look(rng, size_px), lighting)

    def views(self, n: int, seed: int, min_overlap: float = 0.3, size_px: tuple[int, int] = (320, 240)) -> list[View]:
        """Photograph the room ``n`` times such that every two views overlap by at least ``min_overlap`` (0..1)."""
        if not 0 <= min_overlap <= 1:
            raise UsageError(f"min_overlap {min_overlap} is out of range: pass a share from 0 to 1")
        rng = np.random.default_rng([_STREAM_VIEWS, seed])
        looks: list[Look] = []
        while len(looks) < n:
            looks.append(self._next_look(rng, looks, min_overlap, size_px))
        return [self._photograph(rng, look, None) for look in looks]

    def render(self, camera: Camera, lighting: str = "day", seed: int = 0) -> View:
        """Photograph the room through a given camera."""
        return self._photograph(np.random.default_rng([_STREAM_VIEW, seed]), Look.at(self.mesh, camera), lighting)

    def _look(self, rng: np.random.Generator, size_px: tuple[int, int]) -> Look:
        best, best_quality = None, -1.0
        for _ in range(_TRIES):
            look = Look.at(self.mesh, propose(rng, self.items, self.size_m, size_px))
            worth = quality(look, self._owners, self._shell)
            if worth > best_quality:
                best, best_quality = look, worth
            if worth >= 1:
                break
        if best is None:
            raise UsageError("a room without tries for a camera can't be viewed")
        return best

    def _next_look(
        self, rng: np.random.Generator, looks: list[Look], min_overlap: float, size_px: tuple[int, int]
    ) -> Look:
        if not looks:
            return self._look(rng, size_px)
        for _ in range(_TRIES):
            look = self._look(rng, size_px)
            if all(overlap_of(look, other) >= min_overlap for other in looks):
                return look
        # Ever smaller steps from the first camera: the last one is no step, which overlaps as the first does.
        for step in (1.0, 0.7, 0.5, 0.35, 0.25, 0.15, 0.08, 0.0):
            look = Look.at(self.mesh, stepped(rng, looks[0].camera, step))
            if all(overlap_of(look, other) >= min_overlap for other in looks):
                return look
        return look

    def _shading(self, lighting: str) -> Shading:
        if lighting not in self._shadings:
            self._shadings[lighting] = Shading(self.mesh, self.lights, self._cells, lighting)
        return self._shadings[lighting]

    def _photograph(self, rng: np.random.Generator, look: Look, lighting: str | None) -> View:
        if lighting is None:
            windows = any(light.facing is not None for light in self.lights)
            lighting = LIGHTINGS[rng.choice(3, p=[0.45, 0.3, 0.25] if windows else [0, 1, 0])]
        elif lighting not in LIGHTINGS:
            raise UsageError(f"no lighting {lighting!r}: choose one of {', '.join(LIGHTINGS)}")
        camera = look.camera
        width, height = camera.size_px
        big = draw(self.mesh, camera.scaled(2), self._shading(lighting))
        pixels = cv2.resize(big.pixels, (width, height), interpolation=cv2.INTER_AREA)
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGBA2RGB)
        pixels = develop(rng, pixels, big.inverse_depth[::2, ::2], lighting)
        index = look.buffers.index
        counts = np.bincount(index[index >= 0].ravel(), minlength=len(self.mesh.surfaces))
        visible = {
            self.mesh.surfaces[number].name: float(counts[number] / index.size) for number in np.flatnonzero(counts)
        }
        return View(pixels, camera, visible, lighting, self.mesh, look)
