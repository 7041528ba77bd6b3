"""The command line: parse, call the library, print. Heavy modules are imported by the command that needs them."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import imgmatch
from cli.progress import count_progress, ingest_progress, note, stop_on_signal
from cli.render import Format, emit, emit_one, emit_search
from imgmatch.errors import CaseError, ImgmatchError, UsageError

if TYPE_CHECKING:
    from indexer.ingest import IngestReport

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

CaseArg = Annotated[Path, typer.Argument(metavar="CASE", help="Folder of the case.", show_default=False)]
FormatOpt = Annotated[Format, typer.Option("--format", help="How to write the result.")]
OutputOpt = Annotated[
    Path | None, typer.Option("--output", "-o", help="Write the result to this file.", show_default=False)
]
ModelOpt = Annotated[
    str | None, typer.Option("--model", help="Model to use (default: the case's).", show_default=False)
]
DeviceOpt = Annotated[str, typer.Option("--device", help="Where the network runs: auto, cpu or cuda.")]
JobsOpt = Annotated[
    int | None, typer.Option("--jobs", "-j", min=1, help="Threads (default: all usable cores).", show_default=False)
]
LabelOpt = Annotated[
    list[str] | None,
    typer.Option(metavar="[COLUMN=]VALUE", help="Only items with this label, or one of these.", show_default=False),
]
StrictOpt = Annotated[bool, typer.Option("--strict", help="Exit with 3 when evidence could not be used.")]


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
    from indexer.demo import make_demo

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
) -> None:
    """Make a new, empty case."""
    from imgmatch.models import DEFAULT_MODEL, model_spec
    from indexer.case import Case

    spec = model_spec(model or DEFAULT_MODEL)
    Case.create(case, model=spec, about={"purpose": purpose, "authority": authority, "examiner": examiner}).close()
    note(f"Made case {case} with model {spec.name}. Next: imgmatch ingest {case} FOLDER")


@app.command()
def ingest(
    case: CaseArg,
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files and folders.", show_default=False)],
    labels: Annotated[
        Path | None,
        typer.Option(help="CSV with file (or sha256), label and further columns.", show_default=False),
    ] = None,
    model: ModelOpt = None,
    device: DeviceOpt = "auto",
    jobs: JobsOpt = None,
    reread: Annotated[bool, typer.Option("--reread", help="Read files again that have not changed.")] = False,
    index: Annotated[
        bool, typer.Option("--index/--no-index", help="Build the index afterwards when it is due.")
    ] = True,
    max_pixels: Annotated[
        int | None, typer.Option(min=1, help="Refuse larger pictures (default: 178,956,970).", show_default=False)
    ] = None,
    max_bytes: Annotated[
        int | None, typer.Option(min=1, help="Refuse larger files (default: 256 MiB).", show_default=False)
    ] = None,
    strict: StrictOpt = False,
    format: FormatOpt = Format.table,
    output: OutputOpt = None,
) -> None:
    """Bring pictures into a case. Sources are only read; running it again goes on where it stopped."""
    from imgmatch.image import DEFAULT_LIMITS, Limits
    from imgmatch.models import load_model
    from indexer.case import Case
    from indexer.ingest import IngestConfig, usable_cores
    from indexer.ingest import ingest as run_ingest

    for path in paths:
        if not os.path.lexists(path):
            raise UsageError(f"{path}: no such file or folder; give existing ones")
    limits = Limits(
        min(max_pixels or DEFAULT_LIMITS.max_pixels, DEFAULT_LIMITS.max_pixels), max_bytes or DEFAULT_LIMITS.max_bytes
    )
    jobs = jobs or usable_cores()
    with Case.open(case) as opened:
        # Pictures are embedded side by side, one thread each: nothing waits for the slowest part of a layer.
        embedder = load_model(model or opened.default_model.name, device=device, threads=1)
        config = IngestConfig(jobs=jobs, reread=reread, labels=labels, limits=limits)
        with stop_on_signal() as stop, ingest_progress(paths) as progress:
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
        note(f"imgmatch: the index was not built: {error}")


def _close_ingest(case: Path, report: IngestReport, strict: bool) -> None:
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
    exclude_label: Annotated[
        list[str] | None, typer.Option(metavar="[COLUMN=]VALUE", help="Not items with this label.", show_default=False)
    ] = None,
    exclude_source: Annotated[
        list[str] | None, typer.Option(metavar="PATH", help="Not what was found there or below.", show_default=False)
    ] = None,
    exclude_item: Annotated[
        list[int] | None, typer.Option(metavar="ID", help="Not these items.", show_default=False)
    ] = None,
    model: ModelOpt = None,
    device: DeviceOpt = "cpu",
    strict: StrictOpt = False,
    format: FormatOpt = Format.table,
    output: OutputOpt = None,
) -> None:
    """Find the items of a case that look most like each query photograph."""
    from imgmatch.models import load_model
    from indexer import filters
    from indexer.case import Case
    from indexer.search import Searcher, SearchResult

    paths = _query_paths(queries)
    within = filters.Filter(
        labels=tuple(map(filters.label, label or ())),
        since=filters.date(since) if since else None,
        until=filters.date(until) if until else None,
        sources=tuple(map(filters.source, source or ())),
        items=tuple(item or ()),
        exclude_labels=tuple(map(filters.label, exclude_label or ())),
        exclude_sources=tuple(map(filters.source, exclude_source or ())),
        exclude_items=tuple(exclude_item or ()),
    )
    failed: list[SearchResult] = []
    searched = 0

    def results() -> Any:
        nonlocal searched
        for result in searcher.search(paths, k, within):
            if result.issue is None:
                searched += 1
            else:
                failed.append(result)
                note(f"imgmatch: {result.locator.path}: {result.issue.message}; not searched")
            yield result

    with Case.open(case) as opened:
        embedder = load_model(model or opened.default_model.name, device=device)
        searcher = Searcher(opened, embedder, warn=lambda message: note(f"imgmatch: {message}"))
        emit_search(results(), format, output)
    if not searched:
        what = failed[0].locator.path if failed else " ".join(map(str, queries))
        raise UsageError(f"{what}: no query could be searched; give pictures")
    if strict and failed:
        raise typer.Exit(EXIT_UNREADABLE)


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


@app.command()
def status(case: CaseArg, format: FormatOpt = Format.table, output: OutputOpt = None) -> None:
    """What a case holds: counts, model, sizes, last ingest."""
    from indexer.case import Case

    with Case.open(case) as opened:
        catalogue = opened.catalogue
        last = catalogue.last_run("ingest")
        record: dict[str, Any] = {
            "case": str(case),
            **catalogue.counts(),
            "issue_kinds": catalogue.issue_kinds(),
            "models": [f"{spec.name} ({spec.weights_sha256[:12]})" for _, spec in catalogue.models()],
            **opened.sizes(),
            **catalogue.meta(),
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
    from indexer.case import Case

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
            for row in opened.catalogue.issues()
            if kind is None or row.issue.error == kind
        )
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
    format: FormatOpt = Format.table,
    output: OutputOpt = None,
) -> None:
    """Verify a case: segments, indexes, weights, catalogue, audit log; exit with 1 when anything is wrong."""
    from indexer.case import Case
    from indexer.check import check as run_check

    with Case.open(case) as opened, count_progress() as progress:
        if repair:
            _repair(opened, progress)
        faults = [
            {"part": finding.part, "message": finding.message}
            for finding in run_check(opened, sources=sources, progress=progress)
        ]
        opened.record("check", {"sources": sources, "faults": len(faults)})
    if faults or format is not Format.table:
        emit(faults, ["part", "message"], format, output)
    if faults:
        raise ImgmatchError(f"{case}: {len(faults)} faults found; see the list above")
    note(f"{case}: all is well")


def _repair(case: Any, progress: Any) -> None:
    from imgmatch.models import load_model
    from indexer.repair import repair

    done = repair(case, lambda name: load_model(name, device="cpu", threads=1), progress=progress)
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

    from indexer import filters
    from indexer.case import Case
    from indexer.compact import delete as run_delete

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
    emit_one(dataclasses.asdict(done), format, output)
    note(f"Their vectors are removed from the disk by: imgmatch index {case} compact")


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
    """Add other cases' items, sightings, labels, issues and vectors; running it again goes on where it stopped."""
    import dataclasses
    import threading

    from indexer.case import Case
    from indexer.ingest import usable_cores
    from indexer.merge import merge as run_merge

    records = []
    with Case.open(case) as opened:
        for path in others:
            with Case.open(path) as other, count_progress() as progress:
                done = run_merge(opened, other, progress=progress)
            records.append({"case": str(path), **dataclasses.asdict(done)})
        if index:
            for _, spec in opened.catalogue.models():
                _build_if_due(opened, spec, jobs or usable_cores(), threading.Event())
    emit(records, ["case", "items", "known", "sightings", "vectors", "issues"], format, output)


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
    from imgmatch.models import model_spec
    from indexer.case import Case
    from indexer.index.build import BuildConfig, build, describe
    from indexer.ingest import usable_cores

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
    from indexer.case import Case
    from indexer.index.build import describe

    with Case.open(context.obj) as opened:
        emit_one(describe(opened, model_spec(model) if model else opened.default_model), format, output)


