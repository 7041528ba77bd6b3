"""``imgmatch terms`` and ``imgmatch releases``: what a case is for, until when it is kept, and what has left it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.options.common import CaseArg, open_case
from cli.options.output import Output
from cli.options.terms import TermOptions
from cli.render.formats import Format
from cli.render.notes import note
from imgmatch.errors import CaseError, UsageError

WhyOpt = Annotated[str, typer.Option("--reason", help="Why; kept in the audit log.")]


def show(case: CaseArg, *, out: Output) -> None:
    """What a case is for, on whose authority, by which consent, until when it is kept, and what it demands."""
    from indexer.care.terms import terms_of

    with open_case(case) as opened:
        out.one({"case": str(case), **terms_of(opened)})


def set_(case: CaseArg, reason: WhyOpt, *, terms: TermOptions, out: Output) -> None:
    """Change what a case says of itself; the log keeps what it said before. Only its owner may."""
    from indexer.care.terms import set_terms

    with open_case(case) as opened:
        out.one({"case": str(case), **set_terms(opened, terms.told(), reason)})


def extend(
    case: CaseArg,
    until: Annotated[str, typer.Option(metavar="DATE", help="The last day on which it may be used (2027-01-31).")],
    reason: WhyOpt,
    *,
    out: Output,
) -> None:
    """Let a case be used up to a later day, also when it has expired. Only its owner may."""
    from indexer.care.terms import extend as run_extend

    with open_case(case) as opened:
        out.one({"case": str(case), **run_extend(opened, until, reason)})


def releases(
    case: CaseArg,
    of: Annotated[
        Path | None, typer.Option("--of", metavar="FILE", help="Only those that this file, met elsewhere, was part of.")
    ] = None,
    sha256: Annotated[str, typer.Option(help="The same, by the file's SHA-256.")] = "",
    *,
    out: Output,
) -> None:
    """What has left a case: when, by whom, for whom and what for; or how a file that turned up elsewhere left it."""
    from indexer.out.released import releases as run_releases
    from indexer.out.released import sha256_of

    if of is not None and sha256:
        raise UsageError("--of and --sha256 exclude each other; give one")
    sought = sha256_of(of) if of is not None else sha256.lower()
    if sought and (len(sought) != 64 or not set(sought) <= set("0123456789abcdef")):
        raise UsageError(f"{sha256!r} is no SHA-256; give its 64 hexadecimal digits")
    with open_case(case) as opened:
        rows = run_releases(opened, sought or None)
    if sought and not rows:
        raise CaseError(f"{case}: no release has a file with the SHA-256 {sought}")
    if out.format in (Format.table, Format.csv):
        rows = [{**row, "listed": " ".join(file["name"] for file in row["listed"])} for row in rows]
    columns = ["release_id", "released_utc", "account", "what", "clear", "recipient", "purpose", "target", "sha256"]
    out.many(rows, columns, ["files", "entry"])
    if not rows:
        note(f"{case}: nothing is known to have left it")
