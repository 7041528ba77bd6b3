"""Bathrooms: tiles, vanity and mirror, toilet, bath or shower, towels and bottles."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from imgmatch.lab.hotels import fittings
from imgmatch.lab.hotels.design import generator
from imgmatch.lab.hotels.furniture import WHITE
from imgmatch.lab.hotels.plan import Hole, Plan, door, shell
from imgmatch.lab.hotels.scene import Finish, Light, Scene, Thing, mirrored

if TYPE_CHECKING:
    import numpy as np

    from imgmatch.lab.hotels.design import Design
    from imgmatch.lab.hotels.models import Catalogue
    from imgmatch.lab.hotels.visits import Visit

MIRROR = Finish(colour=(238, 240, 240), roughness=0.01, metallic=1.0)
GLASS = Finish(colour=(235, 245, 242), roughness=0.02, alpha=0.06)


def bathroom(design: Design, catalogue: Catalogue, number: int, now: Visit) -> Scene:
    """Build the bathroom of guest room ``number``."""
    shared, rng = generator(design.seed, "bath"), generator(design.seed, "bathroom", number)
    states = generator(now.seed, "bath")
    width = float(shared.uniform(1.9, 2.7)) + float(rng.normal(0, 0.05))
    depth = float(shared.uniform(2.2, 3.0)) + float(rng.normal(0, 0.05))
    plan = Plan(design, width, depth, max(2.4, design.height - 0.15))
    tiles = design.finishes["tiles"]
    looks = dict.fromkeys("NESW", tiles if design.tiled > plan.height else design.finishes["wall"])
    entry = Hole("S", width - 0.6, 0.8, 0.0, 2.0)
    shell(plan, [entry], looks, design.finishes["bath floor"])
    door(plan, entry)
    if design.tiled < plan.height:
        _half_tiled(plan, entry)
    _washing(plan, catalogue, shared, states)
    _water(plan, catalogue, design.shower)
    _toilet(plan, catalogue)
    if "towel" in design.models:
        rack = fittings.model(catalogue, design.models["towel"], "towel", "towel", movable=True, solid=False)
        height = 0.35 if rack.size[2] > 0.9 else 1.0
        plan.add([rack], "S", max(0.4, width - 1.6), z=height)
    fittings.wear(plan, rng)
    power = float(shared.uniform(18, 30))
    if design.ceiling_lamp == "none":
        plan.lights.append(
            Light("area", (width / 2, depth / 2, plan.height - 0.05), power, design.lamp_colour, (0.3, 0.3))
        )
    else:
        fittings.ceiling_lamp(plan, True, power, spots=2)
    plan.lights.append(
        Light("area", (0.5, depth * 0.6, plan.height - 0.06), power * 0.3, design.lamp_colour, (0.3, 0.3))
    )
    things, lights, marks = tuple(plan.things), tuple(plan.lights), dict(plan.marks)
    if rng.random() < 0.5:
        things = mirrored(things, width)
        lights = tuple(replace(light, at=(width - light.at[0], *light.at[1:])) for light in lights)
        marks = {name: (width - x, y, z) for name, (x, y, z) in marks.items()}
    return Scene((width, depth, plan.height), things, lights, (200, 210, 230), 0.05, marks)


def _half_tiled(plan: Plan, entry: Hole) -> None:
    """Tile the walls up to the design's height, in front of the paint."""
    for wall in "NEW":
        length = plan.length(wall)
        slab = Thing(f"tiles {wall}", "box", (0, -0.005, 0), (length, 0.01, plan.design.tiled),
                     (plan.design.finishes["tiles"],), role="room", solid=False)  # fmt: skip
        plan.add([slab], wall, length / 2)


def _washing(plan: Plan, catalogue: Catalogue, shared: np.random.Generator, states: np.random.Generator) -> None:
    """Washbasin with a mirror and a light above it, bottles beside it."""
    design, models = plan.design, plan.design.models
    along = min(plan.depth - 0.9, 1.5)
    wide = float(shared.uniform(0.8, 1.2))
    top = 0.86
    if design.vanity == "model" or "washbasin" not in models:
        key = models.get("vanity") if shared.random() < 0.4 else None
        piece = fittings.model(catalogue, key or models["washbasin"], "washbasin", "washbasin")
        height = catalogue[piece.model].elevation
        plan.add([replace(piece, at=(piece.at[0], piece.at[1], height))], "E", along)
        if key is None and piece.size[2] < 1.2:
            _mirror(plan, along, wide, bool(shared.random() < 0.4))
    else:
        wood, stone = design.finishes["wood"], design.finishes["counter"]
        low = 0.0 if shared.random() < 0.4 else 0.45
        plan.add(
            [
                Thing("vanity", "box", (0, -0.25, low), (wide, 0.48, top - 0.04 - low), (wood,), role="washbasin"),
                Thing("vanity", "box", (0, -0.26, top - 0.04), (wide + 0.02, 0.52, 0.04), (stone,), role="washbasin"),
                Thing("vanity", "box", (0, -0.5, (low + top) / 2), (0.2, 0.02, 0.015), (design.finishes["metal"],)),
            ],
            "E", along,
        )  # fmt: skip
        bowl = [
            Thing("bowl", "cylinder", (0, -0.27, top), (0.34, 0.34, 0.12), (WHITE,), role="washbasin", extra=(1.25,)),
            Thing("bowl", "cylinder", (0, -0.27, top + 0.1205), (0.36, 0.36, 0.001), (Finish(colour=(150, 155, 155)),)),
            Thing("tap", "box", (0, -0.06, top), (0.03, 0.03, 0.26), (design.finishes["metal"],)),
            Thing("tap", "box", (0, -0.12, top + 0.24), (0.03, 0.15, 0.02), (design.finishes["metal"],)),
        ]
        plan.add(bowl, "E", along)
        _mirror(plan, along, wide, bool(shared.random() < 0.4))
    keys = catalogue.role("toiletries")
    spread = [
        (
            *plan.spot("E", along + float(states.uniform(0.26, 0.45)) * wide * side, float(states.uniform(0.08, 0.25)))[
                :2
            ],
            top,
        )
        for side in (-1, 1, -1, 1)
    ]
    if design.vanity == "counter":
        fittings.strew(plan, catalogue, keys, spread[: int(states.integers(0, 5))], states)
    x, y, _ = plan.spot("E", along, 0.3)
    plan.marks["washbasin"] = (x, y, 1.0)
    plan.keep_clear(*plan.spot("E", along, 0.8)[:2], 0.5, 0.5)


