"""``imgmatch relocate``: sources lie elsewhere now."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.options.common import CaseArg, open_case
from cli.options.output import Output
from cli.options.sources import PasswordOptions
from cli.render.formats import Format
from cli.render.notes import note
from cli.render.progress import count_progress
from imgmatch.errors import ImgmatchError, UsageError
from imgmatch.locator import readable


def relocate(
    case: CaseArg,
    old: Annotated[
        str | None, typer.Argument(metavar="OLD", help="Where sources lay when they were read: file, folder or drive.")
    ] = None,
    new: Annotated[Path | None, typer.Argument(metavar="NEW", help="Where the same lies now.")] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Read every content again and compare, not 200 of them.")
    ] = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="Move what is there as it was; files that are amiss stay where they were.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only compare.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take the last move back.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="List every move.")] = False,
    *,
    passwords: PasswordOptions,
    out: Output,
) -> None:
    """Sources lie on another disk, drive letter or machine now: the case follows, once they are found as they were."""
    from imgmatch.evidence import SourceOptions
    from indexer.care import relocate as moves

    asked = (undo, list_, old is not None)
    if sum(asked) != 1 or (old is None) != (new is None):
        raise UsageError("give OLD and NEW; or --undo, or --list alone")
    with open_case(case) as opened, count_progress() as progress:
        if list_:
            records = [
                {**made._asdict(), "old": readable(made.old), "new": readable(made.new)}
                for made in moves.relocations(opened)
            ]
            out.many(records, ["relocation_id", "old", "new", "moved_utc", "undone_utc"])
            return
        if undo:
            made, count = moves.undo(opened)
            note(f"{case}: {count:,} sightings are at {made.old} again")
            return
        assert old is not None
        assert new is not None
        options = SourceOptions(passwords=passwords.read())
        done = moves.relocate(
            opened, old, new, every=every, partial=partial, dry_run=dry_run, options=options, progress=progress
        )
    faults = [{"place": readable(place), "why": why} for place, why in done.amiss]
    if out.format is Format.table:
        out.many(faults, ["place", "why"]) if faults else None
    else:
        counts = {"files": done.files, "checked": done.checked, "sightings": done.sightings, "moved": done.done}
        out.one({"old": readable(done.old), "new": readable(done.new), **counts, "amiss": faults})
    if faults and not partial:
        raise ImgmatchError(
            f"{case}: {len(faults):,} files are not at {new} as they were; nothing was moved: bring them there, or "
            "move the others with --partial"
        )
    what = f"{done.files:,} files are at {new}; {done.checked:,} contents read there, each as it was"
    note(f"{case}: {what}; " + (f"{done.sightings:,} sightings moved" if done.done else "nothing was moved"))
