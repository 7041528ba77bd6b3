"""Commands about matches: calibrate, groups, link, decide."""

from __future__ import annotations

import contextlib
import dataclasses
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options.asked import ReasonOptions, ReleaseOptions, tell
from cli.options.common import CaseArg, IsolationOpt, ModelOpt, decode_soon, open_case, spec_of
from cli.options.output import Output
from cli.options.pack import IdentityOpt
from cli.options.query import MaxFmrOpt, no_background
from cli.render.formats import Format, emit
from cli.render.notes import note
from cli.render.progress import count_progress
from imgmatch.errors import UsageError
from indexer.intake.csvfile import write_csv

if TYPE_CHECKING:
    from indexer.case.use import HandedOut
    from indexer.search.groups import Link

_LABELS = ["sha256", "label"]

VerifyOpt = Annotated[
    bool, typer.Option("--verify", help="Read the pictures again and say what geometry says of each pair.")
]


def calibrate(
    case: CaseArg,
    background: Annotated[
        Path | None, typer.Option(metavar="CASE", help="Case of unrelated pictures (default: CASE itself).")
    ] = None,
    pictures: Annotated[int, typer.Option(min=50, max=20_000, help="How many pictures to sample.")] = 2000,
    isolation: IsolationOpt = True,
    model: ModelOpt = None,
    *,
    out: Output,
) -> None:
    """Measure how often different pictures score high, so that matches can say their false-match rate."""
    from indexer.search.background import set_background

    with open_case(case) as opened:
        decode_soon(isolation)
        spec = spec_of(opened, model)
        made = set_background(opened, spec, background, pictures)
        record = {
            "background": made.source,
            "model": spec.name,
            "pictures": made.calibration.pictures,
            "pairs": made.calibration.pairs,
            "left_out": made.calibration.left_out,
            "looked_at": made.looked_at,
            "lowest_rate_shown": made.calibration.bound,
            "made_utc": made.made_utc,
        }
    out.one(record)


def groups(
    case: CaseArg,
    least: Annotated[float, typer.Option(help="Least similarity of two near-copies, 0..1.")] = 0.9,
    verify: VerifyOpt = False,
    isolation: IsolationOpt = True,
    model: ModelOpt = None,
    *,
    because: ReasonOptions,
    out: Output,
) -> None:
    """Near-copies within a case: the best of each group first, and how the others differ."""
    from indexer.search.closer import find_groups

    def records() -> Iterator[dict[str, Any]]:
        for group in find_groups(opened, spec, least, verify=verify, progress=progress, warn=note):
            for member in group.members:
                yield {
                    "group": group.number,
                    "best": member is group.members[0],
                    "item_id": member.item.item_id,
                    "size_px": f"{member.item.width_px}x{member.item.height_px}",
                    "bytes": member.item.size_bytes,
                    "format": member.item.format,
                    "differs": list(member.differs),
                    "path": member.sightings[0].path,
                    "place": member.sightings[0].words,
                    "sightings": len(member.sightings),
                    "sha256": member.item.sha256,
                }

    columns = ["group", "best", "item_id", "size_px", "bytes", "format", "differs", "path", "sightings"]
    with open_case(case) as opened, count_progress() as progress:
        because.tell(opened)
        decode_soon(isolation)
        spec = spec_of(opened, model)
        out.many(records(), columns, ["sha256"])


def link(
    case: CaseArg,
    other: Annotated[Path, typer.Argument(metavar="OTHER", help="The other case, or a pack of it; only read.")],
    identity: IdentityOpt = None,
    least: Annotated[float, typer.Option(help="Least similarity of two items, 0..1.")] = 0.6,
    top: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many links, the nearest ones.")] = 1000,
    verify: VerifyOpt = False,
    isolation: IsolationOpt = True,
    max_fmr: MaxFmrOpt = None,
    model: ModelOpt = None,
    *,
    because: ReasonOptions,
    out: Output,
) -> None:
    """Which items of a case match which of another, with their false-match rates."""
    from indexer.out.exchange.unpack import open_other
    from indexer.search.background import background as background_of
    from indexer.search.closer import LinkRequest, find_links
    from indexer.search.fields import false_match_record, verification_record

    def records() -> Iterator[dict[str, Any]]:
        for found in nearest:
            rate = found.false_match
            yield {
                "item_id": found.item.item_id,
                "other_item_id": found.other.item_id,
                "score": round(found.similarity, 6),
                "by_chance": _by_chance(found),
                "path": found.place.path or "",
                "other_path": found.other_place.path or "",
                "label": found.labels[0],
                "other_label": found.labels[1],
                "decision": found.decision.words if found.decision else "",
                "place": found.place.words,
                "other_place": found.other_place.words,
                "sha256": found.item.sha256,
                "other_sha256": found.other.sha256,
                "false_match": false_match_record(rate),
                "verified": None if found.verification is None else found.verification.verified,
                "reason": "" if found.verification is None else found.verification.reason,
                "verification": verification_record(found.verification),
            }

    columns = ["item_id", "other_item_id", "score", "by_chance", *(["reason"] if verify else []), "path", "other_path"]
    more = ("label", "other_label", "decision")
    with open_case(case) as opened, contextlib.ExitStack() as stack:
        because.tell(opened)
        decode_soon(isolation)
        spec = spec_of(opened, model)
        others = stack.enter_context(open_other(other, spec, identity))
        progress = stack.enter_context(count_progress())
        about = others.catalogue.meta.all()
        background = background_of(opened, spec)
        if background is None and max_fmr is None and "pack_pdq" not in about:
            no_background(opened)
        request = LinkRequest(least, top, verify, max_fmr)
        nearest, count = find_links(
            opened, others, spec, request, opened_from=other, background=background, progress=progress
        )
        if count > len(nearest):
            note(f"imgmatch: the {len(nearest):,} nearest of some {count:,} links; more with --top, fewer with --least")
        if nearest and "pack_anonymous" in about:
            note("imgmatch: the other's items have numbers alone; its sender finds one by: imgmatch show CASE NUMBER")
        shown = [*columns, *(name for name in more if any(record[name] for record in records()))]
        csv_too = ["sha256", "other_sha256", *(["verified"] if verify else []), *more]
        table = out.format is Format.table
        out.many(records(), shown if table else columns, csv_too)


