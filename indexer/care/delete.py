"""Deleting items and sources: what is told of them goes at once, and their contents stay out from then on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from imgmatch.errors import ImgmatchError, UsageError
from imgmatch.evidence import DEFAULT_OPTIONS
from imgmatch.evidence.read import Finder, hashed
from imgmatch.evidence.recognise import recognise
from imgmatch.locator import Locator
from imgmatch.types import Digests
from indexer.case.account import account
from indexer.case.case import Case
from indexer.case.traces import marks
from indexer.case.use import Use
from indexer.catalogue import Catalogue, ErasureRow, ItemRow, Writer
from indexer.catalogue.clock import now_utc
from indexer.catalogue.erasures import TraceRow

_NAMED = 1000
NO_CONTENT = "0" * 64
"""Stands for the content at a place of a source, of what stays in the case by other places."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to go: items by id or content, sources (locators) with what was seen nowhere else; ``everywhere``: with
    all that was seen there.
    """

    items: Sequence[int] = ()
    sha256: Sequence[str] = ()
    sources: Sequence[str] = ()
    everywhere: bool = False


@dataclass(frozen=True, slots=True)
class Deleted:
    """What a deletion removed. ``kept`` items of its sources were seen elsewhere too, and stay; ``unknown`` contents
    were not in the case, and stay out of it all the same. ``contents`` are the SHA-256 of the items.
    """

    erasure: int
    items: int
    vectors: int
    sightings: int
    issues: int
    decisions: int
    records: int
    kept: int
    unknown: int
    contents: tuple[str, ...] = field(default=(), repr=False)

    def counts(self) -> dict[str, int]:
        """The whole numbers of it."""
        return {name: value for name, value in asdict(self).items() if isinstance(value, int)}


class _DryRunError(Exception):
    """Takes back what was done to see what it would do."""


def delete(
    case: Case,
    *,
    items: Sequence[int] = (),
    sha256: Sequence[str] = (),
    sources: Sequence[str] = (),
    reason: str = "",
    everywhere: bool = False,
) -> Deleted:
    """Remove items by id or content, and sources (locators) with what was seen nowhere else, for good: no way into the
    case takes their contents again until they are readmitted. What lies in an erased file goes with it.

    One transaction; every search from then on leaves them out. The disk is cleared of them by ``erase``. Evidence is
    never touched. The log keeps their hashes alone. Raises UsageError, changing nothing, when something named is not in
    the case.
    """
    wanted = Wanted(items, [digest.lower() for digest in sha256], sources, everywhere)
    with case.writing(), case.change("delete", arguments=_asked(wanted)) as change:
        containers = list(_containers(change, wanted.sources))  # read before anybody is kept from writing
        done = _remove(change, change.writer, wanted, reason, containers)
        change.entry.details = {"reason": reason, "erasure": done.erasure}
        change.entry.subject = {"sha256": list(done.contents[:_NAMED])}
        change.entry.counts = done.counts()
    return done


def would_delete(case: Case, wanted: Wanted) -> tuple[Deleted, list[tuple[str, str | None]]]:
    """What ``delete`` would do, and SHA-256 and first place of each item that would go; nothing is changed."""
    found: list[tuple[Deleted, list[tuple[str, str | None]]]] = []
    with case.writing(), case.use("delete_planned", arguments=_asked(wanted)) as use:
        try:
            with use.catalogue.transaction() as writer:
                places = use.catalogue.sightings
                before = places.of(_items(use.catalogue, wanted)[0])
                items = use.catalogue.items.by_id(before)
                named = [(items[item].sha256, seen[0].locator.path) for item, seen in before.items() if seen]
                found.append((_remove(use, writer, wanted, ""), named))
                raise _DryRunError
        except _DryRunError:
            pass
        use.entry.counts = found[0][0].counts()
    return found[0]


def readmit(case: Case, sha256: Sequence[str], reason: str = "") -> int:
    """Let erased contents in again, each by its SHA-256; returns how many. Raises UsageError, changing nothing, on one
    that is not kept out.
    """
    with case.writing(), case.change("readmit", subject={"sha256": list(sha256)[:_NAMED]}) as change:
        for digest in sha256:
            if not change.writer.erasures.readmit(digest.lower(), now_utc()):
                raise UsageError(f"{digest}: is not kept out of {case.path}; imgmatch erasures lists what is")
        change.entry.details = {"reason": reason}
        change.entry.counts = {"readmitted": len(sha256)}
    return len(sha256)


def erasures_of(case: Case) -> list[ErasureRow]:
    """Every erasure, oldest first."""
    with case.use("erasures") as use:
        rows = use.catalogue.erasures.all()
        use.entry.counts = {"erasures": len(rows)}
    return rows


def contents_of(case: Case, erasure_id: int) -> list[dict[str, Any]]:
    """The hashes of what an erasure took out. Raises UsageError where there is none of this number."""
    with case.use("erasures", subject={"erasure": erasure_id}) as use:
        rows = use.catalogue.erasures.contents(erasure_id)
        if not any(row.erasure_id == erasure_id for row in use.catalogue.erasures.all()):
            raise UsageError(f"erasure {erasure_id}: not in {case.path}; imgmatch erasures {case.path} lists them")
        use.entry.counts = {"contents": len(rows)}
    return rows


def _asked(wanted: Wanted) -> dict[str, object]:
    """What the log keeps of it: of sources hashes, since they are names of evidence."""
    return {
        "items": list(wanted.items)[:_NAMED],
        "sha256": list(wanted.sha256)[:_NAMED],
        "sources_sha256": [hashlib.sha256(_bytes(source)).hexdigest() for source in wanted.sources],
        **({"everywhere": True} if wanted.everywhere else {}),
    }


def _items(known: Catalogue, wanted: Wanted) -> tuple[set[int], int, list[str]]:
    """The items that are to go, how many others of the sources stay, and contents that are no items. Raises UsageError
    where something named is not there.
    """
    chosen = set(wanted.items)
    missing = chosen - known.items.by_id(chosen).keys()
    if missing:
        raise UsageError(f"item {min(missing)}: not in {known.path.parent}; nothing was deleted")
    unknown = []
    for digest in wanted.sha256:
        found = known.items.id_of(digest)
        if found is None:
            unknown.append(digest)
        else:
            chosen.add(found)
    there = {item for source in wanted.sources for item in known.sightings.items_below(source)}
    elsewhere = there - chosen - set(known.sightings.only_below(wanted.sources, there))
    chosen |= there if wanted.everywhere else there - elsewhere
    chosen |= known.sightings.inside(chosen)
    return chosen, len(elsewhere - chosen), unknown


def _remove(use: Use, writer: Writer, wanted: Wanted, reason: str, containers: Iterable[Digests] = ()) -> Deleted:
    known = use.catalogue
    chosen, kept, unknown = _items(known, wanted)
    gone = known.items.by_id(chosen)
    places = {str(place.locator) for each in known.sightings.of(chosen).values() for place in each}
    below = {place for source in wanted.sources for place in known.sightings.places_below(source)}
    erasure = writer.erasures.begin(reason, account(), now_utc())
    for source in wanted.sources:
        writer.erasures.add_unread(erasure, source)
    writer.erasures.mark(erasure, _marks(use, gone, chosen, below - places))
    contents = [Digests(item.sha256, item.md5, item.sha1 or "", item.size_bytes) for item in gone.values()]
    writer.erasures.add(erasure, [*contents, *containers, *(Digests(digest, "", "", 0) for digest in unknown)])
    issues = 0
    for source in wanted.sources:
        removed = writer.delete_source(source)
        if not (removed["sightings"] or removed["issues"] or removed["listed_files"]):
            raise UsageError(f"{source}: nothing in {use.path} was seen there; nothing was deleted")
        issues += removed["issues"]
    people = known.erasures.people_of(chosen)
    vectors = writer.delete_items(sorted(chosen))
    writer.erasures.forget_people(people)
    for place in sorted(places | below):  # and what was said of it, or seen in it
        if known.sightings.item_at(Locator.parse(place)) is None:
            issues += writer.delete_source(place)["issues"]
    counted = writer.forget_contents()
    files = {found.at for found in map(Locator.parse, places) if found.parent is None}
    empty = [source.removeprefix("file:") for source in wanted.sources if not known.sightings.any_below(source)]
    writer.erasures.forget_arguments(files, empty)
    records = writer.vics.forget_erased()
    done = Deleted(
        erasure,
        len(chosen),
        vectors,
        len(places | below),
        issues + counted["issues"],
        counted["decisions"],
        records,
        kept,
        len(unknown),
        tuple(item.sha256 for item in gone.values()),
    )
    writer.erasures.tell(erasure, done.counts(), None)
    return done


def _containers(use: Use, sources: Sequence[str]) -> Iterator[Digests]:
    """The contents of videos, documents and archives at sources that something was found in, as far as they can still
    be read: other options would find other things in them.
    """
    opened: set[Locator] = set()
    for source in sources:
        for place in use.catalogue.sightings.places_below(source):
            outer = Locator.parse(place).parent
            while outer is not None and (str(outer) == source or str(outer).startswith((f"{source}/", f"{source}|"))):
                opened.add(outer)
                outer = outer.parent
    finder = Finder(use.limits)
    for container in sorted(opened, key=str):
        try:
            found = finder.at(container)
            if recognise(found, DEFAULT_OPTIONS).is_hashed(found.size_bytes):
                yield hashed(found)
        except (ImgmatchError, OSError):
            continue


def _marks(use: Use, gone: dict[int, ItemRow], chosen: set[int], places: Iterable[str]) -> Iterator[TraceRow]:
    """By what everything that was known of items, and further places, would be known again."""
    known, salt = use.catalogue, use.catalogue.meta.all().get("case_id", "")
    for text in places:
        yield from marks(salt, NO_CONTENT, "place", named(Locator.parse(text)))
    for item, seen in known.sightings.of(chosen).items():
        for place in seen:
            yield from marks(salt, gone[item].sha256, "place", named(place.locator))
    facts, hashes = known.facts.metadata_text(chosen), known.facts.pdqs(chosen)
    for item, row in gone.items():
        yield from marks(salt, row.sha256, "hash", row.sha256.encode("ascii"))
        if item in facts:
            yield from marks(salt, row.sha256, "metadata", _bytes(facts[item]))
        if item in hashes:
            yield from marks(salt, row.sha256, "pdq", hashes[item].hash)
        for decision in known.decisions.on(row.sha256):
            yield from marks(salt, row.sha256, "note", _bytes(decision.note))
    for shelf in use.every_shelf():
        store = shelf.store()
        wholes = [(row[0], row[1]) for row in shelf.vectors_of(sorted(chosen)) if row[2] is None or shelf.spec.of_faces]
        rows, there = store.gather(np.array([vector for _, vector in wholes], dtype=np.int64))
        for (item, _), row, is_there in zip(wholes, rows, there.tolist(), strict=True):
            if is_there:
                yield from marks(salt, gone[item].sha256, "vector", row.tobytes())


def named(place: Locator) -> bytes:
    """The bytes that a place is known by: of a file its path, which stands in its locator too."""
    return _bytes(place.at if place.parent is None and place.kind == "file" else str(place))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
