"""The command line: parse, call the library, print. Heavy modules are imported by the command that needs them."""

from __future__ import annotations

import os
import sys
import warnings
from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import imgmatch
from cli import audit, exchange, index_move
from cli.explain import explain
from cli.export import NoImagesOpt, RevealOpt, export
from cli.export import report as write_report
from cli.known import ExcludeListOpt, MetaOpt, OnListOpt, known_app, tell_alerts
from cli.matches import MaxFmrOpt, emit_labels, no_background, register
from cli.options import CaseArg, DeviceOpt, FormatOpt, IsolationOpt, ModelOpt, OutputOpt, decode_soon
from cli.progress import count_progress, ingest_progress, note, stop_on_signal, train_progress
from cli.render import Format, emit, emit_one, emit_search
from cli.review import review
from cli.show import show
from cli.sources import (
    AskPasswordOpt,
    CarveOpt,
    DeletedOpt,
    DocumentsOpt,
    FramesOpt,
    FramesPerMinuteOpt,
    InsideOpt,
    LimitOpt,
    PasswordFileOpt,
    PreviewsOpt,
    source_options,
)
from imgmatch.errors import CaseError, ImgmatchError, UsageError

if TYPE_CHECKING:
    from imgmatch.types import ModelSpec
    from indexer.intake.ingest import IngestReport
    from indexer.search.request import SearchResult

EXIT_ERROR = 1
EXIT_UNREADABLE = 3
EXIT_INTERRUPTED = 130

app = typer.Typer(
    name="imgmatch",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Finds the same picture, the same room or the same object among the photographs of a case, offline.\n\n"
    "A score is a lead for an examiner, never a verdict.",
)
models_app = typer.Typer(no_args_is_help=True, help="The networks that turn pictures into vectors.")
app.add_typer(models_app, name="models")
index_app = typer.Typer(
    no_args_is_help=True, help="The index of a case: a cache over its vectors, built again at will."
)
app.add_typer(index_app, name="index")
app.add_typer(audit.app, name="audit")
index_app.command("move")(index_move.move)

app.add_typer(known_app, name="known")
app.command()(explain)
app.command()(show)
app.command("import")(exchange.import_)
app.command()(review)

ManifestOpt = Annotated[
    Path | None,
    typer.Option(
        metavar="CSV|JSONL",
        help="Where pictures come from: path and further columns; without PATH its files are ingested.",
        show_default=False,
    ),
]
JobsOpt = Annotated[
    int | None, typer.Option("--jobs", "-j", min=1, help="Threads (default: all usable cores).", show_default=False)
]
InputPxOpt = Annotated[
    int | None,
    typer.Option(
        "--input-px", min=32, max=2048, help="Side of the input (default: the network's).", show_default=False
    ),
]
NameOpt = Annotated[str | None, typer.Option("--name", help="Name of the new model.", show_default=False)]
LicenceOpt = Annotated[str | None, typer.Option("--licence", help="Licence of the weights.", show_default=False)]
LabelOpt = Annotated[
    list[str] | None,
    typer.Option(metavar="[COLUMN=]VALUE", help="Only items with this label, or one of these.", show_default=False),
]
StrictOpt = Annotated[bool, typer.Option("--strict", help="Exit with 3 when evidence could not be used.")]

register(app)


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"imgmatch {imgmatch.__version__}\n")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def demo(
    folder: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="Where to put it; an earlier demo is replaced.")
    ] = Path("imgmatch-demo"),
    rooms: Annotated[int, typer.Option(min=2, max=500, help="How many rooms to render.")] = 12,
) -> None:
    """Make a complete small case from rendered rooms: init, ingest, search."""
    from cli.demo import make_demo

    made = make_demo(folder, rooms, note)
    results_file = folder / "results.jsonl"
    emit_search(made.results, Format.jsonl, results_file)
    emit_search(made.results, Format.table, None)
    note(f"{made.right} of {len(made.results)} queries have their own room in first place.")
    note(f"Photographs: {made.photographs}\nQueries:     {made.queries}")
    note(f"Case:        {made.case}\nResults:     {results_file}")
    note(f"Try it:      imgmatch search {made.case} {made.queries} -k 5")


