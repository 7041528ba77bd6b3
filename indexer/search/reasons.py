"""What an examiner is told of a match: where it was seen, what it bears, and why it is a lead."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from imgmatch.locator import readable
from imgmatch.match.rooms import room_or_hotel
from imgmatch.picture.metadata import Metadata, same_camera, values
from imgmatch.types import Match, Sighting
from indexer.case.use import Use

if TYPE_CHECKING:
    from indexer.catalogue import ListHit
    from indexer.search.query import Query


def describe(use: Use, query: Query, matches: Sequence[Match], model: str) -> tuple[Match, ...]:
    """Number matches in their order, and say of each where it was seen, its labels, its metadata and the reasons. Items
    that were deleted since they were found are left out.
    """
    if not matches:
        return ()
    ids = [match.item_id for match in matches]
    sightings = use.catalogue.sightings.of(ids)
    labels = use.catalogue.labels.of(ids)
    metadata = use.catalogue.facts.metadata(ids)
    lists: dict[int, list[str]] = {}
    for item_id, hit in use.catalogue.lists.item_hits(ids):
        lists.setdefault(item_id, []).append(hit.reason)
    decided = use.catalogue.decisions.standing(query.sha256)
    described: list[Match] = []
    of_photographs = query.photographed
    for match in matches:
        seen, of_item = sightings[match.item_id], metadata.get(match.item_id, {})
        if not seen:
            continue
        if match.identical:
            seen = [replace(place, own=place.locator == query.locator) for place in seen]
        said = [
            *_of_contents(query, match, of_item),
            *([words] if of_photographs and (words := room_or_hotel(match, model)) else ()),
            *lists.get(match.item_id, ()),
            *(f"in {outer}, {hit.reason}" for outer, hit in lies_in(use, seen)),
            *said_by_vics(labels[match.item_id]),
            *_of_damage(query, match),
        ]
        described.append(
            replace(
                match,
                rank=len(described) + 1,
                sightings=tuple(seen),
                labels=labels[match.item_id],
                reasons=("the query itself", *said) if any(place.own for place in seen) else tuple(said),
                metadata=values(of_item),
                decision=decided.get(match.sha256),
            )
        )
    return tuple(described)


def _of_contents(query: Query, match: Match, metadata: Metadata) -> Iterator[str]:
    """What the two pictures have in common."""
    if match.identical:
        yield "identical content (SHA-256)"
    met = match.candidates[0]
    parts = [name for name, box in (("query", met.query_region_px), ("item", met.region_px)) if box is not None]
    if parts:
        yield f"part of the {' and of the '.join(parts)}"
    if match.verification is not None:
        yield match.verification.reason
    camera = same_camera(query.metadata, metadata)
    if camera is not None:
        yield f"same camera serial as the query ({camera})"


def _of_damage(query: Query, match: Match) -> Iterator[str]:
    if match.partial:
        yield f"item partly read: {match.partial}"
    if query.partial:
        yield f"query partly read: {query.partial}"


def lies_in(use: Use, seen: Iterable[Sighting]) -> list[tuple[str, ListHit]]:
    """The videos, documents and archives that an item was found in and that lists name, each with such a list."""
    hits = use.catalogue.lists.container_hits(sighting.locator for sighting in seen)
    return [(readable(outer.at), hit) for outer, found in hits.items() for hit in found]


def said_by_vics(labels: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """What imported Project VIC files say of an item, from its labels."""
    named = [
        f"{word} {', '.join(labels[name])}"
        for name, word in (("vics_category", "category"), ("vics_series", "series"), ("vics_tags", "tags"))
        if labels.get(name)
    ]
    if named:
        yield f"known to Project VIC: {', '.join(named)}"
