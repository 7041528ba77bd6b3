"""A tie as a record: what the page, JSON and CSV say of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from imgmatch.match.calibration import false_match_text
from imgmatch.match.strength import strength
from indexer.out.overview.gathering import Pair
from indexer.out.overview.making import Overview
from indexer.out.overview.ties import Item, Tie, is_confirmed
from indexer.search.fields import false_match_record, verification_record

SUMMARY = ("tie", "kind", "name", "other_kind", "other_name", "rests_on", "first", "last")
"""The columns of a table of ties."""
_OF_TIE = ("tie", "kind", "name", "other_kind", "other_name", "matches", "confirmed", "pictures_of_both", "rejected")
_OF_PAIR = ("strength", "score", "by_chance", "decision", "decided")
_OF_PICTURE = ("case", "item_id", "day", "place", "sha256")
GROUNDS = (*_OF_TIE, "ground", *_OF_PAIR, *_OF_PICTURE, *(f"other_{name}" for name in _OF_PICTURE))
"""The columns of a table of all that ties rest on."""


def record(overview: Overview, number: int, tie: Tie) -> dict[str, Any]:
    """A tie with all that it rests on: ``pairs`` of pictures that match, and some ``pictures`` that stand for both."""
    one, other = tie.ends
    pairs = [pair_record(overview, pair) for pair in tie.pairs]
    pictures = [_picture(overview, item) for item in tie.pictures]
    sides = [side for pair in pairs for side in (pair["picture"], pair["other"])]
    days = sorted(picture["day"] for picture in (*pictures, *sides) if picture["day"])
    best = pairs[0] if pairs else {}
    return {
        "tie": number,
        "kind": one.kind,
        "name": overview.told(one).name,
        "other_kind": other.kind,
        "other_name": overview.told(other).name,
        "rests_on": tie.words,
        "level": tie.rests,
        "matches": len(tie.pairs),
        "confirmed": sum(map(is_confirmed, tie.pairs)),
        "pictures_of_both": tie.stated,
        "rejected": tie.rejected,
        **{name: best.get(name, "") for name in ("strength", "score", "by_chance")},
        "first": days[0] if days else "",
        "last": days[-1] if days else "",
        "cases": sorted({overview.cases[n] for pair in tie.pairs for n in pair.cases}
                        | {overview.cases[item[0]] for item in tie.pictures}),
        "pairs": pairs,
        "pictures": pictures,
    }  # fmt: skip


def records(overview: Overview) -> Iterator[dict[str, Any]]:
    """Every tie, the strongest first."""
    for number, tie in enumerate(overview.ties, start=1):
        yield record(overview, number, tie)


def grounds(overview: Overview) -> Iterator[dict[str, Any]]:
    """All that ties rest on, a row for each pair of pictures and each picture, with the tie beside it."""
    for tie in records(overview):
        own = {name: tie[name] for name in _OF_TIE}
        for pair in tie["pairs"]:
            said = {name: pair[name] for name in _OF_PAIR}
            second = {f"other_{name}": value for name, value in pair["other"].items()}
            yield {**own, "ground": "match", **said, **pair["picture"], **second}
        for picture in tie["pictures"]:
            yield {**own, "ground": "said of one picture", **picture}


def whole(overview: Overview) -> dict[str, Any]:
    """All of it as one object."""
    return {
        "cases": [
            {"case": name, "path": str(use.path), "case_id": use.catalogue.meta.all().get("case_id")}
            for name, use in zip(overview.cases, overview.uses, strict=True)
        ],
        "about": "A score is a lead for an examiner, never a verdict; so is every tie that rests on one.",
        "left_out": overview.left_out,
        "entities": [
            {"kind": entity.kind, **entity_record(overview, entity, numbers)}
            for entity, numbers in overview.tied.items()
        ],
        "groups": [
            {"name": overview.told(group).name, "pairs": [pair_record(overview, pair) for pair in pairs]}
            for group, pairs in overview.gathered.groups.items()
        ],
        "ties": list(records(overview)),
    }


def entity_record(overview: Overview, entity: Any, numbers: Sequence[int]) -> dict[str, Any]:
    """What is known of an entity, with the numbers of its ties."""
    told = overview.told(entity)
    return {
        "name": told.name,
        "also_written": sorted(told.names - {told.name}),
        "cases": [overview.cases[number] for number in sorted(told.cases)],
        "pictures": told.pictures,
        "first": told.first,
        "last": told.last,
        "ties": list(numbers),
    }


def pair_record(overview: Overview, pair: Pair) -> dict[str, Any]:
    """Two pictures that match, and what is known of that."""
    link = pair.link
    return {
        "strength": str(strength(link)),
        "level": strength(link).level.value,
        "score": round(link.score, 6),
        "by_chance": "identical content" if link.identical else false_match_text(link.false_match),
        "decision": "" if link.decision is None else link.decision.verdict,
        "decided": "" if link.decision is None else link.decision.words,
        "reason": "" if link.verification is None else link.verification.reason,
        "false_match": false_match_record(link.false_match),
        "verification": verification_record(link.verification),
        "picture": _picture(overview, pair.items[0]),
        "other": _picture(overview, pair.items[1]),
    }


def _picture(overview: Overview, item: Item) -> dict[str, Any]:
    number, item_id = item
    catalogue = overview.uses[number].catalogue
    seen = catalogue.sightings.of([item_id])[item_id]
    more = f" (+{len(seen) - 1:,} more)" if len(seen) > 1 else ""
    return {
        "case": overview.cases[number],
        "item_id": item_id,
        "day": overview.pictures.days.get(item, ""),
        "place": f"{seen[0].locator.words}{more}" if seen else "",
        "sha256": catalogue.items.by_id([item_id])[item_id].sha256,
    }
