"""``imgmatch export``: what leaves a case, in the form that its reader expects."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.matches import no_background
from cli.options import CaseArg, ModelOpt
from cli.progress import note
from imgmatch.errors import UsageError

if TYPE_CHECKING:
    from indexer.search import SearchResult

RevealOpt = Annotated[
    bool, typer.Option("--reveal", help="Report: let a reader show pictures, one at a time; recorded.")
]
NoImagesOpt = Annotated[bool, typer.Option("--no-images", help="Report: hashes and numbers only.")]


class ExportFormat(enum.StrEnum):
    """What can be written."""

    html = "html"


def export(
    case: CaseArg,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write: a new folder.", show_default=False)],
    queries: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[QUERY...]", help="Pictures or folders to search with.", show_default=False),
    ] = None,
    format: Annotated[ExportFormat, typer.Option("--format", help="What to write.")] = ExportFormat.html,
    k: Annotated[int, typer.Option("-k", min=1, max=10_000, help="Leads a query.")] = 10,
    model: ModelOpt = None,
    reveal: RevealOpt = False,
    no_images: NoImagesOpt = False,
) -> None:
    """Write a report of a case, and of a search with each query, verified and with false-match rates."""
    from indexer.case import Case

    results: list[SearchResult] = []
    with Case.open(case) as opened:
        spec = opened.default_model
        if queries or model:
            from imgmatch.models import load_model
            from indexer.calibrate import background as background_of
            from indexer.search import Searcher
            from indexer.verification import VERIFY_TOP

            embedder = load_model(model or spec.name, device="cpu")
            spec = embedder.spec
            if queries:
                background = background_of(opened, spec)
                if background is None:
                    no_background(case, None)
                searcher = Searcher(opened, embedder, background=background)
                results = list(searcher.search(queries, k, verify_top=VERIFY_TOP))
        report(opened, results, spec, output, reveal, no_images)


def report(case: Any, results: list[SearchResult], model: Any, folder: Path, reveal: bool, no_images: bool) -> None:
    """Write the HTML report of a search and say where it is."""
    from imgmatch.cores import usable_cores
    from indexer.report import ReportConfig, write_report

    if reveal and no_images:
        raise UsageError("--reveal and --no-images exclude each other; give one")
    page = write_report(case, results, model, folder, ReportConfig(reveal, not no_images, usable_cores()))
    note(f"Report: {page}")
