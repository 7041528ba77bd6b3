"""Arguments and options that many commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.render import Format

CaseArg = Annotated[Path, typer.Argument(metavar="CASE", help="Folder of the case.", show_default=False)]
FormatOpt = Annotated[Format, typer.Option("--format", help="How to write the result.")]
OutputOpt = Annotated[
    Path | None, typer.Option("--output", "-o", help="Write the result to this file.", show_default=False)
]
ModelOpt = Annotated[
    str | None, typer.Option("--model", help="Model to use (default: the case's).", show_default=False)
]
IsolationOpt = Annotated[
    bool, typer.Option("--isolation/--no-isolation", help="Decode pictures in confined processes of their own.")
]
DeviceOpt = Annotated[str, typer.Option("--device", help="Where the network runs: auto, cpu or cuda.")]


def decode_soon(isolation: bool) -> None:
    """Say where pictures are decoded, as an IsolationOpt has it; workers come up while the command loads the rest."""
    from imgmatch.workers import shared
    from imgmatch.workers.choice import set_isolated

    set_isolated(isolation)
    shared.start()