@app.command()
def init(
    case: CaseArg,
    model: ModelOpt = None,
    purpose: Annotated[str, typer.Option(help="What the case is for.", show_default=False)] = "",
    authority: Annotated[str, typer.Option(help="On whose authority or legal basis.", show_default=False)] = "",
    examiner: Annotated[str, typer.Option(help="Who works on it.", show_default=False)] = "",
    index: index_move.KindOpt = index_move.Kind.faiss,
    uri: index_move.UriOpt = None,
    collection: index_move.CollectionOpt = index_move.COLLECTION,
) -> None:
    """Make a new, empty case."""
    from imgmatch.models import DEFAULT_MODEL, model_spec
    from indexer.case.case import Case

    spec = model_spec(model or DEFAULT_MODEL)
    remote = index_move.target(index, uri, collection)
    if remote is not None:
        from indexer.index.milvus import Collection

        Collection(remote, spec)  # before there is a case: a server that can't be used is named at once
    about = {"purpose": purpose, "authority": authority, "examiner": examiner}
    Case.create(case, model=spec, about=about, remote=remote).close()
    note(f"Made case {case} with model {spec.name}. Next: imgmatch ingest {case} FOLDER")


@app.command()
def ingest(
    case: CaseArg,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PATH...", help="Files, folders, archives, disk images.", show_default=False),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="CSV with file (or sha256), label and further columns.", show_default=False),
    ] = None,
    manifest: ManifestOpt = None,
    model: ModelOpt = None,
    device: DeviceOpt = "auto",
    jobs: JobsOpt = None,
    profile: Annotated[
        str, typer.Option(help="fast, or thorough: parts of pictures too; may be added to a case read fast.")
    ] = "fast",
    reread: Annotated[bool, typer.Option("--reread", help="Read files again that have not changed.")] = False,
    index: Annotated[
        bool, typer.Option("--index/--no-index", help="Build the index when it is due, beside and afterwards.")
    ] = True,
    isolation: IsolationOpt = True,
    inside: InsideOpt = True,
    deleted: DeletedOpt = True,
    carve: CarveOpt = False,
    frames: FramesOpt = True,
    frames_per_minute: FramesPerMinuteOpt = 12,
    documents: DocumentsOpt = True,
    previews: PreviewsOpt = False,
    password: AskPasswordOpt = False,
    password_file: PasswordFileOpt = None,
    limit: LimitOpt = None,
    strict: StrictOpt = False,
    format: FormatOpt = Format.table,
    output: OutputOpt = None,
) -> None:
    """Bring pictures into a case. Sources are only read; running it again goes on where it stopped."""
    from imgmatch.cores import usable_cores
    from imgmatch.evidence.limits import limits as all_limits
    from imgmatch.models import load_model
    from indexer.case.case import Case
    from indexer.index.build import BuildConfig, building_beside
    from indexer.intake.ingest import IngestConfig
    from indexer.intake.ingest import ingest as run_ingest

    paths = paths or []
    if not paths and manifest is None:
        raise UsageError("nothing to ingest is named; give a PATH, or --manifest")
    for path in paths:
        if not os.path.lexists(path):
            raise UsageError(f"{path}: no such file or folder; give existing ones")
    limits = all_limits(limit or ())
    sources = source_options(
        limits.source,
        password,
        password_file,
        inside=inside,
        deleted=deleted,
        carve=carve,
        frames=frames,
        frames_per_minute=frames_per_minute,
        documents=documents,
        previews=previews,
    )
    jobs = jobs or usable_cores()
    with Case.open(case) as opened:
        # Pictures are embedded side by side, one thread each: nothing waits for the slowest part of a layer.
        embedder = load_model(model or opened.default_model.name, device=device, threads=1)
        config = IngestConfig(
            jobs=jobs,
            reread=reread,
            labels=labels,
            manifest=manifest,
            limits=limits.picture,
            sources=sources,
            profile=profile,
            isolation=isolation,
            worker_limits=limits.worker,
        )
        with stop_on_signal() as stop, ingest_progress(paths) as progress:
            # The build leaves all but one core to the pictures.
            beside = building_beside(opened, embedder.spec, BuildConfig(jobs=1), stop=stop) if index else nullcontext()
            with beside:
                report = run_ingest(opened, paths, embedder, config, progress=progress, stop=stop)
            if index and not stop.is_set():
                _build_if_due(opened, embedder.spec, jobs, stop)
        totals = opened.catalogue.counts()
    emit_one({**report.counts(), "interrupted": report.interrupted, "case": totals}, format, output)
    _close_ingest(case, report, strict)