def _mirror(plan: Plan, along: float, wide: float, round_light: bool) -> None:
    edge = plan.design.finishes["art frame" if plan.design.seed % 2 else "metal"]
    parts = [
        Thing(
            "mirror", "box", (0, -0.012, 1.08), (wide * 0.9 + 0.03, 0.024, 0.83), (edge,), role="mirror", solid=False
        ),
        Thing("mirror", "panel", (0, -0.026, 1.095), (wide * 0.9, 0, 0.8), (MIRROR,), role="mirror", solid=False),
    ]
    glow = Finish(colour=(255, 250, 240), glow=5.0)
    if round_light:
        parts.append(
            Thing("mirror lamp", "cylinder", (0, -0.1, 1.98), (0.16, 0.16, 0.14), (glow,), solid=False, shadow=False)
        )
    else:
        parts.append(
            Thing("mirror lamp", "box", (0, -0.07, 1.97), (wide * 0.6, 0.06, 0.05), (glow,), solid=False, shadow=False)
        )
    plan.add(parts, "E", along)
    x, y, _ = plan.spot("E", along, 0.2)
    plan.lights.append(Light("area", (x, y, 1.98), 7.0, plan.design.lamp_colour, (wide * 0.6, 0.1), (-1.0, 0.0, -0.4)))


def _water(plan: Plan, catalogue: Catalogue, kind: str) -> None:
    """A bath or a shower along the north wall."""
    design, models = plan.design, plan.design.models
    width = plan.width
    if kind == "bath" and "bath" in models:
        long = min(1.75, width - 0.1)
        tub = Thing("bath", "model", (0, -0.38, 0), (long, 0.72, 0.58), model=models["bath"], role="bath")
        plan.add([tub], "N", long / 2 + 0.02)
        reach, start = long, 0.0
    else:
        reach, start = min(1.2, width - 0.5), 0.0
        tray = Thing("shower", "box", (0, -0.45, 0), (reach, 0.9, 0.06), (WHITE,), role="bath")
        plan.add([tray], "N", reach / 2)
    if "shower" in models:
        head = fittings.model(catalogue, models["shower"], "shower head", "bath", solid=False)
        plan.add([replace(head, at=(0, head.at[1], 1.05))], "N", start + reach * 0.5)
    if kind == "curtain" or (kind == "bath" and design.seed % 2):
        cloth = replace(design.finishes["curtain" if design.seed % 3 == 0 else "towel"], size_m=1.2)
        out = 0.9 if kind == "curtain" else 0.72
        drape = Thing("shower curtain", "curtain", (0, -out, 0.15), (reach * 0.45, 0.1, 1.85), (cloth,), role="curtain",
                      seed=design.seed % 997, movable=True, solid=False, extra=(7.0, 0.04))  # fmt: skip
        plan.add([drape], "N", start + reach * 0.25)
    else:
        pane = Thing("shower glass", "box", (0, -0.9 if kind != "bath" else -0.72, 0.06 if kind != "bath" else 0.58),
                     (reach * 0.6, 0.01, 1.9 if kind != "bath" else 1.4), (GLASS,), role="bath")  # fmt: skip
        plan.add([pane], "N", start + reach * 0.3)
        if kind != "bath":
            side = Thing("shower glass", "box", (0, -0.45, 0.06), (0.01, 0.88, 1.9), (GLASS,), role="bath")
            plan.add([side], "N", reach)
    # Nobody photographs from behind the glass.
    plan.add([Thing("shower space", "space", (0, -0.45, 0.1), (reach, 0.9, 2.0))], "N", reach / 2)
    x, y, _ = plan.spot("N", reach / 2, 0.5)
    plan.marks["bath"] = (x, y, 0.8)


def _toilet(plan: Plan, catalogue: Catalogue) -> None:
    """Toilet, paper, brush and bin along the west wall."""
    models = plan.design.models
    piece = fittings.model(catalogue, models["toilet"], "toilet", "toilet")
    wanted = [plan.depth - 1.45, 0.75, 0.6, 1.0]
    along = plan.put([piece], "W", wanted)
    if along is None:
        return
    x, y, _ = plan.spot("W", along, 0.4)
    plan.marks["toilet"] = (x, y, 0.5)
    paper = fittings.model(catalogue, models["toilet paper"], "paper", "fitting", solid=False)
    plan.add([paper], "W", along - 0.42, z=0.65)
    for name, wanted_at in (("brush", along + 0.32), ("bin", along - 0.5)):
        if name in models:
            small = fittings.model(catalogue, models[name], name, "fitting", movable=True)
            plan.put([small], "W", [wanted_at, along - 0.6])
    if "bidet" in models and plan.design.seed % 5 == 0:
        bidet = fittings.model(catalogue, models["bidet"], "bidet", "toilet")
        plan.put([bidet], "W", [along - 0.75, along + 0.75])
