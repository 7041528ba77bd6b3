"""``imgmatch watch``: what arrives in a folder comes into the case."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.commands.ingest import take_in
from cli.options.common import CaseArg, embedder_of, open_case
from cli.options.intake import TakingOptions
from cli.options.sources import InsideOptions, PasswordOptions
from cli.render.journal import journal
from cli.render.notes import EXIT_INTERRUPTED, note
from cli.render.progress import stop_on_signal
from imgmatch.errors import UsageError
from imgmatch.repeating import repeating

if TYPE_CHECKING:
    from indexer.intake.ingest import IngestReport


def watch(
    case: CaseArg,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where files arrive; only read.")],
    look: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="How often to look for what has arrived.")
    ] = 10.0,
    still: Annotated[
        float, typer.Option(min=0.0, metavar="SECONDS", help="Take a file once it has not changed for so long.")
    ] = 10.0,
    once: Annotated[bool, typer.Option("--once", help="End once all that is there has come in and is still.")] = False,
    *,
    taking: TakingOptions,
    inside: InsideOptions,
    passwords: PasswordOptions,
) -> None:
    """Bring pictures into a case as they arrive in a folder, until Ctrl-C or SIGTERM, which end it cleanly.

    Files that are still being written are left until they are still, and so are those beside them that may be parts of
    the same set. Started again, also after a kill, it goes on with what has arrived meanwhile.
    """
    from indexer.intake.arrivals import Arrivals

    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; give an existing one")
    with (
        open_case(case) as opened,
        journal(taking.log, [folder]) as log,
        stop_on_signal() as stop,
        ExitStack() as stack,
    ):
        embedder = embedder_of(opened, taking.model, taking.device, threads=1)
        arrivals = Arrivals(folder, still, leave_out=opened.path)
        note(f"imgmatch: watching {folder} for {case}; end with Ctrl-C or SIGTERM")
        gone = busy = False
        log.tell("watching", case=str(case), folder=str(folder), pid=os.getpid())

        def waiting() -> bool:
            if not busy:
                log.tell("waiting", moving=len(arrivals.moving), listed=not gone)
            return True

        stack.enter_context(repeating(waiting, taking.every, "watching"))
        while not stop.is_set():
            try:
                arrivals.look()
                gone = False
            except OSError as error:
                if not gone:
                    note(f"imgmatch: {folder}: can't be listed ({error.strerror}); looking again until it can")
                gone = True
            if arrivals.due and not gone:
                taken = arrivals.ready()
                config = taking.config(inside, passwords, wait=True, still=lambda way, known=taken: way in known)
                busy = True
                report = take_in(opened, [folder], embedder, config, taking, log, stop)
                busy = False
                if not report.interrupted:
                    arrivals.taken(taken)
                _tell(report)
            if once and not arrivals.moving and not arrivals.due:
                stop.why = "nothing more arrives"
                break
            stop.wait(look)
        log.tell("watched", why=stop.why)
    note(f"imgmatch: watching {folder} has ended ({stop.why}); what was committed is kept")
    if stop.why == "Ctrl-C":
        raise typer.Exit(EXIT_INTERRUPTED)


def _tell(report: IngestReport) -> None:
    more = f", {report.issues:,} could not be used" if report.issues else ""
    more += f", {report.kept_out:,} kept out" if report.kept_out else ""
    note(f"{report.new_items:,} new pictures, {report.known:,} known ones{more}")
