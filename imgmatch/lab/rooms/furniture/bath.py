"""The fittings of bathrooms."""

from __future__ import annotations

import cv2
import numpy as np

from imgmatch.lab.hotels import textures
from imgmatch.lab.hotels.textures import Material
from imgmatch.lab.rooms.furniture.hangings import mirror
from imgmatch.lab.rooms.furniture.lamps import wall_lamp
from imgmatch.lab.rooms.furniture.parts import fronts, plain, small_things
from imgmatch.lab.rooms.scene import Builder, Finish, Place
from imgmatch.lab.rooms.style import Style

_CERAMIC = np.array([240, 241, 240], np.float32)


def washstand(b: Builder, place: Place, style: Style, rng: np.random.Generator, width: float, behind: Material) -> None:
    """Add a washbasin on a cabinet, with tap, mirror and lamp above."""
    item = b.unique("washbasin")
    half, h = width / 2, 0.84
    white = plain(_CERAMIC)
    front = fronts(style.second_wood, style.rng("vanity"), width, 0.5, 2, 1, style.metal)
    b.block(
        place,
        item,
        (-half, half),
        (0, 0.48),
        (0.3, h - 0.05),
        {"front": front, "all": style.second_wood},
        part="cabinet_",
        skip="back",
    )
    slab = Material(textures.marble(style.rng("slab"), textures.muted(style.rng("slab tone"), (0.3, 0.97), 0.2)), 1.2)
    b.block(place, item, (-half, half), (0, 0.5), (h - 0.05, h), slab, part="slab_", skip="back")
    bowl = np.full((64, 64, 3), _CERAMIC.astype(np.uint8), np.uint8)
    cv2.ellipse(bowl, (32, 32), (26, 22), 0, 0, 360, (190, 194, 198), -1)
    cv2.ellipse(bowl, (32, 34), (20, 16), 0, 0, 360, (214, 217, 219), -1)
    cv2.circle(bowl, (32, 32), 2, (70, 70, 70), -1)
    x = 0.0 if width < 1.1 else rng.choice([-0.2, 0.0, 0.2])
    if style.choice("basin", "sunk", "standing") == "standing":
        b.tube(place, item, (x, 0.26), (0.15, 0.22), (h, h + 0.13), white, 10, "bowl")
        z = h + 0.125
    else:
        z = h + 0.004
    disc = np.zeros((64, 64), np.uint8)
    cv2.circle(disc, (32, 32), 31, 255, -1)
    b.sheet(place, item, (x - 0.22, x + 0.22), (0.04, 0.48), z, Finish(bowl, disc), part="basin")
    steel = plain(np.array([175, 180, 186], np.float32))
    b.block(place, item, (x - 0.015, x + 0.015), (0.03, 0.06), (h, h + 0.3), steel, part="tap_")
    b.block(place, item, (x - 0.015, x + 0.015), (0.06, 0.18), (h + 0.27, h + 0.3), steel, part="spout_")
    small_things(b, place, item, (-half + 0.06, half - 0.06), (0.08, 0.14), h, rng, int(rng.integers(2, 6)))
    mirror(b, place, style.rng("bath mirror"), (0.0, 1.5), (min(width, 1.0), 0.85), behind, style.metal)
    for side in (-1, 1) if width > 0.9 else (0,):
        wall_lamp(b, place, side * (half - 0.1), 1.62 if side else 2.0, style)
    b.item(place, item, (-half, half), (0, 0.5), (0, h), 3.0)


def toilet(b: Builder, place: Place, rng: np.random.Generator) -> None:
    """Add a toilet with cistern or flush plate."""
    item = b.unique("toilet")
    white = plain(_CERAMIC)
    if rng.random() < 0.5:
        b.block(place, item, (-0.19, 0.19), (0, 0.18), (0.38, 0.8), white, part="cistern_", skip="back")
    else:
        b.panel(place, item, (-0.12, 0.12), (0.95, 1.1), 0.01, plain(_CERAMIC * 0.8), part="plate")
    b.prism(place, item, (0, 0.38), (0.13, 0.19), (0.05, 0.4), white, 10, "bowl")
    b.block(place, item, (-0.12, 0.12), (0, 0.3), (0.05, 0.38), white, part="foot_", skip="back")
    lid = plain(_CERAMIC * 0.97 if rng.random() < 0.8 else textures.wood_tone(rng))
    b.prism(place, item, (0, 0.38), (0.2, 0.2), (0.41, 0.44), lid, 12, "lid")
    b.item(place, item, (-0.2, 0.2), (0, 0.6), (0, 0.8), 1.5)


