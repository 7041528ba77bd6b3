"""``imgmatch faces``: looking for a person in a case, through its gate."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.options.asked import ReleaseOptions, tell
from cli.options.common import CaseArg, IsolationOpt, JobsOpt, decode_soon, open_case
from cli.options.faces import ReasonOpt, UnfitOpt, reader_of
from cli.options.filters import FilterOptions
from cli.options.output import Output
from cli.options.pack import IdentityOpt
from cli.options.query import LeadsOpt, MaxFmrOpt
from cli.options.report import ReportOptions, refuse_report, report_page
from cli.options.sources import PasswordOptions
from cli.render.formats import Format
from cli.render.notes import EXIT_INTERRUPTED, note
from cli.render.progress import count_progress, stop_on_signal
from imgmatch.errors import UsageError
from indexer.out.atomic import refuse_existing


def enable(
    case: CaseArg,
    authority: Annotated[str, typer.Option(help="On whose authority or legal basis faces may be compared.")],
    reason: ReasonOpt,
    model: Annotated[str, typer.Option(help="Model of faces: sface, or dlib-resnet.")] = "sface",
    *,
    out: Output,
) -> None:
    """Open the gate: let faces be looked for in a case. Only its owner may; shown in status, report and statement."""
    from indexer.care.gate import open_gate

    with open_case(case) as opened:
        gate = open_gate(opened, authority, reason, model=model)
    out.one({"case": str(case), **gate._asdict()})
    note(f"Every use of a face is recorded with its reason. Next: imgmatch faces find {case}")


def disable(
    case: CaseArg,
    reason: ReasonOpt,
    erase: Annotated[bool, typer.Option("--erase", help="Remove all that is known of faces, for good.")] = False,
    *,
    out: Output,
) -> None:
    """Close the gate: no face is looked for or compared any more. Only the owner of the case may."""
    from indexer.care.gate import close_gate

    with open_case(case) as opened:
        done = close_gate(opened, reason, erase=erase)
    out.one({"case": str(case), "erased": erase, **dataclasses.asdict(done)})
    if not erase:
        note(
            f"What is known of faces stays, unused; remove it with: imgmatch faces disable {case} --erase --reason TEXT"
        )


def find(
    case: CaseArg,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Small faces in large pictures too: in tiles at full size, slower.")
    ] = False,
    jobs: JobsOpt = None,
    isolation: IsolationOpt = True,
    *,
    passwords: PasswordOptions,
    out: Output,
) -> None:
    """Look for faces in what the case holds and was not looked through yet; run again, it goes on where it stopped."""
    from imgmatch.evidence import SourceOptions
    from indexer.intake.faces import find_faces

    with open_case(case) as opened, stop_on_signal() as stop, count_progress() as progress:
        opened.face_shelf()
        decode_soon(isolation)
        done = find_faces(
            opened, reader_of(opened, threads=1), thorough=thorough, jobs=jobs,
            options=SourceOptions(passwords=passwords.read()), progress=progress, stop=stop,
        )  # fmt: skip
    out.one(done)
    if done.unread:
        note(f"{done.unread} items can't be read again now: their sources are gone, changed or locked")
    if stop.is_set():
        note("Stopped early; everything so far is kept. Go on with the same command.")
        raise typer.Exit(EXIT_INTERRUPTED)


def show(
    case: CaseArg,
    picture: Annotated[str, typer.Argument(metavar="PICTURE|item:ID", help="A picture file, or an item of the case.")],
    reason: ReasonOpt,
    draw: Annotated[
        Path | None, typer.Option("--draw", metavar="PNG", help="Draw the faces with their numbers.")
    ] = None,
    reveal: Annotated[
        list[int] | None, typer.Option("--reveal", metavar="N", help="Show this face clearly; recorded; repeatable.")
    ] = None,
    isolation: IsolationOpt = True,
    *,
    release: ReleaseOptions,
    out: Output,
) -> None:
    """The faces in a picture, numbered from left to right: how large, sharp and turned, and whether fit to be
    compared.
    """
    from indexer.out.faces import show_faces

    if draw is not None:
        refuse_existing(draw)
    with open_case(case) as opened:
        opened.face_shelf()
        tell(opened, reason, release.recipient, release.purpose)
        decode_soon(isolation)
        records, said = show_faces(opened, reader_of(opened), picture, reason, draw, tuple(reveal or ()))
    columns = [
        "number",
        "box_px",
        "size_px",
        "sharpness",
        "yaw",
        "pitch",
        "roll",
        "cut",
        "confidence",
        "quality",
        "unfit",
    ]
    out.many(records, columns)
    if said:
        note(f"{picture}: {said}")
    if draw is not None:
        note(f"Wrote {draw}")


def search(
    case: CaseArg,
    pictures: Annotated[
        list[str],
        typer.Argument(metavar="PICTURE...", help="Photographs of one person, PICTURE#N for face N; or item:ID#N."),
    ],
    reason: ReasonOpt,
    k: LeadsOpt = 10,
    face: Annotated[list[int] | None, typer.Option("--face", metavar="N", help="Which face, of each picture.")] = None,
    and_: Annotated[
        list[str] | None, typer.Option("--and", metavar="PICTURE", help="This person too, in the same picture.")
    ] = None,
    not_: Annotated[
        list[str] | None, typer.Option("--not", metavar="PICTURE", help="No picture that shows this person.")
    ] = None,
    unfit: UnfitOpt = False,
    max_fmr: MaxFmrOpt = None,
    with_rejected: Annotated[bool, typer.Option("--with-rejected", help="Also what an examiner rejected.")] = False,
    isolation: IsolationOpt = True,
    *,
    filters: FilterOptions,
    report: ReportOptions,
    release: ReleaseOptions,
    out: Output,
) -> None:
    """Find the items that show a person, by photographs of that person. A list of leads, never an identification."""
    from indexer.search.faces.asked import FaceRequest
    from indexer.search.faces.searcher import FaceSearcher
    from indexer.search.names import require_names

    if report.report is not None:
        refuse_report(report.report)
    request = FaceRequest(reason, k, unfit, max_fmr, with_rejected)
    within = filters.filter()
    with open_case(case) as opened:
        opened.face_shelf()
        tell(opened, reason, release.recipient, release.purpose)
        require_names([opened], within)
        decode_soon(isolation)
        searcher = FaceSearcher(opened, reader_of(opened))
        wanted = [_numbered(pictures, face), *([one] for one in and_ or ())]
        found = searcher.search(wanted, request, without=[[one] for one in not_ or ()], within=within)
        records = [match.record() for match in found.matches]
        if out.format in (Format.table, Format.csv):
            out.many(map(_row, records), _COLUMNS, ["sha256"])
        else:
            told = {"model": found.model, "compared": found.compared, "left_out_unfit": found.unfit}
            asked = [{**one.told(), "quality": one.quality, "unfit": one.unfit or None} for one in found.asked]
            out.one({**told, "asked": asked, "matches": records, "notes": found.notes, "warning": found.warning})
        for said in found.notes:
            note(f"imgmatch: {said}")
        if found.unfit:
            note(f"imgmatch: {found.unfit:,} faces are not fit to be compared, and were left out; with them: --unfit")
        note(found.warning)
        if report.report is not None:
            report_page(
                opened,
                [found.as_search()],
                opened.face_shelf().spec,
                report.report,
                reveal=report.seen,
                no_images=report.no_images,
            )


_COLUMNS = ["rank", "score", "item_id", "face", "quality", "by_chance", "years", "person", "path", "reasons"]


def _row(record: dict[str, Any]) -> dict[str, Any]:
    return {
        **record,
        "score": f"{record['score']:.4f}",
        "face": ", ".join(str(one["number"]) for one in record["faces"]),
    }


def _numbered(pictures: Sequence[str], numbers: Sequence[int] | None) -> list[str]:
    """Pictures with the faces that --face names, in their order."""
    if numbers and len(numbers) != len(pictures):
        raise UsageError(f"--face is given {len(numbers)} times for {len(pictures)} pictures; give one for each")
    return [f"{one}#{number}" for one, number in zip(pictures, numbers, strict=True)] if numbers else list(pictures)


def link(
    case: CaseArg,
    pack: Annotated[Path, typer.Argument(metavar="PACK", help="A pack that holds faces (export --faces); only read.")],
    reason: ReasonOpt,
    identity: IdentityOpt = None,
    least: Annotated[
        float | None, typer.Option(help="Least similarity of two faces, 0..1 (default: the threshold of its makers).")
    ] = None,
    top: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many links, the nearest ones.")] = 100,
    *,
    out: Output,
) -> None:
    """Faces of a case that are like those of a pack; both its maker and this case opened their gates."""
    from indexer.out.exchange.unpack import open_pack
    from indexer.search.faces.found import WARNING
    from indexer.search.faces.linked import link_faces

    with open_case(case) as opened:
        spec = opened.face_shelf().spec
        opened.require("link faces")
        tell(opened, reason)
        if not pack.is_file():
            raise UsageError(
                f"{pack}: no pack; faces of another case come in one: imgmatch export --format pack --faces"
            )
        with open_pack(pack, spec, identity, faces=True) as theirs:
            found, count = link_faces(opened, theirs, reason, opened_from=pack, least=least, top=top)
        out.many([one.record() for one in found], _LINKED, ["sha256", "other_sha256"])
        if count > len(found):
            note(f"imgmatch: the {len(found):,} nearest of {count:,} links; more with --top, fewer with --least")
        note(WARNING)


_LINKED = ["item_id", "face", "other_item_id", "other_face", "score", "by_chance", "quality", "path", "other_path"]


def calibrate(
    case: CaseArg,
    background: Annotated[Path, typer.Option(metavar="FOLDER", help="Faces of people who are not in the case.")],
    reason: ReasonOpt,
    layout: Annotated[str, typer.Option(help="How they lie there: folders (one a person), lfw, ...")] = "folders",
    isolation: IsolationOpt = True,
    *,
    out: Output,
) -> None:
    """Measure which scores faces of different people reach, so that searches can say a false-match rate."""
    from indexer.search.faces.background import calibrate_faces

    with open_case(case) as opened, count_progress() as progress:
        opened.face_shelf()
        decode_soon(isolation)
        done = calibrate_faces(opened, reader_of(opened, 1), background, reason, layout=layout, progress=progress)
    out.one(done)


def decide(
    case: CaseArg,
    reason: ReasonOpt,
    one: Annotated[str | None, typer.Argument(metavar="FACE", help="PICTURE#N or item:ID#N.")] = None,
    other: Annotated[str | None, typer.Argument(metavar="FACE", help="The other face.")] = None,
    verdict: Annotated[
        str | None, typer.Argument(metavar="VERDICT", help="confirmed, possible, rejected, seen or withdrawn.")
    ] = None,
    examiner: Annotated[str, typer.Option(help="Who decides (default: the case's examiner).")] = "",
    list_: Annotated[bool, typer.Option("--list", help="List every decision on faces, oldest first.")] = False,
    isolation: IsolationOpt = True,
    *,
    out: Output,
) -> None:
    """Say whether two faces are one person's, after both were looked at; where the case wants it, two examiners
    must.
    """
    from indexer.search.faces.decisions import decide_faces, list_decisions

    given = [part for part in (one, other, verdict) if part is not None]
    if list_ == bool(given) or len(given) not in (0, 3):
        raise UsageError("give two faces and a verdict; or --list alone")
    with open_case(case) as opened:
        opened.face_shelf()
        decode_soon(isolation)
        if one is not None and other is not None and verdict is not None:
            out.one(decide_faces(opened, reader_of(opened), one, other, verdict, reason, examiner=examiner))
        else:
            columns = ["verdict", "query_sha256", "query_box", "item_sha256", "item_box", "examiner", "decided_utc"]
            out.many(list_decisions(opened, reason), columns)


def evaluate(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Folder of labelled faces.")],
    layout: Annotated[
        str,
        typer.Option(help="folders (one a person, above it one a group), lfw, agedb, calfw, ijbc, rfw, bfw, morph."),
    ] = "folders",
    model: Annotated[str, typer.Option(help="Model of faces: sface, or dlib-resnet.")] = "sface",
    jobs: JobsOpt = None,
    isolation: IsolationOpt = True,
    *,
    out: Output,
) -> None:
    """Measure a model on labelled faces: true pairs found at fixed rates of false ones, by group, years and quality."""
    from imgmatch.lab.faces.evaluate import read_set
    from imgmatch.lab.faces.layouts import read_faces
    from imgmatch.lab.faces.measures import FPRS, measure
    from imgmatch.models.faces.reader import load_faces

    faces = read_faces(dataset, layout)
    decode_soon(isolation)
    with count_progress() as progress:
        found = measure(faces, read_set(faces, load_faces(model, threads=1), jobs=jobs, progress=progress))
    if out.format in (Format.json, Format.jsonl):
        out.one(found)
    else:
        rates = [f"{name}@{fpr:g}" for name in ("tpr", "fpr") for fpr in FPRS]
        out.many(found["table"], ["by", "which", "pairs_of_one", "pairs_of_two", *rates])
    note(f"{found['faces_found']} faces in {found['pictures']} pictures of {found['people']} people")
    note("Rates hold of people like these alone: those of adults say nothing of children, and groups differ.")
