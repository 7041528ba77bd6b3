"""PDQ lists against the items of a case."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from imgmatch.picture.pdq import BITS, LEAST_QUALITY
from indexer.catalogue import ListHit
from indexer.intake.known.matching import Alert

if TYPE_CHECKING:
    from indexer.case.use import Use
    from indexer.catalogue import ListRow

_ITEMS_AT_ONCE = 4096


def match_pdq(use: Use) -> Iterator[Alert]:
    """Compare items with the PDQ lists that have not met yet, and keep which meet within the list's distance, the
    nearest entry of each. Gives the items that alert lists name.

    Each few thousand items are one transaction: a kill costs those, and the next ingest goes on. Hashes of a quality
    below 50 are not compared. The caller holds the writer's place.
    """
    for row in use.catalogue.lists.all():
        if row.distance is not None and use.catalogue.facts.pdq_block(row.matched_to, 1, 0):
            yield from _match(use, row, row.distance)


def _match(use: Use, row: ListRow, distance: int) -> Iterator[Alert]:
    from indexer.index.binary import BinaryIndex  # FAISS: not for cases without such lists

    entries = use.catalogue.lists.pdqs(row.list_id, LEAST_QUALITY)
    listed = np.frombuffer(b"".join(hash for hash, _ in entries), np.uint8).reshape(-1, BITS // 8)
    index = BinaryIndex(listed)
    after = row.matched_to
    while block := use.catalogue.facts.pdq_block(after, _ITEMS_AT_ONCE, LEAST_QUALITY):
        hashes = np.frombuffer(b"".join(hash for _, _, hash in block), np.uint8).reshape(-1, BITS // 8)
        found = [
            (block[number][1], ListHit(row.list_id, row.name, row.kind, entries[place][1], "pdq", bits))
            for number, place, bits in index.near(hashes, distance)
        ]
        after = block[-1][0]
        with use.catalogue.transaction() as writer:
            writer.lists.add_matches(found)
            writer.lists.set_matched_to(row.list_id, after)
        if row.kind == "alert":
            places = use.catalogue.sightings.of(item_id for item_id, _ in found)
            for item_id, hit in found:
                yield Alert(places[item_id][0].locator, hit.name, hit.category)
