"""``imgmatch validate``: a laboratory's validation of this installation, and comparisons of two."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core

from cli.options.output import Output
from cli.render.notes import EXIT_ERROR, note

KeyOpt = Annotated[
    Path | None, typer.Option("--key", help="Sign with this Ed25519 private key (PEM); needs imgmatch[sign].")
]
ReportArg = Annotated[Path, typer.Argument(metavar="REPORT.json", help="A report of a validation.")]


class RunByDefault(typer.core.TyperGroup):
    """The command ``run`` needs no name."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The arguments with the command first."""
        named = args and (args[0] in self.commands or args[0] == "--help")
        return super().parse_args(ctx, args if named or not args else ["run", *args])


def run(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder for the report and what it rests on.")],
    own: Annotated[
        Path | None, typer.Option(help="Photographs of your own, 80 or more: rates on what you work with.")
    ] = None,
    examiner: Annotated[str, typer.Option(help="Who validates.")] = "",
    key: KeyOpt = None,
) -> None:
    """Try every requirement on this machine and write a report to file: report.html and report.json."""
    from cli.validation import report
    from cli.validation.run import validate
    from indexer.case.signing import private_key

    signer = None if key is None else private_key(key)
    made = report.write(validate(folder, own=own, examiner=examiner, tell=note), folder, signer)
    totals = made["totals"]
    sys.stdout.write(
        f"{totals['passed']} requirements passed, {totals['deviates']} deviate, {totals['not tested']} not tested: "
        f"{folder / 'report.html'}\n"
    )
    if totals["deviates"]:
        raise typer.Exit(EXIT_ERROR)


def check(
    file: ReportArg,
    public_key: Annotated[
        Path | None, typer.Option("--public-key", help="It must be signed with the key that belongs to this one (PEM).")
    ] = None,
) -> None:
    """Check that a report is as it was made, and by whom."""
    from cli.validation import report

    made, faults = report.check(file, public_key)
    if faults:
        note(f"imgmatch: {file}: {'; '.join(faults)}")
        raise typer.Exit(EXIT_ERROR)
    signed = made["seal"].get("public_key")
    sys.stdout.write(f"{file}: is as it was made{f', signed by {signed}' if signed else ', not signed'}\n")


def compare(before: ReportArg, after: ReportArg, *, out: Output) -> None:
    """Say what a later validation gave otherwise; ends with 1 where something is worse."""
    from cli.validation import report

    found = report.compare(report.read(before), report.read(after))
    out.many([one._asdict() for one in found], ["what", "before", "after", "worse"])
    if any(one.worse for one in found):
        raise typer.Exit(EXIT_ERROR)
