"""``imgmatch export`` and ``import``: what leaves a case in the form that its reader expects, and what comes in."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options.asked import AskedOptions, remind
from cli.options.common import CaseArg, IsolationOpt, LanguageOpt, ModelOpt, decode_soon, embedder_of, open_case
from cli.options.filters import FilterOptions
from cli.options.output import OutputOpt, format_of
from cli.options.pack import PackOptions
from cli.options.query import LeadsOpt, no_background
from cli.options.report import NoImagesOpt, RevealFacesOpt, refuse_report, report_page
from cli.render.formats import Format, emit_one
from cli.render.notes import note
from cli.render.progress import count_progress
from imgmatch.errors import UsageError
from indexer.out.atomic import refuse_existing

if TYPE_CHECKING:
    from indexer.case.case import Case
    from indexer.index.protocol import Progress
    from indexer.out.exchange.pack import PackConfig
    from indexer.out.exchange.portable import Portable
    from indexer.search.request import SearchResult


class ImportFormat(enum.StrEnum):
    """What can be read."""

    vics = "vics"


class ExportFormat(enum.StrEnum):
    """What can be written."""

    html = "html"
    vics = "vics"
    case_uco = "case-uco"
    csv = "csv"
    jsonl = "jsonl"
    parquet = "parquet"
    pdq = "pdq"
    pack = "pack"
    portable = "portable"


_TABLES = (ExportFormat.csv, ExportFormat.jsonl, ExportFormat.parquet)
_SEARCHED = (ExportFormat.html, ExportFormat.case_uco, ExportFormat.portable, *_TABLES)
_CARRIED = (ExportFormat.pack, ExportFormat.portable)
_OPTIONS = {
    "QUERY": _SEARCHED,
    "--reveal": (ExportFormat.html, *_CARRIED),
    "--no-images": (ExportFormat.html,),
    "--table": _TABLES,
    "--all-known": (ExportFormat.vics,),
    "--thumbnails": _CARRIED,
    "--locators": (ExportFormat.pack,),
    "--labels": (ExportFormat.pack,),
    "--decisions": (ExportFormat.pack,),
    "--no-places": (ExportFormat.portable,),
    "--to": (ExportFormat.pack,),
    "--no-metadata": (ExportFormat.pack,),
    "--pdq-only": (ExportFormat.pack,),
    "--expires": (ExportFormat.pack,),
    "--faces": (ExportFormat.pack,),
    "a filter (--label, --item, --source, ...)": (ExportFormat.pack,),
}
"""Which formats an option is for, in the order in which ``export`` has them."""


def export(
    case: CaseArg,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Where to write: a new folder (html, tables, portable), or file.")
    ],
    queries: Annotated[
        list[Path] | None, typer.Argument(metavar="[QUERY...]", help="Pictures or folders to search with.")
    ] = None,
    format: Annotated[ExportFormat, typer.Option("--format", help="What to write.")] = ExportFormat.html,
    k: LeadsOpt = 10,
    language: LanguageOpt = None,
    model: ModelOpt = None,
    reveal: Annotated[
        bool, typer.Option("--reveal", help="html, pack, portable: pictures that can be seen, not blurred; recorded.")
    ] = False,
    reveal_faces: RevealFacesOpt = False,
    no_images: NoImagesOpt = False,
    isolation: IsolationOpt = True,
    table: Annotated[
        list[str] | None,
        typer.Option(
            "--table",
            help="csv, jsonl, parquet: items, sightings, labels, issues, decisions (the default), groups, matches.",
        ),
    ] = None,
    data_model: Annotated[str, typer.Option("--data-model", help="vics: 2.0 or 1.3.")] = "2.0",
    all_known: Annotated[
        bool, typer.Option("--all-known", help="vics: also imported media that the case has no picture of.")
    ] = False,
    no_places: Annotated[bool, typer.Option("--no-places", help="portable: not where pictures were found.")] = False,
    *,
    pack: PackOptions,
    filters: FilterOptions,
    asked: AskedOptions,
) -> None:
    """Write a report, or what other programs and offices read: of a case, and of a search with each
    query, verified and with false-match rates. A pack holds what passes the filter alone.
    """
    seen = 2 if reveal_faces else int(reveal)
    within = filters.filter()
    given = (
        queries, seen, no_images, table, all_known,
        pack.thumbnails, pack.locators, pack.labels, pack.decisions, no_places,
        pack.to, pack.no_metadata, pack.pdq_only, pack.expires, pack.faces, within,
    )  # fmt: skip
    _check(format, dict(zip(_OPTIONS, given, strict=True)))
    (refuse_report if format is ExportFormat.html else refuse_existing)(output)
    with open_case(case) as opened, count_progress() as progress:
        asked.tell(opened)
        opened.require(
            "report" if format is ExportFormat.html else "export", {"reveal": seen, "face_vectors": pack.faces}
        )
        if queries or pack.thumbnails:
            decode_soon(isolation)
        if format in (ExportFormat.vics, ExportFormat.pdq):
            _hashes(opened, output, format, data_model, all_known, progress)
        elif format is ExportFormat.pack:
            _pack(opened, output, pack.config(seen, within), progress)
            remind(opened, output)
        else:
            spec, results = _searched(opened, queries or [], k, model)
            if format is ExportFormat.html:
                report_page(opened, list(results), spec, output, reveal=seen, no_images=no_images)
            elif format is ExportFormat.portable:
                from indexer.out.exchange.portable import PortableConfig, write_portable

                shown = PortableConfig(pack.thumbnails, seen, places=not no_places)
                _tell(output, write_portable(opened, output, shown, results=results, model=spec, progress=progress))
            elif format is ExportFormat.case_uco:
                from indexer.out.exchange.caseuco import export_caseuco

                counts = export_caseuco(opened, output, results, spec, progress=progress)
                note(f"{output}: {', '.join(f'{count} {name}' for name, count in counts.items())}")
            else:
                from indexer.out.exchange.tables import PLAIN, export_tables

                names = table or [*PLAIN, *(["matches"] if queries else [])]
                where = opened, output, format.value, names
                rows = export_tables(*where, results=results, model=spec, progress=progress)
                note(f"{output}: {', '.join(f'{name} {count}' for name, count in rows.items())}")


def _hashes(
    case: Case, output: Path, format: ExportFormat, data_model: str, all_known: bool, progress: Progress | None
) -> None:
    """Write what names pictures by their hashes."""
    if format is ExportFormat.pdq:
        from indexer.out.exchange.pdq import export_pdq

        hashes, poor = export_pdq(case, output)
        note(f"{output}: {hashes} PDQ hashes, {poor} items left out: too little detail")
        return
    from indexer.out.exchange.project_vic import export_vics

    done = export_vics(case, output, version=data_model, all_known=all_known, progress=progress)
    note(f"{output}: {done['media']} media, {done['known_only']} of them known only from imported files")


def _pack(case: Case, output: Path, config: PackConfig, progress: Progress | None) -> None:
    from indexer.out.exchange.pack import write_pack
    from indexer.search.names import require_names

    require_names([case], config.within)
    made = write_pack(case, output, config, progress=progress)
    kinds = {"vectors": made.vectors, "faces": made.faces, "PDQ hashes": made.hashes, "thumbnails": made.thumbnails}
    held = ", ".join(f"{count} {name}" for name, count in kinds.items() if count)
    note(f"{output}: {made.items} items, {held}; {'encrypted' if config.to else 'in clear, for whoever gets it'}")
    note(f"SHA-256 of its manifest, to tell the receiver by another way: {made.manifest_sha256}")


def _tell(output: Path, made: Portable) -> None:
    note(f"{output}: {made.items} items, {made.leads} leads, {made.thumbnails} small pictures")
    note(f"SHA-256 of its page: {made.sha256}; any browser opens it, without imgmatch")


def _check(format: ExportFormat, given: dict[str, Any]) -> None:
    """An option that another format has is a mistake, not to be passed over."""
    for name, value in given.items():
        if value and format not in _OPTIONS[name]:
            raise UsageError(f"{name} is for --format {', '.join(_OPTIONS[name])}, not {format}; leave it out")
    if format in _CARRIED and given["--reveal"] and not given["--thumbnails"]:
        raise UsageError("--reveal shows thumbnails; give --thumbnails too")
    if given["--table"] and "matches" in given["--table"] and not given["QUERY"]:
        raise UsageError("the table matches is of a search; name the pictures to search with")


def _searched(case: Any, queries: list[Path], k: int, model: str | None) -> tuple[Any, Iterator[SearchResult]]:
    """The model and, one by one, the results of searching with each query."""
    if not queries and not model:
        return case.default_model, iter(())
    from indexer.search.background import background as background_of
    from indexer.search.request import SearchRequest
    from indexer.search.searcher import Searcher
    from indexer.search.verification import VERIFY_TOP

    embedder = embedder_of(case, model)
    if not queries:
        return embedder.spec, iter(())
    background = background_of(case, embedder.spec)
    if background is None:
        no_background(case)
    searcher = Searcher(case, embedder, background=background)
    return embedder.spec, searcher.search(queries, SearchRequest(k, verify_top=VERIFY_TOP))


def import_(
    case: CaseArg,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File to read; never written to.")],
    format: Annotated[ImportFormat, typer.Option("--format", help="What FILE is.")] = ImportFormat.vics,
    print_format: Annotated[Format | None, typer.Option("--print", help="How to write the result.")] = None,
    output: OutputOpt = None,
) -> None:
    """Bring in known media by hash: pictures of the case that they are of are labelled, now and later."""
    from indexer.out.exchange.project_vic import import_vics

    with open_case(case) as opened, count_progress() as progress:
        done = import_vics(opened, file, progress=progress)
    emit_one({"file": str(file), **dataclasses.asdict(done)}, print_format or format_of(output), output)
    if done.faults:
        note(f"{done.faults} fields or records could not be used; see: imgmatch issues {case}")
