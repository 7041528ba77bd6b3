"""``imgmatch ingest``: pictures into a case."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.commands.index import build_when_due
from cli.options.cluster import ClusterOptions
from cli.options.common import CaseArg, StrictOpt, embedder_of, open_case
from cli.options.faces import reader_where_open
from cli.options.intake import TakingOptions
from cli.options.output import Output
from cli.options.sources import InsideOptions, PasswordOptions
from cli.render.formats import Format
from cli.render.journal import Journal, beats, journal, summary
from cli.render.notes import EXIT_ERROR, EXIT_INTERRUPTED, EXIT_UNREADABLE, note, tell
from cli.render.progress import Stop, ingest_progress, stop_on_signal
from imgmatch.errors import UsageError

if TYPE_CHECKING:
    from imgmatch.models.base import Embedder
    from indexer.case.case import Case
    from indexer.intake.ingest import IngestConfig, IngestReport

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
    reread: Annotated[bool, typer.Option("--reread", help="Read files again that have not changed.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Where another program writes to the case, wait until it is done.")
    ] = False,
    strict: StrictOpt = False,
    *,
    taking: TakingOptions,
    inside: InsideOptions,
    passwords: PasswordOptions,
    cluster: ClusterOptions,
    out: Output,
) -> None:
    """Bring pictures into a case. Sources are only read; running it again goes on where it stopped."""
    paths = paths or []
    if not paths and manifest is None:
        raise UsageError("nothing to ingest is named; give a PATH, or --manifest")
    for path in paths:
        if not os.path.lexists(path):
            raise UsageError(f"{path}: no such file or folder; give existing ones")
    config = taking.config(
        inside, passwords, reread=reread, labels=labels, manifest=manifest, wait=wait, cluster=cluster.config()
    )
    with open_case(case) as opened, journal(taking.log, paths) as log:
        _take_in_deliveries(opened)
        # Pictures are embedded side by side, one thread each: nothing waits for the slowest part of a layer.
        embedder = embedder_of(opened, taking.model, taking.device, threads=1)
        if wait and opened.is_written_to():
            note(f"imgmatch: {case}: another program writes to this case; waiting until it is done")
        with stop_on_signal() as stop:
            begun = time.monotonic()
            report = take_in(opened, paths, embedder, config, taking, log, stop)
            seconds = time.monotonic() - begun
        totals = opened.catalogue.counts()
    if out.format is Format.table and out.output is None:
        tell(summary(case, report, totals, seconds))
    else:
        kinds = {
            "issue_kinds": report.issue_kinds,
            "unsupported": report.unsupported,
            "not_picture_types": report.not_picture_types,
        }
        out.one({**report.counts(), "interrupted": report.interrupted, **kinds, "case": totals})
    _close(case, report, strict)


def _take_in_deliveries(case: Case) -> None:
    """What was handed in to an encrypted case comes first."""
    from indexer.intake.delivery import deliveries

    if case.place.ring is None or not deliveries(case.path):
        return
    from indexer.care.delivered import take_in as run_take_in

    for one in run_take_in(case):
        what = one.why if one.merged is None else f"{one.merged.items:,} new items"
        note(f"imgmatch: delivery {one.delivery}: {what}")


def take_in(
    case: Case,
    paths: Sequence[Path],
    embedder: Embedder,
    config: IngestConfig,
    taking: TakingOptions,
    log: Journal,
    stop: Stop,
) -> IngestReport:
    """One ingest, with all that is told of it meanwhile, and the index afterwards."""
    from indexer.care.indexing import BuildConfig, building_beside
    from indexer.intake.ingest import ingest as run_ingest

    latest: list[IngestReport] = []
    log.tell("start", case=str(case.path), paths=[str(path) for path in paths], pid=os.getpid())
    state, why = "failed", ""
    try:
        with (
            ingest_progress(paths) as progress,
            beats(lambda: latest[-1] if latest else None, log, taking.every, said=progress is None),
        ):

            def tell_all(report: IngestReport) -> None:
                latest[:] = [report]
                if progress is not None:
                    progress(report)

            # The build leaves all but one core to the pictures.
            spec = embedder.spec
            beside = building_beside(case, spec, BuildConfig(jobs=1), stop=stop) if taking.index else nullcontext()
            with beside:
                report = run_ingest(
                    case,
                    paths,
                    embedder,
                    config,
                    progress=tell_all,
                    stop=stop,
                    tell_issue=log.issue,
                    faces=reader_where_open(case),
                )
        if taking.index and not stop.is_set():
            build_when_due(case, spec, config.threads, stop)
        state, why = ("interrupted", stop.why) if report.interrupted else ("finished", "")
    except BaseException as error:
        why = str(error) or type(error).__name__
        raise
    finally:
        log.tell("end", state=state, why=why, **(log.figures(latest[-1]) if latest else {}))
    return report


def _close(case: Path, report: IngestReport, strict: bool) -> None:
    _tell_alerts(case, report)
    for told in report.tables_told:
        note(f"imgmatch: {told}")
    broken = report.issues
    if broken:
        where = f"see: imgmatch issues {case}, or count them with --by kind"
        note(f"{broken} files or parts of files could not be used; {where}")
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
    if strict and report.issues:
        raise typer.Exit(EXIT_UNREADABLE)


def _tell_alerts(case: Path, report: IngestReport) -> None:
    if not report.alerts:
        return
    for alert in report.alerted:
        category = f", category {alert.category}" if alert.category else ""
        note(f"ALERT {alert.name}{category}: {alert.locator.words}")
    note(f"{report.alerts} files are on alert lists; see: imgmatch known match {case} --as alert")