def _build_if_due(case: Any, spec: Any, jobs: int, stop: Any) -> None:
    from indexer.index.build import BuildConfig, build_if_due

    try:
        build_if_due(case, spec, BuildConfig(jobs=jobs), stop=stop)
    except CaseError as error:  # what was ingested is found all the same
        note(f"imgmatch: the index is not up to date: {error}")


def _close_ingest(case: Path, report: IngestReport, strict: bool) -> None:
    tell_alerts(case, report)
    if report.unusable:
        note(f"{report.unusable} files could not be used; see: imgmatch issues {case}")
    if report.interrupted:
        note("Stopped early; everything so far is kept. Go on with the same command.")
        raise typer.Exit(EXIT_INTERRUPTED)
    if strict and report.unusable:
        raise typer.Exit(EXIT_UNREADABLE)


@app.command()
def search(
    case: CaseArg,
    queries: Annotated[
        list[Path],
        typer.Argument(metavar="QUERY...", help="Pictures, folders, or - for a list of paths on standard input."),
    ],
    k: Annotated[int, typer.Option("-k", min=1, max=10_000, help="Leads a query.")] = 10,
    mask: Annotated[
        Path | None,
        typer.Option(help="Picture of the query's size, white where to look away (a person).", show_default=False),
    ] = None,
    ignore_box: Annotated[
        list[str] | None,
        typer.Option(metavar="X,Y,W,H", help="Box to look away from, in the query's pixels; may be repeated."),
    ] = None,
    box: Annotated[
        str | None,
        typer.Option(metavar="X,Y,W,H", help="Search with this part of the query only.", show_default=False),
    ] = None,
    regions: Annotated[bool, typer.Option("--regions/--no-regions", help="Search with parts of the query too.")] = True,
    label: LabelOpt = None,
    since: Annotated[
        str | None, typer.Option(metavar="DATE", help="Only files changed then or later.", show_default=False)
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="DATE", help="Only files changed then or earlier.", show_default=False)
    ] = None,
    source: Annotated[
        list[str] | None, typer.Option(metavar="PATH", help="Only what was found there or below.", show_default=False)
    ] = None,
    item: Annotated[list[int] | None, typer.Option(metavar="ID", help="Only these items.", show_default=False)] = None,
    meta: MetaOpt = None,
    on_list: OnListOpt = None,
    exclude_label: Annotated[
        list[str] | None, typer.Option(metavar="[COLUMN=]VALUE", help="Not items with this label.", show_default=False)
    ] = None,
    exclude_source: Annotated[
        list[str] | None, typer.Option(metavar="PATH", help="Not what was found there or below.", show_default=False)
    ] = None,
    exclude_item: Annotated[
        list[int] | None, typer.Option(metavar="ID", help="Not these items.", show_default=False)
    ] = None,
    exclude_list: ExcludeListOpt = None,
    together: Annotated[
        bool, typer.Option("--together", help="All queries show one room or thing: one ranking for the set.")
    ] = False,
    by: Annotated[str, typer.Option(metavar="item|label", help="Rank pictures, or the labels they bear.")] = "item",
    label_column: Annotated[
        str, typer.Option(metavar="NAME", help="With --by label: which column (chain, city).")
    ] = "label",
    max_fmr: MaxFmrOpt = None,
    verify: Annotated[
        bool, typer.Option("--verify/--no-verify", help="Verify the nearest by geometry; verified ones come first.")
    ] = True,
    verify_top: Annotated[
        int, typer.Option("--verify-top", min=1, max=10_000, metavar="N", help="How many of the nearest to verify.")
    ] = 50,
    model: ModelOpt = None,
    device: DeviceOpt = "cpu",
    report: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also write an HTML report to this new folder.")
    ] = None,
    reveal: RevealOpt = False,
    no_images: NoImagesOpt = False,
    isolation: IsolationOpt = True,
    strict: StrictOpt = False,
    format: FormatOpt = Format.table,
    output: OutputOpt = None,
) -> None:
    """Find the items of a case that look most like each query photograph."""
    from imgmatch.models import load_model
    from indexer.case.case import Case
    from indexer.catalogue import filters
    from indexer.search import sets as combined
    from indexer.search.background import background as background_of
    from indexer.search.request import LeaveOut, SearchRequest
    from indexer.search.searcher import Searcher

    if by not in ("item", "label"):
        raise UsageError(f"--by {by}: say item or label")

    leave_out = LeaveOut(mask, tuple(_box(text) for text in ignore_box or []), _box(box) if box else None)
    paths = _query_paths(queries)
    within = filters.Filter(
        labels=tuple(map(filters.label, label or ())),
        since=filters.date(since) if since else None,
        until=filters.date(until) if until else None,
        sources=tuple(map(filters.source, source or ())),
        items=tuple(item or ()),
        metadata=tuple(map(filters.metadata, meta or ())),
        lists=tuple(on_list or ()),
        exclude_lists=tuple(exclude_list or ()),
        exclude_labels=tuple(map(filters.label, exclude_label or ())),
        exclude_sources=tuple(map(filters.source, exclude_source or ())),
        exclude_items=tuple(exclude_item or ()),
    )
    failed: list[SearchResult] = []
    searched = told = 0
    kept: list[SearchResult] = []

    def tell() -> None:
        nonlocal told
        for result in failed[told:]:
            note(f"imgmatch: {_why_not(result)}; not searched")
        told = len(failed)

    def results() -> Any:
        nonlocal searched
        request = SearchRequest(
            combined.depth(k) if by == "label" else k, leave_out, within, regions, verify_top if verify else 0, max_fmr
        )
        search = combined.together if together else Searcher.search
        for result in search(searcher, paths, request):
            if result.issue is None:
                searched += 1
            else:
                failed.append(result)
            if searched or len(failed) > 1:  # else it may be all that is said
                tell()
            if report is not None:
                kept.append(result)
            yield result

    with Case.open(case) as opened:
        decode_soon(isolation)
        embedder = load_model(model or opened.default_model.name, device=device)
        background = background_of(opened, embedder.spec)
        searcher = Searcher(opened, embedder, warn=lambda message: note(f"imgmatch: {message}"), background=background)
        if background is None and max_fmr is None:
            no_background(opened)
        if by == "label":
            emit_labels((combined.by_label(result, label_column, k) for result in results()), format, output)
        else:
            emit_search(results(), format, output)
        if report is not None:
            write_report(opened, kept, embedder.spec, report, reveal, no_images)
    if not searched:
        what = failed[0].locator.path if failed else " ".join(map(str, queries))
        why = _why_not(failed[0]) if len(failed) == 1 else what
        raise UsageError(f"{why}: no query could be searched; give pictures")
    if strict and failed:
        raise typer.Exit(EXIT_UNREADABLE)


