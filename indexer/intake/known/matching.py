"""What the imported lists say of a content: asked at ingest before anything is decoded, and of items at any time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgmatch.errors import EvidenceError, SourceDiskError, UnknownNameError
from imgmatch.evidence.read import hashed
from imgmatch.locator import Locator
from imgmatch.types import Digests, Evidence
from indexer.intake.delivered import Delivered

if TYPE_CHECKING:
    from indexer.case.case import Case
    from indexer.case.use import Use
    from indexer.catalogue import ListHit

_ITEMS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Alert:
    """A file that an alert list names."""

    locator: Locator
    name: str
    category: str | None


@dataclass(frozen=True, slots=True)
class ListMatch:
    """An item, or a file that is no item (``item_id`` None), with a list that names it."""

    item_id: int | None
    sha256: str
    hit: ListHit
    locator: Locator
    sightings: int


class KnownFiles:
    """The lists of a case as they were when it was made, for one ingest. May be asked from any thread."""

    def __init__(self, use: Use) -> None:
        self._catalogue = use.catalogue
        self._any = any(row.distance is None for row in use.catalogue.lists.all())
        self._erased = use.catalogue.erasures.any()
        # Left out by a list that may be gone: the record of it ends when the file is opened.
        self._left_out = use.catalogue.counts()["ignored_files"] > 0

    @property
    def says_anything(self) -> bool:
        """Is there any content of which lists, or erasures, may say something?"""
        return self._any or self._left_out or self._erased

    def of(self, digests: Digests) -> tuple[ListHit, ...]:
        """The lists that name a content, alert lists first."""
        return self._catalogue.lists.hits(digests) if self._any else ()

    def keeps_out(self, digests: Digests) -> bool:
        """Was this content erased from the case, and not readmitted?"""
        return self._erased and self._catalogue.erasures.keeps_out(digests.sha256)

    def ignores(self, digests: Digests) -> bool:
        """Is this content to be left out: does an ignore list name it, and no alert list?"""
        return _ignored(self.of(digests))

    def of_container(self, found: Evidence) -> Listed | None:
        """What the lists say of a file that is opened for what is in it, its digests taken as it streams by; None where
        there is nothing to say, or it can't be read (opening it says why). Of one that was erased they say nothing.
        """
        if not self.says_anything:
            return None
        try:
            digests = found.digests if isinstance(found, Delivered) else hashed(found)
        except (EvidenceError, SourceDiskError):
            return None
        if digests is None:
            return None
        if self.keeps_out(digests):
            return Listed(digests, found, (), (), True, erased=True)
        hits = self.of(digests)
        noted = self._catalogue.listed.lists_of(found.locator, digests.sha256)
        if not hits and not noted:
            return None
        new = tuple(hit for hit in hits if hit.list_id not in noted)
        return Listed(digests, found, hits, new, _ignored(hits))


@dataclass(frozen=True, slots=True)
class Listed:
    """A video, document or archive that lists name, ``new`` ones of them for the first time. ``ignored``: it is not
    opened because of that, or because its content was ``erased``: then nothing is kept of it.
    """

    digests: Digests
    evidence: Evidence
    hits: tuple[ListHit, ...]
    new: tuple[ListHit, ...]
    ignored: bool
    erased: bool = False


def _ignored(hits: Iterable[ListHit]) -> bool:
    kinds = {hit.kind for hit in hits}
    return "ignore" in kinds and "alert" not in kinds


def listed(case: Case, kind: str | None = None, name: str | None = None) -> Iterator[ListMatch]:
    """Items, and then files that are no items, with each list that names them. Recorded before and after."""
    shown = 0
    with case.use("known match", arguments={"list": name, "kind": kind}, ends="known match shown") as use:
        names = [row.name for row in use.catalogue.lists.all()]
        if name is not None and name not in names and not any(use.catalogue.listed.all(None, name)):
            raise UnknownNameError("hash list", name, names)
        for found in _listed(use, kind, name):
            shown += 1
            use.entry.counts = {"shown": shown}
            yield found


def _listed(use: Use, kind: str | None, name: str | None) -> Iterator[ListMatch]:
    block: list[tuple[int, ListHit]] = []
    for pair in use.catalogue.lists.item_hits(name=name):
        if kind is None or pair[1].kind == kind:
            block.append(pair)
        if len(block) >= _ITEMS_AT_ONCE:
            yield from _with_places(use, block)
            block = []
    yield from _with_places(use, block)
    for file in use.catalogue.listed.all(kind, name):
        yield ListMatch(None, file.sha256, file.hit, file.locator, 1)


def _with_places(use: Use, block: list[tuple[int, ListHit]]) -> Iterator[ListMatch]:
    ids = [item_id for item_id, _ in block]
    items = use.catalogue.items.by_id(ids)
    places = use.catalogue.sightings.of(ids)
    for item_id, hit in block:
        seen = places[item_id]
        yield ListMatch(item_id, items[item_id].sha256, hit, seen[0].locator, len(seen))
