"""A complete small case from rendered rooms: what imgmatch does, on pictures that show nobody."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from imgmatch.errors import CaseError
from imgmatch.lab.alterations import alter
from imgmatch.lab.rooms import Room
from imgmatch.models import DEFAULT_MODEL, load_model
from indexer.case.case import Case
from indexer.intake.ingest import IngestConfig, ingest
from indexer.search.request import SearchRequest, SearchResult
from indexer.search.searcher import Searcher

MARKER = ".imgmatch-demo"
_STYLES = ("Hotel Aurora", "Hotel Belmont", "Harbour Inn")
_ALTERED = ("crop_quarter", "jpeg_20", "mirror", "person", "collage_inset")
_VIEW_PX = (640, 480)


@dataclass(frozen=True, slots=True)
class Demo:
    """Where everything lies, what the search found, and how many queries have the right room in first place."""

    photographs: Path
    queries: Path
    case: Path
    results: list[SearchResult]
    right: int


def make_demo(folder: Path, rooms: int, say: Callable[[str], None]) -> Demo:
    """Render rooms seen from three positions each, make queries of them (another view with a person in the way, altered
    copies), then init, ingest and search. The same every time. Replaces an earlier demo in ``folder``.

    Raises CaseError when ``folder`` holds anything else.
    """
    _clear(folder)
    photographs, queries = folder / "photographs", folder / "queries"
    say(f"Rendering {rooms} rooms ...")
    truth = _render(photographs, queries, folder / "labels.csv", rooms)
    embedder = load_model(DEFAULT_MODEL, device="cpu", threads=1)
    about = {"purpose": "demonstration with rendered rooms", "authority": "none needed", "examiner": "imgmatch demo"}
    with Case.create(folder / "case", model=embedder.spec, about=about) as case:
        report = ingest(case, [photographs], embedder, IngestConfig(labels=folder / "labels.csv"))
        say(f"Ingested {report.new_items} photographs of {rooms} rooms; searching with {len(truth)} queries ...")
        results = list(Searcher(case, embedder).search([queries], SearchRequest(3)))
    right = sum(
        truth[Path(result.locator.at).name] == Path(result.matches[0].sightings[0].locator.at).parent.name
        for result in results
    )
    return Demo(photographs, queries, folder / "case", results, right)


def _clear(folder: Path) -> None:
    if folder.exists():
        if not (folder / MARKER).is_file() and any(folder.iterdir()):
            raise CaseError(f"{folder}: not empty and not an earlier demo; choose another folder")
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / MARKER).touch()


def _render(photographs: Path, queries: Path, labels: Path, rooms: int) -> dict[str, str]:
    """Write the pictures and labels; returns the room folder that each query belongs to."""
    queries.mkdir()
    truth = {}
    firsts = []
    with labels.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "label", "room"])
        for number in range(rooms):
            style = number % len(_STYLES)
            views = Room.random(seed=number, style=style).views(4, seed=number, size_px=_VIEW_PX, min_overlap=0.2)
            name = f"room-{number + 1:02}"
            (photographs / name).mkdir(parents=True)
            for position, view in enumerate(views[:3], start=1):
                Image.fromarray(view.pixels).save(photographs / name / f"view-{position}.jpg", quality=92)
                writer.writerow([f"photographs/{name}/view-{position}.jpg", _STYLES[style], name])
            firsts.append(views[0].pixels)
            if number % 2 == 0:
                other_view = alter("person", views[3].pixels, seed=number)
                truth[_save(queries / f"{name}-other-view-with-person.jpg", other_view)] = name
    for number, alteration in enumerate(_ALTERED):
        room = number % rooms
        others = [firsts[(room + step) % rooms] for step in range(1, min(4, rooms))]
        altered = alter(alteration, firsts[room], seed=number, others=others)
        truth[_save(queries / f"room-{room + 1:02}-{alteration.replace('_', '-')}.jpg", altered)] = (
            f"room-{room + 1:02}"
        )
    return truth


def _save(path: Path, pixels: object) -> str:
    Image.fromarray(pixels).save(path, quality=92)  # type: ignore[arg-type]
    return path.name