@index_app.command("compact")
def index_compact(context: typer.Context, format: FormatOpt = Format.table, output: OutputOpt = None) -> None:
    """Remove deleted vectors from the disk, and put small segments together."""
    import dataclasses

    from indexer.case import Case
    from indexer.compact import compact

    with Case.open(context.obj) as opened, count_progress() as progress:
        done = compact(opened, progress=progress)
    emit_one(dataclasses.asdict(done), format, output)


@models_app.command("list")
def models_list(format: FormatOpt = Format.table, output: OutputOpt = None) -> None:
    """The models that imgmatch knows."""
    from imgmatch.models import DEFAULT_MODEL, list_models

    records = [{**_spec_record(spec), "default": spec.name == DEFAULT_MODEL} for spec in list_models()]
    emit(records, ["name", "default", "task", "dim", "input_px", "licence", "description"], format, output)


@models_app.command("show")
def models_show(
    name: Annotated[str, typer.Argument(help="Name of the model.")],
    format: FormatOpt = Format.table,
    output: OutputOpt = None,
) -> None:
    """Everything known of one model."""
    from imgmatch.models import model_spec

    emit_one(_spec_record(model_spec(name)), format, output)


@models_app.command("verify")
def models_verify(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Which (default: all).")] = None,
) -> None:
    """Check weight files against their SHA-256."""
    from imgmatch.models import list_models, verify_model

    for name in names or [spec.name for spec in list_models()]:
        spec = verify_model(name)
        sys.stdout.write(f"{name}: weights are right (SHA-256 {spec.weights_sha256})\n")


def _spec_record(spec: Any) -> dict[str, Any]:
    import dataclasses

    return dataclasses.asdict(spec)


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
