"""``imgmatch import``: what other offices' programs wrote, into a case."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from cli.options import CaseArg, OutputOpt
from cli.progress import count_progress, note
from cli.render import Format, emit_one


class ImportFormat(enum.StrEnum):
    """What can be read."""

    vics = "vics"


def import_(
    case: CaseArg,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File to read; never written to.", show_default=False)],
    format: Annotated[ImportFormat, typer.Option("--format", help="What FILE is.")] = ImportFormat.vics,
    print_format: Annotated[Format, typer.Option("--print", help="How to write the result.")] = Format.table,
    output: OutputOpt = None,
) -> None:
    """Bring in known media by hash: pictures of the case that they are of are labelled, now and later."""
    import dataclasses

    from indexer.case.case import Case
    from indexer.out.exchange.vics import import_vics

    with Case.open(case) as opened, count_progress() as progress:
        done = import_vics(opened, file, progress=progress)
    emit_one({"file": str(file), **dataclasses.asdict(done)}, print_format, output)
    if done.faults:
        note(f"{done.faults} fields or records could not be used; see: imgmatch issues {case}")
