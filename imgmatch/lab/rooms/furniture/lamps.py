"""Lamps, with the light that they give."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from imgmatch.lab.hotels import textures
from imgmatch.lab.rooms.furniture.parts import LAMPS_ON, plain
from imgmatch.lab.rooms.scene import Builder, Finish, Light, Place, polygon_alpha
from imgmatch.lab.rooms.style import Style

if TYPE_CHECKING:
    from imgmatch.types import Pixels


def _shade_textures(style: Style) -> tuple[Pixels, Pixels]:
    """A lamp shade unlit and lit."""
    colour = style.lamp_shade
    ramp = np.linspace(1, 0, 24, dtype=np.float32)[:, None, None]
    glow = 1 - np.abs(ramp - 0.45) * 0.5
    lit = np.clip(np.array([255, 226, 170], np.float32) * glow * (0.6 + 0.4 * colour / 255) * 1.12, 0, 255)
    return plain(colour, 24, 8), np.broadcast_to(lit, (24, 8, 3)).astype(np.uint8)


def shade(
    b: Builder,
    place: Place,
    item: str,
    centre: tuple[float, float],
    form: tuple[tuple[float, float], tuple[float, float]],
    style: Style,
    power: float,
    sides: int = 8,
) -> None:
    """Add a lamp shade that glows, and its light; ``form``: radius and height, each at the bottom and at the top."""
    radius, z = form
    unlit, lit = _shade_textures(style)
    glows = frozenset({"evening"})
    b.tube(place, item, centre, radius, z, Finish(unlit, evening=lit, glows=glows), sides, "shade")
    cap = np.full((8, 8, 3), (255, 240, 205), np.uint8)
    disc = polygon_alpha(sides)
    r, top = radius[1], z[1] - 0.01
    x0, x1, y0, y1 = centre[0] - r, centre[0] + r, centre[1] - r, centre[1] + r
    corners = place.points([(x0, y0, top), (x1, y0, top), (x1, y1, top), (x0, y1, top)])
    b.face(f"{item}.glow", item, corners, Finish(plain(style.lamp_shade * 0.8), disc, cap, glows, two_sided=True))
    colour = np.array([1.0, 0.8, 0.52]) * power
    b.lights.append(Light(place.world(*centre, (z[0] + z[1]) / 2), colour, LAMPS_ON))


def table_lamp(b: Builder, place: Place, item: str, x: float, y: float, z: float, style: Style) -> None:
    """Stand a lamp on something of height ``z``."""
    kind = style.choice("table lamp", "cone", "drum", "box", "ball")
    metal = plain(style.metal)
    tall = 0.42
    b.prism(place, item, (x, y), (0.07, 0.06), (z, z + 0.02), metal, 8, "foot")
    if kind == "ball":
        body = plain(textures.vivid(style.rng("lamp body")))
        b.tube(place, item, (x, y), (0.04, 0.09), (z + 0.02, z + 0.1), body, 8, "body_low")
        b.prism(place, item, (x, y), (0.09, 0.03), (z + 0.1, z + 0.2), body, 8, "body_high")
    else:
        b.tube(place, item, (x, y), (0.018, 0.018), (z + 0.02, z + 0.24), metal, 4, "stem")
    radii = {"cone": (0.16, 0.08), "drum": (0.14, 0.14), "box": (0.13, 0.13), "ball": (0.17, 0.11)}[kind]
    shade(b, place, item, (x, y), (radii, (z + 0.21, z + tall)), style, 0.55, 4 if kind == "box" else 8)


def floor_lamp(b: Builder, place: Place, style: Style) -> None:
    """Stand a lamp of a man's height."""
    item = b.unique("floor_lamp")
    metal = plain(style.metal)
    b.prism(place, item, (0, 0.25), (0.15, 0.14), (0, 0.03), metal, 8, "foot")
    b.tube(place, item, (0, 0.25), (0.015, 0.015), (0.03, 1.45), metal, 4, "stem")
    radii = (0.24, 0.16) if style.choice("floor lamp", "cone", "drum") == "cone" else (0.2, 0.2)
    shade(b, place, item, (0, 0.25), (radii, (1.35, 1.65)), style, 1.1)
    b.item(place, item, (-0.2, 0.2), (0.05, 0.45), (0, 1.65), 0.8)


def ceiling_lamp(b: Builder, place: Place, height: float, style: Style) -> None:
    """Hang a lamp from the ceiling."""
    item = b.unique("ceiling_lamp")
    kind = style.choice("ceiling lamp", "flush", "pendant", "spots")
    if kind == "pendant":
        drop = max(height - 0.55, 2.2)  # Nobody may knock their head.
        b.tube(place, item, (0, 0), (0.008, 0.008), (drop, height), plain(style.metal), 4, "cord")
        shade(b, place, item, (0, 0), ((0.26, 0.14), (drop - 0.22, drop)), style, 1.5)
    elif kind == "flush":
        shade(b, place, item, (0, 0), ((0.2, 0.24), (height - 0.1, height - 0.002)), style, 1.7)
    else:
        for number in range(4):
            at = ((number % 2 - 0.5) * 1.5, (number // 2 - 0.5) * 1.5)
            shade(b, place, f"{item}_{number}", at, ((0.05, 0.05), (height - 0.04, height - 0.002)), style, 0.45, 6)


def wall_lamp(b: Builder, place: Place, x: float, z: float, style: Style) -> None:
    """Fix a lamp to the wall."""
    item = b.unique("wall_lamp")
    b.block(place, item, (x - 0.03, x + 0.03), (0, 0.1), (z, z + 0.08), plain(style.metal), part="arm_")
    shade(b, place, item, (x, 0.13), ((0.09, 0.06), (z + 0.04, z + 0.22)), style, 0.5, 6)
