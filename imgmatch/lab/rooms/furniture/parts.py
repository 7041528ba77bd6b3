"""What several pieces of furniture are made with: plain colours, cushions, fronts, legs, small things."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from imgmatch.lab.hotels import textures
from imgmatch.lab.hotels.textures import Material
from imgmatch.lab.rooms.scene import Builder, Place

if TYPE_CHECKING:
    from imgmatch.lab.hotels.textures import Colour
    from imgmatch.types import Pixels

LAMPS_ON = frozenset({"evening", "bright"})
DAYLIGHT = frozenset({"day", "bright"})
ALWAYS = frozenset({"day", "evening", "bright"})


def plain(colour: Colour, rows: int = 8, cols: int = 8) -> Pixels:
    """Return a texture of one colour."""
    return np.full((rows, cols, 3), np.clip(colour, 0, 255).astype(np.uint8), np.uint8)


def cushion_cover(rng: np.random.Generator) -> Pixels:
    """Return one face of a coloured, stuffed cushion, (64, 64, 3)."""
    cloth = textures.bedspread(rng, textures.vivid(rng))[:128:2, :128:2]
    return cv2.multiply(cloth, rounded(64, 64, np.full(3, 255.0, np.float32)), scale=1 / 255)


def rounded(rows: int, cols: int, colour: Colour) -> Pixels:
    """Return a cushion-like face: lighter in the middle, darker towards the seams."""
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : cols * 1j].astype(np.float32)
    puff = (1 - x**4) * (1 - y**4)
    return np.clip(np.asarray(colour) * (0.72 + 0.3 * puff[..., None]), 0, 255).astype(np.uint8)


def fronts(
    wood: Material, rng: np.random.Generator, width: float, height: float, across: int, down: int, metal: Colour
) -> Pixels:
    """Return a cabinet front of ``across`` x ``down`` doors or drawers with handles."""
    sheet = np.ascontiguousarray(wood.cut(width, height, int(rng.integers(256))))
    rows, cols = sheet.shape[:2]
    ink = tuple(int(c) for c in metal)
    seam = tuple(int(c) for c in sheet.mean(axis=(0, 1)) * 0.4)
    for row in range(down):
        for col in range(across):
            x0, x1 = cols * col // across, cols * (col + 1) // across
            y0, y1 = rows * row // down, rows * (row + 1) // down
            cv2.rectangle(sheet, (x0, y0), (x1 - 1, y1 - 1), seam, max(1, cols // 150))
            if down > across:
                mid = (x0 + x1) // 2
                span = max(1, (x1 - x0) // 6)
                cv2.line(sheet, (mid - span, (y0 + y1) // 2), (mid + span, (y0 + y1) // 2), ink, max(1, rows // 40))
            else:
                x = x1 - max(2, (x1 - x0) // 10) if col % 2 == 0 else x0 + max(2, (x1 - x0) // 10)
                span = max(1, (y1 - y0) // 12)
                cv2.line(sheet, (x, (y0 + y1) // 2 - span), (x, (y0 + y1) // 2 + span), ink, max(1, cols // 60))
    return sheet


def pillow(
    b: Builder, place: Place, item: str, at: tuple[float, float, float], width: float, skin: Pixels, tilt: float
) -> None:
    """Add a pillow or cushion that stands at (x, y, z) and leans back by ``tilt``."""
    (x, y, z), tall = at, width * 0.62
    sides = plain(skin.reshape(-1, 3).mean(axis=0) * 0.85)
    base = (x - width / 2, x + width / 2), (y, y + 0.16)
    top = (x - width / 2 + 0.03, x + width / 2 - 0.03), (y - tilt, y + 0.09 - tilt)
    skins = {"front": skin, "back": skin, "all": sides}
    b.frustum(place, item, base, top, (z, z + tall), skins, f"{b.unique('pillow')}_")


def small_things(
    b: Builder,
    place: Place,
    item: str,
    x: tuple[float, float],
    y: tuple[float, float],
    z: float,
    rng: np.random.Generator,
    count: int,
) -> None:
    """Leave books, bottles and boxes on something."""
    for _ in range(count):
        at_x, at_y, name = rng.uniform(*x), rng.uniform(*y), b.unique("thing")
        skin = plain(textures.vivid(rng))
        kind = rng.integers(3)
        if kind == 0:
            b.block(
                place.moved(at_x, at_y, rng.uniform(-30, 30)),
                item,
                (-0.09, 0.09),
                (-0.06, 0.06),
                (z, z + rng.uniform(0.02, 0.06)),
                skin,
                part=f"{name}_",
            )
        elif kind == 1:
            b.prism(place, item, (at_x, at_y), (0.03, 0.025), (z, z + rng.uniform(0.1, 0.24)), skin, 6, f"{name}_")
        else:
            b.block(
                place.moved(at_x, at_y, rng.uniform(-20, 20)),
                item,
                (-0.05, 0.05),
                (-0.03, 0.03),
                (z, z + rng.uniform(0.07, 0.16)),
                skin,
                part=f"{name}_",
            )


def legs(
    b: Builder,
    place: Place,
    item: str,
    x: tuple[float, float],
    y: tuple[float, float],
    height: float,
    thick: float,
    skin: Material | Pixels,
) -> None:
    """Add four legs in the corners of a rectangle."""
    for lx in (x[0], x[1] - thick):
        for ly in (y[0], y[1] - thick):
            b.block(
                place, item, (lx, lx + thick), (ly, ly + thick), (0, height), skin, part=b.unique("leg"), skip="top"
            )
