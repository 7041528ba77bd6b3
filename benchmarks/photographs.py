"""The development photographs: houses, places, rooms. Never part of the project; IMGMATCH_DATA says where they are."""

from __future__ import annotations

import argparse
import csv
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from imgmatch.errors import UsageError
from imgmatch.lab.hotels.geometry import correspondences
from imgmatch.lab.hotels.views import SAMPLE, View
from imgmatch.lab.hotels.views import places as rendered_places
from imgmatch.picture.image import decode
from imgmatch.types import Image

HOUSES_DOUBLES = (
    ("11_frontal.jpg", "30_frontal.jpg"),
    ("12_bathroom.jpg", "12_bedroom.jpg"),
    ("12_frontal.jpg", "32_frontal.jpg"),
    ("9_bathroom.jpg", "21_bathroom.jpg"),
)
"""The same photograph twice among the houses, looked at one by one; only the second pair is equal byte for byte."""

DOUBLES = (
    ("houses/59_bathroom.jpg", "rooms/houses/72_bathroom.jpg"),
    ("houses/59_kitchen.jpg", "rooms/houses/72_kitchen.jpg"),
)
"""The same thing twice in houses/ and rooms/, by the names that ``name`` gives, looked at one by one."""


def data_folder() -> Path:
    """The folder of the photographs. Raises UsageError where there is none."""
    folder = Path(os.environ.get("IMGMATCH_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (folder / "houses").is_dir():
        raise UsageError(f"{folder}: no development photographs there; set IMGMATCH_DATA to their folder")
    return folder


def houses() -> list[Path]:
    """240 photographs of 60 houses: bathroom, bedroom, front, kitchen."""
    return sorted((data_folder() / "houses").glob("*.jpg"))


def places() -> list[tuple[Path, str, str]]:
    """Photographs with the place each shows, two a place, and whether it is indoor or outdoor."""
    folder = data_folder() / "places"
    with (folder / "places.csv").open(encoding="utf-8", newline="") as file:
        return [(folder / row["file"], row["place"], row["environment"]) for row in csv.DictReader(file)]


def rooms(limit: int | None = None) -> list[Path]:
    """Photographs of rooms, of many sets, spread evenly when limited."""
    folder = data_folder() / "rooms"
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        paths = [folder / row["file"] for row in csv.DictReader(file)]
    return paths if limit is None else paths[:: max(1, len(paths) // limit)][:limit]


def alike(limit: int) -> list[Path]:
    """Bathrooms, kitchens and bedrooms of rooms/, which have much in common, in the manifest's order: it begins with
    those of the source of houses/, the hardest.
    """
    folder = data_folder() / "rooms"
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        paths = [folder / r["file"] for r in csv.DictReader(file) if r["class"] in ("bathroom", "kitchen", "bedroom")]
    return paths[:limit]


def name(path: Path) -> str:
    """A photograph's name within the development photographs."""
    return path.relative_to(data_folder()).as_posix()


def pictures(paths: Sequence[Path], min_side_px: int = 448) -> Iterator[Image]:
    """Decode files one after the other, to sides of at least so many pixels; ingest decodes to the network's input."""
    for path in paths:
        yield decode(path.read_bytes(), min_side_px=min_side_px)


def add_hotels(parser: argparse.ArgumentParser) -> None:
    """Add the option for a collection of rendered hotels."""
    parser.add_argument("--hotels", type=Path, default=SAMPLE, help="rendered hotels (default: the small sample)")


def rendered_rooms(collection: Path, views: int = 2, shared: float = 0.15) -> list[list[View]]:
    """So many views of each rendered place that has them: the first, and those that share most with it, of which each
    shares at least so much.
    """
    found = []
    for first, *others in rendered_places(collection).values():
        shares = [(correspondences(first, other)[1], other) for other in others]
        near = sorted((pair for pair in shares if pair[0] >= shared), key=lambda pair: -pair[0])
        if len(near) >= views - 1:
            found.append([first, *(other for _, other in near[: views - 1])])
    return found
