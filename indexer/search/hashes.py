"""What two cases have in common by PDQ hashes alone: where one of them is a pack that holds nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from imgmatch.picture.pdq import BITS, DISTANCE, LEAST_QUALITY
from indexer.case.use import Use
from indexer.index.protocol import Progress
from indexer.search.groups import Link, check_least

_AT_ONCE = 256
_BLOCK = 65_536  # with as many queries: what meets, of hashes that all are alike, takes some hundred megabytes


def pdq_links(use: Use, other: Use, least: float, progress: Progress | None = None) -> Iterator[Link]:
    """Pairs of an item of ``use`` and one of ``other`` whose PDQ hashes are within 31 bits, in no order.

    Their similarity is the cosine of the hashes as vectors of 1 and -1, that is 1 less a 128th of the bits that differ;
    pairs below ``least`` are left out. Hashes of a quality below 50 are not compared. Every pair is compared.
    """
    from indexer.index.binary import BinaryIndex  # FAISS

    check_least(least)
    parts = []
    after = 0
    while block := other.catalogue.facts.pdq_block(after, _BLOCK, LEAST_QUALITY):
        parts.append(([row[1] for row in block], BinaryIndex(_hashes(block))))
        after = block[-1][0]
    after = done = 0
    total = use.catalogue.counts()["items"]
    while block := use.catalogue.facts.pdq_block(after, _AT_ONCE, LEAST_QUALITY):
        for owners, index in parts:
            pairs = [
                (block[number][1], owners[row], bits)
                for number, found in enumerate(index.within(_hashes(block), DISTANCE))
                for bits, row in found
                if 1 - 2 * bits / BITS >= least
            ]
            for start in range(0, len(pairs), _BLOCK):
                yield from _links(use, other, pairs[start : start + _BLOCK])
        after = block[-1][0]
        done += len(block)
        if progress:
            progress("hashes", done, total)


def _hashes(block: list[tuple[int, int, bytes]]) -> np.ndarray:
    return np.frombuffer(b"".join(row[2] for row in block), np.uint8).reshape(-1, BITS // 8)


def _links(use: Use, other: Use, pairs: list[tuple[int, int, int]]) -> Iterator[Link]:
    ours, theirs = {pair[0] for pair in pairs}, {pair[1] for pair in pairs}
    items, items_there = use.catalogue.items.by_id(ours), other.catalogue.items.by_id(theirs)
    seen, seen_there = use.catalogue.sightings.of(ours), other.catalogue.sightings.of(theirs)
    for one, two, bits in pairs:
        places = seen[one][0].locator, seen_there[two][0].locator
        yield Link(items[one], items_there[two], 1 - 2 * bits / BITS, *places, None, bits_apart=bits)
