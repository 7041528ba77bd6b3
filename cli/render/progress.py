"""Progress on standard error, only when that is a terminal."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from cli.render.notes import note
from cli.render.terminal import drawn
from indexer.case.ending import Stopped

if TYPE_CHECKING:
    from indexer.intake.ingest import IngestReport


@contextmanager
def ingest_progress(paths: Sequence[Path]) -> Iterator[Callable[[IngestReport], None] | None]:
    """A bar with rate and time left; the total comes in from a count that runs beside the work."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("ingest"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("files  {task.fields[rate]:.0f}/s "),
        TimeRemainingColumn(),
        TextColumn("{task.fields[new]} new  {task.fields[unusable]} issues"),
    )
    with Progress(*columns, console=Console(file=drawn())) as bar:
        task = bar.add_task("ingest", total=None, rate=0.0, new=0, unusable=0)
        counting = threading.Thread(target=lambda: bar.update(task, total=_count_files(paths)), daemon=True)
        counting.start()

        def show(report: IngestReport) -> None:
            elapsed = bar.tasks[0].elapsed or 1e-9
            done = report.new_items + report.known + report.unchanged + report.unusable + report.ignored + report.unread
            bar.update(
                task, completed=report.files, rate=done / elapsed, new=report.new_items, unusable=report.unusable
            )

        yield show


@contextmanager
def count_progress() -> Iterator[Callable[[str, int, int], None] | None]:
    """A bar for counted work: what, how many done, how many in all."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress, TaskID

    with Progress(console=Console(file=drawn())) as bar:
        tasks: dict[str, TaskID] = {}

        def show(part: str, done: int, total: int) -> None:
            if part not in tasks:
                tasks[part] = bar.add_task(part)
            bar.update(tasks[part], completed=done, total=total)

        yield show


@contextmanager
def train_progress() -> Iterator[Callable[[str, int, int, dict[str, float]], None]]:
    """A bar on a terminal, and a line with the figures now and then everywhere: a training run takes hours."""
    with count_progress() as bar:
        told = 0.0

        def show(stage: str, done: int, total: int, figures: dict[str, float]) -> None:
            nonlocal told
            if bar:
                bar(stage, done, total)
            if figures and (stage != "train" or time.monotonic() - told > 30):
                told = time.monotonic()
                listed = ", ".join(f"{name} {value:.3g}" for name, value in figures.items())
                note(f"{stage} {done}/{total}: {listed}")

        yield show


class Stop(threading.Event):
    """Set when the work is to finish what it has in hand; ``why`` says what asked for it."""

    why = ""


def called(number: int) -> str:
    """A signal as a person calls it."""
    return "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name


def end_on_sigterm() -> None:
    """A SIGTERM from now on ends the program as Ctrl-C does: what it has in hand is told of before."""

    signal.signal(signal.SIGTERM, lambda number, frame: end(number))


def end(number: int) -> None:
    """End the program because of a signal, with the exit code that shells know."""
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    note(f"imgmatch: told to end ({called(number)}); what was committed is kept")
    raise Stopped(called(number), 128 + number)


@contextmanager
def stop_on_signal() -> Iterator[Stop]:
    """The first Ctrl-C (or SIGTERM) asks the work to finish what it has in hand; a second one breaks it off."""
    stop = Stop()

    def ask(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            end(number)
        stop.why = called(number)
        stop.set()
        note("imgmatch: stopping after the pictures in hand; press Ctrl-C again to break off")

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _count_files(paths: Sequence[Path]) -> int:
    from imgmatch.evidence import PLAIN_FILES, walk

    return sum(1 for path in paths for _ in walk(path, options=PLAIN_FILES))
