"""What to search with: which pictures, what to look away from in them, and how sure a match must be."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.render.notes import note
from imgmatch.errors import UsageError

if TYPE_CHECKING:
    from imgmatch.models.xfeat.matcher import Matcher
    from indexer.case.case import Case
    from indexer.search.request import LeaveOut

QueriesArg = Annotated[
    list[Path],
    typer.Argument(metavar="QUERY...", help="Pictures, folders, or - for a list of paths on standard input."),
]
LeadsOpt = Annotated[int, typer.Option("-k", min=1, max=10_000, help="Leads a query.")]
RegionsOpt = Annotated[bool, typer.Option("--regions/--no-regions", help="Search with parts of the query too.")]
VerifyWithOpt = Annotated[
    str,
    typer.Option(
        "--verify-with", metavar="sift|xfeat", help="Points that geometry asks: xfeat holds from other sides too."
    ),
]
MaxFmrOpt = Annotated[
    float | None, typer.Option("--max-fmr", min=0, max=1, help="Only matches with at most this false-match rate.")
]


@dataclass(frozen=True, slots=True)
class LeaveOutOptions:
    """Parts of the query that don't count."""

    mask: Annotated[
        Path | None, typer.Option(help="Picture of the query's size, white where to look away (a person).")
    ] = None
    ignore_box: Annotated[
        list[str] | None,
        typer.Option(metavar="X,Y,W,H", help="Box to look away from, in the query's pixels; may be repeated."),
    ] = None
    box: Annotated[str | None, typer.Option(metavar="X,Y,W,H", help="Search with this part of the query only.")] = None

    def leave_out(self) -> LeaveOut:
        """What the options say. Raises UsageError for what is no box."""
        from indexer.search.request import LeaveOut

        return LeaveOut(self.mask, tuple(map(_box, self.ignore_box or ())), _box(self.box) if self.box else None)


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """How many matches geometry is asked about."""

    verify: Annotated[
        bool, typer.Option("--verify/--no-verify", help="Verify the nearest by geometry; verified ones come first.")
    ] = True
    verify_top: Annotated[
        int, typer.Option("--verify-top", min=1, max=10_000, metavar="N", help="How many of the nearest to verify.")
    ] = 50
    verify_with: VerifyWithOpt = "sift"

    def top(self) -> int:
        """How many of the nearest to verify; 0: none."""
        return self.verify_top if self.verify else 0


def matcher_of(verify_with: str) -> Matcher | None:
    """What pairs learned points, as a VerifyWithOpt asks for them, loaded; None: SIFT alone. Raises UsageError for
    another name, ModelError where it is not on this machine.
    """
    if verify_with == "sift":
        return None
    if verify_with != "xfeat":
        raise UsageError(f"--verify-with {verify_with}: say sift or xfeat")
    from imgmatch.models.xfeat.matcher import Matcher

    return Matcher()


def query_paths(queries: list[Path]) -> list[str]:
    """Paths as a QueriesArg names them. Raises UsageError when one does not exist, or none is named."""
    paths: list[str] = []
    for query in queries:
        if str(query) == "-":
            data = sys.stdin.buffer.read()
            paths += [os.fsdecode(p) for p in data.split(b"\0" if b"\0" in data else b"\n") if p.strip()]
        else:
            paths.append(str(query))
    for path in paths:
        if not os.path.exists(path):
            raise UsageError(f"{path}: no such file or folder; give an existing picture or folder")
    if not paths:
        raise UsageError("-: standard input names no query; give one path a line")
    return paths


def no_background(case: Case) -> None:
    """Say that no false-match rate can be stated."""
    from indexer.search.background import too_few

    note(f"imgmatch: {too_few(case)}; name a reference with: imgmatch calibrate {case.path} --background OTHER")


def _box(text: str) -> tuple[int, int, int, int]:
    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"{text!r} is not a box; give x,y,width,height as whole numbers") from error
    return x, y, width, height
