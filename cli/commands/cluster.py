"""``imgmatch scheduler`` and ``imgmatch worker``: an ingest over several machines."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from cli.options.cluster import TlsOpt
from cli.options.common import JobsOpt
from cli.render.notes import note


def scheduler(
    host: Annotated[str, typer.Option(help="The address of this machine to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8786,
    tls: TlsOpt = None,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="Write the address there, for workers and ingest.")
    ] = None,
    dashboard: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Dask's page, on this machine alone (needs bokeh).")
    ] = None,
) -> None:
    """Give out the work of ingests to workers, until Ctrl-C or SIGTERM. Beyond this machine, only with TLS."""
    from indexer.intake.cluster.hosting import run_scheduler

    _until_told(lambda stop: run_scheduler(host, port, tls, file, dashboard, stop, note))


def worker(
    scheduler: Annotated[str, typer.Argument(metavar="SCHEDULER", help="tls://HOST:PORT, or a scheduler file.")],
    tls: TlsOpt = None,
    path_map: Annotated[
        list[str] | None,
        typer.Option(
            "--path-map",
            metavar="OLD=NEW",
            help="What lies at OLD for whoever ingests lies at NEW here; may be repeated. Or IMGMATCH_PATH_MAP.",
        ),
    ] = None,
    host: Annotated[str | None, typer.Option(help="The address of this machine by which others reach it.")] = None,
    jobs: JobsOpt = None,
) -> None:
    """Read, decode and embed for ingests of other machines, until Ctrl-C or SIGTERM."""
    from indexer.intake.cluster.hosting import run_worker

    _until_told(lambda stop: run_worker(scheduler, tls, host, jobs, path_map or (), stop, note))


def _until_told(run: Callable[[threading.Event], None]) -> None:
    told = threading.Event()

    def end(number: int, _: FrameType | None) -> None:
        if told.is_set():
            raise KeyboardInterrupt
        told.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        run(told)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