def _why_not(result: SearchResult) -> str:
    assert result.issue is not None
    return f"{result.locator.path}: {result.issue.message}"


def _box(text: str) -> tuple[int, int, int, int]:
    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"{text!r} is not a box; give x,y,width,height as whole numbers") from error
    return x, y, width, height


def _query_paths(queries: list[Path]) -> list[str]:
    paths: list[str] = []
    for query in queries:
        if str(query) == "-":
            data = sys.stdin.buffer.read()
            paths += [os.fsdecode(p) for p in data.split(b"\0" if b"\0" in data else b"\n") if p.strip()]
        else:
            paths.append(str(query))
    for path in paths:
        if not os.path.exists(path):
            raise UsageError(f"{path}: no such file or folder; give an existing picture or folder")
    if not paths:
        raise UsageError("-: standard input names no query; give one path a line")
    return paths


app.command("export")(export)


@app.command()
def status(case: CaseArg, format: FormatOpt = Format.table, output: OutputOpt = None) -> None:
    """What a case holds: counts, model, sizes, last ingest."""
    from indexer.case.case import Case

    with Case.open(case) as opened:
        catalogue = opened.catalogue
        last = catalogue.runs.last("ingest")
        record: dict[str, Any] = {
            "case": str(case),
            **catalogue.counts(),
            "profiles": catalogue.vectors.profiles(),
            "issue_kinds": catalogue.issues.kinds(),
            "models": [f"{spec.name} ({spec.weights_sha256[:12]})" for _, spec in catalogue.models.all()],
            **opened.sizes(),
            **catalogue.meta.all(),
            "index": index_move.where(catalogue.indexes.remote()),
            "last_ingest": last,
        }
    if format is Format.table:
        record = {**record, "last_ingest": _last_ingest(last)}
    emit_one(record, format, output)


