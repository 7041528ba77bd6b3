"""``imgmatch known``: lists of known files, by their hashes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import CaseArg, FormatOpt, OutputOpt
from cli.progress import count_progress, note
from cli.render import Format, emit, emit_one
from indexer.intake.csvfile import printable

if TYPE_CHECKING:
    from indexer.intake.ingest import IngestReport

known_app = typer.Typer(
    no_args_is_help=True, help="Lists of known files, by their hashes: what to ignore, what to tell."
)

NameOpt = Annotated[str | None, typer.Option("--name", help="Only this list.", show_default=False)]
MetaOpt = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FIELD[=VALUE]", help="Only items with this metadata, as camera_serial=0123; * ends a beginning."
    ),
]
OnListOpt = Annotated[
    list[str] | None,
    typer.Option("--list", metavar="NAME", help="Only items that this hash list names.", show_default=False),
]
ExcludeListOpt = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Not items that this hash list names.", show_default=False),
]
KindOpt = Annotated[
    str | None, typer.Option("--as", metavar="ignore|known|alert", help="Only lists of this kind.", show_default=False)
]


@known_app.command("import")
def import_(
    case: CaseArg,
    path: Annotated[
        Path,
        typer.Argument(metavar="LIST", help="Text, CSV, NSRL RDS (2 or 3), VICS JSON, PDQ.", show_default=False),
    ],
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
    format: FormatOpt = Format.table,
    output: OutputOpt = None,
) -> None:
    """Import a list: files that it names are ignored, marked as known, or raise an alert."""
    from indexer.case.case import Case
    from indexer.intake.known import import_list

    with Case.open(case) as opened, count_progress() as progress:
        done = import_list(opened, path, kind, name, pdq=pdq, distance=distance, progress=progress)
    emit_one(dataclasses.asdict(done), format, output)
    if done.malformed:
        note(f"imgmatch: {path}: {done.malformed} lines hold no hash, the first: {printable(done.examples[0])}")
    if done.items:
        note(f"{done.items} items of the case are on it; see: imgmatch known match {case} --name {name!r}")


@known_app.command("list")
def list_(case: CaseArg, format: FormatOpt = Format.table, output: OutputOpt = None) -> None:
    """The lists of a case."""
    from indexer.case.case import Case

    with Case.open(case) as opened:
        rows = [dataclasses.asdict(row) for row in opened.catalogue.lists.all()]
    columns = ["name", "kind", "format", "hashes", "malformed", "distance", "imported_utc", "source"]
    emit(rows, [*columns, *(["sha256"] if format is Format.csv else [])], format, output)


@known_app.command("remove")
def remove(
    case: CaseArg,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Which list.", show_default=False)],
) -> None:
    """Forget a list. What it had left out is read by the next ingest."""
    from indexer.case.case import Case
    from indexer.intake.known import remove_list

    with Case.open(case) as opened:
        count = remove_list(opened, name)
    note(f"{name}: removed, with {count:,} hashes")


@known_app.command("match")
def match(
    case: CaseArg,
    name: NameOpt = None,
    kind: KindOpt = None,
    format: FormatOpt = Format.table,
    output: OutputOpt = None,
) -> None:
    """Which items and files of a case are on its lists, also on lists imported after them."""
    from indexer.case.case import Case
    from indexer.intake.known import listed

    with Case.open(case) as opened:
        records = (
            {
                "kind": found.hit.kind,
                "list": found.hit.name,
                "category": found.hit.category,
                "by": found.hit.by,
                "distance": found.hit.distance,
                "item_id": found.item_id,
                "path": found.locator.path,
                "sightings": found.sightings,
                "sha256": found.sha256,
                "locator": str(found.locator),
            }
            for found in listed(opened, kind, name)
        )
        columns = ["kind", "list", "category", "by", "distance", "item_id", "path", "sightings"]
        emit(records, [*columns, *(["sha256", "locator"] if format is Format.csv else [])], format, output)


def tell_alerts(case: Path, report: IngestReport) -> None:
    """After an ingest: which files alert lists name."""
    if not report.alerts:
        return
    for alert in report.alerted:
        category = f", category {alert.category}" if alert.category else ""
        note(printable(f"ALERT {alert.name}{category}: {alert.locator.path or alert.locator}"))
    note(f"{report.alerts} files are on alert lists; see: imgmatch known match {case} --as alert")
