"""A room being furnished: its walls, what already stands in it, what keeps clear of what."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from imgmatch.lab.hotels.furniture import place
from imgmatch.lab.hotels.scene import Finish, Thing, boxes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgmatch.lab.hotels.design import Design
    from imgmatch.lab.hotels.scene import Floats, Light

TURNS = {"N": 0.0, "E": -math.pi / 2, "S": math.pi, "W": math.pi / 2}
"""How far a thing turns to stand with its back to that wall."""


@dataclass
class Plan:
    """A room of (width, depth, height) metres from (0, 0): things are put against walls where there is room."""

    design: Design
    width: float
    depth: float
    height: float
    things: list[Thing] = field(default_factory=list)
    lights: list[Light] = field(default_factory=list)
    clear: list[tuple[Floats, Floats]] = field(default_factory=list)
    marks: dict[str, tuple[float, float, float]] = field(default_factory=dict)

    def length(self, wall: str) -> float:
        """Return how long a wall is."""
        return self.width if wall in "NS" else self.depth

    def spot(self, wall: str, along: float, out: float = 0.0) -> tuple[float, float, float]:
        """Return x, y and turn of a place ``along`` a wall (from west or south) and ``out`` of it."""
        x, y = {
            "N": (along, self.depth - out), "S": (along, out), "W": (out, along), "E": (self.width - out, along),
        }[wall]  # fmt: skip
        return x, y, TURNS[wall]

    def add(self, things: Sequence[Thing], wall: str, along: float, out: float = 0.0, z: float = 0.0) -> list[Thing]:
        """Put things against a wall whatever stands there: what hangs on it, what must be there."""
        x, y, turn = self.spot(wall, along, out)
        placed = place(things, x, y, turn, z)
        self.things += placed
        return placed

    def put(
        self, things: Sequence[Thing], wall: str, wanted: Sequence[float], out: float = 0.0, gap: float = 0.03
    ) -> float | None:
        """Put things at the first of the ``wanted`` places of a wall that is free; return it, None if none is."""
        for along in wanted:
            x, y, turn = self.spot(wall, along, out)
            placed = place(things, x, y, turn)
            if self.free(placed, gap):
                self.things += placed
                return along
        return None

    def stand(self, things: Sequence[Thing], x: float, y: float, turn: float, gap: float = 0.05) -> bool:
        """Put things somewhere on the floor if that is free; return whether it was."""
        placed = place(things, x, y, turn)
        if self.free(placed, gap):
            self.things += placed
            return True
        return False

    def free(self, placed: Sequence[Thing], gap: float) -> bool:
        """Whether things would stand inside the room, off each other and off the ways that must stay clear."""
        low = np.min([thing.bounds()[0] for thing in placed], axis=0)
        high = np.max([thing.bounds()[1] for thing in placed], axis=0)
        slack = 0.02
        if (low[:2] < -slack).any() or (high[:2] > (self.width + slack, self.depth + slack)).any():
            return False
        if high[2] > self.height:
            return False
        if boxes(thing for thing in self.things if thing.solid).overlap(low, high, gap):
            return False
        return not any((low < b).all() and (high > a).all() for a, b in self.clear)

    def keep_clear(self, x: float, y: float, width: float, depth: float, height: float = 2.0) -> None:
        """Keep furniture out of a box in the middle of (x, y): before a door, before a window."""
        low = np.array([x - width / 2, y - depth / 2, 0.0])
        self.clear.append((low, low + np.array([width, depth, height])))


@dataclass(frozen=True)
class Hole:
    """A door or a window in a wall: where its middle is along the wall, how wide, from which height to which."""

    wall: str
    along: float
    width: float
    low: float
    high: float


def shell(plan: Plan, holes: Sequence[Hole], looks: dict[str, Finish], floor: Finish) -> None:
    """Build floor, ceiling, four walls with holes, and skirting boards. ``looks`` maps a wall to its finish."""
    width, depth, height = plan.width, plan.depth, plan.height
    finishes = plan.design.finishes

    def flat(name: str, z: float, finish: Finish, side: int) -> Thing:
        return Thing(
            name, "sheet", (width / 2, depth / 2, z), (width, depth, side), (finish,), role="room", solid=False
        )

    plan.things += [flat("floor", 0, floor, 1), flat("ceiling", height, finishes["ceiling"], -1)]
    for wall in "NESW":
        length = plan.length(wall)
        sign = 1 if wall in "NW" else -1
        cuts: list[float] = []
        for hole in (hole for hole in holes if hole.wall == wall):
            middle = (hole.along - length / 2) * sign
            cuts += [middle - hole.width / 2, middle + hole.width / 2, hole.low, hole.high]
        face = Thing(f"wall {wall}", "wall", (0, 0, 0), (length, 0.0, height), (looks.get(wall, finishes["wall"]),),
                     role="room", solid=False, extra=tuple(cuts))  # fmt: skip
        plan.add([face], wall, length / 2)
        if plan.design.skirting:
            doors = sorted((hole.along, hole.width) for hole in holes if hole.wall == wall and hole.low < 0.05)
            edges = [0.0, *(edge for along, wide in doors for edge in (along - wide / 2, along + wide / 2)), length]
            for start, end in zip(edges[::2], edges[1::2], strict=True):
                board = Thing("skirting", "box", (0, -0.006, 0), (end - start, 0.012, plan.design.skirting),
                              (finishes["skirting"],), role="room", solid=False)  # fmt: skip
                if end - start > 0.02:
                    plan.add([board], wall, (start + end) / 2)


def door(plan: Plan, hole: Hole, name: str = "door") -> None:
    """Hang a closed door into its hole, with frame, handle and the notice on its back; keep the way to it clear."""
    finishes = plan.design.finishes
    wide, high = hole.width, hole.high
    metal = finishes["metal"]
    notice = Finish("sign", (160, 30, 30), plan.design.seed, 0.0)
    leaf = [
        Thing(name, "box", (0, 0.03, 0), (wide, 0.04, high), (finishes["door"],), role="door", solid=False),
        Thing(name, "box", (wide / 2 - 0.09, -0.03, 1.0), (0.12, 0.03, 0.02), (metal,), role="door", solid=False),
        Thing(name, "panel", (0, 0.008, 1.35), (0.2, 0.0, 0.28), (notice,), role="door", solid=False),
    ]  # fmt: skip
    for x in (-wide / 2 - 0.03, wide / 2 + 0.03):
        leaf.append(Thing(name, "box", (x, -0.005, 0), (0.07, 0.05, high + 0.06), (finishes["skirting"],), solid=False))
    leaf.append(Thing(name, "box", (0, -0.005, high), (wide, 0.05, 0.07), (finishes["skirting"],), solid=False))
    plan.add(leaf, hole.wall, hole.along)
    x, y, _ = plan.spot(hole.wall, hole.along, 0.45)
    plan.keep_clear(x, y, wide + 0.1, wide + 0.1)
    plan.marks.setdefault("door", (x, y, 1.0))


def window(plan: Plan, hole: Hole, view: Finish, panes: int) -> None:
    """Build a window's frame and, some metres behind it, what is seen through it."""
    white = replace(plan.design.finishes["skirting"], roughness=0.3)
    wide, low, high = hole.width, hole.low, hole.high
    tall = high - low
    parts = [
        Thing("window", "box", (0, 0.08, low + z), (wide, 0.07, 0.06), (white,), solid=False) for z in (0, tall - 0.06)
    ]
    for pane in range(panes + 1):
        x = -wide / 2 + 0.03 + pane * (wide - 0.06) / panes
        parts.append(Thing("window", "box", (x, 0.08, low), (0.06, 0.07, tall), (white,), solid=False))
    # The reveal: the thickness of the wall around the window.
    for x in (-wide / 2 - 0.01, wide / 2 + 0.01):
        parts.append(Thing("window", "box", (x, 0.1, low), (0.02, 0.2, tall), (white,), solid=False))
    parts.append(Thing("window", "box", (0, 0.1, high), (wide, 0.2, 0.02), (white,), solid=False))
    parts.append(Thing("window", "box", (0, 0.05, low - 0.03), (wide + 0.1, 0.3, 0.03), (white,), solid=False))
    outside = Thing("outside", "panel", (0, 6.0, -3.2), (22.0, 0.0, 11.0), (view,), role="outside", solid=False,
                    shadow=False)  # fmt: skip
    plan.add([*parts, outside], hole.wall, hole.along)
    plan.marks["window"] = (*plan.spot(hole.wall, hole.along, 0.3)[:2], (low + high) / 2)