def _last_ingest(last: dict[str, Any] | None) -> str:
    if last is None:
        return "none yet"
    if last["finished_utc"] is None:
        return f"run {last['run_id']}, started {last['started_utc']}, not finished: run it again to go on"
    return f"run {last['run_id']}, finished {last['finished_utc']}, {last['counts']['new_items']} new items"


@app.command()
def issues(
    case: CaseArg,
    kind: Annotated[str | None, typer.Option(help="Only issues of this kind.", show_default=False)] = None,
    format: FormatOpt = Format.table,
    output: OutputOpt = None,
) -> None:
    """List the evidence that could not be used, and why."""
    from indexer.case.case import Case

    with Case.open(case) as opened:
        records = (
            {
                "error": row.issue.error,
                "stage": row.issue.stage,
                "path": row.issue.locator.path,
                "message": row.issue.message,
                "sha256": row.sha256,
                "seen_utc": row.seen_utc,
                "run_id": row.run_id,
                "locator": str(row.issue.locator),
            }
            for row in opened.catalogue.issues.all()
            if kind is None or row.issue.error == kind
        )
        counts = {"issues": opened.catalogue.counts()["issues"]}
        opened.record("issues", arguments={"kind": kind}, counts=counts)  # names of evidence leave the case
        columns = ["error", "stage", "path", "message"]
        if format is Format.csv:
            columns += ["sha256", "seen_utc", "run_id", "locator"]
        emit(records, columns, format, output)


@app.command()
def check(
    case: CaseArg,
    sources: Annotated[bool, typer.Option("--sources", help="Also read every source again and compare.")] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="First embed what damaged segments held again, from the sources.")
    ] = False,
    isolation: IsolationOpt = True,
    password: AskPasswordOpt = False,
    password_file: PasswordFileOpt = None,
    format: FormatOpt = Format.table,
    output: OutputOpt = None,
) -> None:
    """Verify a case: segments, indexes, weights, catalogue, audit log; exit with 1 when anything is wrong."""
    import dataclasses

    from indexer.care.check import check as run_check
    from indexer.case.case import Case

    options = source_options(None, password, password_file)
    with Case.open(case) as opened, count_progress() as progress:
        if repair:
            decode_soon(isolation)
            _repair(opened, options, progress)
        faults = [
            dataclasses.asdict(finding)
            for finding in run_check(opened, sources=sources, options=options, progress=progress)
        ]
        kinds = Counter(" ".join(filter(None, (finding["part"], finding["kind"]))) for finding in faults)
        counts = {"faults": len(faults), **kinds}
        if sources:
            counts["sightings"] = opened.catalogue.counts()["sightings"]
        opened.record("check", arguments={"sources": sources, "repair": repair}, counts=counts)
    if faults or format is not Format.table:
        columns = ["part", "kind", "message", *(["sha256"] if format is Format.csv else [])]
        emit(faults, columns, format, output)
    if faults:
        listed = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items())
        raise ImgmatchError(f"{case}: {len(faults):,} faults found ({listed}); see the list above")
    note(f"{case}: all is well")


def _repair(case: Any, options: Any, progress: Any) -> None:
    from imgmatch.models import load_model
    from indexer.care.repair import repair

    done = repair(case, lambda name: load_model(name, device="cpu", threads=1), options=options, progress=progress)
    note(f"{done.segments} segments rewritten, {done.vectors} vectors made again from the sources")
    for sha256 in done.lost:
        note(f"imgmatch: {sha256}: no source has this content any more; its vector is lost, ingest it again")


@app.command()
def delete(
    case: CaseArg,
    item: Annotated[list[int] | None, typer.Option(metavar="ID", help="This item.", show_default=False)] = None,
    sha256: Annotated[list[str] | None, typer.Option(help="The item with this content.", show_default=False)] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH", help="What was found there or below, and nowhere else.", show_default=False),
    ] = None,
    reason: Annotated[str, typer.Option(help="Why, for the audit log.", show_default=False)] = "",
    format: FormatOpt = Format.table,
    output: OutputOpt = None,
) -> None:
    """Take items out of a case; no search returns them from then on. Evidence is never touched."""
    import dataclasses

    from indexer.care.compact import delete as run_delete
    from indexer.case.case import Case
    from indexer.catalogue import filters

    if not (item or sha256 or source):
        raise UsageError("nothing to delete is named; give --item, --sha256 or --source")
    for digest in sha256 or ():
        if len(digest) != 64 or not set(digest.lower()) <= set("0123456789abcdef"):
            raise UsageError(f"{digest!r} is no SHA-256; give 64 hexadecimal digits")
    with Case.open(case) as opened:
        done = run_delete(
            opened,
            items=item or (),
            sha256=sha256 or (),
            sources=[filters.source(path) for path in source or ()],
            reason=reason,
        )
        _tell_server(opened)
    emit_one(dataclasses.asdict(done), format, output)
    note(f"Their vectors are removed from the disk by: imgmatch index {case} compact")


