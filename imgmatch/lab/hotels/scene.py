"""What a scene is made of: finishes, things and their boxes. Metres and radians; x east, y north, z up."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

RGB = tuple[float, float, float]
Point = tuple[float, float, float]


@dataclass(frozen=True)
class Finish:
    """How a surface looks: a procedural texture (``kind``, ``seed``, ``colour`` in sRGB 0..255) and its gloss.

    ``size_m`` is the width of one repeat; 0 means that the picture is stretched over the surface once.
    ``glow`` is emitted light, ``alpha`` below 1 lets light through (sheer curtains, glass, stains).
    """

    kind: str = "plain"
    colour: RGB = (200.0, 200.0, 200.0)
    seed: int = 0
    size_m: float = 1.0
    roughness: float = 0.7
    metallic: float = 0.0
    glow: float = 0.0
    alpha: float = 1.0


@dataclass(frozen=True)
class Thing:
    """One piece of a scene. Pieces with one ``name`` are one instance: a bed is a frame, a mattress and a duvet.

    ``at`` is the middle of the bottom, ``turn`` a rotation about z (at 0 the front looks south, to -y), ``size`` is
    (width, depth, height) before the turn. A ``shape`` is a mesh of `meshes`, "model" (a piece of the catalogue) or
    "space" (nothing to be seen: room that stays free).
    """

    name: str
    shape: str
    at: Point
    size: Point
    finishes: tuple[Finish, ...] = ()
    turn: float = 0.0
    model: str = ""
    role: str = ""
    seed: int = 0
    movable: bool = False
    solid: bool = True
    shadow: bool = True
    extra: tuple[float, ...] = ()

    def moved(self, dx: float, dy: float, dz: float = 0.0) -> Thing:
        """Return the thing elsewhere."""
        x, y, z = self.at
        return replace(self, at=(x + dx, y + dy, z + dz))

    def bounds(self) -> tuple[Floats, Floats]:
        """Return the lowest and highest corner of the box around the turned thing."""
        width, depth, height = self.size
        cos, sin = abs(math.cos(self.turn)), abs(math.sin(self.turn))
        half = np.array([(width * cos + depth * sin) / 2, (width * sin + depth * cos) / 2, 0.0])
        at = np.array(self.at)
        return at - half, at + half + (0, 0, height)


@dataclass(frozen=True)
class Light:
    """A lamp: "point", "area" (``size`` across, looking along ``to``) or "sun"; ``power`` in watts, sRGB colour."""

    kind: str
    at: Point
    power: float
    colour: RGB = (255.0, 255.0, 255.0)
    size: tuple[float, float] = (0.1, 0.1)
    to: Point = (0.0, 0.0, -1.0)


@dataclass(frozen=True)
class Scene:
    """All that stands in one visit of a room: ``size`` is (width, depth, height) of the room itself."""

    size: Point
    things: tuple[Thing, ...]
    lights: tuple[Light, ...] = ()
    sky: RGB = (180.0, 200.0, 255.0)
    sky_power: float = 1.0
    marks: dict[str, Point] = field(default_factory=dict)

    def solids(self) -> Boxes:
        """Return the boxes of what a camera cannot stand in."""
        return boxes(thing for thing in self.things if thing.solid or thing.role == "curtain")


@dataclass(frozen=True)
class Boxes:
    """Axis-aligned boxes around things: ``low`` and ``high`` are (n, 3) in metres."""

    low: Floats
    high: Floats

    def distance(self, point: Iterable[float]) -> float:
        """Return how far a point is from the nearest box; 0 inside of one, infinite where there is none."""
        if not len(self.low):
            return math.inf
        at = np.asarray(tuple(point))
        away = np.maximum(np.maximum(self.low - at, at - self.high), 0)
        return float(np.linalg.norm(away, axis=1).min())

    def hits(self, origin: Floats, rays: Floats) -> Floats:
        """Return how far each unit ray (n, 3) goes until it meets a box: infinite where it meets none."""
        if not len(self.low):
            return np.full(len(rays), np.inf)
        with np.errstate(divide="ignore", invalid="ignore"):
            first = (self.low[None] - origin) / rays[:, None]
            second = (self.high[None] - origin) / rays[:, None]
        near = np.nanmax(np.minimum(first, second), axis=2)
        far = np.nanmin(np.maximum(first, second), axis=2)
        met = far >= np.maximum(near, 0)
        return np.where(met, np.maximum(near, 0), np.inf).min(axis=1)

    def overlap(self, low: Floats, high: Floats, gap: float = 0.0) -> bool:
        """Whether a box comes nearer than ``gap`` to one of these."""
        if not len(self.low):
            return False
        return bool(np.all((self.low < high + gap) & (self.high > low - gap), axis=1).any())


def boxes(things: Iterable[Thing]) -> Boxes:
    """Return the boxes of things."""
    bounds = [thing.bounds() for thing in things]
    if not bounds:
        return Boxes(np.zeros((0, 3)), np.zeros((0, 3)))
    return Boxes(np.stack([low for low, _ in bounds]), np.stack([high for _, high in bounds]))


def mirrored(things: Iterable[Thing], width: float) -> tuple[Thing, ...]:
    """Return things as in the room next door: left and right exchanged; each piece keeps its own shape."""
    return tuple(
        replace(
            thing,
            at=(width - thing.at[0], thing.at[1], thing.at[2]),
            turn=-thing.turn,
            extra=_mirrored_holes(thing.extra) if thing.shape == "wall" else thing.extra,
        )
        for thing in things
    )


def _mirrored_holes(extra: tuple[float, ...]) -> tuple[float, ...]:
    holes = zip(extra[::4], extra[1::4], extra[2::4], extra[3::4], strict=True)
    return tuple(value for left, right, low, high in holes for value in (-right, -left, low, high))
