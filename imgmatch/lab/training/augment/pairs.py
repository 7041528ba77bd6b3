"""Pairs of views, each a chain of what may happen to a picture, or a room."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from imgmatch.lab.training.augment.geometry import (
    Generator,
    Pixels,
    Points,
    Shown,
    Source,
    between,
    box,
    crop,
    log_between,
    other_viewpoint,
    shown,
    tilt,
    turn,
    whole,
)
from imgmatch.lab.training.augment.light import (
    blur,
    colour,
    darken,
    filters,
    grey,
    jpeg,
    lamp,
    light,
    noise,
    sharpen,
    shrink,
)
from imgmatch.lab.training.augment.things import ghost, inset, person, screenshot, stickers, text

Views = tuple[Shown, Shown]
Fillers = tuple[Pixels, Pixels]


@dataclass(frozen=True, slots=True)
class PairMix:
    """How often each kind of pair is drawn among single pictures; rendered and labelled pairs come on top."""

    copy: float = 0.66
    viewpoint: float = 0.2
    overlap: float = 0.14


def mild(rng: Generator, source: Source, size: int) -> Shown:
    """As a gallery holds it: the whole picture or nearly, a little recompressed."""
    corners = whole(source.aspect) if rng.random() < 0.6 else crop(rng, source.aspect, 0.6, 1.0)
    view = shown(rng, source, corners, size, None)
    image = view.pixels
    if rng.random() < 0.4:
        image = light(rng, image, 0.4)
    if rng.random() < 0.3:
        image = jpeg(rng, image, 35, 95)
    return view.look(image)


def geometry(rng: Generator, source: Source, size: int, filler: Pixels | None) -> Shown:
    """Crop, turn, mirror and tilt: the geometric half of a strong alteration."""
    way = rng.random()
    mirrored = rng.random() < 0.35
    quarter = int(rng.integers(1, 4)) if rng.random() < 0.2 else 0
    aspect = source.aspect
    if way < 0.40:  # small crops are the hardest single alteration: many of them
        corners = crop(rng, aspect, 0.07, 0.32)
    elif way < 0.62:
        corners = crop(rng, aspect, 0.25, 1.0)
    elif way < 0.76:
        corners = whole(
            aspect, between(rng, -180, 180) if rng.random() < 0.4 else rng.normal(0, 18), rng.random() < 0.6
        )
        return shown(rng, source, turn(corners, 0, mirrored), size, filler)
    elif way < 0.88:
        part = crop(rng, aspect, 0.2, 0.9)
        centre, (wide, high) = part.mean(0), part[2] - part[0]
        corners = box(centre[0], centre[1], wide, high, rng.normal(0, 20))
    else:
        corners = whole(aspect)
    if rng.random() < 0.25:
        corners = tilt(rng, corners, 0.22)
    return shown(rng, source, turn(corners, quarter, mirrored), size, filler)


def strong(rng: Generator, source: Source, size: int, fillers: Fillers) -> Shown:
    """A chain of alterations, from none but geometry to six at once."""
    view = geometry(rng, source, size, fillers[0])
    image = view.pixels
    if rng.random() < 0.35:
        image = person(rng, image, fillers[1])
    if rng.random() < 0.5:
        image = light(rng, image, 1.0)
    if rng.random() < 0.35:
        image = colour(rng, image, 1.0)
    view = view.look(image)
    chances: tuple[tuple[float, Callable[[Shown], Pixels | Shown]], ...] = (
        (0.10, lambda view: lamp(rng, view.pixels)),
        (0.12, lambda view: grey(rng, view.pixels)),
        (0.08, lambda view: darken(rng, view.pixels)),
        (0.04, lambda view: filters(rng, view.pixels)),
        (0.05, lambda view: ghost(rng, view.pixels, fillers[1])),
        (0.10, lambda view: inset(rng, view, fillers[1])),
        (0.12, lambda view: screenshot(rng, view)),
        (0.14, lambda view: text(rng, view.pixels)),
        (0.10, lambda view: stickers(rng, view.pixels)),
        (0.18, lambda view: blur(rng, view.pixels)),
        (0.06, lambda view: sharpen(rng, view.pixels)),
        (0.12, lambda view: noise(rng, view.pixels, 1.0)),
        (0.14, lambda view: shrink(rng, view.pixels)),
        (0.35, lambda view: jpeg(rng, view.pixels)),
    )
    for chance, alter in chances:
        if rng.random() < chance:
            made = alter(view)
            view = made if isinstance(made, Shown) else view.look(made)
    return view


def _atmosphere(rng: Generator, view: Shown, filler: Pixels, people: float) -> Shown:
    """Another day in the same room: light, colour balance, camera, and perhaps a person."""
    image = view.pixels
    if rng.random() < people:
        image = person(rng, image, filler, 1.3)
    if rng.random() < 0.8:
        image = light(rng, image, 0.8)
    if rng.random() < 0.35:
        image = lamp(rng, image)
    if rng.random() < 0.3:
        image = colour(rng, image, 0.5)
    if rng.random() < 0.15:
        image = blur(rng, image)
    if rng.random() < 0.2:
        image = noise(rng, image, 0.6)
    return view.look(jpeg(rng, image, 20, 95) if rng.random() < 0.3 else image)


def pair(rng: Generator, source: Source, size: int, fillers: Fillers, mix: PairMix) -> Views:
    """Two views of one picture, each (size, size, 3). ``fillers`` are other pictures of the set."""
    way = rng.random() * (mix.copy + mix.viewpoint + mix.overlap)
    # The stored shape is often wrong (squashed by whoever made the set), and rotation and crops depend on it.
    source = Source(source.pixels, float(np.clip(source.aspect * log_between(rng, 0.7, 1.45), 0.5, 2.2)))
    if way < mix.copy:
        first = mild(rng, source, size) if rng.random() < 0.7 else strong(rng, source, size, fillers[::-1])
        return first, strong(rng, source, size, fillers)
    if way < mix.copy + mix.viewpoint:
        if rng.random() < 0.6:
            first = mild(rng, source, size)
        else:
            moved = Shown(other_viewpoint(rng, source, size, fillers[1], 0.6), None)
            first = _atmosphere(rng, moved, fillers[1], 0.1)
        moved = Shown(other_viewpoint(rng, source, size, fillers[0]), None)
        return first, _atmosphere(rng, moved, fillers[0], 0.4)
    first_box, second_box = _overlapping(rng, source.aspect)
    first = shown(rng, source, tilt(rng, first_box, 0.1), size, fillers[0])
    second = shown(rng, source, tilt(rng, second_box, 0.18), size, fillers[1])
    return _atmosphere(rng, first, fillers[0], 0.05), _atmosphere(rng, second, fillers[1], 0.3)


def _overlapping(rng: Generator, aspect: float) -> tuple[Points, Points]:
    """Two boxes that share at least a third of the smaller one."""
    for _ in range(20):
        first, second = crop(rng, aspect, 0.25, 0.75), crop(rng, aspect, 0.2, 0.75)
        shared = np.prod(np.clip(np.minimum(first[2], second[2]) - np.maximum(first[0], second[0]), 0, None))
        if shared >= 0.35 * min(np.prod(first[2] - first[0]), np.prod(second[2] - second[0])):
            break
    else:
        second = first
    return first, second


def room_pair(rng: Generator, first: Source, second: Source, size: int, fillers: Fillers) -> Views:
    """Two pictures of one room (rendered, or labelled the same), each lightly altered, with people in the way."""
    views = []
    for source, filler, people in ((first, fillers[0], 0.1), (second, fillers[1], 0.45)):
        part = crop(rng, source.aspect, 0.55, 1.0) if rng.random() < 0.5 else whole(source.aspect)
        view = shown(rng, source, tilt(rng, part, 0.08) if rng.random() < 0.3 else part, size, filler)
        views.append(_atmosphere(rng, view, filler, people))
    return views[0], views[1]
