"""``imgmatch known``: lists of known files, by their hashes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from cli.options.common import CaseArg, open_case
from cli.options.output import Output
from cli.render.notes import note
from cli.render.progress import count_progress
from indexer.intake.csvfile import printable


def import_(
    case: CaseArg,
    path: Annotated[Path, typer.Argument(metavar="LIST", help="Text, CSV, NSRL RDS (2 or 3), VICS JSON, PDQ.")],
    kind: Annotated[
        str, typer.Option("--as", metavar="ignore|known|alert", help="What to do with files that it names.")
    ],
    name: Annotated[str, typer.Option("--name", help="What to call the list.")],
    pdq: Annotated[
        bool, typer.Option("--pdq", help="Its 64 digits are PDQ hashes, not SHA-256; known or alert only.")
    ] = False,
    distance: Annotated[
        int, typer.Option("--distance", min=0, max=255, metavar="BITS", help="Within how many bits PDQ hashes match.")
    ] = 31,
    *,
    out: Output,
) -> None:
    """Import a list: files that it names are ignored, marked as known, or raise an alert."""
    from indexer.intake.known import import_list

    with open_case(case) as opened, count_progress() as progress:
        done = import_list(opened, path, kind, name, pdq=pdq, distance=distance, progress=progress)
    out.one(done)
    if done.malformed:
        note(f"imgmatch: {path}: {done.malformed} lines hold no hash, the first: {printable(done.examples[0])}")
    if done.items:
        note(f"{done.items} items of the case are on it; see: imgmatch known match {case} --name {name!r}")


def list_(case: CaseArg, *, out: Output) -> None:
    """The lists of a case."""
    with open_case(case) as opened, opened.use("known list") as use:
        rows = [dataclasses.asdict(row) for row in use.catalogue.lists.all()]
    columns = ["name", "kind", "format", "hashes", "malformed", "distance", "imported_utc", "source"]
    out.many(rows, columns, ["sha256"])


def remove(case: CaseArg, name: Annotated[str, typer.Argument(metavar="NAME", help="Which list.")]) -> None:
    """Forget a list. What it had left out is read by the next ingest."""
    from indexer.intake.known import remove_list

    with open_case(case) as opened:
        count = remove_list(opened, name)
    note(f"{name}: removed, with {count:,} hashes")


def match(
    case: CaseArg,
    name: Annotated[str | None, typer.Option("--name", help="Only this list.")] = None,
    kind: Annotated[
        str | None, typer.Option("--as", metavar="ignore|known|alert", help="Only lists of this kind.")
    ] = None,
    *,
    out: Output,
) -> None:
    """Which items and files of a case are on its lists, also on lists imported after them."""
    from indexer.intake.known import listed

    with open_case(case) as opened:
        records = (
            {
                "kind": found.hit.kind,
                "list": found.hit.name,
                "category": found.hit.category,
                "by": found.hit.by,
                "distance": found.hit.distance,
                "item_id": found.item_id,
                "path": found.locator.path,
                "place": found.locator.words,
                "sightings": found.sightings,
                "sha256": found.sha256,
                "locator": str(found.locator),
            }
            for found in listed(opened, kind, name)
        )
        columns = ["kind", "list", "category", "by", "distance", "item_id", "path", "sightings"]
        out.many(records, columns, ["sha256", "locator"])
