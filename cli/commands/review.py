"""``imgmatch review``: open the case, start the page, say where it is, stop cleanly."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cli.options.asked import AskedOptions
from cli.options.common import (
    CaseArg,
    DeviceOpt,
    IsolationOpt,
    LanguageOpt,
    ModelOpt,
    decode_soon,
    embedder_of,
    open_case,
)
from cli.options.query import VerifyWithOpt, matcher_of
from cli.render.notes import note


def review(
    case: CaseArg,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")] = True,
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="Port (0: a random one).")] = 0,
    host: Annotated[
        str, typer.Option(metavar="127.X.Y.Z", help="Address of this machine alone (default: a random one).")
    ] = "",
    idle_minutes: Annotated[
        float, typer.Option("--idle-minutes", min=0.01, max=1440, metavar="N", help="End after so long without use.")
    ] = 30,
    most_hours: Annotated[
        float, typer.Option("--most-hours", min=0.01, max=168, metavar="N", help="End after so long, used or not.")
    ] = 12,
    examiner: Annotated[str, typer.Option(help="Who decides (default: the case's examiner).")] = "",
    language: LanguageOpt = None,
    verify_with: VerifyWithOpt = "sift",
    model: ModelOpt = None,
    device: DeviceOpt = "cpu",
    isolation: IsolationOpt = True,
    *,
    asked: AskedOptions,
) -> None:
    """Look through matches in the browser, on this machine only: search, compare, confirm, reject, export."""
    from cli.review.server import Terms, serve
    from indexer.review import Desk

    with open_case(case) as opened:
        asked.tell(opened)
        decode_soon(isolation)
        embedder = embedder_of(opened, model, device)
        desk = Desk(opened, embedder, examiner, matcher_of(verify_with))
        try:
            terms = Terms(host, port, idle_minutes * 60, most_hours * 3600, browser)
            why = serve(desk, terms, lambda what, words: _say(what, words, idle_minutes))
        finally:
            desk.close("not begun")  # where the page never came up
    note(f"imgmatch: the review has ended ({why}); decisions are kept in {case}")


def _say(what: str, words: str, minutes: float) -> None:
    if what == "refused":
        note(f"imgmatch: refused: {words} (said once; how often stands in the audit log when the review ends)")
        return
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()
    note(
        f"imgmatch: this address works once, within 10 minutes, on this machine only; the page ends after {minutes:g} "
        "minutes without use, or with Ctrl-C"
    )
