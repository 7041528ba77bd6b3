"""``imgmatch faces``: who is in a case, by faces that were put together."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.options.common import CaseArg, open_case
from cli.options.faces import ReasonOpt
from cli.options.output import Output
from cli.render.notes import note

PersonArg = Annotated[int, typer.Argument(metavar="PERSON", help="A number that `faces people` shows.")]


def group(
    case: CaseArg,
    reason: ReasonOpt,
    least: Annotated[
        float | None,
        typer.Option(help="Least similarity of two faces of one person, 0.3..1 (default: what suits the model)."),
    ] = None,
    *,
    out: Output,
) -> None:
    """Put the faces of a case together to people, without names; what an examiner joined, split or named stays."""
    from indexer.search.faces.people import group_faces

    with open_case(case) as opened:
        done = group_faces(opened, reason, least)
    out.one(done)
    if done.alike_in_one_picture:
        shown = ", ".join(map(str, done.alike_in_one_picture[:10])) + (", ..." * (len(done.alike_in_one_picture) > 10))
        note(
            f"imgmatch: two faces of one picture are alike in items {shown}: a mirror, a collage or twins? They stay "
            f"two people, unless you put them together: imgmatch faces join {case} --help"
        )


def people(case: CaseArg, reason: ReasonOpt, *, out: Output) -> None:
    """Who is in a case: groups of faces, the most seen first."""
    from indexer.search.faces.people import list_people

    with open_case(case) as opened:
        out.many(list_people(opened, reason), ["person_id", "label", "faces", "items", "by_hand", "first", "last"])


def person(case: CaseArg, number: PersonArg, reason: ReasonOpt, *, out: Output) -> None:
    """Where else a person is: dates, places, rooms and who else is there, in the order of dates."""
    from indexer.search.faces.people import show_person

    with open_case(case) as opened:
        found = show_person(opened, number, reason)
    out.many(found, ["date", "item_id", "face", "face_id", "quality", "with", "labels", "path"], ["video", "at_ms"])


def name(
    case: CaseArg,
    number: PersonArg,
    label: Annotated[str, typer.Argument(metavar="LABEL", help="Your own label; an empty one takes it back.")],
    reason: ReasonOpt,
) -> None:
    """Give a person your own label; the group is kept from then on."""
    from indexer.search.faces.people import name_person

    with open_case(case) as opened:
        name_person(opened, number, label, reason)


def join(
    case: CaseArg,
    numbers: Annotated[list[int], typer.Argument(metavar="PERSON PERSON...", help="Who is one person.")],
    reason: ReasonOpt,
) -> None:
    """Say that two or more people are one; kept."""
    from indexer.search.faces.people import join_people

    with open_case(case) as opened:
        count = join_people(opened, numbers, reason)
    note(f"Person {numbers[0]} has {count} faces now")


def split(
    case: CaseArg,
    number: PersonArg,
    face: Annotated[list[int], typer.Option("--face", metavar="FACE_ID", help="A face that is another's; repeatable.")],
    reason: ReasonOpt,
) -> None:
    """Say that some faces of a person are another's; the two stay apart."""
    from indexer.search.faces.people import split_person

    with open_case(case) as opened:
        new = split_person(opened, number, face, reason)
    note(f"They are person {new} now")
