"""``imgmatch doctor``: what is installed, and whether this machine can do what a case needs."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from cli.options.common import open_case
from cli.options.output import Output
from cli.render.notes import EXIT_ERROR, note


def doctor(
    case: Annotated[Path | None, typer.Argument(help="Look also at what this case needs.")] = None,
    *,
    out: Output,
) -> None:
    """Say what is installed, what is missing for which sources, and whether this machine can do the work."""
    from indexer.care.doctor import examine

    with contextlib.ExitStack() as stack:
        opened = None if case is None else stack.enter_context(open_case(case))
        found = list(examine(opened))
    out.many([finding._asdict() for finding in found], ["what", "state", "says", "do"])
    wrong = [finding.what for finding in found if finding.state == "wrong"]
    if wrong:
        note(f"imgmatch: wrong here: {', '.join(wrong)}")
        raise typer.Exit(EXIT_ERROR)
