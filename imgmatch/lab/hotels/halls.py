"""What all guests share: corridors and the lobby."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from imgmatch.lab.hotels import fittings, visits
from imgmatch.lab.hotels.design import generator
from imgmatch.lab.hotels.furniture import WHITE
from imgmatch.lab.hotels.plan import Hole, Plan, door, shell, window
from imgmatch.lab.hotels.scene import Light, Scene, Thing

if TYPE_CHECKING:
    from imgmatch.lab.hotels.design import Design
    from imgmatch.lab.hotels.models import Catalogue
    from imgmatch.lab.hotels.visits import Visit


def corridor(design: Design, catalogue: Catalogue, number: int, now: Visit) -> Scene:
    """Build a corridor: doors on both sides, lamps in a row, a picture here and there."""
    rng = generator(design.seed, "corridor", number)
    width, depth = design.corridor, float(rng.uniform(9, 13))
    plan = Plan(design, width, depth, max(2.4, design.height - 0.2))
    pitch = 3.2
    holes = []
    offset = float(rng.uniform(1.0, 2.2))
    for index in range(int((depth - 1.5) / pitch)):
        for wall, shift in (("W", 0.0), ("E", float(design.seed % 2) * 1.3)):
            along = offset + index * pitch + shift
            if along < depth - 0.8:
                holes.append(Hole(wall, along, 0.9, 0.0, 2.05))
    end = Hole("N", width / 2, 0.9, 0.0, 2.05)
    looks = {"N": design.finishes["accent"]} if design.accent else {}
    shell(plan, [*holes, end], looks, design.finishes["corridor floor"])
    for index, hole in enumerate(holes):
        door(plan, hole, f"door {index}")
        x, y, _ = plan.spot(hole.wall, hole.along, 0.2)
        plan.marks[f"door {index}"] = (x, y, 1.2)
    door(plan, end, "door end")
    plan.marks["end"] = (width / 2, depth - 0.3, 1.2)
    for index in range(int(rng.integers(2, 6))):
        wall, along = str(rng.choice(["W", "E"])), float(rng.uniform(0.8, depth - 0.8))
        if all(hole.wall != wall or abs(hole.along - along) > 0.6 + design.art_size[0] / 2 for hole in holes):
            fittings.picture(
                plan, f"picture {index}", wall, along, 1.55, int(rng.integers(2**31)), str(rng.choice(design.art))
            )
    lamps = max(3, int(depth / 2.6))
    for index in range(lamps):
        y = (index + 0.5) * depth / lamps
        shine = replace(WHITE, glow=4.0)
        plan.things.append(Thing("ceiling lamp", "cylinder", (width / 2, y, plan.height - 0.05), (0.26, 0.26, 0.04),
                                 (shine,), role="lamp", solid=False, shadow=False))  # fmt: skip
        plan.lights.append(Light("area", (width / 2, y, plan.height - 0.08), 8.0, design.lamp_colour, (0.3, 0.3)))
    if "exit sign" in design.models:
        sign = fittings.model(catalogue, design.models["exit sign"], "exit sign", "fitting", solid=False)
        plan.add([sign], "N", width / 2, z=2.15)
    for role, wanted in (("plant", 0.4), ("extinguisher", depth - 0.5)):
        if role in design.models and rng.random() < 0.5:
            piece = fittings.model(catalogue, design.models[role], role, "fitting")
            plan.put([piece], str(rng.choice(["W", "E"])), [wanted, depth - 0.7, 0.7])
    fittings.wear(plan, rng)
    return Scene((width, depth, plan.height), tuple(plan.things), tuple(plan.lights), (200, 210, 230), 0.05, plan.marks)


def lobby(design: Design, catalogue: Catalogue, number: int, now: Visit) -> Scene:
    """Build the lobby: a desk to check in at, sofas, tables, plants, a window."""
    rng = generator(design.seed, "lobby", number)
    width, depth = float(rng.uniform(6, 8)), float(rng.uniform(6, 8))
    plan = Plan(design, width, depth, max(2.8, design.height + 0.3))
    pane = Hole("E", depth * 0.5, min(3.6, depth - 2), 0.3, 2.5)
    entry = Hole("S", 1.2, 1.0, 0.0, 2.1)
    looks = {"N": design.finishes["accent"]}
    shell(plan, [pane, entry], looks, design.finishes["floor"])
    door(plan, entry)
    window(plan, pane, visits.view(now.time, int(rng.integers(2**31))), panes=3)
    visits.daylight(plan, pane, now)
    fittings.curtains(plan, pane, 1.0, 3)
    long = float(rng.uniform(2.2, 3.2))
    wood, stone = design.finishes["wood"], design.finishes["counter"]
    counter = [
        Thing("reception", "box", (0, -1.2, 0), (long, 0.55, 1.05), (wood,), role="reception"),
        Thing("reception", "box", (0, -1.2, 1.05), (long + 0.1, 0.65, 0.05), (stone,), role="reception"),
        Thing("reception", "box", (0, -0.2, 0), (long, 0.38, 0.9), (design.finishes["wood two"],), role="reception"),
    ]
    plan.add(counter, "N", width * 0.5)
    if "vase" in design.models:
        vase = fittings.model(catalogue, design.models["vase"], "vase", "fitting", (0, -1.2, 1.1), solid=False)
        plan.add([vase], "N", width * 0.5 + long * 0.35)
    plan.marks["reception"] = (width * 0.5, depth - 1.2, 1.1)
    for index, wall in enumerate("NW"):
        seed, style = int(rng.integers(2**31)), str(rng.choice(design.art))
        fittings.picture(plan, f"picture {index}", wall, plan.length(wall) * 0.5, 1.9, seed, style)
    models = design.models
    _sitting_group(plan, catalogue, float(rng.uniform(1.8, 2.6)), depth * 0.42)
    for wall, wanted in (("E", [0.6, depth - 0.6]), ("W", [depth - 0.5, 0.5]), ("S", [width - 0.6])):
        plant = fittings.model(catalogue, models["plant"], f"plant {wall}", "plant", (0, -0.45, 0))
        plan.put([plant], wall, wanted)
    rows = [(x, y) for x in (0.3, 0.7) for y in (0.3, 0.7)]
    shine = replace(WHITE, glow=4.0)
    for x, y in rows:
        plan.lights.append(
            Light("area", (x * width, y * depth, plan.height - 0.06), 22.0, design.lamp_colour, (0.5, 0.5))
        )
        plan.things.append(Thing("ceiling lamp", "cylinder", (x * width, y * depth, plan.height - 0.05),
                                 (0.4, 0.4, 0.04), (shine,), role="lamp", solid=False, shadow=False))  # fmt: skip
    fittings.trifles(plan, rng)
    fittings.wear(plan, rng)
    colour, power = visits.SKY[now.time]
    return Scene((width, depth, plan.height), tuple(plan.things), tuple(plan.lights), colour, power, plan.marks)


def _sitting_group(plan: Plan, catalogue: Catalogue, x: float, y: float) -> None:
    """Two sofas or a sofa and armchairs around a table on a rug."""
    design, models = plan.design, plan.design.models
    sofa = fittings.model(catalogue, models["sofa"], "sofa 0", "seat", (0, 0, 0.0))
    sofa = replace(sofa, at=(0.0, 0.0, 0.0))
    plan.things.append(Thing("rug", "box", (x + 0.6, y, 0), (2.8, 2.2, 0.012), (design.finishes["rug"],), role="rug",
                             solid=False))  # fmt: skip
    plan.stand([sofa], sofa.size[1] / 2 + 0.3, y, math.pi / 2)
    plan.marks["sofa"] = (sofa.size[1] / 2 + 0.5, y, 0.6)
    if "coffee table" in models:
        table = fittings.model(catalogue, models["coffee table"], "table", "table")
        wide = min(1.0, table.size[0])
        plan.stand([replace(table, at=(0, 0, 0), size=(wide, min(0.7, table.size[1]), 0.45))], x + 0.45, y, math.pi / 2)
    for index, (dx, dy, turn) in enumerate([(1.9, 0.0, -math.pi / 2), (0.5, 1.5, 0.0), (0.5, -1.5, math.pi)]):
        seat = fittings.model(catalogue, models["armchair"], f"armchair {index}", "seat")
        plan.stand([replace(seat, at=(0.0, 0.0, 0.0))], x + dx, y + dy, turn)
