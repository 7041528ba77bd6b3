"""Which places a hotel has, and which views of them are taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgmatch.lab.hotels.baths import bathroom
from imgmatch.lab.hotels.camera import Camera, cameras
from imgmatch.lab.hotels.design import generator
from imgmatch.lab.hotels.halls import corridor, lobby
from imgmatch.lab.hotels.people import people
from imgmatch.lab.hotels.rooms import guest_room
from imgmatch.lab.hotels.visits import Visit, visit

if TYPE_CHECKING:
    from imgmatch.lab.hotels.design import Design
    from imgmatch.lab.hotels.models import Catalogue
    from imgmatch.lab.hotels.scene import Scene, Thing

BUILDERS: dict[str, Callable[[Design, Catalogue, int, Visit], Scene]] = {
    "guest room": guest_room,
    "bathroom": bathroom,
    "corridor": corridor,
    "lobby": lobby,
}
PERSON = 1000
"""Instance numbers of people start here."""


@dataclass(frozen=True)
class Place:
    """One place of a hotel: ``number`` is the room that a guest room or bathroom belongs to."""

    name: str
    kind: str
    number: int
    views: int


@dataclass(frozen=True)
class Shot:
    """One view to be rendered."""

    stem: str
    visit: int
    camera: Camera
    people: tuple[Thing, ...]
    flash: float
    seed: int


def places(design: Design, rooms: int | None = None, views: int | None = None) -> list[Place]:
    """Return a hotel's places: 8 to 16 guest rooms, bathrooms and halls, 3 to 6 views each, unless said otherwise."""
    rng = generator(design.seed, "places")
    count = int(rng.choice([8, 9, 10, 11, 12, 14, 16], p=[0.25, 0.2, 0.2, 0.12, 0.1, 0.08, 0.05]))
    count = rooms or count
    baths = max(1, round(count * 0.2))
    halls = ["corridor", "lobby"] if rng.random() < 0.35 else [str(rng.choice(["corridor", "lobby"], p=[0.65, 0.35]))]
    halls = halls if count > 4 else []
    kinds = ["guest room"] * (count - baths - len(halls)) + ["bathroom"] * baths + halls
    made = []
    for index, kind in enumerate(kinds):
        number = index if kind == "guest room" else index - kinds.index(kind)
        shots = int(rng.choice([3, 4, 5, 6], p=[0.25, 0.5, 0.17, 0.08]))
        made.append(Place(f"r{index:02d}", kind, number, views or shots))
    return made


def visits_of(design: Design, place: Place) -> list[int]:
    """Return which visit each view of a place belongs to: the first views to one, the last to another, in most."""
    rng = generator(design.seed, "when", place.name)
    if place.views < 3 or rng.random() < 0.3:
        return [0] * place.views
    first = int(rng.integers(1, place.views))
    return [0] * first + [1] * (place.views - first)


def scene(design: Design, catalogue: Catalogue, place: Place, number: int) -> Scene:
    """Build a place as it stands at a visit. Bathrooms and rooms of one number have visits of their own."""
    builder = BUILDERS[place.kind]
    return builder(design, catalogue, place.number, visit(design, place.number + 100 * len(place.kind), number))


def numbering(scenes: list[Scene]) -> dict[str, int]:
    """Number the instances of a place: the same thing has the same number at every visit. People start at PERSON."""
    names = sorted({thing.name for one in scenes for thing in one.things})
    return {name: index + 1 for index, name in enumerate(names)} | {f"person {i}": PERSON + i for i in range(4)}


def shots(design: Design, catalogue: Catalogue, place: Place, scenes: dict[int, Scene], px: int) -> list[Shot]:
    """Draw the views of a place: half of them with people in front where there are models of people."""
    made: list[Shot] = []
    order = visits_of(design, place)
    share = 0.25 if place.kind == "bathroom" else 0.6
    for number, stage in scenes.items():
        rng = generator(design.seed, "shots", place.name, number)
        for camera in cameras(stage, order.count(number), px, rng, [shot.camera for shot in made]):
            index = len(made)
            group = people(stage, camera, catalogue, rng) if not catalogue.only_cc0 and rng.random() < share else ()
            dark = visit(design, place.number + 100 * len(place.kind), number).time in ("dusk", "night")
            flash = float(rng.uniform(1.0, 6.0)) if rng.random() < (0.25 if dark else 0.08) else 0.0
            made.append(Shot(f"{place.name}-v{index}", number, camera, group, flash, int(rng.integers(2**31))))
    return made
