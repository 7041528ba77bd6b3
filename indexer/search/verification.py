"""Verification of a search's candidates: their pictures are read again where they were found, and compared."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from imgmatch.cores import one_thread_each, usable_cores
from imgmatch.errors import EvidenceError
from imgmatch.evidence import Reopener, reopen
from imgmatch.locator import Locator
from imgmatch.match.features import ITEM_PX, Features, extract
from imgmatch.match.verify import QueryFeatures, verify
from imgmatch.picture.hashes import digest
from imgmatch.picture.image import DEFAULT_LIMITS
from imgmatch.types import Candidate, Evidence, Image, Sighting, Verification
from imgmatch.workers import shared
from imgmatch.workers.pool import WORKER_ISSUES
from indexer.case.case import Case

if TYPE_CHECKING:
    from indexer.catalogue import ItemRow

VERIFY_TOP = 50
"""Candidates of a query that are verified, the nearest ones."""
_KEPT = 128
"""Items whose features stay in memory, a third of a megabyte each: queries of one room share most candidates."""


class ItemFeatures:
    """Local features of items, from their pictures as they are found again; those used last are kept in memory only.

    May be used by several threads at once.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Features | EvidenceError] = OrderedDict()
        self._lock = threading.Lock()
        self._of_thread = threading.local()

    def of(self, item: ItemRow, sightings: Sequence[Sighting]) -> Features:
        """The features of an item. Raises EvidenceError as ``reread`` does."""
        with self._lock:
            known = self._kept.get(item.sha256)
            if known is not None:
                self._kept.move_to_end(item.sha256)
        if isinstance(known, EvidenceError):
            raise EvidenceError(known.kind, str(known))
        if known is not None:
            return known
        # An archive or a disk image is opened once a thread, not once a candidate.
        if not hasattr(self._of_thread, "reopener"):
            self._of_thread.reopener = Reopener()
        try:
            image = reread(item, sightings, ITEM_PX * 3 // 4, self._of_thread.reopener.reopen)
        except EvidenceError as error:
            if error.kind in WORKER_ISSUES:  # what kills or holds up its worker does so once, not once a query
                self._keep(item, error)
            raise
        made = extract(image.pixels, image.upright_size_px)
        self._keep(item, made)
        return made

    def _keep(self, item: ItemRow, found: Features | EvidenceError) -> None:
        with self._lock:
            self._kept[item.sha256] = found
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)


def verified_first(
    case: Case,
    query: QueryFeatures,
    candidates: Sequence[tuple[Candidate, ...]],
    top: int = VERIFY_TOP,
    features: ItemFeatures | None = None,
) -> tuple[list[tuple[Candidate, ...]], dict[int, Verification]]:
    """Verify the first ``top`` candidates and put the verified ones first, those with the most inliers foremost.

    Each candidate is an item's near vectors, the best first. The others follow in their order; none is left out. Gives
    the candidates and what was found of each item. A candidate whose picture can't be read any more keeps its place,
    with a verification that says so. ``features`` are those of earlier queries.
    """
    features = features or ItemFeatures()
    ids = [vectors[0].item_id for vectors in candidates[:top]]
    items, sightings = case.catalogue.items.by_id(ids), case.catalogue.sightings.of(ids)

    def one(item_id: int) -> Verification:
        try:
            of_item = features.of(items[item_id], sightings[item_id])
        except EvidenceError as error:
            return Verification(False, "none", False, 0, 0, None, None, 0.0, f"can't be verified: {error}")
        return verify(query, of_item)

    with one_thread_each(), ThreadPoolExecutor(usable_cores()) as threads:
        found = dict(zip(ids, threads.map(one, ids), strict=True))

    def place(vectors: tuple[Candidate, ...]) -> tuple[bool, int]:
        verification = found.get(vectors[0].item_id)
        good = verification is not None and verification.verified
        return not good, -verification.inliers if verification is not None and good else 0

    return sorted(candidates, key=place), found


def reread(
    item: ItemRow,
    sightings: Sequence[Sighting],
    min_side_px: int,
    find: Callable[[Locator], Evidence] = reopen,
) -> Image:
    """Decode an item's picture from the first place that still holds its content.

    Raises EvidenceError as ``content`` and as imgmatch.workers.shared.read_picture.
    """
    return shared.read_image(content(item.sha256, (s.locator for s in sightings), find), min_side_px)


def content(sha256: str, places: Iterable[Locator], find: Callable[[Locator], Evidence]) -> bytes:
    """The bytes with this SHA-256 from the first place that still holds them.

    Raises EvidenceError of kind ``source_gone`` when no place does.
    """
    changed = False
    for place in places:
        try:
            with find(place).open() as stream:
                digests, data = digest(stream, DEFAULT_LIMITS.max_bytes)
        except (EvidenceError, OSError):
            continue
        if digests.sha256 == sha256 and data is not None:
            return data
        changed = True
    raise EvidenceError("source_gone", "source changed since ingest" if changed else "source gone")
