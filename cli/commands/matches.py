"""Commands about matches: calibrate, groups, link, decide."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.options.common import CaseArg, IsolationOpt, ModelOpt, decode_soon, open_case, spec_of
from cli.options.output import Output
from cli.options.query import MaxFmrOpt, no_background
from cli.render.formats import Format, emit
from cli.render.notes import note
from cli.render.progress import count_progress
from imgmatch.errors import UsageError

VerifyOpt = Annotated[
    bool, typer.Option("--verify", help="Read the pictures again and say what geometry says of each pair.")
]


def calibrate(
    case: CaseArg,
    background: Annotated[
        Path | None,
        typer.Option(metavar="CASE", help="Case of unrelated pictures (default: CASE itself).", show_default=False),
    ] = None,
    pictures: Annotated[int, typer.Option(min=50, max=20_000, help="How many pictures to sample.")] = 2000,
    model: ModelOpt = None,
    *,
    out: Output,
) -> None:
    """Measure how often different pictures score high, so that matches can say their false-match rate."""
    from indexer.search.calibrate import set_background

    with open_case(case) as opened:
        spec = spec_of(opened, model)
        made = set_background(opened, spec, background, pictures)
        record = {
            "background": made.source,
            "model": spec.name,
            "pictures": made.calibration.pictures,
            "pairs": made.calibration.pairs,
            "left_out": made.calibration.left_out,
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
    out: Output,
) -> None:
    """Near-copies within a case: the best of each group first, and how the others differ."""
    from indexer.search.closer import closer_look
    from indexer.search.groups import groups as find_groups

    def records() -> Iterator[dict[str, Any]]:
        compare = closer_look(opened) if verify else None
        shown = {"groups": 0, "members": 0}
        for group in find_groups(opened, spec, least, compare=compare, progress=progress):
            shown["groups"] += 1
            shown["members"] += len(group.members)
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
                    "sightings": len(member.sightings),
                    "sha256": member.item.sha256,
                }
        opened.record("groups_shown", arguments={"least": least}, model=spec, counts=shown)

    columns = ["group", "best", "item_id", "size_px", "bytes", "format", "differs", "path", "sightings"]
    with open_case(case) as opened, count_progress() as progress:
        if verify:
            decode_soon(isolation)
        spec = spec_of(opened, model)
        opened.record("groups", arguments={"least": least, "verify": verify}, model=spec)
        out.many(records(), columns, ["sha256"])


def link(
    case: CaseArg,
    other: Annotated[Path, typer.Argument(metavar="OTHER", help="The other case, or a pack of it; only read.")],
    least: Annotated[float, typer.Option(help="Least similarity of two items, 0..1.")] = 0.6,
    top: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many links, the nearest ones.")] = 1000,
    verify: VerifyOpt = False,
    isolation: IsolationOpt = True,
    max_fmr: MaxFmrOpt = None,
    model: ModelOpt = None,
    *,
    out: Output,
) -> None:
    """Which items of a case match which of another, with their false-match rates."""
    from cli.render.search import false_match_record, verification_record
    from imgmatch.match.calibration import false_match_text
    from indexer.out.exchange.unpack import open_other
    from indexer.search.calibrate import background as background_of
    from indexer.search.closer import verify_links
    from indexer.search.groups import links, nearest_links

    def records() -> Iterator[dict[str, Any]]:
        shown = 0
        streamed = links(opened, others, spec, least, background=background, max_fmr=max_fmr, progress=progress)
        nearest, count = nearest_links(streamed, top)
        if count > len(nearest):
            note(f"imgmatch: the {len(nearest):,} nearest of {count:,} links; more with --top, fewer with --least")
        for found in verify_links(opened, others, nearest, progress) if verify else nearest:
            shown += 1
            identical = found.item.sha256 == found.other.sha256
            rate = found.false_match
            yield {
                "item_id": found.item.item_id,
                "other_item_id": found.other.item_id,
                "score": round(found.similarity, 6),
                "by_chance": "identical content" if identical else false_match_text(rate),
                "path": found.path,
                "other_path": found.other_path,
                "sha256": found.item.sha256,
                "other_sha256": found.other.sha256,
                "false_match": false_match_record(rate),
                "verified": None if found.verification is None else found.verification.verified,
                "reason": "" if found.verification is None else found.verification.reason,
                "verification": None if found.verification is None else verification_record(found.verification),
            }
        opened.record("link_shown", arguments=arguments, subject=subject, model=spec, counts={"links": shown})

    columns = ["item_id", "other_item_id", "score", "by_chance", *(["reason"] if verify else []), "path", "other_path"]
    with open_case(case) as opened, contextlib.ExitStack() as stack:
        if verify:
            decode_soon(isolation)
        spec = spec_of(opened, model)
        others = stack.enter_context(open_other(other, spec))
        progress = stack.enter_context(count_progress())
        about = others.catalogue.meta.all()
        if opened.catalogue.meta.all().get("case_id") == about.get("case_id"):
            raise UsageError(f"{other}: is the same case as {case}; near-copies within one: imgmatch groups {case}")
        background = background_of(opened, spec)
        if background is None:
            no_background(case, max_fmr)
        arguments = {"least": least, "max_fmr": max_fmr, "verify": verify, "top": top}
        subject: dict[str, Any] = {"other": str(other), "other_case_id": about.get("case_id")}
        if "pack_sha256" in about:
            subject["pack_sha256"] = about["pack_sha256"]
        else:
            head = others.log.head()
            subject |= {"other_log_entries": head.entry, "other_log_sha256": head.sha256}
        opened.record("link", arguments=arguments, subject=subject, model=spec)
        out.many(records(), columns, ["sha256", "other_sha256", *(["verified"] if verify else [])])


def decide(
    case: CaseArg,
    query: Annotated[
        str | None,
        typer.Argument(metavar="QUERY_OR_ITEM", help="Picture, item id or SHA-256.", show_default=False),
    ] = None,
    item: Annotated[str | None, typer.Argument(metavar="ITEM", help="Item id or SHA-256.", show_default=False)] = None,
    verdict: Annotated[
        str | None, typer.Argument(metavar="confirmed|rejected", help="What you decide.", show_default=False)
    ] = None,
    note_: Annotated[str, typer.Option("--note", help="Why.", show_default=False)] = "",
    examiner: Annotated[str, typer.Option(help="Who decides (default: the case's examiner).", show_default=False)] = "",
    list_: Annotated[bool, typer.Option("--list", help="List every decision, oldest first.")] = False,
    labels: Annotated[
        Path | None,
        typer.Option(metavar="OUT.csv", help="Write confirmed pairs as a label table.", show_default=False),
    ] = None,
    *,
    out: Output,
) -> None:
    """Confirm or reject a match. Rejected ones don't come back; nothing decided is ever removed."""
    from indexer.search import decisions

    given = [part for part in (query, item, verdict) if part is not None]
    if (list_ or labels is not None) == bool(given) or len(given) not in (0, 3):
        raise UsageError("give a query, an item and confirmed or rejected; or --list, or --labels OUT.csv alone")
    columns = ["decision_id", "verdict", "query_sha256", "item_sha256", "examiner", "account", "decided_utc", "note"]
    with open_case(case) as opened:
        if given:
            row = decisions.decide(opened, given[0], given[1], given[2], note_, examiner)
            out.one(dataclasses.asdict(row))
        if not given:
            opened.record(
                "decisions",
                arguments={"list": list_, "labels": None if labels is None else str(labels)},
                counts={"decisions": sum(1 for _ in opened.catalogue.decisions.all())},
            )
        if labels is not None:
            emit(decisions.labels(opened), ["sha256", "label"], Format.csv, labels)
        if list_:
            out.many((dataclasses.asdict(row) for row in opened.catalogue.decisions.all()), columns)