def bathtub(b: Builder, place: Place, style: Style, rng: np.random.Generator, width: float) -> None:
    """Add a tub along the wall, with a curtain or a glass pane perhaps."""
    item = b.unique("bathtub")
    half, d, h = width / 2, 0.75, 0.55
    skin = plain(_CERAMIC) if rng.random() < 0.5 else style.wet_wall
    b.block(
        place, item, (-half, half), (0, d), (0, h), {"front": skin, "left": skin, "right": skin}, skip="back top bottom"
    )
    hollow = np.full((48, 120, 3), _CERAMIC.astype(np.uint8), np.uint8)
    cv2.rectangle(hollow, (7, 7), (112, 40), (202, 206, 210), -1)
    cv2.rectangle(hollow, (13, 11), (106, 36), (222, 225, 227), -1)
    b.sheet(place, item, (-half, half), (0, d), h, hollow)
    if rng.random() < 0.55:
        skin = Material(textures.folds(rng, textures.muted(rng, (0.5, 0.97), 0.8)), 1.4)
        reach = rng.uniform(0.25, 0.6) * width
        b.panel(
            place,
            item,
            (-half, -half + reach),
            (0.25, 2.0),
            d - 0.05,
            Finish(skin.cut(reach * 1.6, 1.75), two_sided=True),
            part="curtain",
        )
        b.block(place, item, (-half, half), (d - 0.06, d - 0.03), (2.0, 2.03), plain(style.metal), part="rail_")
    b.item(place, item, (-half, half), (0, d), (0, h), 2.5)


def shower(b: Builder, place: Place, style: Style, rng: np.random.Generator) -> None:
    """Add a shower in a corner to the left: tray, rail, head and a framed, tiled screen."""
    item = b.unique("shower")
    steel = plain(np.array([175, 180, 186], np.float32))
    b.block(place, item, (-0.45, 0.45), (0, 0.9), (0, 0.08), plain(_CERAMIC * 0.95), part="tray_", skip="back")
    b.block(place, item, (-0.02, 0.02), (0.03, 0.06), (0.9, 2.05), steel, part="pole_")
    b.block(place, item, (-0.02, 0.02), (0.06, 0.35), (2.03, 2.06), steel, part="arm_")
    b.prism(place, item, (0, 0.35), (0.12, 0.03), (1.98, 2.03), steel, 8, "head")
    frame = np.zeros((120, 64), np.uint8)
    cv2.rectangle(frame, (0, 0), (63, 119), 255, 3)
    pane = Finish(plain(style.metal, 16, 16), frame, two_sided=True)
    b.panel(place.moved(0.45, 0, 90), item, (0.0, 0.9), (0.08, 2.0), 0.0, pane, part="screen")
    low = rng.uniform(0.3, 1.1)
    frosted = Finish(plain(np.array([205, 216, 218], np.float32)), two_sided=True)
    b.panel(place.moved(0.45, 0, 90), item, (0.0, 0.9), (low, low + 0.45), 0.005, frosted, part="frosting")
    b.item(place, item, (-0.45, 0.46), (0, 0.9), (0, 2.05), 2.0)


def towels(b: Builder, place: Place, rng: np.random.Generator, x: float) -> None:
    """Hang towels on a rail, or stack them on a shelf."""
    item = b.unique("towel")
    cloth = Material(textures.fabric(rng, textures.muted(rng, (0.5, 0.98), 0.7)), 0.6)
    z = rng.uniform(1.1, 1.5)
    b.block(
        place, item, (x - 0.3, x + 0.3), (0.06, 0.08), (z, z + 0.02), plain(np.array([175.0, 180, 186])), part="rail_"
    )
    for number in range(int(rng.integers(1, 3))):
        x0 = x - 0.28 + number * 0.28
        b.block(
            place,
            item,
            (x0, x0 + 0.25),
            (0.045, 0.095),
            (z - rng.uniform(0.4, 0.7), z + 0.03),
            cloth,
            part=f"cloth{number}_",
        )
    b.item(place, item, (x - 0.3, x + 0.3), (0, 0.1), (z - 0.5, z), 1.0, solid=False)
