"""Rendered views as they are kept: a collection of them, and the small sample that comes with the package."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from imgmatch.types import Pixels

SAMPLE = Path(__file__).with_name("sample")
"""Six places of each of four hotels, three views a place, nobody in them: CC0 models and textures of our own."""


@dataclass(frozen=True)
class View:
    """One rendered view of a collection, as its manifest has it.

    ``place`` is what a photograph shows (a guest room, a bathroom, a corridor): views of one place are positives,
    places of one ``hotel`` are each other's hard negatives. ``kind`` is guest room, bathroom, corridor or lobby.
    ``fields`` is the whole line: intrinsics, pose, visit, people, lens, light, models and their licences, and
    ``instances``: of each name that is to be seen its number and how many pixels it has. A number is the same thing
    in all views of a place; those in ``movable`` need not stand where they stood at another visit.
    """

    folder: Path
    hotel: int
    place: str
    kind: str
    stem: str
    fields: dict[str, Any]

    @property
    def picture(self) -> Path:
        """The JPEG."""
        return self.folder / f"{self.stem}.jpg"

    def pixels(self) -> Pixels:
        """Return the picture, (rows, cols, 3) uint8."""
        with Image.open(self.picture) as opened:
            return np.array(opened.convert("RGB"))

    def geometry(self) -> tuple[npt.NDArray[np.float16], npt.NDArray[np.uint16]]:
        """Return depth along the optical axis in metres and instance numbers, each (rows, cols), an eighth of the
        picture's in the sample.
        """
        with np.load(self.folder / f"{self.stem}.npz") as arrays:
            return arrays["depth"], arrays["ids"]

    def intrinsics(self) -> npt.NDArray[np.float64]:
        """Return K (3, 3); pixel centres lie at halves."""
        return np.array(self.fields["intrinsics"])

    def pose(self) -> npt.NDArray[np.float64]:
        """Return world-from-camera (4, 4): x right, y down, z forward, in metres."""
        return np.array(self.fields["pose"])


KEPT_ASIDE = 3


def kept_aside(view: View) -> bool:
    """Whether a view is of a hotel that is never trained on: each third, by number. Of those the ones with odd numbers
    validate a run.
    """
    return view.hotel % KEPT_ASIDE == 0


def views(collection: Path, whole_only: bool = True) -> Iterator[View]:
    """Yield the views of a collection in the order of hotels; only those of finished hotels unless told otherwise."""
    for folder in sorted(collection.glob("h[0-9]*")):
        if whole_only and not (folder / "whole").exists():
            continue
        for line in read_lines(folder / "views.jsonl"):
            yield View(folder, line["hotel"], line["place"], line["kind"], line["stem"], line)


def places(collection: Path = SAMPLE) -> dict[tuple[int, str], list[View]]:
    """Views by the place they show, as (hotel, place): the first place of each hotel first, then the second of each."""
    found: dict[tuple[int, str], list[View]] = {}
    for view in views(collection):
        found.setdefault((view.hotel, view.place), []).append(view)
    return dict(sorted(found.items(), key=lambda entry: (entry[0][1], entry[0][0])))


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of a manifest that are whole."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return
    for line in text.split("\n")[:-1]:
        try:
            yield json.loads(line)
        except ValueError:
            continue
