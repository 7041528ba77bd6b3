"""Which pairs of items of a case are copies of one picture: by their hashes and, as far as need be, their pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from imgmatch.cores import one_thread_each, usable_cores
from imgmatch.errors import EvidenceError
from imgmatch.evidence.read import Finder
from imgmatch.match.copies import UNSEEN_DISTANCE, bits_apart, near, verified
from indexer.case.use import Use
from indexer.search.verification import ItemFeatures

ItemPair = tuple[int, int]
Told = Callable[[Sequence[ItemPair]], Sequence[bool | None]]
"""Says of pairs of items whether they are copies of one picture; None where nobody can tell."""


class Copies:
    """Tells copies within a case (``imgmatch.match.copies``): photographs with PDQ hashes near enough, and what
    geometry verifies; neither flat pictures nor what only shares a template. ``looked`` counts the pairs that were
    asked about, ``sought`` those of them for which a geometry was sought, ``unseen`` those whose pictures can't be read
    again.
    """

    def __init__(self, use: Use) -> None:
        self._use = use
        self._features = ItemFeatures(Finder(use.limits))
        self.looked = self.sought = self.unseen = 0

    def _bits(self, pairs: Sequence[ItemPair]) -> list[int | None]:
        """In how many bits the hashes of each pair differ, None where they tell nothing."""
        hashes = self._use.catalogue.facts.pdqs({item_id for pair in pairs for item_id in pair})
        return [bits_apart(hashes.get(one), hashes.get(other)) for one, other in pairs]

    def told(self, pairs: Sequence[ItemPair]) -> list[bool | None]:
        """Whether the items of each pair are copies of one picture; None where their pictures can't be read again, and
        their hashes are not near enough to do without.
        """
        ids = {item_id for pair in pairs for item_id in pair}
        contents = {item_id: item.sha256 for item_id, item in self._use.catalogue.items.by_id(ids).items()}
        seen = self._use.catalogue.sightings.of(ids)

        def one(pair: ItemPair, bits: int | None) -> tuple[bool | None, bool]:
            first, second = ((contents[item_id], seen[item_id]) for item_id in pair)
            try:
                if near(bits) and self._features.photographed(*first):
                    return True, False
                return verified(self._features.of(*first), self._features.of(*second)), True
            except EvidenceError:
                return True if bits is not None and bits <= UNSEEN_DISTANCE else None, False

        with one_thread_each(), ThreadPoolExecutor(usable_cores()) as threads:
            done = list(threads.map(one, pairs, self._bits(pairs)))
        found = [copy for copy, _ in done]
        self.looked += len(pairs)
        self.sought += sum(sought for _, sought in done)
        self.unseen += found.count(None)
        return found