def _by_chance(found: Link) -> str:
    from imgmatch.match.calibration import false_match_text
    from imgmatch.picture.pdq import BITS

    if found.bits_apart is not None:
        return f"{found.bits_apart} of {BITS} bits of the PDQ hashes differ"
    return "identical content" if found.identical else false_match_text(found.false_match)


def decide(
    case: CaseArg,
    query: Annotated[str | None, typer.Argument(metavar="QUERY_OR_ITEM", help="Picture, item id or SHA-256.")] = None,
    item: Annotated[str | None, typer.Argument(metavar="ITEM", help="Item id or SHA-256.")] = None,
    verdict: Annotated[
        str | None, typer.Argument(metavar="confirmed|possible|rejected|seen", help="What you decide.")
    ] = None,
    note_: Annotated[str, typer.Option("--note", help="Why.")] = "",
    examiner: Annotated[str, typer.Option(help="Who decides (default: the case's examiner).")] = "",
    undo: Annotated[bool, typer.Option("--undo", help="Take back what the examiner said last of the two.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="List every decision, oldest first.")] = False,
    labels: Annotated[
        Path | None, typer.Option(metavar="OUT.csv", help="Write confirmed pairs as a label table.")
    ] = None,
    second_reader: Annotated[
        bool | None,
        typer.Option(
            "--second-reader/--one-reader",
            help="From now on two examiners must agree before 'confirmed' stands, or not.",
        ),
    ] = None,
    by_name: Annotated[
        bool,
        typer.Option(
            "--by-name", help="With --second-reader: two names will do, also under one account of the system."
        ),
    ] = False,
    *,
    release: ReleaseOptions,
    out: Output,
) -> None:
    """Say what you make of a match: rejected ones don't come back. Nothing is ever removed; --undo takes it back."""
    from indexer.search import decisions

    given = [part for part in (query, item, verdict) if part is not None]
    alone = [list_, labels is not None, second_reader is not None]
    if any(alone) == bool(given) or len(given) not in (0, 2 if undo else 3) or (undo and not given):
        raise UsageError(
            "give a query, an item and confirmed, possible, rejected or seen, or --undo; or --list, --labels OUT.csv "
            "or --second-reader alone"
        )
    if by_name and not second_reader:
        raise UsageError("--by-name says how two examiners are told apart; give --second-reader too")
    columns = ["decision_id", "verdict", "stands", "query_sha256", "item_sha256", "examiner", "account", "decided_utc"]
    with open_case(case) as opened:
        tell(opened, "", release.recipient, release.purpose)
        if undo:
            out.one(dataclasses.asdict(decisions.withdraw(opened, given[0], given[1], note_, examiner)))
        elif given:
            said = decisions.decide(
                opened, given[0], given[1], given[2], note_, examiner, warn=lambda words: note(f"imgmatch: {words}")
            )
            out.one(dataclasses.asdict(said))
        if second_reader is not None:
            decisions.want_second_reader(opened, second_reader, by_name=by_name)
            two = f"two examiners, told apart by their {'names' if by_name else 'accounts or keys'},"
            note(f"{case}: {two if second_reader else 'one examiner'} can confirm from now on")
        if labels is not None:
            emit(decisions.labels(opened, lambda rows: _handed_out(rows, labels)), _LABELS, Format.csv, labels)
        if list_:
            out.many(decisions.history(opened), [*columns, "note"], ["waits"])


def _handed_out(rows: list[dict[str, str]], target: Path) -> HandedOut:
    """The label table as it leaves the case."""
    from indexer.case.handed import handed_out

    text = io.StringIO()
    write_csv(text, rows, _LABELS)
    return handed_out("labels", target, io.BytesIO(text.getvalue().encode("utf-8", "backslashreplace")))
