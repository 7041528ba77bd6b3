"""``imgmatch overview``: what is tied to what in one case or several, as a page, a table, JSON or CSV."""

from __future__ import annotations

import enum
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from cli.options.asked import AskedOptions
from cli.options.common import IsolationOpt, LanguageOpt, ModelOpt, decode_soon, open_case, spec_of
from cli.options.output import OutputOpt, format_of
from cli.options.pack import IdentityOpt
from cli.options.query import MaxFmrOpt, no_background
from cli.render.formats import Format, emit, emit_one
from cli.render.notes import note
from cli.render.progress import count_progress
from imgmatch.errors import UsageError


class OverviewFormat(enum.StrEnum):
    """What can be written."""

    html = "html"
    table = "table"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"


def overview(
    cases: Annotated[
        list[Path],
        typer.Argument(metavar="CASE...", help="Cases; a pack may be any but the first. Those are only read."),
    ],
    output: OutputOpt = None,
    format: Annotated[
        OverviewFormat | None,
        typer.Option("--format", help="How to write it (default: as the name of --output ends, else a table)."),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option("--column", help="A column of labels that names what is tied (default: by their names)."),
    ] = None,
    least: Annotated[float, typer.Option(help="Least similarity of two pictures, 0..1.")] = 0.6,
    top: Annotated[int, typer.Option(min=1, max=100_000, help="How many pairs to look at, the nearest ones.")] = 1000,
    verify: Annotated[bool, typer.Option("--verify/--no-verify", help="Ask geometry about each pair.")] = True,
    max_fmr: MaxFmrOpt = None,
    thumbnails: Annotated[
        bool, typer.Option("--thumbnails", help="html: small pictures too, blurred; recorded.")
    ] = False,
    language: LanguageOpt = None,
    isolation: IsolationOpt = True,
    model: ModelOpt = None,
    identity: IdentityOpt = None,
    *,
    asked: AskedOptions,
) -> None:
    """Which places, cameras, advertisements, telephone numbers and accounts are tied by which matches: leads, as a
    graph and tables, in one case or several.
    """
    from indexer.out.atomic import whole_file
    from indexer.out.exchange.unpack import open_other
    from indexer.out.overview.gathering import OverviewRequest
    from indexer.out.overview.making import overviewed
    from indexer.out.overview.page import write_page
    from indexer.out.overview.records import GROUNDS, SUMMARY, grounds, records, whole

    page = output is not None and output.suffix.lower() in (".html", ".htm")
    written = format or OverviewFormat.html if page else format or OverviewFormat(format_of(output))
    if written is OverviewFormat.html and output is None:
        raise UsageError("--format html is one file; name it with --output FILE.html")
    if thumbnails and written is not OverviewFormat.html:
        raise UsageError(f"--thumbnails is for --format html, not {written}; leave it out")
    request = OverviewRequest(least, top, verify, max_fmr, tuple(column or ()))
    arguments = {"format": written.value, "thumbnails": thumbnails, "output": str(output) if output else None}
    with open_case(cases[0]) as case, ExitStack() as stack:
        asked.tell(case)
        if verify or thumbnails:
            decode_soon(isolation)
        spec = spec_of(case, model)
        others = {str(path): stack.enter_context(open_other(path, spec, identity)) for path in cases[1:]}
        progress = stack.enter_context(count_progress())
        if written is OverviewFormat.html and output is not None:
            file = stack.enter_context(whole_file(output))
        made = stack.enter_context(overviewed(case, others, spec, request, arguments, progress=progress))
        if made.backgrounds[0] is None:
            no_background(case)
        if written is OverviewFormat.html and output is not None:
            digest = write_page(made, file, output, spec, thumbnails=thumbnails)
            note(f"{output}: ties {len(made.ties):,}, matches {len(made.found.pairs):,}; SHA-256 {digest}")
        elif written is OverviewFormat.json:
            emit_one(whole(made), Format.json, output)
        elif written is OverviewFormat.csv:
            emit(grounds(made), GROUNDS, Format.csv, output)
        else:
            emit(records(made), SUMMARY, Format(written.value), output)
        for line in made.left_out:
            note(f"imgmatch: left out: {line}")
