"""Guest rooms: what one room of a hotel is, and how it stands at one visit."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from imgmatch.lab.hotels import fittings, furniture, visits
from imgmatch.lab.hotels.design import generator
from imgmatch.lab.hotels.plan import Hole, Plan, door, shell, window
from imgmatch.lab.hotels.scene import Scene, Thing, mirrored

if TYPE_CHECKING:
    from imgmatch.lab.hotels.design import Design
    from imgmatch.lab.hotels.models import Catalogue
    from imgmatch.lab.hotels.visits import Visit

# Which wall the bed, the window and the desk stand at, and which the door is in.
WALLS = {"long": ("W", "N", "E", "S"), "square": ("N", "E", "W", "S"), "wide": ("N", "E", "S", "W")}


@dataclass(frozen=True)
class Room:
    """What stays of one guest room from visit to visit, and tells it from the next."""

    seed: int
    mirrored: bool
    width: float
    depth: float
    beds: tuple[float, ...]
    bed_along: float
    view: int
    pictures: tuple[tuple[int, str], ...]
    wall: str
    desk_along: float
    armchair: int
    extras: tuple[bool, bool, bool, bool, bool]
    shift: float


def room(design: Design, number: int) -> Room:
    """Draw guest room ``number`` of a hotel."""
    rng = generator(design.seed, "room", number)
    twin = rng.random() < 0.25
    width = design.bed_width
    beds = (0.9, 0.9) if twin else (width,)
    larger = float(rng.choice([0.0, 0.35, 0.8], p=[0.65, 0.25, 0.1]))
    shared = generator(design.seed, "prints")
    prints = [(int(shared.integers(2**31)), str(shared.choice(design.art))) for _ in range(3)]
    own = [(int(rng.integers(2**31)), str(rng.choice(design.art))) for _ in range(design.art_count)]
    order = rng.permutation(3)
    hung = [prints[order[i % 3]] for i in range(design.art_count)] if design.art_shared else own
    return Room(
        seed=int(rng.integers(2**31)),
        mirrored=bool(rng.random() < 0.5),
        width=design.width + larger * 0.4 + float(rng.normal(0, 0.06)),
        depth=design.depth + larger + float(rng.normal(0, 0.1)),
        beds=beds,
        bed_along=float(np.clip(rng.normal(0.55, 0.05), 0.42, 0.68)),
        view=int(rng.integers(2**31)),
        pictures=tuple(hung),
        wall="accent" if design.accent else "wall",
        desk_along=float(rng.uniform(0.35, 0.65)),
        armchair=int(rng.choice([0, 1, 2], p=[0.3, 0.5, 0.2])),
        extras=tuple(bool(rng.random() < share) for share in (0.4, 0.3, 0.5, 0.3, 0.35)),  # type: ignore[arg-type]
        shift=float(rng.normal(0, 0.1)),
    )


def guest_room(design: Design, catalogue: Catalogue, number: int, now: Visit) -> Scene:
    """Build guest room ``number`` as it stands at a visit."""
    this = room(design, number)
    bed_wall, window_wall, desk_wall, door_wall = WALLS[design.layout]
    plan = Plan(design, this.width, this.depth, design.height)
    fixed = generator(this.seed, "fixed")
    left_behind = generator(now.seed, "things")

    wide, low, high = design.window
    wide = min(wide, plan.length(window_wall) - 1.0)
    pane = Hole(window_wall, plan.length(window_wall) * 0.5 + this.shift, wide, low, min(high, design.height - 0.15))
    entry = Hole(door_wall, 0.62 if door_wall == "W" else plan.length(door_wall) - 0.62, 0.9, 0.0, 2.05)
    looks = {bed_wall: design.finishes[this.wall]}
    shell(plan, [pane, entry], looks, design.finishes["floor"])
    door(plan, entry)
    window(plan, pane, visits.view(now.time, this.view), panes=1 + design.seed % 3)
    visits.daylight(plan, pane, now)
    fittings.curtains(plan, pane, now.curtain, this.seed % 1000)

    surfaces = _beds(plan, catalogue, this, bed_wall, now)
    surfaces += _desk(plan, catalogue, this, desk_wall, now)
    _seats(plan, catalogue, this, window_wall, now)
    _rest(plan, catalogue, this, (bed_wall, desk_wall, door_wall), now)
    _chair(plan, catalogue, this, desk_wall, now)
    fittings.ceiling_lamp(plan, now.lamps[3], 30.0)
    fittings.trifles(plan, fixed)
    fittings.wear(plan, fixed)
    _luggage(plan, catalogue, now, left_behind)
    chosen = left_behind.permutation(len(surfaces))[: now.strewn]
    small = catalogue.role("small things")
    fittings.strew(plan, catalogue, small, [surfaces[i] for i in chosen], left_behind)
    colour, power = visits.SKY[now.time]
    things, lights = tuple(plan.things), tuple(plan.lights)
    marks = dict(plan.marks)
    if this.mirrored:
        things = mirrored(things, plan.width)
        lights = tuple(replace(light, at=(plan.width - light.at[0], *light.at[1:]), to=(-light.to[0], *light.to[1:]))
                       for light in lights)  # fmt: skip
        marks = {name: (plan.width - x, y, z) for name, (x, y, z) in marks.items()}
    return Scene((plan.width, plan.depth, plan.height), things, lights, colour, power, marks)


def _beds(plan: Plan, catalogue: Catalogue, this: Room, wall: str, now: Visit) -> list[tuple[float, float, float]]:
    """Beds, nightstands, their lamps and the pictures above; return places where small things may lie."""
    design = plan.design
    rng = generator(now.seed, "bed")
    length = plan.length(wall)
    gap = 0.62
    total = sum(this.beds) + gap * (len(this.beds) - 1)
    along = float(np.clip(this.bed_along * length, total / 2 + 0.6, length - total / 2 - 0.6))
    start = along - total / 2
    surfaces = []
    stands: list[float] = [start - 0.3]
    for index, width in enumerate(this.beds):
        middle = start + width / 2
        name = f"bed {index}"
        plan.add(furniture.bed(design, name, width), wall, middle)
        plan.add(furniture.bedding(design, name, width, rng, now.made), wall, middle)
        x, y, _ = plan.spot(wall, middle, 1.2)
        plan.marks[name] = (x, y, design.bed_height)
        for _ in range(3):
            out = float(rng.uniform(1.0, 1.9))
            x, y, _ = plan.spot(wall, middle + float(rng.uniform(-0.3, 0.3)) * width, out)
            surfaces.append((x, y, design.bed_height + 0.04))
        start += width + gap
        stands.append(start - gap / 2 - (0 if index < len(this.beds) - 1 else 0.01))
    for index, place in enumerate(stands):
        if 0.25 < place < length - 0.25:
            stand = furniture.nightstand(design, f"nightstand {index}")
            plan.add(stand, wall, place)
            if design.nightstand != "shelf":
                x, y, _ = plan.spot(wall, place, 0.33)
                surfaces.append((x, y, design.bed_height + 0.025))
            if len(this.beds) == 1 or index == 1:
                fittings.bedside_lamp(plan, f"bedside lamp {index}", wall, place, now.lamps[index % 2], catalogue)
    top = {"wall": 0.72, "tall": 1.3, "arch": 0.75, "none": 0.25}.get(design.headboard, 0.62) + design.bed_height
    middle = top + 0.12 + design.art_size[1] / 2
    if middle + design.art_size[1] / 2 < plan.height - 0.08:
        spacing = design.art_size[0] + 0.1
        count = len(this.pictures) if len(this.pictures) * spacing < total + 1.2 else 1
        for index in range(count):
            seed, style = this.pictures[index]
            fittings.picture(
                plan, f"picture {index}", wall, along + (index - (count - 1) / 2) * spacing, middle, seed, style
            )
    return surfaces


def _desk(plan: Plan, catalogue: Catalogue, this: Room, wall: str, now: Visit) -> list[tuple[float, float, float]]:
    """Desk, chair, screen, mirror or picture over it, lamp and kettle; return where small things may lie."""
    design = plan.design
    length = plan.length(wall)
    width = min(1.0 + (design.seed % 7) * 0.12, length - 0.4)
    wanted = [this.desk_along * length, length * 0.5, length * 0.4, length * 0.6, length * 0.3, length * 0.72]
    along = plan.put(furniture.desk(design, "desk", width), wall, wanted)
    if along is None:
        return []
    x, y, _ = plan.spot(wall, along, 0.55)
    plan.marks["desk"] = (x, y, 0.8)
    fittings.television(plan, wall, along - 0.1 * width, now.television, now.seed)
    x, y, _ = plan.spot(wall, along + width * 0.38, 0.3)
    if this.extras[0]:
        fittings.table_lamp(plan, "desk lamp", (x, y, 0.75), now.lamps[2], catalogue)
    if this.extras[1] and "kettle" in design.models:
        at = (0, -0.2, 0.75)
        kettle = fittings.model(catalogue, design.models["kettle"], "kettle", "fitting", at, solid=False)
        plan.add([kettle], wall, along - width * 0.4)
    for role, side, shown in (("phone", 0.28, design.seed % 2 > 0), ("small plant", -0.3, this.extras[3])):
        if shown and role in design.models:
            piece = fittings.model(catalogue, design.models[role], role, "fitting", (0, -0.2, 0.75), solid=False)
            plan.add([piece], wall, along + width * side)
    low = [along + width * side for side in (-0.22, 0.0, 0.2)]
    return [(*plan.spot(wall, at, 0.35)[:2], 0.752) for at in low]


def _chair(plan: Plan, catalogue: Catalogue, this: Room, wall: str, now: Visit) -> None:
    """Set the chair before the desk, once all that never moves has its place."""
    design = plan.design
    desk = next((thing for thing in plan.things if thing.name == "desk"), None)
    if desk is None:
        return
    x, y, _ = desk.at
    along = x if wall in "NS" else y
    chair_key = design.models["chair" if design.seed % 4 else "office chair"]
    chair = fittings.model(catalogue, chair_key, "chair", "seat", movable=True)
    # A chair looks at its desk: its back to the room.
    turned = replace(chair, at=(this.shift, -0.62, 0.0), turn=math.pi)
    if not plan.put([visits.moved_chair(turned, now)], wall, [along], gap=-0.35):
        plan.put([turned], wall, [along, along + 0.15, along - 0.15], gap=-0.35)


def _seats(plan: Plan, catalogue: Catalogue, this: Room, wall: str, now: Visit) -> None:
    """An armchair or two and a small table near the window."""
    design = plan.design
    models = design.models
    length = plan.length(wall)
    placed = 0
    for side in (0.16, 0.84, 0.32, 0.68)[: 4 if this.armchair else 0]:
        chair = fittings.model(catalogue, models["armchair"], f"armchair {placed}", "seat")
        at = replace(chair, at=(0.0, -chair.size[1] / 2 - 0.28, 0.0), turn=(0.5 if side < 0.5 else -0.5))
        if placed < this.armchair and plan.put([at], wall, [side * length], gap=0.06) is not None:
            placed += 1
            x, y, _ = plan.spot(wall, side * length, 0.7)
            plan.marks[f"armchair {placed - 1}"] = (x, y, 0.45)
    if placed and this.extras[2] and "coffee table" in models:
        table = fittings.model(catalogue, models["coffee table"], "small table", "table")
        plan.put(
            [replace(table, at=(0, -0.7, 0), size=(0.55, 0.55, 0.5))],
            wall,
            [length * 0.5, length * 0.35, length * 0.65],
        )
    if this.extras[3] and "plant" in models:
        plant = fittings.model(catalogue, models["plant"], "plant", "plant", (0, -0.35, 0))
        plan.put([plant], wall, [0.35, length - 0.35], out=0.0)


def _rest(plan: Plan, catalogue: Catalogue, this: Room, walls: tuple[str, str, str], now: Visit) -> None:
    """Wardrobe, luggage bench, bin, radiator, a picture more, a mirror, a rug."""
    design = plan.design
    bed_wall, desk_wall, door_wall = walls
    width = 1.0 + (design.seed % 5) * 0.15
    wardrobe = furniture.wardrobe(design, "wardrobe", width)
    for wall in (desk_wall, door_wall, bed_wall):
        length = plan.length(wall)
        if plan.put(wardrobe, wall, [width / 2 + 0.05, length - width / 2 - 0.05, 0.7 * length]) is not None:
            break
    if this.extras[4]:
        bench = furniture.bench(design, "bench", 0.75)
        for wall in (desk_wall, bed_wall):
            length = plan.length(wall)
            if plan.put(bench, wall, [0.5, length - 0.5, length * 0.3, length * 0.7]) is not None:
                break
    if "bin" in design.models:
        small = fittings.model(catalogue, design.models["bin"], "bin", "fitting")
        plan.put([small], desk_wall, [plan.length(desk_wall) * share for share in (0.25, 0.75, 0.12, 0.88)])
    if design.rug:
        x, y, _ = plan.spot(bed_wall, this.bed_along * plan.length(bed_wall), 2.1)
        x, y = min(max(x, 1.0), plan.width - 1.0), min(max(y, 1.0), plan.depth - 1.0)
        plan.things.append(Thing("rug", "box", (x, y, 0), (1.7, 1.7, 0.012), (design.finishes["rug"],), role="rug",
                                 solid=False))  # fmt: skip
    if "air conditioner" in design.models and design.seed % 3 == 1:
        unit = fittings.model(catalogue, design.models["air conditioner"], "air conditioner", "fitting", solid=False)
        plan.add([unit], door_wall, plan.length(door_wall) * 0.4, z=plan.height - 0.4)
    if "radiator" in design.models and design.seed % 3 == 0:
        piece = fittings.model(catalogue, design.models["radiator"], "radiator", "fitting")
        plan.put([piece], WALLS[design.layout][1], [plan.length(WALLS[design.layout][1]) * 0.5])


def _luggage(plan: Plan, catalogue: Catalogue, now: Visit, rng: np.random.Generator) -> None:
    """Set down what a guest came with, wherever the floor is free."""
    keys = catalogue.role("luggage")
    for index in range(now.luggage):
        if rng.random() < 0.5:
            pieces = furniture.suitcase(f"suitcase {index}", rng)
        else:
            key = keys[rng.integers(len(keys))]
            pieces = [fittings.model(catalogue, key, f"luggage {index}", "luggage", movable=True)]
        for _ in range(8):
            x, y = float(rng.uniform(0.3, plan.width - 0.3)), float(rng.uniform(0.3, plan.depth - 0.3))
            if plan.stand(pieces, x, y, float(rng.uniform(-math.pi, math.pi))):
                break
