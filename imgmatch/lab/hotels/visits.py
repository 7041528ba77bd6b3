"""A room at one time: daylight, lamps, curtains, the bed, what guests brought."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from imgmatch.lab.hotels.design import generator
from imgmatch.lab.hotels.scene import Finish, Light

if TYPE_CHECKING:
    from imgmatch.lab.hotels.design import Design
    from imgmatch.lab.hotels.plan import Hole, Plan
    from imgmatch.lab.hotels.scene import RGB, Thing


@dataclass(frozen=True)
class Visit:
    """What differs between two times in one room; ``seed`` draws what else lies about."""

    seed: int
    time: str
    curtain: float
    lamps: tuple[bool, bool, bool, bool]
    made: bool
    luggage: int
    strewn: int
    chair: tuple[float, float, float]
    television: bool
    sun: tuple[float, float]


def visit(design: Design, room: int, number: int) -> Visit:
    """Draw visit ``number`` of a room."""
    rng = generator(design.seed, "visit", room, number)
    time = str(rng.choice(["sun", "day", "dusk", "night"], p=[0.22, 0.3, 0.13, 0.35]))
    curtain = float(rng.choice([0.0, 0.5, 0.9, 1.0], p=[0.2, 0.15, 0.3, 0.35]))
    dark = time in ("dusk", "night") or curtain < 0.2
    lit = 0.8 if dark else 0.3
    lamps = [bool(rng.random() < lit) for _ in range(4)]
    if dark and not any(lamps):
        lamps[3] = True
    return Visit(
        seed=int(rng.integers(2**31)),
        time=time,
        curtain=curtain,
        lamps=(lamps[0], lamps[1], lamps[2], lamps[3]),
        made=bool(rng.random() < 0.6),
        luggage=int(rng.choice([0, 1, 2, 3], p=[0.3, 0.3, 0.25, 0.15])),
        strewn=int(rng.integers(0, 7)),
        chair=(float(rng.normal(0, 0.12)), float(rng.uniform(0, 0.3)), float(rng.normal(0, 0.5))),
        television=bool(rng.random() < 0.2),
        sun=(float(rng.uniform(-0.9, 0.9)), float(rng.uniform(0.25, 1.0))),
    )


SKY: dict[str, tuple[RGB, float]] = {
    "sun": ((190, 215, 255), 1.6),
    "day": ((225, 232, 245), 1.1),
    "dusk": ((120, 130, 190), 0.16),
    "night": ((40, 45, 80), 0.012),
}
"""Colour and strength of the sky by time of day."""
SHINE = {"sun": 0.9, "day": 0.6, "dusk": 0.15, "night": 0.4}
"""How bright the picture behind the window is."""


def view(time: str, seed: int) -> Finish:
    """Return what is seen through a window at that time: the same place by day and by night."""
    return Finish("night" if time == "night" else "day", (255, 255, 255), seed, 0.0, glow=SHINE[time])


def daylight(plan: Plan, hole: Hole, now: Visit) -> None:
    """Let the sky and perhaps the sun in through a window."""
    x, y, _ = plan.spot(hole.wall, hole.along, -0.25)
    inward = {"N": (0.0, -1.0), "S": (0.0, 1.0), "E": (-1.0, 0.0), "W": (1.0, 0.0)}[hole.wall]
    middle = (hole.low + hole.high) / 2
    plan.lights.append(Light("portal", (x, y, middle), 1.0, size=(hole.width, hole.high - hole.low), to=(*inward, 0.0)))
    if now.time == "sun":
        side, fall = now.sun
        to = (inward[0] - inward[1] * side, inward[1] + inward[0] * side, -fall)
        plan.lights.append(Light("sun", (0, 0, 5), 6.0, (255, 240, 215), (0.009, 0.0), to))


def moved_chair(chair: Thing, now: Visit) -> Thing:
    """Return a chair pulled out and turned as a guest left it."""
    dx, dy, turn = now.chair
    return replace(chair.moved(dx, -dy), turn=chair.turn + turn)
