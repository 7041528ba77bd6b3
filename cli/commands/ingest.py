"""``imgmatch ingest``: pictures into a case."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.commands.index import build_when_due
from cli.options.common import CaseArg, DeviceOpt, IsolationOpt, JobsOpt, ModelOpt, StrictOpt, embedder_of, open_case
from cli.options.faces import reader_where_open
from cli.options.output import Output
from cli.options.sources import InsideOptions, LimitOpt, PasswordOptions
from cli.render.notes import EXIT_ERROR, EXIT_INTERRUPTED, EXIT_UNREADABLE, note
from cli.render.progress import ingest_progress, stop_on_signal
from imgmatch.errors import UsageError

if TYPE_CHECKING:
    from indexer.intake.ingest import IngestReport

_UNREAD_SHOWN = 10


def ingest(
    case: CaseArg,
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="PATH...", help="Files, folders, archives, disk images.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(metavar="CSV|XLSX", help="Table with file (or sha256), label and further columns.")
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV|XLSX|JSONL",
            help="Where pictures come from: path and further columns; without PATH its files are ingested.",
        ),
    ] = None,
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
    *,
    inside: InsideOptions,
    passwords: PasswordOptions,
    limit: LimitOpt = None,
    strict: StrictOpt = False,
    out: Output,
) -> None:
    """Bring pictures into a case. Sources are only read; running it again goes on where it stopped."""
    from imgmatch.cores import usable_cores
    from imgmatch.evidence.limits import limits as all_limits
    from indexer.care.indexing import BuildConfig, building_beside
    from indexer.intake.ingest import IngestConfig
    from indexer.intake.ingest import ingest as run_ingest

    paths = paths or []
    if not paths and manifest is None:
        raise UsageError("nothing to ingest is named; give a PATH, or --manifest")
    for path in paths:
        if not os.path.lexists(path):
            raise UsageError(f"{path}: no such file or folder; give existing ones")
    limits = all_limits(limit or ())
    jobs = jobs or usable_cores()
    config = IngestConfig(
        jobs=jobs,
        reread=reread,
        labels=labels,
        manifest=manifest,
        limits=limits.picture,
        sources=inside.sources(passwords, limits.source),
        profile=profile,
        isolation=isolation,
        worker_limits=limits.worker,
    )
    with open_case(case) as opened:
        # Pictures are embedded side by side, one thread each: nothing waits for the slowest part of a layer.
        embedder = embedder_of(opened, model, device, threads=1)
        with stop_on_signal() as stop, ingest_progress(paths) as progress:
            # The build leaves all but one core to the pictures.
            beside = building_beside(opened, embedder.spec, BuildConfig(jobs=1), stop=stop) if index else nullcontext()
            with beside:
                faces = reader_where_open(opened)
                report = run_ingest(opened, paths, embedder, config, progress=progress, stop=stop, faces=faces)
            if index and not stop.is_set():
                build_when_due(opened, embedder.spec, jobs, stop)
        totals = opened.catalogue.counts()
    kinds = {"issue_kinds": report.issue_kinds, "unsupported": report.unsupported}
    out.one({**report.counts(), "interrupted": report.interrupted, **kinds, "case": totals})
    _close(case, report, strict)


def _close(case: Path, report: IngestReport, strict: bool) -> None:
    _tell_alerts(case, report)
    for told in report.tables_told:
        note(f"imgmatch: {told}")
    if report.unusable:
        note(f"{report.unusable} files could not be used; see: imgmatch issues {case}, or count them with --by kind")
    for what, files in report.unsupported.items():
        note(f"unsupported: {what} ({files})")
    if report.access_times:
        what = "links, or files and folders that this account does not own"
        note(f"{report.access_times} access times may have moved: {what}; where they matter, mount sources read-only")
    if report.unread_at:
        for place in report.unread_at[:_UNREAD_SHOWN]:
            note(place)
        more = len(report.unread_at) - _UNREAD_SHOWN
        note(f"and {more:,} more: imgmatch audit show {case} --action ingest") if more > 0 else None
        note(
            f"{report.unread:,} files could not be read from their disk. Nothing is kept of them: the same command "
            "reads them again. Of a failing disk, make an image first."
        )
    if report.interrupted:
        note("Stopped early; everything so far is kept. Go on with the same command.")
        raise typer.Exit(EXIT_INTERRUPTED)
    if report.unread_at:
        raise typer.Exit(EXIT_ERROR)
    if strict and report.unusable:
        raise typer.Exit(EXIT_UNREADABLE)


def _tell_alerts(case: Path, report: IngestReport) -> None:
    if not report.alerts:
        return
    for alert in report.alerted:
        category = f", category {alert.category}" if alert.category else ""
        note(f"ALERT {alert.name}{category}: {alert.locator.words}")
    note(f"{report.alerts} files are on alert lists; see: imgmatch known match {case} --as alert")
