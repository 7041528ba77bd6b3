"""Verification of a search's candidates: their pictures are read again where they were found, and compared."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from imgmatch.cores import one_thread_each, usable_cores
from imgmatch.errors import EvidenceError
from imgmatch.evidence.read import Finder
from imgmatch.match.features import ITEM_PX, Features, extract, working
from imgmatch.match.overlay import photographed
from imgmatch.match.verify import QueryFeatures, verify
from imgmatch.types import Image, Match, Sighting, Verification
from imgmatch.workers.pictures import WORKER_ISSUES
from indexer.case.use import Use
from indexer.search.order import standing
from indexer.search.query import Query

VERIFY_TOP = 50
"""Candidates of a query that are verified, the nearest ones."""
_KEPT = 128
"""Items whose features stay in memory, a third of a megabyte each: queries of one room share most candidates."""


class ItemFeatures:
    """Local features of items, from their pictures as they are found again; those used last are kept in memory only.

    May be used by several threads at once.
    """

    def __init__(self, finder: Finder) -> None:
        self._finder = finder
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
        self._keep(sha256, made)
        return made

    def photographed(self, sha256: str, sightings: Sequence[Sighting]) -> bool:
        """Is an item a photograph, not drawn nor nearly empty? Raises EvidenceError as ``of``."""
        with self._lock:
            known = self._kept.get(sha256)
        if isinstance(known, Features):
            return photographed(known.grey)
        return photographed(working(self._image(sha256, sightings).pixels, ITEM_PX))

    def _image(self, sha256: str, sightings: Sequence[Sighting]) -> Image:
        return self._finder.image(sha256, (s.locator for s in sightings), ITEM_PX * 3 // 4)

    def _keep(self, sha256: str, found: Features | EvidenceError) -> None:
        with self._lock:
            self._kept[sha256] = found
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)


def verified_first(
    use: Use,
    features: ItemFeatures,
    query: Query,
    matches: Sequence[Match],
    top: int = VERIFY_TOP,
) -> list[Match]:
    """Verify the first ``top`` of the nearest, and put them all in their order (``indexer.search.order``).

    None is left out: a match whose picture can't be read any more has a verification that says so. ``features`` holds
    those of earlier queries.
    """
    first = matches[:top]
    if not first:
        return sorted(matches, key=standing)
    sightings = use.catalogue.sightings.of([match.item_id for match in first])
    points = query.features()

    def verified(match: Match) -> Match:
        return replace(match, verification=features.verify(points, match.sha256, sightings[match.item_id]))

    with one_thread_each(), ThreadPoolExecutor(usable_cores()) as threads:
        return sorted([*threads.map(verified, first), *matches[top:]], key=standing)


def unverified(error: EvidenceError) -> Verification:
    """What is said of a pair of which one picture can't be read any more."""
    return Verification(False, "none", False, 0, 0, None, None, 0.0, f"can't be verified: {error}")
