"""Chairs, armchairs, sofas."""

from __future__ import annotations

import numpy as np

from imgmatch.lab.rooms.furniture.parts import cushion_cover, legs, pillow, rounded
from imgmatch.lab.rooms.scene import Builder, Place
from imgmatch.lab.rooms.style import Style


def chair(b: Builder, place: Place, style: Style) -> None:
    """Add a chair with its back at y = 0.45 and its seat towards the wall (y = 0)."""
    item = b.unique("chair")
    kind = style.choice("chair", "wood", "padded", "low back")
    seat = style.upholstery if kind != "wood" else style.wood
    b.block(place, item, (-0.22, 0.22), (0, 0.44), (0.4, 0.47), seat, part="seat_")
    legs(b, place, item, (-0.22, 0.22), (0, 0.44), 0.4, 0.035, style.wood)
    high = 0.78 if kind == "low back" else 0.95
    if kind == "wood":
        for number, x in enumerate((-0.22, -0.1, 0.06, 0.18)):
            b.block(
                place,
                item,
                (x, x + 0.04),
                (0.4, 0.43),
                (0.47, high - 0.08),
                style.wood,
                part=f"slat{number}_",
                skip="top",
            )
        b.block(place, item, (-0.22, 0.22), (0.39, 0.44), (high - 0.08, high), style.wood, part="rail_")
    else:
        b.frustum(place, item, ((-0.22, 0.22), (0.38, 0.45)), ((-0.2, 0.2), (0.41, 0.46)), (0.47, high), seat, "back_")
    b.item(place, item, (-0.22, 0.22), (0, 0.46), (0, high), 0.8)


def armchair(
    b: Builder, place: Place, style: Style, rng: np.random.Generator, width: float = 0.8, seats: int = 1
) -> None:
    """Add an armchair or, with more seats, a sofa; its back is at y = 0."""
    item = b.unique("armchair" if seats == 1 else "sofa")
    skin = style.upholstery
    half, arm, d = width / 2, 0.14, 0.85
    kind = style.choice("sofa", "boxy", "low", "legs")
    arm_high = {"boxy": 0.62, "low": 0.5, "legs": 0.58}[kind]
    foot = 0.14 if kind == "legs" else 0.03
    mean = skin.tile.reshape(-1, 3).mean(axis=0)
    b.block(place, item, (-half, half), (0.02, d), (foot, 0.3), skin, part="base_", skip="top")
    x = (-half + arm, half - arm)
    b.frustum(place, item, (x, (0.0, 0.25)), (x, (0, 0.17)), (0.3, 0.85), skin, "back_")
    for part, x in (("left", (-half, -half + arm)), ("right", (half - arm, half))):
        b.block(place, item, x, (0.0, d), (foot, arm_high), skin, part=f"arm_{part}_")
    each = (width - 2 * arm) / seats
    cushion = rounded(48, 64, mean * 1.04)
    for seat in range(seats):
        x0 = -half + arm + seat * each
        b.block(
            place,
            item,
            (x0 + 0.008, x0 + each - 0.008),
            (0.2, d + 0.02),
            (0.3, 0.44),
            {"top": skin, "all": cushion},
            part=f"seat{seat}_",
            skip="back",
        )
    if foot > 0.1:
        legs(b, place, item, (-half + 0.03, half - 0.03), (0.05, d - 0.03), foot, 0.05, style.wood)
    for _ in range(int(rng.integers(0, 1 + seats))):
        at = rng.uniform(-half + 0.35, half - 0.35) if seats > 1 else 0.0
        pillow(b, place, item, (at, 0.36, 0.44), 0.42, cushion_cover(rng), 0.13)
    b.item(place, item, (-half, half), (0, d), (0, 0.85), 1.5 if seats == 1 else 3.0)
