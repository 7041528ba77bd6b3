"""Photographs and queries of a demonstration: rendered rooms, which show nobody."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from imgmatch.lab.alterations import alter
from imgmatch.lab.rooms import Room

_STYLES = ("Hotel Aurora", "Hotel Belmont", "Harbour Inn")
_ALTERED = ("crop_quarter", "jpeg_20", "mirror", "person", "collage_inset")
_VIEW_PX = (640, 480)


def render_demonstration(folder: Path, rooms: int) -> dict[str, str]:
    """Write ``photographs`` of rooms, each seen from three positions, ``labels.csv``, and ``queries``: of some rooms
    another view with a person in the way, and altered copies. The same every time.

    Returns the room's folder that each query, by its file name, belongs to.
    """
    (folder / "queries").mkdir()
    truth = {}
    firsts = []
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "label", "room"])
        for number in range(rooms):
            style = number % len(_STYLES)
            views = Room.random(seed=number, style=style).views(4, seed=number, size_px=_VIEW_PX, min_overlap=0.2)
            name = f"room-{number + 1:02}"
            (folder / "photographs" / name).mkdir(parents=True)
            for position, view in enumerate(views[:3], start=1):
                place = f"photographs/{name}/view-{position}.jpg"
                _save(folder / place, view.pixels)
                writer.writerow([place, _STYLES[style], name])
            firsts.append(views[0].pixels)
            if number % 2 == 0:
                other_view = alter("person", views[3].pixels, seed=number)
                truth[_save(folder / "queries" / f"{name}-other-view-with-person.jpg", other_view)] = name
    for number, alteration in enumerate(_ALTERED):
        room = number % rooms
        name = f"room-{room + 1:02}"
        others = [firsts[(room + step) % rooms] for step in range(1, min(4, rooms))]
        altered = alter(alteration, firsts[room], seed=number, others=others)
        truth[_save(folder / "queries" / f"{name}-{alteration.replace('_', '-')}.jpg", altered)] = name
    return truth


def _save(path: Path, pixels: np.ndarray) -> str:
    Image.fromarray(pixels).save(path, quality=92)
    return path.name
