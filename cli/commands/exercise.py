"""``imgmatch exercise``: a case to learn with, on pictures that show nobody, which marks its own answers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.render.notes import EXIT_ERROR, note
from imgmatch.errors import UsageError


def exercise(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder; with --check or --key: where it lies.")],
    seed: Annotated[
        int | None, typer.Option(min=0, help="Draws the names; another number gives other answers (default: 1).")
    ] = None,
    check: Annotated[
        Path | None, typer.Option(metavar="ANSWERS", help="Mark this sheet; exit with 1 unless all is right.")
    ] = None,
    key: Annotated[bool, typer.Option("--key", help="For whoever teaches: what is right, and why.")] = False,
) -> None:
    """Make a case to learn with, of rendered hotels: a story, questions, and a key that marks the answers."""
    from cli.exercise import making

    if (check is not None) + key + (seed is not None) > 1:
        raise UsageError("give one of --seed, --check and --key")
    if key:
        for number, question in enumerate(making.key(folder), start=1):
            sys.stdout.write(f"{number}. {question.name}: {question.right}\n   {question.why}\n")
    elif check is not None:
        marked = making.mark(folder, check)
        for number, (question, given, right) in enumerate(marked, start=1):
            said = "right" if right else "not right" if given else "no answer yet"
            sys.stdout.write(f"{number}. {question.name}: {said}\n   {question.why if right else question.hint}\n")
        count = sum(one.right for one in marked)
        sys.stdout.write(f"{count} of {len(marked)} are right.\n")
        if count < len(marked):
            raise typer.Exit(EXIT_ERROR)
    else:
        making.make(folder, 1 if seed is None else seed)
        note(f"Read first:  {folder / 'story.html'} (or story.txt)")
        note(f"Then mark:   imgmatch exercise {folder} --check {folder / 'answers.txt'}")