def _tell_server(case: Any) -> None:
    if case.catalogue.indexes.remote() is not None:
        from indexer.index.remote import follow

        try:
            follow(case)
        except CaseError as error:  # no search of this case returns them all the same
            note(f"imgmatch: the collection still holds what was deleted: {error}; run: imgmatch index CASE build")


@app.command()
def merge(
    case: CaseArg,
    others: Annotated[
        list[Path], typer.Argument(metavar="OTHER...", help="Cases to add; they are only read.", show_default=False)
    ],
    index: Annotated[
        bool, typer.Option("--index/--no-index", help="Build the index afterwards when it is due.")
    ] = True,
    jobs: JobsOpt = None,
    format: FormatOpt = Format.table,
    output: OutputOpt = None,
) -> None:
    """Add other cases' items, sightings, labels, issues, decisions, vectors; run again, it goes on where it stopped."""
    import dataclasses
    import threading

    from imgmatch.cores import usable_cores
    from indexer.care.merge import merge as run_merge
    from indexer.case.case import Case

    records = []
    with Case.open(case) as opened:
        for path in others:
            with Case.open(path) as other, count_progress() as progress:
                done = run_merge(opened, other, progress=progress)
            records.append({"case": str(path), **dataclasses.asdict(done)})
        if index:
            for _, spec in opened.catalogue.models.all():
                _build_if_due(opened, spec, jobs or usable_cores(), threading.Event())
    emit(records, ["case", "items", "known", "sightings", "vectors", "issues", "decisions"], format, output)


@index_app.callback()
def _index_case(context: typer.Context, case: CaseArg) -> None:
    context.obj = case


KindOpt = Annotated[
    str | None, typer.Option("--kind", help="exact, ivf or hnsw (default: by size).", show_default=False)
]


@index_app.command("build")
def index_build(
    context: typer.Context,
    kind: KindOpt = None,
    recall: Annotated[
        float, typer.Option("--recall", min=0.5, max=1.0, help="Share of the true ten nearest that must be found.")
    ] = 0.99,
    model: ModelOpt = None,
    jobs: JobsOpt = None,
    format: FormatOpt = Format.table,
    output: OutputOpt = None,
) -> None:
    """Build the index; searches and ingests go on meanwhile."""
    from imgmatch.cores import usable_cores
    from imgmatch.models import model_spec
    from indexer.case.case import Case
    from indexer.index.build import BuildConfig, build, describe

    with Case.open(context.obj) as opened, count_progress() as progress:
        spec = model_spec(model) if model else opened.default_model
        build(opened, spec, BuildConfig(kind, recall, jobs or usable_cores()), progress=progress)
        emit_one(describe(opened, spec), format, output)


@index_app.command("info")
def index_info(
    context: typer.Context, model: ModelOpt = None, format: FormatOpt = Format.table, output: OutputOpt = None
) -> None:
    """Which index a model's vectors have, why, and what it was measured to reach."""
    from imgmatch.models import model_spec
    from indexer.case.case import Case
    from indexer.index.build import describe

    with Case.open(context.obj) as opened:
        emit_one(describe(opened, model_spec(model) if model else opened.default_model), format, output)


@index_app.command("compact")
def index_compact(context: typer.Context, format: FormatOpt = Format.table, output: OutputOpt = None) -> None:
    """Remove deleted vectors from the disk, and put small segments together."""
    import dataclasses

    from indexer.care.compact import compact
    from indexer.case.case import Case

    with Case.open(context.obj) as opened, count_progress() as progress:
        done = compact(opened, progress=progress)
    emit_one(dataclasses.asdict(done), format, output)


