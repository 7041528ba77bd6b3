"""Which furniture a room has and where it stands: bedrooms of hotels, bathrooms, living rooms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from imgmatch.lab.hotels import textures
from imgmatch.lab.hotels.textures import Material
from imgmatch.lab.rooms.furniture import bath, beds, cabinets, decor, hangings, lamps, openings, parts, seats
from imgmatch.lab.rooms.scene import Builder, Place
from imgmatch.lab.rooms.style import Style

if TYPE_CHECKING:
    from imgmatch.types import Pixels

Kind = Literal["bedroom", "bathroom", "living"]
KINDS: tuple[Kind, ...] = ("bedroom", "bathroom", "living")
WALLS = ("north", "east", "south", "west")

_SIZES_M = {
    "bedroom": ((3.1, 5.4), (3.2, 5.6)),
    "bathroom": ((1.9, 3.2), (2.1, 3.6)),
    "living": ((3.8, 6.2), (3.8, 6.0)),
}


@dataclass(slots=True)
class Plan:
    """The floor plan while it fills up."""

    b: Builder
    style: Style
    rng: np.random.Generator
    size_m: tuple[float, float, float]
    pictures: list[Pixels]
    walls: list[Place] = field(default_factory=list)
    lengths: list[float] = field(default_factory=list)
    _floor: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)
    _taken: list[list[tuple[float, float, float, float]]] = field(default_factory=lambda: [[], [], [], []])

    def __post_init__(self) -> None:
        w, d, _ = self.size_m
        east, north = np.array([1.0, 0, 0]), np.array([0, 1.0, 0])
        self.walls = [
            Place(np.array([0, d, 0.0]), east, -north),
            Place(np.array([w, d, 0.0]), -north, -east),
            Place(np.array([w, 0, 0.0]), -east, north),
            Place(np.array([0, 0, 0.0]), north, east),
        ]
        self.lengths = [w, d, w, d]

    def _rectangle(self, place: Place, x: tuple[float, float], y: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
        ends = np.array([place.world(a, c, 0)[:2] for a in x for c in y])
        return ends.min(axis=0), ends.max(axis=0)

    def claim_floor(self, place: Place, x: tuple[float, float], y: tuple[float, float], check: bool = True) -> bool:
        """Take a rectangle of the floor unless it lies outside or something stands there."""
        low, high = self._rectangle(place, x, y)
        if check:
            if (low < -0.01).any() or high[0] > self.size_m[0] + 0.01 or high[1] > self.size_m[1] + 0.01:
                return False
            if any((low < other_high).all() and (high > other_low).all() for other_low, other_high in self._floor):
                return False
        self._floor.append((low, high))
        return True

    def wall_free(self, wall: int, x: tuple[float, float], z: tuple[float, float]) -> bool:
        """Whether a rectangle on a wall is free."""
        return not any(x[0] < b and x[1] > a and z[0] < d and z[1] > c for a, b, c, d in self._taken[wall])

    def take_wall(self, wall: int, x: tuple[float, float], z: tuple[float, float]) -> None:
        """Take a rectangle on a wall."""
        self._taken[wall].append((*x, *z))

    def spot(
        self,
        walls: Sequence[int],
        width: float,
        depth: float,
        high: float,
        at: float | None = None,
        low: float = 0.0,
        tries: int = 10,
    ) -> tuple[int, Place] | None:
        """Find a free stretch of wall for something of that size and take it; its place is at its middle."""
        for attempt in range(tries):
            wall = walls[int(self.rng.integers(len(walls)))]
            room = self.lengths[wall] - width
            if room < 0:
                continue
            share = at if at is not None and attempt == 0 else self.rng.choice([0.02, 0.98, self.rng.random()])
            x = width / 2 + room * float(share)
            span = (x - width / 2, x + width / 2)
            if not self.wall_free(wall, span, (low, high)):
                continue
            if depth > 0 and not self.claim_floor(self.walls[wall], span, (0, depth)):
                continue
            self.take_wall(wall, span, (low, high))
            return wall, self.walls[wall].moved(x)
        return None

    def next_picture(self) -> Pixels | None:
        """Return the next of the given pictures to hang, None when they are used up."""
        return self.pictures.pop(0) if self.pictures else None


def build(
    b: Builder, style: Style, rng: np.random.Generator, kind: Kind, pictures: Sequence[Pixels]
) -> tuple[float, float, float]:
    """Fill ``b`` with a room of that kind and return its size in metres."""
    (w0, w1), (d0, d1) = _SIZES_M[kind]
    size = (float(rng.uniform(w0, w1)), float(rng.uniform(d0, d1)), float(rng.uniform(2.35, 2.9)))
    plan = Plan(b, style, rng, size, list(pictures))
    main_wall = int(rng.integers(4))
    _shell(plan, kind, main_wall)
    {"bedroom": _bedroom, "bathroom": _bathroom, "living": _living}[kind](plan, main_wall)
    return size


def _shell(plan: Plan, kind: Kind, main_wall: int) -> None:
    """Floor, ceiling, walls, skirting boards."""
    b, style, (w, d, h) = plan.b, plan.style, plan.size_m
    wet = kind == "bathroom"
    ground = Place(np.zeros(3), np.array([1.0, 0, 0]), np.array([0, 1.0, 0]))
    north = Place(np.array([0, d, 0.0]), np.array([1.0, 0, 0]), np.array([0, -1.0, 0]))
    b.sheet(north, "room", (0, w), (0, d), 0.0, style.wet_floor if wet else style.floor, part="floor")
    corners = ground.points([(0, 0, h), (w, 0, h), (w, d, h), (0, d, h)])
    b.face("room.ceiling", "room", corners, style.ceiling)
    split = 0.0
    shape = style.rng("wainscot")
    if wet:
        split = h if shape.random() < 0.55 else float(shape.uniform(1.1, 1.6))
    elif shape.random() < 0.18:
        split = float(shape.uniform(0.8, 1.1))
    lower = style.wet_wall if wet else Material(textures.boards(shape, textures.wood_tone(shape)), 2.0)
    skirting = parts.plain(style.second_wood.tile.mean(axis=(0, 1)) if shape.random() < 0.5 else np.full(3, 236.0))
    for number, (name, place, length) in enumerate(zip(WALLS, plan.walls, plan.lengths, strict=True)):
        upper = style.accent if number == main_wall and not wet else style.wall
        if split < h:
            b.panel(place, "room", (0, length), (split, h), 0.0, upper, part=f"wall_{name}")
        if split > 0:
            b.panel(place, "room", (0, length), (0, split), 0.0, lower, part=f"wall_{name}_low")
        if split and not wet:
            b.panel(place, "trim", (0, length), (split - 0.03, split + 0.03), 0.012, skirting, part=f"rail_{name}")
        if not wet:
            b.panel(place, "trim", (0, length), (0, 0.09), 0.011, skirting, part=f"skirting_{name}")


def _openings(plan: Plan, main_wall: int, windows: int) -> list[int]:
    """Place the door and the windows; return the walls with windows."""
    rng, b, style = plan.rng, plan.b, plan.style
    others = [wall for wall in range(4) if wall != main_wall]
    rng.shuffle(others)
    window_walls = others[:windows]
    for wall in window_walls:
        width = float(min(rng.uniform(1.0, 2.4), plan.lengths[wall] - 0.9))
        found = plan.spot([wall], width + 0.5, 0.0, 2.4, at=float(rng.uniform(0.3, 0.7)), low=0.75)
        if found:
            openings.window(
                b,
                found[1],
                style,
                rng,
                width,
                plan.size_m[2],
                float(rng.choice([0.0, 0.1, 0.3, 0.9], p=[0.35, 0.3, 0.2, 0.15])),
            )
    door_walls = [wall for wall in others if wall not in window_walls] or others
    found = plan.spot(door_walls, 1.0, 0.75, 2.1, at=float(rng.choice([0.05, 0.95])))
    if found:
        openings.door(b, found[1], style, rng)
    return window_walls


def _hang(plan: Plan, wall: int, x: float, z: float, width: float, height: float) -> None:
    span, rise = (x - width / 2, x + width / 2), (z - height / 2, z + height / 2)
    if span[0] < 0.1 or span[1] > plan.lengths[wall] - 0.1 or rise[1] > plan.size_m[2] - 0.1:
        return
    if not plan.wall_free(wall, span, rise):
        return
    plan.take_wall(wall, span, rise)
    hangings.picture(plan.b, plan.walls[wall], plan.rng, x, z, width, height, plan.next_picture())


def _gallery(plan: Plan, wall: int, x: float, z: float, room: float) -> None:
    """Hang one, two or three pictures about a point."""
    rng = plan.rng
    count = int(rng.choice([1, 2, 3], p=[0.45, 0.3, 0.25]))
    width = min(rng.uniform(0.45, 1.1) if count == 1 else rng.uniform(0.3, 0.55), room / count - 0.08)
    height = width * rng.choice([0.7, 1.0, 1.3]) if count > 1 else width * rng.choice([0.6, 0.75, 1.0])
    for number in range(count):
        _hang(plan, wall, x + (number - (count - 1) / 2) * (width + 0.12), z, width, float(min(height, 0.8)))


def _everywhere(plan: Plan, count: int) -> None:
    """Hang pictures and mirrors where walls are still empty."""
    for _ in range(count):
        wall = int(plan.rng.integers(4))
        x = float(plan.rng.uniform(0.6, plan.lengths[wall] - 0.6))
        _gallery(plan, wall, x, float(plan.rng.uniform(1.45, 1.7)), 1.6)


def _bedroom(plan: Plan, main_wall: int) -> None:
    b, style, rng = plan.b, plan.style, plan.rng
    length = plan.lengths[main_wall]
    twin = rng.random() < 0.22 and length > 3.2
    width = 0.95 if twin else float(rng.choice([1.2, 1.4, 1.6, 1.8]))
    middle = length / 2 + float(rng.uniform(-0.3, 0.3)) * max(0.0, length - 3.0)
    wall = plan.walls[main_wall]
    head = 1.1
    if twin:
        gap = 0.62
        spots = [middle - (width + gap) / 2, middle + (width + gap) / 2]
        spare = gap / 2 - 0.01
        tables = [middle]
    else:
        spots = [middle]
        spare = min(middle, length - middle) - width / 2 - 0.02
        tables = [middle - width / 2 - 0.36, middle + width / 2 + 0.36]
    for number, x in enumerate(spots):
        plan.claim_floor(wall, (x - width / 2 - 0.05, x + width / 2 + 0.05), (0, 2.1), check=False)
        beds.bed(b, wall.moved(x), style, rng, width, f"bed_{number + 1}", spare)
    plan.take_wall(main_wall, (spots[0] - width / 2 - 0.1, spots[-1] + width / 2 + 0.1), (0, head))
    plan.claim_floor(wall, (spots[0] - width / 2 - 0.1, spots[-1] + width / 2 + 0.1), (2.1, 2.5), check=False)
    lamp_kind = style.choice("bed lamps", "table", "table", "wall")
    for x in tables:
        if 0.25 < x < length - 0.25:
            beds.bedside(b, wall, style, rng, x, lamp_kind == "table")
            plan.claim_floor(wall, (x - 0.25, x + 0.25), (0, 0.45), check=False)
            plan.take_wall(main_wall, (x - 0.25, x + 0.25), (0, 1.25))
            if lamp_kind == "wall":
                lamps.wall_lamp(b, wall, x, 1.15, style)
    _openings(plan, main_wall, 1 if rng.random() < 0.85 else 2)
    if rng.random() < 0.8:
        _gallery(plan, main_wall, middle, float(rng.uniform(1.72, 1.85)), width + 0.6)
    others = [number for number in range(4) if number != main_wall]
    opposite = (main_wall + 2) % 4
    if rng.random() < 0.75:
        wide = float(rng.choice([0.9, 1.2, 1.6]))
        found = plan.spot([opposite, *others], wide, 0.6, 2.0, at=float(rng.uniform(0.2, 0.8)))
        if found:
            cabinets.wardrobe(b, found[1], style, wide, plan.size_m[2])
    _desk_corner(plan, [opposite, opposite, *others])
    if rng.random() < 0.8:
        wide = float(rng.uniform(0.9, 1.5))
        found = plan.spot([opposite, opposite, *others], wide, 0.5, 1.6, at=float(rng.uniform(0.3, 0.7)))
        if found:
            high = cabinets.sideboard(b, found[1], style, rng, wide)
            hangings.television(
                b, found[1], rng, 0.0, high + 0.06, 0.12 if rng.random() < 0.5 else 0.01, float(rng.uniform(0.75, 1.0))
            )
    if rng.random() < 0.6:
        _seat(plan, others)
    _loose(plan, others)
    if rng.random() < 0.5:
        x = spots[0]
        decor.rug(
            b, wall, rng, (x - width / 2 - 0.6, x + width / 2 + 0.6), (1.3, 2.7)
        ) if rng.random() < 0.5 else _centre_rug(plan)
    if rng.random() < 0.65:
        _ceiling_light(plan)
    _everywhere(plan, int(rng.integers(1, 4)))


def _desk_corner(plan: Plan, walls: Sequence[int]) -> None:
    rng = plan.rng
    if rng.random() > 0.75:
        return
    wide = float(rng.uniform(0.9, 1.4))
    found = plan.spot(walls, wide, 1.1, 0.75)
    if not found:
        return
    wall, place = found
    cabinets.desk(plan.b, place, plan.style, rng, wide)
    turn = float(rng.choice([0, rng.uniform(-35, 35)]))
    seats.chair(plan.b, place.moved(float(rng.uniform(-0.15, 0.15)), 0.42, turn), plan.style)
    x = float(abs((place.origin_m - plan.walls[wall].origin_m) @ plan.walls[wall].right))
    if rng.random() < 0.5 and plan.wall_free(wall, (x - 0.4, x + 0.4), (1.1, 1.9)):
        plan.take_wall(wall, (x - 0.4, x + 0.4), (1.1, 1.9))
        style = plan.style
        hangings.mirror(plan.b, plan.walls[wall], style.rng("mirror"), (x, 1.5), (0.65, 0.75), style.wall, style.metal)


def _seat(plan: Plan, walls: Sequence[int]) -> None:
    found = plan.spot(walls, 0.95, 0.95, 0.9)
    if found:
        turn = float(plan.rng.uniform(-25, 25))
        seats.armchair(plan.b, found[1].moved(0, 0.05, 0 if abs(turn) < 12 else turn), plan.style, plan.rng, 0.78)


def _loose(plan: Plan, walls: Sequence[int]) -> None:
    if plan.rng.random() < 0.5:
        found = plan.spot(walls, 0.5, 0.5, 1.7)
        if found:
            lamps.floor_lamp(plan.b, found[1], plan.style)
    if plan.rng.random() < 0.3:
        found = plan.spot(walls, 0.8, 0.7, 0.7)
        if found:
            decor.suitcase(plan.b, found[1], plan.rng)
    if plan.rng.random() < 0.35:
        wide = float(plan.rng.uniform(0.6, 1.2))
        found = plan.spot(range(4), wide, 0.14, 0.7)
        if found:
            decor.radiator(plan.b, found[1], plan.rng, wide)
    if plan.rng.random() < 0.25:
        found = plan.spot(range(4), 0.5, 0.0, 2.1, low=1.4)
        if found:
            decor.clock(plan.b, found[1], plan.rng, 0.0, float(plan.rng.uniform(1.65, 1.95)))
    if plan.rng.random() < 0.45:
        found = plan.spot(walls, 0.6, 0.6, 1.5)
        if found:
            decor.plant(plan.b, found[1], plan.rng)


def _centre_rug(plan: Plan) -> None:
    w, d, _ = plan.size_m
    half_w, half_d = min(w * 0.3, 1.2), min(d * 0.25, 0.9)
    place = plan.walls[0]
    decor.rug(plan.b, place, plan.rng, (w / 2 - half_w, w / 2 + half_w), (d / 2 - half_d, d / 2 + half_d))


def _ceiling_light(plan: Plan) -> None:
    w, d, h = plan.size_m
    lamps.ceiling_lamp(plan.b, plan.walls[0].moved(w / 2, d / 2), h, plan.style)


def _bathroom(plan: Plan, main_wall: int) -> None:
    b, style, rng = plan.b, plan.style, plan.rng
    wide = float(min(rng.uniform(0.7, 1.5), plan.lengths[main_wall] - 0.2))
    found = plan.spot([main_wall], wide, 0.55, 2.1, at=float(rng.uniform(0, 1)))
    if found:
        bath.washstand(b, found[1], style, rng, wide, style.wet_wall)
    others = [wall for wall in range(4) if wall != main_wall]
    if rng.random() < 0.55:
        tub = float(min(rng.uniform(1.5, 1.75), max(plan.lengths) - 0.05))
        found = plan.spot(others, tub, 0.78, 2.1, at=0.0)
        if found:
            bath.bathtub(b, found[1], style, rng, tub)
    if not found or rng.random() < 0.5:
        found = plan.spot(others, 0.95, 0.95, 2.1, at=0.0)
        if found:
            bath.shower(b, found[1], style, rng)
    found = plan.spot(range(4), 0.5, 0.65, 1.15)
    if found:
        bath.toilet(b, found[1], rng)
    _openings(plan, main_wall, int(rng.random() < 0.4))
    for _ in range(2):
        found = plan.spot(range(4), 0.7, 0.0, 1.6, low=0.7)
        if found:
            bath.towels(b, found[1], rng, 0.0)
    if rng.random() < 0.7:
        w, d, _ = plan.size_m
        x, y = rng.uniform(0.3, 0.7) * w, rng.uniform(0.3, 0.7) * d
        decor.rug(b, plan.walls[0], rng, (x - 0.35, x + 0.35), (y - 0.25, y + 0.25))
    _ceiling_light(plan)
    if rng.random() < 0.5:
        _everywhere(plan, 1)


def _living(plan: Plan, main_wall: int) -> None:
    b, style, rng = plan.b, plan.style, plan.rng
    wide = float(min(rng.uniform(1.6, 2.3), plan.lengths[main_wall] - 0.6))
    found = plan.spot([main_wall], wide, 0.95, 1.0, at=float(rng.uniform(0.3, 0.7)))
    others = [wall for wall in range(4) if wall != main_wall]
    opposite = (main_wall + 2) % 4
    if found:
        place = found[1]
        seats.armchair(b, place.moved(0, 0.03), style, rng, wide, 2 if wide < 2 else 3)
        plan.claim_floor(place, (-0.6, 0.6), (1.1, 2.0), check=False)
        table = float(rng.uniform(0.7, 1.1))
        cabinets.coffee_table(b, place.moved(0, 1.55), style, rng, table)
        if rng.random() < 0.75:
            decor.rug(b, place, rng, (-wide / 2 - 0.1, wide / 2 + 0.1), (0.7, 2.3))
        if rng.random() < 0.8:
            x = float(abs((place.origin_m - plan.walls[main_wall].origin_m) @ plan.walls[main_wall].right))
            _gallery(plan, main_wall, x, float(rng.uniform(1.5, 1.75)), wide)
    _openings(plan, main_wall, int(rng.choice([1, 2])))
    if rng.random() < 0.85:
        tv = float(rng.uniform(1.2, 1.8))
        found = plan.spot([opposite, *others], tv, 0.5, 1.7, at=0.5)
        if found:
            high = cabinets.sideboard(b, found[1], style, rng, tv)
            hangings.television(b, found[1], rng, 0.0, high + 0.05, 0.14, float(rng.uniform(0.9, 1.2)))
    if rng.random() < 0.7:
        shelf = float(rng.choice([0.8, 1.2, 1.6]))
        found = plan.spot(others, shelf, 0.35, 2.0)
        if found:
            cabinets.bookshelf(b, found[1], style, rng, shelf)
    if rng.random() < 0.6:
        _seat(plan, others)
    _desk_corner(plan, others)
    _loose(plan, range(4))
    if rng.random() < 0.7:
        _ceiling_light(plan)
    _everywhere(plan, int(rng.integers(2, 5)))
