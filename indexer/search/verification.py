"""Verification of a search's candidates: their pictures are read again where they were found, and compared."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from imgmatch.cores import one_thread_each, usable_cores
from imgmatch.errors import EvidenceError
from imgmatch.evidence.read import Finder
from imgmatch.match.features import ITEM_PX, Features, extract, working
from imgmatch.match.learned import ASKED, points, verify_learned
from imgmatch.match.overlay import photographed
from imgmatch.match.parts import has_parts, item_parts, parts_score
from imgmatch.match.sharing import NEIGHBOURS, Flags, Look, by_the_rest, look, shared
from imgmatch.match.verify import QueryFeatures, verify
from imgmatch.models.base import Embedder
from imgmatch.types import Image, Match, Sighting, Verification
from imgmatch.workers.pictures import WORKER_ISSUES
from indexer.case.use import Use
from indexer.index.protocol import VectorIndex
from indexer.search.nearest import nearest
from indexer.search.order import by_parts, standing
from indexer.search.query import Query

if TYPE_CHECKING:
    from imgmatch.models.base import Vectors
    from imgmatch.models.xfeat.matcher import LearnedPoints, Matcher

VERIFY_TOP = 50
"""Candidates of a query that are verified, the nearest ones."""
_KEPT = 128
"""Items whose features stay in memory, a third of a megabyte each: queries of one room share most candidates."""


class ItemFeatures:
    """Local features of items, with an ``embedder`` that has some the vectors of their parts, and with a ``matcher``
    the learned points of photographs, from their pictures as they are found again; those used last are kept in memory
    only.

    May be used by several threads at once.
    """

    def __init__(self, finder: Finder, embedder: Embedder | None = None, matcher: Matcher | None = None) -> None:
        self._finder, self.matcher = finder, matcher
        self._learned: dict[str, LearnedPoints] = {}
        self._embedder = embedder if embedder is not None and has_parts(embedder) else None
        self._parts: dict[str, Vectors] = {}
        self._kept: OrderedDict[str, Features | EvidenceError] = OrderedDict()
        self._lock = threading.Lock()

    def verify(self, query: QueryFeatures, sha256: str, sightings: Sequence[Sighting]) -> Verification:
        """What geometry says of a query and an item with this content; also where its picture can't be read."""
        try:
            return verify(query, self.of(sha256, sightings))
        except EvidenceError as error:
            return unverified(error)

    def of(self, sha256: str, sightings: Sequence[Sighting]) -> Features:
        """The features of an item. Raises EvidenceError as Finder.image does."""
        with self._lock:
            known = self._kept.get(sha256)
            if known is not None:
                self._kept.move_to_end(sha256)
        if isinstance(known, EvidenceError):
            raise EvidenceError(known.kind, str(known))
        if known is not None:
            return known
        try:
            image = self._image(sha256, sightings)
        except EvidenceError as error:
            if error.kind in WORKER_ISSUES:  # what kills or holds up its worker does so once, not once a query
                self._keep(sha256, error)
            raise
        made = extract(image.pixels, image.upright_size_px)
        parts = item_parts(self._embedder, image.pixels) if self._embedder is not None else None
        if self.matcher is not None and photographed(made.grey):
            learned = points(self.matcher, image.pixels, image.upright_size_px)
            with self._lock:
                self._learned[sha256] = learned
        self._keep(sha256, made, parts)
        return made

    def parts(self, sha256: str) -> Vectors | None:
        """The vectors of parts of an item whose features are kept; None where there are none."""
        with self._lock:
            return self._parts.get(sha256)

    def learned(self, sha256: str) -> LearnedPoints | None:
        """The learned points of an item whose features are kept; None where it is no photograph."""
        with self._lock:
            return self._learned.get(sha256)

    def photographed(self, sha256: str, sightings: Sequence[Sighting]) -> bool:
        """Is an item a photograph, not drawn nor nearly empty? Raises EvidenceError as ``of``."""
        with self._lock:
            known = self._kept.get(sha256)
        if isinstance(known, Features):
            return photographed(known.grey)
        return photographed(working(self._image(sha256, sightings).pixels, ITEM_PX))

    def _image(self, sha256: str, sightings: Sequence[Sighting]) -> Image:
        return self._finder.image(sha256, (s.locator for s in sightings), ITEM_PX * 3 // 4)

    def _keep(self, sha256: str, found: Features | EvidenceError, parts: Vectors | None = None) -> None:
        with self._lock:
            self._kept[sha256] = found
            if parts is not None:
                self._parts[sha256] = parts
            if len(self._kept) > _KEPT:
                oldest = self._kept.popitem(last=False)[0]
                self._parts.pop(oldest, None)
                self._learned.pop(oldest, None)


class OneQuery:
    """Verification of items against one query: the same answer whatever else a search is asked for, and whether it is a
    search that asks or a closer look at one pair (``imgmatch.match.sharing``). ``index`` gives what is searched, where
    the query's neighbours are needed; ``features`` holds those of earlier queries.
    """

    def __init__(self, use: Use, features: ItemFeatures, query: Query, index: Callable[[], VectorIndex | None]) -> None:
        self._use, self._features, self._query, self._index = use, features, query, index
        self._points = query.features()

    def verify(self, items: Mapping[int, str]) -> dict[int, Verification]:
        """What geometry says of items, by id; given are their contents (SHA-256)."""
        with one_thread_each(), ThreadPoolExecutor(usable_cores()) as threads:
            looks = self._looks(items, threads)
            told = {item_id: seen.found for item_id, seen in looks.items()}
            doubtful = {item_id: items[item_id] for item_id, seen in looks.items() if seen.in_question}
            part = self._shared(looks, threads) if doubtful else None
            if part is not None:
                rest = self._each(
                    doubtful, threads, lambda n, item: Look(by_the_rest(self._points, part, item, told[n]))
                )
                told |= {item_id: seen.found for item_id, seen in rest.items()}
            return told | self._by_learned(items, told, threads)

    def _by_learned(
        self, items: Mapping[int, str], told: Mapping[int, Verification], threads: ThreadPoolExecutor
    ) -> dict[int, Verification]:
        """What learned points verify of the nearest photographs that SIFT's do not, where there is a matcher; what is
        known to be a template's stays that.
        """
        matcher, image = self._features.matcher, self._query.image
        if matcher is None or not self._query.photographed:
            return {}
        near = list(items.items())[:ASKED]
        asked = {item_id: sha256 for item_id, sha256 in near if not (told[item_id].verified or told[item_id].void)}
        own = points(matcher, image.pixels, image.upright_size_px, self._query.mask)

        def one(item_id: int, seen: Features) -> Look:
            there = self._features.learned(items[item_id])
            return Look(told[item_id] if there is None else verify_learned(matcher, own, there, seen))

        looks = self._each(asked, threads, one)
        return {item_id: seen.found for item_id, seen in looks.items() if seen.found.verified}

    def _looks(self, items: Mapping[int, str], threads: ThreadPoolExecutor) -> dict[int, Look]:
        return self._each(items, threads, lambda _, item: look(self._points, item))

    def _each(
        self, items: Mapping[int, str], threads: ThreadPoolExecutor, does: Callable[[int, Features], Look]
    ) -> dict[int, Look]:
        """What is found with each item's features, which are read again where they are not kept any more."""
        sightings = self._use.catalogue.sightings.of(items)

        def one(item_id: int) -> Look:
            try:
                item = self._features.of(items[item_id], sightings[item_id])
            except EvidenceError as error:
                return Look(unverified(error))
            return does(item_id, item)

        return dict(zip(items, threads.map(one, items), strict=True))

    def _shared(self, looks: Mapping[int, Look], threads: ThreadPoolExecutor) -> Flags | None:
        """The part of the query that many of its neighbours share, in the whole case, whatever is asked for."""
        index = self._index()
        if index is None:
            return None
        whole = replace(self._query, vectors=self._query.vectors[:1], boxes=self._query.boxes[:1])
        near = {match.item_id: match.sha256 for match in nearest(self._use, index, whole, NEIGHBOURS)}
        more = self._looks({item_id: of for item_id, of in near.items() if item_id not in looks}, threads)
        return shared(self._points, [looks.get(item_id) or more[item_id] for item_id in near])


def verified_first(
    use: Use,
    features: ItemFeatures,
    query: Query,
    index: VectorIndex | None,
    matches: Sequence[Match],
    top: int = VERIFY_TOP,
) -> list[Match]:
    """Verify the first ``top`` of the nearest, and put them all in their order (``indexer.search.order``); what is not
    verified among them by how well its parts meet those of the query, where both have some.

    None is left out: a match whose picture can't be read any more has a verification that says so. ``features`` holds
    those of earlier queries.
    """
    first = matches[:top]
    if not first:
        return sorted(matches, key=standing)
    found = OneQuery(use, features, query, lambda: index).verify({match.item_id: match.sha256 for match in first})
    done = [replace(match, verification=found[match.item_id]) for match in first]
    return sorted([*by_parts([*_with_parts(features, query, done)]), *matches[top:]], key=standing)


def _with_parts(features: ItemFeatures, query: Query, matches: Sequence[Match]) -> Iterator[Match]:
    """Matches with how well their parts meet those of the query, where both have some."""
    for match in matches:
        parts = None if query.parts is None else features.parts(match.sha256)
        if query.parts is None or parts is None:
            yield match
        else:
            yield replace(match, parts_score=round(parts_score(match.score, query.parts, parts), 6))


def unverified(error: EvidenceError) -> Verification:
    """What is said of a pair of which one picture can't be read any more."""
    return Verification(False, "none", False, 0, 0, None, None, 0.0, f"can't be verified: {error}")