@models_app.command("list")
def models_list(
    speed: Annotated[bool, typer.Option("--speed", help="Also measure each on this machine, a second or so.")] = False,
    format: FormatOpt = Format.table,
    output: OutputOpt = None,
) -> None:
    """The models that imgmatch knows, and whether their weights are here."""
    from imgmatch.models import list_models

    records = [_model_record(spec, speed) for spec in list_models()]
    columns = ["name", "default", "task", "dim", "input_px", "here", "licence", "source"]
    emit(records, [*columns[:6], *(["images_s"] if speed else []), *columns[6:]], format, output)


@models_app.command("show")
def models_show(
    name: Annotated[str, typer.Argument(help="Name of the model.")],
    speed: Annotated[bool, typer.Option("--speed", help="Also measure it on this machine, a second or so.")] = False,
    format: FormatOpt = Format.table,
    output: OutputOpt = None,
) -> None:
    """Everything known of one model."""
    from imgmatch.models import model_spec

    emit_one(_model_record(model_spec(name), speed), format, output)


@models_app.command("verify")
def models_verify(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Which (default: all that are here).")
    ] = None,
) -> None:
    """Check weight files against their SHA-256."""
    from imgmatch.models import OPTIONAL, has_weights, list_models, verify_model

    # Weights of an extra that is not installed are no fault; shipped and added ones that are gone are.
    for name in names or [spec.name for spec in list_models() if spec.name not in OPTIONAL or has_weights(spec)]:
        spec = verify_model(name)
        sys.stdout.write(f"{name}: weights are right (SHA-256 {spec.weights_sha256})\n")


@models_app.command("add")
def models_add(
    path: Annotated[
        Path, typer.Argument(metavar="FOLDER|FILE", help="Output folder of `models train`, or a weight file.")
    ],
    known_as: Annotated[
        str | None, typer.Option("--as", help="FILE is Meta's own: sscd (TorchScript or ONNX).", show_default=False)
    ] = None,
    timm: Annotated[str | None, typer.Option(help="FILE has weights of this timm CNN.", show_default=False)] = None,
    torchvision: Annotated[
        str | None, typer.Option(help="FILE has weights of this torchvision CNN.", show_default=False)
    ] = None,
    input_px: InputPxOpt = None,
    name: NameOpt = None,
    licence: LicenceOpt = None,
) -> None:
    """Check a model and make it known on this machine by its name."""
    from imgmatch.models import add_model

    kinds = [kind for kind in (known_as, timm, torchvision) if kind is not None]
    if path.is_dir() or not path.exists():
        if not path.exists():
            raise UsageError(f"{path}: no such file or folder; give a trained model's folder or a weight file")
        if kinds or input_px or name or licence:
            raise UsageError(f"{path}: a folder says all in its spec.json; the options are for a weight file")
        spec = add_model(path)
    elif len(kinds) != 1:
        raise UsageError(f"{path}: say what this file is, with one of --as sscd, --timm NAME, --torchvision NAME")
    elif known_as is not None:
        from imgmatch.models.sscd_file import add_sscd

        if known_as != "sscd" or input_px:
            raise UsageError("--as takes the name 'sscd' only, and no --input-px")
        spec = add_sscd(path, name=name, licence=licence)
    else:
        from imgmatch.models.external import add_backbone

        library = "timm" if timm is not None else "torchvision"
        spec = add_backbone(path, library, kinds[0], input_px=input_px, name=name, licence=licence)
    note(f"Added {spec.name}. Use it with: imgmatch init CASE --model {spec.name}")


@models_app.command("download")
def models_download(
    network: Annotated[str, typer.Argument(metavar="NAME", help="A CNN of torchvision, such as resnet50.")],
    input_px: InputPxOpt = None,
    name: NameOpt = None,
    licence: LicenceOpt = None,
) -> None:
    """Fetch torchvision's own ImageNet weights and add them: the only command that uses a network."""
    from imgmatch.models.download import download, offer

    offered = offer(network)
    note(f"Fetching {offered}")
    spec = download(offered, input_px=input_px, name=name, licence=licence)
    note(f"Added {spec.name}. Use it with: imgmatch init CASE --model {spec.name}")


