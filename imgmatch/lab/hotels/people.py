"""People before the camera: standing in the room, sitting on a bed or the floor, lying on a bed. Adults, clothed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from imgmatch.lab.hotels.models import role_keys
from imgmatch.lab.hotels.scene import Thing, boxes

if TYPE_CHECKING:
    from imgmatch.lab.hotels.camera import Camera
    from imgmatch.lab.hotels.models import Catalogue
    from imgmatch.lab.hotels.scene import Scene

SEAT = {"sitFemale03": 0.47, "sitMale01": 0.45, "sitMale02": 0.58}
"""How high the seats are that those models sit on, in metres."""


def people(scene: Scene, camera: Camera, catalogue: Catalogue, rng: np.random.Generator) -> tuple[Thing, ...]:
    """Return one or two people in view of a camera, none where nobody finds room in a few tries."""
    placed: list[Thing] = []
    wanted = 1 if rng.random() < 0.75 else 2
    for _ in range(24):
        draw = rng.random()
        beds = [mark for name, mark in scene.marks.items() if name.startswith("bed ")]
        if beds and draw < 0.4:
            bed = beds[rng.integers(len(beds))]
            person = _on_bed(scene, bed, catalogue, rng, len(placed))
        else:
            person = _standing(camera, catalogue, rng, len(placed))
        if _fits(person, scene, camera, placed):
            placed.append(person)
        if len(placed) == wanted:
            break
    return tuple(placed)


def _thing(key: str, catalogue: Catalogue, index: int, at: tuple[float, float, float], turn: float) -> Thing:
    return Thing(f"person {index}", "model", at, catalogue[key].size, model=key, role="person", turn=turn, movable=True)


def _key(role: str, rng: np.random.Generator) -> str:
    keys = role_keys(role)
    return keys[rng.integers(len(keys))]


def _standing(camera: Camera, catalogue: Catalogue, rng: np.random.Generator, index: int) -> Thing:
    """Somebody on the floor 1 to 2.8 m before the camera, mostly looking at it."""
    away, side = float(rng.uniform(1.0, 2.8)), float(rng.uniform(-0.42, 0.42))
    heading = camera.heading() + side * camera.field_of_view
    x, y = camera.at[0] + away * math.cos(heading), camera.at[1] + away * math.sin(heading)
    # At turn 0 somebody looks south; towards the camera is the opposite of the way from it.
    towards = heading + math.pi + math.pi / 2
    turn = towards + float(rng.normal(0, 0.4) if rng.random() < 0.7 else rng.uniform(-math.pi, math.pi))
    role = "standing" if rng.random() < 0.9 else "on the ground"
    return _thing(_key(role, rng), catalogue, index, (x, y, 0.0), turn)


def _on_bed(
    scene: Scene, bed: tuple[float, float, float], catalogue: Catalogue, rng: np.random.Generator, index: int
) -> Thing:
    """Somebody who sits on the edge of a bed, on it, or lies on it."""
    parts = [thing for thing in scene.things if thing.name.startswith("bed ") and thing.shape == "soft"]
    frame = min(parts, key=lambda thing: math.dist(thing.at[:2], bed[:2]))
    x, y, top = bed[0], bed[1], frame.at[2] + frame.size[2]
    head = frame.turn
    draw = rng.random()
    if draw < 0.3:
        key = _key("lying", rng)
        # They lie along the bed with the head to either end, a little askew; who lies prone looks south at turn 0.
        along = head + (0 if rng.random() < 0.7 else math.pi) + float(rng.normal(0, 0.15))
        along += 0 if key.endswith("lyingDownMale01") else math.pi
        return _thing(key, catalogue, index, (x, y, top + 0.01), along)
    if draw < 0.6:
        return _thing(_key("on the ground", rng), catalogue, index, (x, y, top), float(rng.uniform(-math.pi, math.pi)))
    key = _key("sitting", rng)
    size = catalogue[key].size
    side = 1 if rng.random() < 0.5 else -1
    # Knees hang over the edge: two fifths of the figure lie on the bed.
    out = frame.size[0] / 2 + size[1] * 0.12
    turn = head + side * math.pi / 2
    at = (x + math.cos(head) * side * out, y + math.sin(head) * side * out, max(0.0, top - SEAT[key.split("/")[1]]))
    return _thing(key, catalogue, index, at, turn)


def _fits(person: Thing, scene: Scene, camera: Camera, others: list[Thing]) -> bool:
    """Whether somebody is in the room and in view, in nothing solid but what they sit on, and not in the camera."""
    low, high = person.bounds()
    # Arms and feet may come near the furniture: only the trunk counts.
    middle, half = (low + high) / 2, (high - low) / 2
    trunk = np.array([0.75, 0.75, 1.0])
    low, high = middle - half * trunk, middle + half * trunk
    if (low[:2] < 0.02).any() or (high[:2] > np.array(scene.size[:2]) - 0.02).any():
        return False
    bodies = [
        thing for thing in scene.things if thing.solid and not (person.at[2] > 0.05 and thing.name.startswith("bed "))
    ]
    if _overlaps(bodies, low + np.array([0, 0, 0.05]), high) or _overlaps(others, low, high):
        return False
    if person.at[2] <= 0.05 and "sit" in person.model and person.size[2] > 1.0:
        return False
    away = np.linalg.norm(np.maximum(np.maximum(low - camera.at, camera.at - high), 0))
    return bool(away > 0.6 and camera.sees((low + high) / 2))


def _overlaps(things: list[Thing], low: np.ndarray, high: np.ndarray) -> bool:
    return boxes(things).overlap(low, high)
