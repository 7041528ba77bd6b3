"""What hangs, shines and lies about in a room: lamps, curtains, pictures, screens, sockets, stains, small things."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from imgmatch.lab.hotels.furniture import DARK, WHITE
from imgmatch.lab.hotels.scene import Finish, Light, Thing

if TYPE_CHECKING:
    import numpy as np

    from imgmatch.lab.hotels.models import Catalogue
    from imgmatch.lab.hotels.plan import Hole, Plan
    from imgmatch.lab.hotels.scene import Point


def model(catalogue: Catalogue, key: str, name: str, role: str, at: Point = (0, 0, 0), **options: object) -> Thing:
    """Return a piece of the catalogue, as large as that says, its back at y = 0 when ``at`` is not given."""
    size = catalogue[key].size
    where = at if at != (0, 0, 0) else (0.0, -size[1] / 2, 0.0)
    return replace(Thing(name, "model", where, size, model=key, role=role), **options)  # type: ignore[arg-type]


def table_lamp(plan: Plan, name: str, at: Point, lit: bool, catalogue: Catalogue) -> None:
    """Stand a lamp on a table at ``at``."""
    design = plan.design
    x, y, z = at
    if design.bedside_lamp == "model" and "table lamp" in design.models:
        size = catalogue[design.models["table lamp"]].size
        scale = min(1.0, 0.5 / size[2])
        thing = Thing(name, "model", at, (size[0] * scale, size[1] * scale, size[2] * scale), role="lamp",
                      model=design.models["table lamp"], solid=False, shadow=False)  # fmt: skip
        plan.things.append(thing)
        light_z = z + size[2] * scale * 0.8
    else:
        plan.things += shaded(plan, name, at, 0.24, 0.46, lit)
        light_z = z + 0.37
    if lit:
        plan.lights.append(Light("point", (x, y, light_z), 9.0, design.lamp_colour, (0.1, 0.1)))


def shaded(plan: Plan, name: str, at: Point, width: float, height: float, lit: bool) -> list[Thing]:
    """A foot and a shade of cloth, lit from inside."""
    design = plan.design
    x, y, z = at
    tall = width * 0.8
    foot, look = design.finishes["lamp foot"], design.finishes["shade"]
    thin = 0.03 + 0.09 * (design.seed % 3) / 2
    taper = (1.0, 0.75, 0.55)[design.seed % 5 % 3]
    return [
        Thing(name, "cylinder", (x, y, z), (width * 0.55, width * 0.55, 0.02), (foot,), role="lamp", solid=False),
        Thing(name, "cylinder", (x, y, z + 0.02), (thin, thin, height - tall), (foot,), role="lamp", solid=False),
        Thing(name, "shade", (x, y, z + height - tall), (width, width, tall),
              (replace(look, glow=1.6 if lit else 0.0),), role="lamp", solid=False, shadow=False, extra=(taper,)),
    ]  # fmt: skip


def bedside_lamp(plan: Plan, name: str, wall: str, along: float, lit: bool, catalogue: Catalogue) -> None:
    """Light one side of a bed: from the table, the wall or the ceiling."""
    design = plan.design
    if design.bedside_lamp in ("model", "shade"):
        x, y, _ = plan.spot(wall, along, 0.2)
        table_lamp(plan, name, (x, y, design.bed_height + 0.02), lit, catalogue)
        return
    glow = replace(design.finishes["shade"], glow=2.0 if lit else 0.0)
    x, y, _ = plan.spot(wall, along, 0.16)
    if design.bedside_lamp == "wall":
        arm = Thing(
            name, "box", (0, -0.06, 1.3), (0.04, 0.12, 0.04), (design.finishes["metal"],), role="lamp", solid=False
        )
        cone = Thing(name, "shade", (0, -0.16, 1.22), (0.17, 0.17, 0.2), (glow,), role="lamp", solid=False,
                     shadow=False, extra=(0.8,))  # fmt: skip
        plan.add([arm, cone], wall, along)
        height = 1.32
    else:
        long = plan.height - 1.5
        cord = Thing(name, "cylinder", (0, -0.2, 1.5), (0.012, 0.012, long), (DARK,), role="lamp", solid=False)
        bulb = Thing(name, "shade", (0, -0.2, 1.3), (0.22, 0.22, 0.2), (glow,), role="lamp", solid=False, shadow=False,
                     extra=(0.4,))  # fmt: skip
        plan.add([cord, bulb], wall, along)
        height = 1.4
    if lit:
        plan.lights.append(Light("point", (x, y, height), 8.0, design.lamp_colour, (0.12, 0.12)))


def ceiling_lamp(plan: Plan, lit: bool, power: float, spots: int = 4) -> None:
    """Light the room from above: a disc, a hanging shade, or spots sunk into the ceiling."""
    design, height = plan.design, plan.height
    shine = replace(WHITE, glow=4.0 if lit else 0.0)
    x, y = plan.width / 2, plan.depth / 2
    colour = design.lamp_colour
    if design.ceiling_lamp == "disc":
        plan.things.append(Thing("ceiling lamp", "cylinder", (x, y, height - 0.09), (0.4, 0.4, 0.08), (shine,),
                                 role="lamp", solid=False, shadow=False))  # fmt: skip
        if lit:
            plan.lights.append(Light("area", (x, y, height - 0.12), power, colour, (0.4, 0.4)))
    elif design.ceiling_lamp == "hanging":
        cloth = replace(design.finishes["shade"], glow=1.5 if lit else 0.0)
        plan.things += [
            Thing("ceiling lamp", "cylinder", (x, y, height - 0.35), (0.015, 0.015, 0.35), (DARK,), role="lamp",
                  solid=False),
            Thing("ceiling lamp", "shade", (x, y, height - 0.55), (0.45, 0.45, 0.24), (cloth,), role="lamp",
                  solid=False, shadow=False, extra=(0.7,)),
        ]  # fmt: skip
        if lit:
            plan.lights.append(Light("point", (x, y, height - 0.45), power, colour, (0.2, 0.2)))
    elif design.ceiling_lamp == "spots":
        columns = max(1, round(plan.width / 1.8))
        rows = max(1, round(plan.depth / 1.8))
        for index in range(min(columns * rows, spots * 2)):
            at = ((index % columns + 0.5) * plan.width / columns, (index // columns + 0.5) * plan.depth / rows)
            plan.things.append(Thing("ceiling lamp", "cylinder", (*at, height - 0.012), (0.11, 0.11, 0.01), (shine,),
                                     role="lamp", solid=False, shadow=False))  # fmt: skip
            if lit:
                share = power / min(columns * rows, spots * 2)
                plan.lights.append(Light("area", (*at, height - 0.03), share, colour, (0.12, 0.12)))


def curtains(plan: Plan, hole: Hole, open_: float, seed: int) -> None:
    """Hang curtains before a window, ``open_`` from 0 (shut) to 1 (gathered at the sides), and perhaps a sheer one."""
    design = plan.design
    reach = hole.width + 0.5
    top = min(plan.height - 0.05, hole.high + 0.2)
    low = 0.03 if hole.low < 0.6 or design.seed % 2 else hole.low - 0.25
    folds, depth = design.curtain
    rail = Thing("curtain rail", "box", (0, -0.1, top), (reach + 0.1, 0.04, 0.03), (design.finishes["metal"],),
                 role="curtain", solid=False)  # fmt: skip
    plan.add([rail], hole.wall, hole.along)
    closed, gathered = reach / 2, min(0.34, reach / 4)
    width = gathered + (closed - gathered) * (1 - open_)
    # What is gathered has more folds a metre.
    tighter = folds * closed / width * 0.8 if width < closed else folds
    for side in (-1, 1):
        drape = Thing("curtain", "curtain", (side * (reach / 2 - width / 2), -0.1, low), (width, 0.12, top - low),
                      (design.finishes["curtain"],), role="curtain", seed=seed + side, movable=True, solid=False,
                      extra=(min(tighter, 12.0), depth))  # fmt: skip
        plan.add([drape], hole.wall, hole.along)
    if design.sheer:
        veil = Thing("sheer curtain", "curtain", (0, -0.04, low), (hole.width + 0.1, 0.06, top - low),
                     (design.finishes["sheer"],), role="curtain", seed=seed + 5, movable=True, solid=False,
                     extra=(folds, 0.02))  # fmt: skip
        plan.add([veil], hole.wall, hole.along)


def picture(plan: Plan, name: str, wall: str, along: float, middle: float, seed: int, style: str) -> None:
    """Hang a framed picture, its middle at that height."""
    design = plan.design
    width, height = design.art_size
    edge, mount = design.art_frame
    art = Finish(f"painting:{style}", (255, 255, 255), seed, 0.0, roughness=0.3)
    thing = Thing(name, "frame", (0, 0, middle - height / 2), (width, 0.03, height),
                  (design.finishes["art frame"], WHITE, art), role="picture", solid=False,
                  extra=(min(edge, width / 5), min(mount, width / 6)))  # fmt: skip
    plan.add([thing], wall, along)


def television(plan: Plan, wall: str, along: float, on: bool, seed: int) -> None:
    """Hang a screen on the wall, or stand it on what is below it."""
    width, height = plan.design.television
    tall = width * 0.57
    low = height or 0.79
    show = (
        Finish("screen", (255, 255, 255), seed, 0.0, roughness=0.2, glow=1.2) if on else replace(DARK, roughness=0.08)
    )
    parts = [
        Thing("television", "box", (0, -0.04, low), (width, 0.05, tall), (DARK,), role="television"),
        Thing(
            "television", "panel", (0, -0.067, low + 0.015), (width - 0.03, 0, tall - 0.03), (show,), role="television"
        ),
    ]
    if not height:
        parts.append(Thing("television", "box", (0, -0.1, 0.75), (width * 0.4, 0.18, 0.05), (DARK,), role="television"))
    plan.add(parts, wall, along, out=0.0 if height else 0.12)


def trifles(plan: Plan, rng: np.random.Generator) -> None:
    """Fix what every room has: sockets, switches, a thermostat, a smoke detector."""
    plate = Thing("socket", "box", (0, -0.006, 0.28), (0.08, 0.012, 0.08), (WHITE,), role="fitting", solid=False)
    for index in range(3):
        wall = str(rng.choice(list("NESW")))
        piece = replace(plate, name=f"socket {index}", size=(0.08 * (1 + index % 2), 0.012, 0.08))
        plan.add([piece], wall, float(rng.uniform(0.3, plan.length(wall) - 0.3)))
    switch = replace(plate, name="switch", at=(0, -0.006, 1.12))
    wall = str(rng.choice(list("NESW")))
    plan.add([switch], wall, float(rng.uniform(0.3, plan.length(wall) - 0.3)))
    x, y = float(rng.uniform(0.3, 0.7)) * plan.width, float(rng.uniform(0.3, 0.7)) * plan.depth
    plan.things.append(Thing("detector", "cylinder", (x, y, plan.height - 0.04), (0.11, 0.11, 0.04), (WHITE,),
                             role="fitting", solid=False))  # fmt: skip


def wear(plan: Plan, rng: np.random.Generator) -> None:
    """Mark walls and floor as guests and years do: scuffs, stains, patches. What tells one room from the next."""
    for index in range(int(rng.integers(1, 7))):
        dark = float(rng.uniform(20, 90))
        look = Finish("stain", (dark * 1.1, dark, dark * 0.8), int(rng.integers(2**31)), 0.0, roughness=0.9, alpha=0.5)
        width, height = float(rng.uniform(0.12, 0.6)), float(rng.uniform(0.06, 0.4))
        if rng.random() < 0.6:
            wall = str(rng.choice(list("NESW")))
            up = float(rng.uniform(0.15, 1.6))
            mark = Thing(f"stain {index}", "panel", (0, -0.004, up), (width, 0, height), (look,), role="wear",
                         solid=False)  # fmt: skip
            plan.add([mark], wall, float(rng.uniform(0.4, plan.length(wall) - 0.4)))
        else:
            at = (float(rng.uniform(0.5, plan.width - 0.5)), float(rng.uniform(0.5, plan.depth - 0.5)), 0.004)
            turn = float(rng.uniform(0, math.pi))
            plan.things.append(Thing(f"stain {index}", "sheet", at, (width, height, 1), (look,), turn, role="wear",
                                     solid=False))  # fmt: skip


def strew(
    plan: Plan, catalogue: Catalogue, keys: tuple[str, ...], places: list[Point], rng: np.random.Generator
) -> None:
    """Leave small things on the given places (x, y, height), one each."""
    for index, (x, y, z) in enumerate(places):
        key = keys[rng.integers(len(keys))]
        size = catalogue[key].size
        thing = Thing(f"thing {index} {key.split('/')[1]}", "model", (x, y, z), size, model=key, role="small thing",
                      turn=float(rng.uniform(-math.pi, math.pi)), movable=True, solid=False)  # fmt: skip
        plan.things.append(thing)