@models_app.command("train")
def models_train(
    data: Annotated[list[Path], typer.Argument(metavar="DATA...", help="Folders of photographs.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the run; an unfinished run goes on.")],
    labels: Annotated[
        Path | None, typer.Option(help="CSV with file and label (hotel or room) of photographs.", show_default=False)
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="Start from this .pth or weights.safetensors (default: ImageNet).", show_default=False),
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the new model.")] = "trained",
    licence: Annotated[str, typer.Option(help="Licence of the new weights.")] = "as the training data allows",
    steps: Annotated[int | None, typer.Option(min=1, help="Training steps.", show_default=False)] = None,
    batch: Annotated[int | None, typer.Option(min=4, help="Pairs of pictures a step.", show_default=False)] = None,
    rooms: Annotated[int | None, typer.Option(min=0, help="Rooms to render.", show_default=False)] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same data, same model.")] = 0,
    device: DeviceOpt = "auto",
    jobs: JobsOpt = None,
    format: FormatOpt = Format.table,
) -> None:
    """Train a model on your own photographs, with or without labels; running it again goes on."""
    from imgmatch.lab.training.train import TrainConfig, train

    given = {"steps": steps, "batch": batch, "rooms": rooms, "threads": jobs}
    config = TrainConfig(
        data=tuple(data),
        output=output,
        labels=labels,
        weights=weights,
        name=name,
        licence=licence,
        seed=seed,
        device=device,
        **{key: value for key, value in given.items() if value is not None},  # type: ignore[arg-type]
    )
    with train_progress() as progress:
        result = train(config, progress)
    for skipped in result.skipped:
        note(f"left out: {skipped}")
    emit_one({"output": str(result.output), **result.evaluation}, format, None)
    note(f"Next: imgmatch models add {result.output}")


@models_app.command("quantise")
def models_quantise(
    name: Annotated[str, typer.Argument(metavar="MODEL", help="Name of the model.")],
    data: Annotated[list[Path], typer.Argument(metavar="DATA...", help="Photographs to calibrate on.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the 8-bit model.")],
) -> None:
    """Make an 8-bit version of a model: smaller, and faster on processors with VNNI."""
    from imgmatch.evidence import PLAIN_FILES, walk
    from imgmatch.lab.training.quantise import quantised_model
    from imgmatch.types import Evidence

    found = (found for path in data for found in walk(path, options=PLAIN_FILES))
    files = [Path(one.locator.at) for one in found if isinstance(one, Evidence)]
    made = quantised_model(name, files, output)
    note(f"Made {made.name}. Next: imgmatch models add {output}")


@models_app.command("evaluate")
def models_evaluate(
    name: Annotated[str, typer.Argument(metavar="MODEL", help="Name of the model.")],
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Folder of the data set, as published.")],
    dataset: Annotated[str, typer.Option("--dataset", help="Which data set; a wrong name lists them.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for figures and plots.", show_default=False)
    ] = None,
    reveal: Annotated[bool, typer.Option("--reveal", help="Show pictures unblurred in the plots.")] = False,
    format: FormatOpt = Format.table,
) -> None:
    """Measure a model on a public data set that you hold."""
    from imgmatch.lab.evaluation import run_evaluation

    with count_progress() as progress:
        evaluation = run_evaluation(name, dataset, path, output, reveal=reveal, progress=progress)
    emit_one(evaluation.figures, format, None)


def _model_record(spec: ModelSpec, speed: bool) -> dict[str, Any]:
    import dataclasses

    from imgmatch.models import DEFAULT_MODEL, has_weights

    here = has_weights(spec)
    record = {
        **dataclasses.asdict(spec),
        "default": spec.name == DEFAULT_MODEL,
        "here": here,
        "masks": "painted over" if spec.graph == "plain" else "left out of pooling",
    }
    if speed:
        from imgmatch.models.speed import images_per_second

        record["images_s"] = round(images_per_second(spec.name), 1) if here else None
    return record


def main() -> None:
    """Entry point: one line for an error, no traceback; exit codes as docs/command-line.md says."""
    # Names of any bytes can be printed; decoders' warnings about broken files are recorded as issues, not printed.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    warnings.simplefilter("ignore")
    try:
        app()
    except ImgmatchError as error:
        note(f"imgmatch: {error}")
        sys.exit(EXIT_ERROR)
    except KeyboardInterrupt:
        note("imgmatch: broken off; what was committed is kept")
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output has gone (head, less): nothing to say, and nothing to flush at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_ERROR)
    except Exception as error:
        if os.environ.get("IMGMATCH_DEBUG"):
            raise
        kind = type(error).__name__
        note(f"imgmatch: internal error ({kind}: {error}); please report it; IMGMATCH_DEBUG=1 shows where")
        sys.exit(EXIT_ERROR)


if __name__ == "__main__":
    main()
