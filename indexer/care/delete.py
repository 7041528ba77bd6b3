"""Deleting items and sources: what is told of them goes at once, their vectors' bytes with the next compaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from imgmatch.errors import UsageError
from indexer.case.case import Case

_NAMED = 1000


@dataclass(frozen=True, slots=True)
class Deleted:
    """What a deletion removed."""

    items: int
    vectors: int
    sightings: int
    issues: int


def delete(
    case: Case, *, items: Sequence[int] = (), sha256: Sequence[str] = (), sources: Sequence[str] = (), reason: str = ""
) -> Deleted:
    """Remove items by id or content, and sources (locators) with what was seen nowhere else.

    One transaction; every search from then on leaves them out. Their rows stay in the segments until ``compact``.
    Evidence is never touched. Raises UsageError, changing nothing, when something named is not in the case.
    """
    arguments = {"items": list(items)[:_NAMED], "sha256": list(sha256)[:_NAMED], "sources": list(sources)}
    with case.writing(), case.change("delete", arguments=arguments) as change:
        known, writer = change.catalogue, change.writer
        wanted = set(items)
        for digest in sha256:
            found = known.items.id_of(digest)
            if found is None:
                raise UsageError(f"{digest}: no item with this SHA-256 in {case.path}; nothing was deleted")
            wanted.add(found)
        missing = wanted - known.items.by_id(wanted).keys()
        if missing:
            raise UsageError(f"item {min(missing)}: not in {case.path}; nothing was deleted")
        sightings = issues = 0
        for source in sources:
            removed = writer.delete_source(source)
            if not (removed["sightings"] or removed["issues"] or removed["listed_files"]):
                raise UsageError(f"{source}: nothing in {case.path} was seen there; nothing was deleted")
            sightings += removed["sightings"]
            issues += removed["issues"]
        wanted.update(known.items.unseen())
        gone = known.items.by_id(wanted)
        sightings += sum(len(seen) for seen in known.sightings.of(wanted).values())
        done = Deleted(len(wanted), writer.delete_items(sorted(wanted)), sightings, issues)
        change.entry.details = {"reason": reason}
        change.entry.subject = {"sha256": [item.sha256 for item in gone.values()][:_NAMED]}
        change.entry.counts = asdict(done)
    return done
