"""The command line: parse, call the library, print. Heavy modules are imported by the command that needs them."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import imgmatch
from cli.progress import count_progress, ingest_progress, note, stop_on_signal, train_progress
from cli.render import Format, emit, emit_one, emit_search
from imgmatch.errors import ImgmatchError, UsageError

if TYPE_CHECKING:
    from imgmatch.types import ModelSpec
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
InputPxOpt = Annotated[
    int | None,
    typer.Option(
        "--input-px", min=32, max=2048, help="Side of the input (default: the network's).", show_default=False
    ),
]
NameOpt = Annotated[str | None, typer.Option("--name", help="Name of the new model.", show_default=False)]
LicenceOpt = Annotated[str | None, typer.Option("--licence", help="Licence of the weights.", show_default=False)]
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
        totals = opened.catalogue.counts()
    emit_one({**report.counts(), "interrupted": report.interrupted, "case": totals}, format, output)
    _close_ingest(case, report, strict)


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
    mask: Annotated[
        Path | None,
        typer.Option(help="Picture of the query's size, white where to look away (a person).", show_default=False),
    ] = None,
    ignore_box: Annotated[
        list[str] | None,
        typer.Option(metavar="X,Y,W,H", help="Box to look away from, in the query's pixels; may be repeated."),
    ] = None,
    model: ModelOpt = None,
    device: DeviceOpt = "cpu",
    strict: StrictOpt = False,
    format: FormatOpt = Format.table,
    output: OutputOpt = None,
) -> None:
    """Find the items of a case that look most like each query photograph."""
    from imgmatch.models import load_model
    from indexer.case import Case
    from indexer.search import LeaveOut, Searcher, SearchResult

    leave_out = LeaveOut(mask, tuple(_box(text) for text in ignore_box or []))
    paths = _query_paths(queries)
    failed: list[SearchResult] = []
    searched = 0

    def results() -> Any:
        nonlocal searched
        for result in searcher.search(paths, k, leave_out):
            if result.issue is None:
                searched += 1
            else:
                failed.append(result)
                note(f"imgmatch: {result.locator.path}: {result.issue.message}; not searched")
            yield result

    with Case.open(case) as opened:
        searcher = Searcher(opened, load_model(model or opened.default_model.name, device=device))
        emit_search(results(), format, output)
    if not searched:
        what = failed[0].locator.path if failed else " ".join(map(str, queries))
        raise UsageError(f"{what}: no query could be searched; give pictures")
    if strict and failed:
        raise typer.Exit(EXIT_UNREADABLE)


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
    format: FormatOpt = Format.table,
    output: OutputOpt = None,
) -> None:
    """Verify a case: segments, weights, catalogue, audit log; exit with 1 when anything is wrong."""
    from indexer.case import Case
    from indexer.check import check as run_check

    with Case.open(case) as opened, count_progress() as progress:
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
    from imgmatch.training.train import TrainConfig, train

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
    from imgmatch.sources import walk
    from imgmatch.training.quantise import quantised_model
    from imgmatch.types import Evidence

    files = [Path(found.locator.at) for path in data for found in walk(path) if isinstance(found, Evidence)]
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
    from imgmatch.evaluation import run_evaluation

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
