"""What a rendered room is made of: textured flat surfaces, light, and the builder that furniture is made with.

World axes: x east, y north, z up, in metres, with a corner of the floor at the origin. The corners of a surface are
given top left, top right, bottom right, bottom left as seen from its front, which is how its texture lies on it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np

from imgmatch.lab.hotels.textures import Material

if TYPE_CHECKING:
    import numpy.typing as npt

    from imgmatch.types import Pixels

    Doubles = npt.NDArray[np.float64]
    Span = tuple[float, float]
    Skin: TypeAlias = "Material | Pixels | Finish"
    Skins: TypeAlias = Skin | Mapping[str, Skin]


@dataclass(frozen=True, slots=True)
class Surface:
    """A flat, four-cornered surface: ``corners_m`` (4, 3) float64, ``item`` the piece of furniture that it belongs to.

    ``texture`` (h, w, 3) uint8 is its colour under white light; ``alpha`` (h, w) uint8 cuts it out, if any.
    ``evening`` replaces the texture when the lamps are on. ``glows`` names the lightings in which it shines by itself.
    """

    name: str
    item: str
    corners_m: Doubles
    texture: Pixels
    alpha: Pixels | None = None
    evening: Pixels | None = None
    glows: frozenset[str] = frozenset()
    two_sided: bool = False

    @property
    def normal(self) -> Doubles:
        """Unit vector out of the front."""
        top_left, top_right, _, bottom_left = self.corners_m
        across = np.cross(bottom_left - top_left, top_right - top_left)
        return across / np.linalg.norm(across)

    @property
    def size_m(self) -> tuple[float, float]:
        """Width and height along the upper and the left edge."""
        top_left, top_right, _, bottom_left = self.corners_m
        return float(np.linalg.norm(top_right - top_left)), float(np.linalg.norm(bottom_left - top_left))

    def unit_to_world(self) -> Doubles:
        """Return the (4, 3) matrix that takes (s, t, 1) in the unit square to homogeneous world coordinates."""
        top_left, top_right, bottom_right, bottom_left = self.corners_m
        right, down = top_right - top_left, bottom_left - top_left
        frame = np.zeros((4, 3))
        frame[:3, 0], frame[:3, 1], frame[:3, 2], frame[3, 2] = right, down, top_left, 1
        beyond = bottom_right - top_right - down
        if np.abs(beyond).max() < 1e-9:
            return frame
        far = np.linalg.lstsq(np.stack([right, down], axis=1), bottom_right - top_left, rcond=None)[0]
        square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
        bent = np.array([[0, 0], [1, 0], far, [0, 1]], np.float32)
        return frame @ cv2.getPerspectiveTransform(square, bent)


@dataclass(frozen=True, slots=True)
class Finish:
    """How a surface is to look, beyond its skin: the fields of Surface of these names."""

    skin: Material | Pixels
    alpha: Pixels | None = None
    evening: Pixels | None = None
    glows: frozenset[str] = frozenset()
    two_sided: bool = False


@dataclass(frozen=True, slots=True)
class Light:
    """A light: ``colour`` (3,) is linear; ``facing`` is the direction that a window shines in, None for a lamp."""

    position_m: Doubles
    colour: Doubles
    lightings: frozenset[str]
    facing: Doubles | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """A piece of furniture: its box in the world, how much a photographer cares, and whether a camera can be inside."""

    name: str
    low_m: Doubles
    high_m: Doubles
    interest: float
    solid: bool


@dataclass(frozen=True, slots=True)
class Place:
    """Where furniture stands: local x to the right as seen from its front, y towards the viewer, z up."""

    origin_m: Doubles
    right: Doubles
    out: Doubles

    def world(self, x: float, y: float, z: float) -> Doubles:
        """Take local metres to the world."""
        return self.origin_m + self.right * x + self.out * y + np.array([0.0, 0.0, z])

    def points(self, local: Sequence[Sequence[float]] | Doubles) -> Doubles:
        """Take local points (N, 3) to the world."""
        at = np.asarray(local, np.float64)
        return self.origin_m + at @ np.array([self.right, self.out, (0.0, 0.0, 1.0)])

    def moved(self, x: float, y: float = 0.0, turn_degrees: float = 0.0) -> Place:
        """Return a place moved along its own axes and turned on the spot."""
        angle = math.radians(turn_degrees)
        right = self.right * math.cos(angle) + self.out * math.sin(angle)
        out = self.out * math.cos(angle) - self.right * math.sin(angle)
        return Place(self.world(x, y, 0), right, out)


# The corners of each face of a box; its ends are numbered clockwise from the back left, first the low ones.
_BLOCK_FACES = {
    "front": [7, 6, 2, 3],
    "back": [5, 4, 0, 1],
    "left": [4, 7, 3, 0],
    "right": [6, 5, 1, 2],
    "top": [4, 5, 6, 7],
    "bottom": [3, 2, 1, 0],
}


@lru_cache
def polygon_alpha(sides: int) -> Pixels:
    """Return the cut-out of a regular polygon that closes a prism of so many sides, (64, 64) uint8; read-only."""
    angles = np.linspace(0, 2 * math.pi, sides, endpoint=False)
    corners = np.stack([np.cos(angles), np.sin(angles)], axis=1) * 32 + 31.5
    alpha = np.zeros((64, 64), np.uint8)
    cv2.fillConvexPoly(alpha, np.rint(corners * 16).astype(np.int32), 255, cv2.LINE_AA, 4)
    return alpha


@dataclass(slots=True)
class Builder:
    """Collects the surfaces, lights and items of one room."""

    rng: np.random.Generator
    surfaces: list[Surface] = field(default_factory=list)
    lights: list[Light] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    _counts: dict[str, int] = field(default_factory=dict)

    def unique(self, name: str) -> str:
        """Return ``name`` with the next free number: picture_1, picture_2."""
        self._counts[name] = self._counts.get(name, 0) + 1
        return f"{name}_{self._counts[name]}"

    def face(self, name: str, item: str, corners_m: Doubles, skin: Skin) -> None:
        """Add one flat surface."""
        finish = skin if isinstance(skin, Finish) else Finish(skin)
        texture = finish.skin
        if isinstance(texture, Material):
            width, height = math.dist(corners_m[0], corners_m[1]), math.dist(corners_m[0], corners_m[3])
            texture = texture.cut(width, height, int(self.rng.integers(256)))
        look = finish.alpha, finish.evening, finish.glows, finish.two_sided
        self.surfaces.append(Surface(name, item, corners_m, texture, *look))

    def panel(self, place: Place, item: str, x: Span, z: Span, y: float, skin: Skin, part: str = "front") -> None:
        """Add an upright rectangle that faces the viewer at depth ``y``."""
        corners = place.points([(x[0], y, z[1]), (x[1], y, z[1]), (x[1], y, z[0]), (x[0], y, z[0])])
        self.face(f"{item}.{part}", item, corners, skin)

    def sheet(self, place: Place, item: str, x: Span, y: Span, z: float, skin: Skin, part: str = "top") -> None:
        """Add a level rectangle that faces up."""
        corners = place.points([(x[0], y[0], z), (x[1], y[0], z), (x[1], y[1], z), (x[0], y[1], z)])
        self.face(f"{item}.{part}", item, corners, skin)

    def block(
        self, place: Place, item: str, x: Span, y: Span, z: Span, skin: Skins, part: str = "", skip: str = ""
    ) -> None:
        """Add a box; ``skip`` names faces that can't be seen."""
        self.frustum(place, item, (x, y), (x, y), z, skin, part, skip)

    def frustum(
        self,
        place: Place,
        item: str,
        base: tuple[Span, Span],
        top: tuple[Span, Span],
        z: Span,
        skin: Skins,
        part: str = "",
        skip: str = "",
    ) -> None:
        """Add a box whose top is not above its base; both are spans of x and of y.

        ``skin`` may be a mapping of face names (front, back, left, right, top, bottom) with "all" for the rest.
        """
        ends = place.points(
            [(x, y, level) for ((x0, x1), (y0, y1)), level in zip((base, top), z, strict=True)
             for x, y in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))]
        )  # fmt: skip
        for face, corners in _BLOCK_FACES.items():
            # Nobody looks at the underside of things that stand low.
            if face in skip or (face == "bottom" and z[0] < 0.5):
                continue
            own = skin.get(face, skin.get("all")) if isinstance(skin, Mapping) else skin
            if own is not None:
                self.face(f"{item}.{part}{face}", item, ends[corners], own)

    def tube(
        self,
        place: Place,
        item: str,
        centre: Span,
        radius: Span,
        z: Span,
        skin: Skin,
        sides: int = 8,
        part: str = "side",
    ) -> None:
        """Add an upright round thing without ends: ``radius`` at the bottom and at the top."""
        angles = np.linspace(0, 2 * math.pi, sides + 1)
        ring = np.stack([np.cos(angles), np.sin(angles), np.zeros(sides + 1)], axis=1)
        low = place.points(ring * radius[0] + (*centre, z[0]))
        high = place.points(ring * radius[1] + (*centre, z[1]))
        for number in range(sides):
            # Seen from outside the greater angle is on the left in these left-handed local axes.
            corners = np.stack([high[number + 1], high[number], low[number], low[number + 1]])
            self.face(f"{item}.{part}{number}", item, corners, skin)

    def prism(
        self,
        place: Place,
        item: str,
        centre: Span,
        radius: Span,
        z: Span,
        skin: Material | Pixels,
        sides: int = 8,
        part: str = "side",
    ) -> None:
        """Add a tube that is closed above."""
        self.tube(place, item, centre, radius, z, skin, sides, part)
        x, y = (centre[0] - radius[1], centre[0] + radius[1]), (centre[1] - radius[1], centre[1] + radius[1])
        self.sheet(place, item, x, y, z[1], Finish(skin, polygon_alpha(sides)), part=f"{part}_cap")

    def item(
        self,
        place: Place,
        name: str,
        x: Span,
        y: Span,
        z: Span,
        interest: float = 1.0,
        solid: bool = True,
    ) -> None:
        """Register the box that a piece of furniture fills."""
        ends = place.points([(px, py, pz) for px in x for py in y for pz in z])
        self.items.append(Item(name, ends.min(axis=0), ends.max(axis=0), interest, solid))
