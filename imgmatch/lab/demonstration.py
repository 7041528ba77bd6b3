"""Photographs and queries of a demonstration: rendered hotels, which show nobody."""

from __future__ import annotations

import csv
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

from imgmatch.lab.alterations import alter
from imgmatch.lab.hotels.views import places

if TYPE_CHECKING:
    from pathlib import Path

    from imgmatch.types import Pixels

_NAMES = ("Hotel Aurora", "Hotel Belmont", "Harbour Inn", "Station House")
_ALTERED = ("crop_quarter", "jpeg_20", "mirror", "person", "collage_inset")
_WITHHELD = "r03"
"""A guest room of each hotel that the case doesn't hold: which hotel it is in, the others must tell."""


@dataclass(frozen=True)
class Demonstration:
    """What the queries show, by their file names: ``rooms`` the folder of their room, ``hotels`` the label of a room
    that was left out.
    """

    rooms: dict[str, str]
    hotels: dict[str, str]


def write_demonstration(folder: Path, rooms: int) -> Demonstration:
    """Write ``photographs`` of rooms, each seen from two positions, ``labels.csv``, and queries: in ``queries`` of some
    rooms another view with a person in the way, and altered copies; in ``elsewhere`` rooms that are not among the
    photographs, of the same hotels. The same every time.
    """
    for name in ("queries", "elsewhere"):
        (folder / name).mkdir()
    told = Demonstration({}, {})
    firsts: list[tuple[str, Pixels]] = []
    found = places()
    kept = [key for key in found if key[1] != _WITHHELD][:rooms]
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "label", "room"])
        for number, (hotel, place) in enumerate(kept):
            views = found[hotel, place]
            name = f"{_NAMES[hotel].lower().replace(' ', '-')}-{place[1:]}"
            (folder / "photographs" / name).mkdir(parents=True)
            for position, view in enumerate(views[:2], start=1):
                target = f"photographs/{name}/view-{position}.jpg"
                shutil.copyfile(view.picture, folder / target)
                writer.writerow([target, _NAMES[hotel], name])
            firsts.append((name, views[0].pixels()))
            if number % 2 == 0:
                other = alter("person", views[2].pixels(), seed=number)
                told.rooms[_save(folder / "queries" / f"{name}-other-view-with-person.jpg", other)] = name
    for number, alteration in enumerate(_ALTERED):
        name, pixels = firsts[number % len(firsts)]
        others = [firsts[(number + step) % len(firsts)][1] for step in range(1, min(4, len(firsts)))]
        altered = alter(alteration, pixels, seed=number, others=others)
        told.rooms[_save(folder / "queries" / f"{name}-{alteration.replace('_', '-')}.jpg", altered)] = name
    for hotel in sorted({hotel for hotel, _ in kept}):
        for position, view in enumerate(found[hotel, _WITHHELD], start=1):
            name = f"{_NAMES[hotel].lower().replace(' ', '-')}-{position}.jpg"
            shutil.copyfile(view.picture, folder / "elsewhere" / name)
            told.hotels[name] = _NAMES[hotel]
    return told


def _save(path: Path, pixels: Pixels) -> str:
    Image.fromarray(pixels).save(path, quality=92)
    return path.name
