"""``imgmatch demo``: what imgmatch does, on pictures that show nobody."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from cli.render.formats import Format
from cli.render.notes import note
from imgmatch.errors import CaseError

MARKER = ".imgmatch-demo"


def demo(
    folder: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="Where to put it; an earlier demo is replaced.")
    ] = Path("imgmatch-demo"),
    rooms: Annotated[int, typer.Option(min=2, max=20, help="How many rooms to take.")] = 20,
) -> None:
    """Make a complete small case from rooms of rendered hotels: init, ingest, search."""
    from cli.render.search import emit_search
    from imgmatch.lab.demonstration import write_demonstration
    from imgmatch.models import DEFAULT_MODEL, load_model
    from indexer.case.case import Case
    from indexer.intake.ingest import IngestConfig, ingest
    from indexer.search import sets
    from indexer.search.request import SearchRequest
    from indexer.search.searcher import Searcher

    _clear(folder)
    photographs, queries, results_file = folder / "photographs", folder / "queries", folder / "results.jsonl"
    demonstration = write_demonstration(folder, rooms)
    embedder = load_model(DEFAULT_MODEL, device="cpu", threads=1)
    about = {"purpose": "demonstration with rendered rooms", "authority": "none needed", "examiner": "imgmatch demo"}
    with Case.create(folder / "case", model=embedder.spec, about=about) as case:
        report = ingest(case, [photographs], embedder, IngestConfig(labels=folder / "labels.csv"))
        asked = len(demonstration.rooms) + len(demonstration.hotels)
        note(f"Ingested {report.new_items} photographs of {rooms} rooms; searching with {asked} queries ...")
        searcher = Searcher(case, embedder)
        results = list(searcher.search([queries], SearchRequest(3)))
        elsewhere = searcher.search([folder / "elsewhere"], SearchRequest(sets.depth(1)))
        hotels = [sets.by_label(result, "label", 1) for result in elsewhere]
    emit_search(results, Format.jsonl, results_file)
    emit_search(results, Format.table, None)
    right = sum(
        demonstration.rooms[Path(result.locator.at).name] == Path(result.matches[0].sightings[0].locator.at).parent.name
        for result in results
    )
    note(f"{right} of {len(results)} queries have their own room in first place.")
    right = sum(demonstration.hotels[Path(found.result.locator.at).name] == found.labels[0].label for found in hotels)
    note(f"{right} of {len(hotels)} photographs of rooms that are not in the case have their hotel in first place.")
    note(f"Photographs: {photographs}")
    note(f"Queries:     {queries}")
    note(f"Case:        {folder / 'case'}")
    note(f"Results:     {results_file}")
    note(f"Try it:      imgmatch search {folder / 'case'} {queries} -k 5")
    note(f"Which hotel: imgmatch search {folder / 'case'} {folder / 'elsewhere'} --by label -k 4")


def _clear(folder: Path) -> None:
    """An empty folder. Raises CaseError when it holds anything but an earlier demo."""
    if folder.exists():
        if not (folder / MARKER).is_file() and any(folder.iterdir()):
            raise CaseError(f"{folder}: not empty and not an earlier demo; choose another folder")
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / MARKER).touch()
