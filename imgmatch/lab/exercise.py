"""Photographs of an exercise case: rendered hotels, three telephones, two advertisements. They show nobody.

The photographs are the same for every seed, so that what is to be found can be found. The seed draws the names:
which hotel is called what, which telephone is A, B or C, and the number of each photograph; so an answer can't be
passed on to somebody with another seed.
"""

from __future__ import annotations

import csv
import random
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from imgmatch.lab.alterations import alter
from imgmatch.lab.hotels.views import View, places

_HOTELS = ("Hotel Aurora", "Hotel Belmont", "Harbour Inn", "Station House")
_TABLE = ((0, "r01"), *((hotel, place) for hotel in range(4) for place in ("r00", "r03", "r05")))
"""Places that the table of hotels shows, by hotel and place: the views of them that no telephone has."""
_TOLD = (0, "r02")
"""The room of the advertisement: two telephones saw it. The table shows other rooms of its hotel, not this one."""
_PHONES = (
    ((0, "r02", 0), (1, "r01", 0), (1, "r01", 2), (3, "r02", 1), (3, "r02", 2)),
    ((0, "r02", 2), (2, "r01", 0), (2, "r01", 2), (3, "r01", 0), (3, "r01", 1)),
    ((0, "r01", 0), (1, "r02", 0), (1, "r02", 1), (2, "r02", 0), (2, "r02", 2)),
)
"""By hotel, place and view. The first two saw the room of the advertisement; the third another room of the same hotel,
with the same furniture, which geometry takes for it.
"""
_ADVERTISEMENTS = {"advertisement.jpg": (0, "r02", 1), "second-advertisement.jpg": (1, "r01", 1)}
_IN_THE_WAY = "advertisement.jpg"
"""A person is drawn into this one."""


@dataclass(frozen=True, slots=True)
class Roles:
    """What is to be found: the hotel of the advertisement, the telephones that saw its room, the photograph that one
    searches with and the one that is found though it shows another room, as paths below the folder; and the hotel of
    the second advertisement, which no search tells.
    """

    hotel: str
    phones: tuple[str, str]
    asked: str
    false_hit: str
    untold: str


def roles(seed: int) -> Roles:
    """What is to be found in the exercise of a seed."""
    names, letters, files = _names(seed)
    first, second = (letters[index] for index in (0, 1))
    return Roles(
        names[_TOLD[0]],
        (min(first, second), max(first, second)),
        files[_PHONES[0][0]],
        files[_PHONES[2][0]],
        names[_ADVERTISEMENTS["second-advertisement.jpg"][0]],
    )


def write_photographs(folder: Path, seed: int) -> None:
    """Write ``hotels`` with ``hotels.csv``, ``evidence`` with a folder for each telephone, and ``queries``."""
    names, letters, files = _names(seed)
    found = places()
    with (folder / "hotels.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "label", "room"])
        for hotel, place in sorted(_TABLE, key=lambda key: names[key[0]]):
            for position, view in enumerate(found[hotel, place], start=1):
                if (hotel, place, position - 1) in files:
                    continue
                target = f"hotels/{names[hotel].lower().replace(' ', '-')}-{place[1:]}-{position}.jpg"
                _keep(view, folder / target, "")
                writer.writerow([target, names[hotel], place[1:]])
    for index, taken in enumerate(_PHONES):
        for hotel, place, number in taken:
            at = folder / files[hotel, place, number]
            _keep(found[hotel, place][number], at, f"Example {letters[index]}")
    (folder / "queries").mkdir()
    for name, (hotel, place, number) in _ADVERTISEMENTS.items():
        pixels = found[hotel, place][number].pixels()
        if name == _IN_THE_WAY:
            pixels = alter("person", pixels, seed=3)
        Image.fromarray(pixels).save(folder / "queries" / name, quality=85)


def _names(seed: int) -> tuple[list[str], list[str], dict[tuple[int, str, int], str]]:
    """Names of the hotels and letters of the telephones by their numbers, and where each photograph of one lies."""
    drawn = random.Random(seed)
    names, letters = list(_HOTELS), list("ABC")
    drawn.shuffle(names)
    drawn.shuffle(letters)
    files = {}
    for letter, taken in zip(letters, _PHONES, strict=True):
        numbers = iter(sorted(drawn.sample(range(1000, 10_000), len(taken))))
        order = list(taken)
        drawn.shuffle(order)
        files.update({one: f"evidence/phone-{letter}/IMG_{next(numbers)}.jpg" for one in order})
    return names, letters, files


def _keep(view: View, target: Path, camera: str) -> None:
    """A photograph as it was rendered, with the model of its camera where one took it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    about = Image.Exif()
    if camera:
        about[0x0110] = camera
    with Image.open(view.picture) as opened:
        opened.save(target, quality="keep", exif=about)
