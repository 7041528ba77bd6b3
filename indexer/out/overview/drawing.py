"""The graph and the months of an overview as SVG: drawn by this program, the same for the same ties."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from indexer.out.overview.entities import Entity
from indexer.out.overview.ties import Tie

NODES = 48
EDGES = 160
ROWS = 40
"""So many entities are drawn, so many ties between them, and so many rows of months."""
_RADIUS = 250.0
_MARGIN, _LETTER = 24.0, 7.3
"""For the names around the circle: between them and it, and a letter, in pixels."""
_ROUNDS = 12


@dataclass(frozen=True, slots=True)
class Node:
    """An entity on the circle: its place, and how its name is turned (degrees) and anchored."""

    entity: Entity
    x: float
    y: float
    turn: float
    anchor: str


@dataclass(frozen=True, slots=True)
class Edge:
    """A tie between two places, as the path of a curve; ``number`` is the tie's in the table, ``ends`` those of the
    two in ``Graph.nodes``, from 1.
    """

    tie: Tie
    number: int
    ends: tuple[int, int]
    path: str


@dataclass(frozen=True, slots=True)
class Graph:
    """What is drawn, how large it is, and how much is not drawn."""

    nodes: Sequence[Node]
    edges: Sequence[Edge]
    size: float
    more_nodes: int
    more_edges: int


def graph(ties: Sequence[Tie], entities: int, letters: Callable[[Entity], int]) -> Graph:
    """The strongest ties and their ends on a circle, those that are tied beside each other; ``entities``: how many
    there are, ``letters``: how long a name is drawn.
    """
    chosen: list[tuple[int, Tie]] = []
    ends: dict[Entity, None] = {}
    for number, tie in enumerate(ties, start=1):
        more = [end for end in tie.ends if end not in ends]
        if len(chosen) < EDGES and len(ends) + len(more) <= NODES:
            ends.update(dict.fromkeys(more))
            chosen.append((number, tie))
    middle = _RADIUS + _MARGIN + _LETTER * max(map(letters, ends), default=0)
    nodes = {}
    for at, entity in enumerate(_round(list(ends), [tie for _, tie in chosen])):
        angle = 2 * math.pi * at / len(ends) - math.pi / 2
        x, y = middle + _RADIUS * math.cos(angle), middle + _RADIUS * math.sin(angle)
        left = math.cos(angle) < -1e-9
        turn = math.degrees(angle) + (180 if left else 0)
        nodes[entity] = Node(entity, round(x, 1), round(y, 1), round(turn, 1), "end" if left else "start")
    edges = []
    places = {entity: place for place, entity in enumerate(nodes, start=1)}
    for number, tie in reversed(chosen):  # the strongest on top
        one, other = (nodes[end] for end in tie.ends)
        pull = 0.35
        x, y = ((a + b) / 2 * (1 - pull) + middle * pull for a, b in ((one.x, other.x), (one.y, other.y)))
        edges.append(
            Edge(
                tie,
                number,
                (places[one.entity], places[other.entity]),
                f"M{one.x} {one.y}Q{x:.1f} {y:.1f} {other.x} {other.y}",
            )
        )
    return Graph(list(nodes.values()), edges, 2 * middle, entities - len(nodes), len(ties) - len(edges))


def _round(entities: list[Entity], ties: Sequence[Tie]) -> list[Entity]:
    """Entities in an order in which what is tied lies together: what hangs together first, then each at the middle of
    those that it is tied to.
    """
    near: dict[Entity, list[Entity]] = {entity: [] for entity in entities}
    for tie in ties:
        one, other = tie.ends
        near[one].append(other)
        near[other].append(one)
    order: list[Entity] = []
    for start in sorted(entities, key=lambda entity: (-len(near[entity]), entity)):
        part: list[Entity] = []
        waiting = [] if start in order else [start]
        while waiting:
            entity = waiting.pop(0)
            if entity not in part:
                part.append(entity)
                waiting += sorted(near[entity])
        for _ in range(_ROUNDS):
            place = {entity: at for at, entity in enumerate(part)}
            middles = {e: (sum(place[n] for n in near[e]) / len(near[e]) + place[e]) / 2 for e in part}
            part.sort(key=lambda entity: (middles[entity], entity))
        order += part
    return order


@dataclass(frozen=True, slots=True)
class Mark:
    """How many pictures of a month: where, and how large."""

    x: float
    radius: float
    month: str
    count: int


@dataclass(frozen=True, slots=True)
class Months:
    """Rows of marks over time, with the years (place and number) below them."""

    rows: Sequence[tuple[Entity, Sequence[Mark]]]
    years: Sequence[tuple[float, str]]
    width: float
    more: int


def months(days: Mapping[Entity, Mapping[str, int]]) -> Months:
    """Over time: of each entity, in the order given, how many pictures each month (YYYY-MM) has."""
    dated = [(entity, counts) for entity, counts in days.items() if counts]
    shown = dated[:ROWS]
    every = [_month(month) for _, counts in shown for month in counts]
    width = 620.0
    if not every:
        return Months((), (), width, 0)
    first, last = min(every), max(every)

    def x(month: int) -> float:
        return round(width * (month - first + 0.5) / (last - first + 1), 1)

    rows = [
        (entity, [Mark(x(_month(m)), min(7.0, 2.5 + round(math.log2(n), 1)), m, n) for m, n in sorted(counts.items())])
        for entity, counts in shown
    ]
    step = max(1, math.ceil((last // 12 - first // 12 + 1) / 12))
    years = [(x(max(first, year * 12)), str(year)) for year in range(first // 12, last // 12 + 1, step)]
    return Months(rows, years, width, len(dated) - len(shown))


def _month(text: str) -> int:
    return int(text[:4]) * 12 + int(text[5:7]) - 1
