"""Near-copies within a case, and what one case has in common with another; over pairs of vectors, streamed."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from imgmatch.errors import UsageError
from imgmatch.locator import Locator
from imgmatch.types import FalseMatchRate, ModelSpec, Verification
from indexer.case.use import Use
from indexer.catalogue import ItemRow
from indexer.index.layered import Base
from indexer.index.manifest import IndexFileError
from indexer.index.open import open_base
from indexer.index.pairs import Pairs, pairs_above
from indexer.index.protocol import Progress
from indexer.index.shelf import Shelf
from indexer.index.store import Store
from indexer.search.background import COPY_SIMILARITY, Background
from indexer.search.order import rare_enough

Compare = Callable[[ItemRow, ItemRow], Sequence[str]]
"""What a closer look says of two near-copies (best, other), such as cropped or mirrored (``indexer.search.closer``)."""

LINK_SIMILARITY = 0.6
LINKS = 1000
"""So many links are kept, the nearest ones."""
# Shapes that differ by less are a matter of rounding.
_SHAPE = 0.02


@dataclass(frozen=True, slots=True)
class Member:
    """One picture of a group, and how it differs from the best one."""

    item: ItemRow
    sightings: tuple[Locator, ...]
    differs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Near-copies, the best first: most pixels, whole before partly read, then most bytes."""

    number: int
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class Link:
    """An item of one case and one of another that look alike."""

    item: ItemRow
    other: ItemRow
    similarity: float
    path: str
    other_path: str
    false_match: FalseMatchRate | None
    verification: Verification | None = None

    @property
    def identical(self) -> bool:
        """Are both the same content (SHA-256)?"""
        return self.item.sha256 == self.other.sha256


def groups(
    use: Use,
    spec: ModelSpec,
    least: float = COPY_SIMILARITY,
    *,
    compare: Compare | None = None,
    progress: Progress | None = None,
) -> Iterator[Group]:
    """Groups of items joined by pairs with a cosine of at least ``least``, in the order of their lowest items.

    Pairs join (single linkage): two members may be less alike than ``least``. Memory: two numbers an item that has a
    near-copy. With a built index as few pairs are missed as the index misses neighbours.
    """
    _check(least)
    store, base = _opened(use.shelf(spec))
    parent: dict[int, int] = {}

    def root(item_id: int) -> int:
        while parent.setdefault(item_id, item_id) != item_id:
            parent[item_id] = parent[parent[item_id]]
            item_id = parent[item_id]
        return item_id

    for found in pairs_above(store, least, base=base, progress=progress):
        for first, second, _ in _items(use, use, found):
            low, high = sorted((root(first), root(second)))
            parent[high] = low
    members: dict[int, list[int]] = {}
    for item_id in sorted(parent):
        members.setdefault(root(item_id), []).append(item_id)
    for number, ids in enumerate((ids for ids in members.values() if len(ids) > 1), start=1):
        yield _group(use, number, ids, compare)


def links(
    use: Use,
    other: Use,
    spec: ModelSpec,
    least: float = LINK_SIMILARITY,
    *,
    background: Background | None = None,
    max_fmr: float | None = None,
    progress: Progress | None = None,
) -> Iterator[Link]:
    """Pairs of an item of ``use`` and one of ``other``, which is only read, that are near enough; in no order.

    With a ``background`` each says its false-match rate, and how many false links to expect of all pairs of the two;
    ``max_fmr`` then leaves out those with a higher one.
    """
    _check(least)
    shelf, other_shelf = use.shelf(spec), other.shelf(spec)
    store, base = _opened(shelf)
    others = other_shelf.store()
    compared = shelf.item_count() * other_shelf.item_count()
    for found in pairs_above(store, least, other=others, base=base, progress=progress):
        pairs = list(_items(use, other, found))
        vectors, _ = store.gather(found.first)
        vector_of = {int(v): row for v, row in zip(found.first.tolist(), vectors, strict=True)}
        parts = use.catalogue.vectors.regions(found.first.tolist())
        owner = {i: v for v, i in use.catalogue.vectors.owners(found.first.tolist()).items() if v not in parts}
        ours = use.catalogue.items.by_id({pair[0] for pair in pairs})
        theirs = other.catalogue.items.by_id({pair[1] for pair in pairs})
        seen, seen_there = use.catalogue.sightings.of(ours), other.catalogue.sightings.of(theirs)
        for first, second, similarity in pairs:
            rate = None
            if background is not None and ours[first].sha256 != theirs[second].sha256:
                vector = vector_of[owner[first]].astype(np.float32)
                rate = background.rate(vector, ours[first].sha256, theirs[second].sha256, similarity, compared)
            link = Link(
                ours[first],
                theirs[second],
                min(1.0, similarity),
                seen[first][0].locator.path or "",
                seen_there[second][0].locator.path or "",
                rate,
            )
            if rare_enough(link, max_fmr):
                yield link


def nearest_links(found: Iterable[Link], top: int = LINKS) -> tuple[list[Link], int]:
    """The ``top`` nearest links, the nearest first, equal ones in the order of their items, and how many there were.

    Memory: ``top`` links, however many there are.
    """
    count = 0

    def counted() -> Iterator[Link]:
        nonlocal count
        for link in found:
            count += 1
            yield link

    return heapq.nsmallest(top, counted(), key=lambda k: (-k.similarity, k.item.item_id, k.other.item_id)), count


def _group(use: Use, number: int, ids: Sequence[int], compare: Compare | None) -> Group:
    items = use.catalogue.items.by_id(ids)
    seen = use.catalogue.sightings.of(ids)
    ranked = sorted(
        items.values(),
        key=lambda i: (-i.width_px * i.height_px, i.partial is not None, -i.size_bytes, i.item_id),
    )
    best = ranked[0]
    return Group(
        number,
        tuple(
            Member(
                item,
                tuple(sighting.locator for sighting in seen[item.item_id]),
                () if item is best else (*_differs(best, item), *(compare(best, item) if compare else ())),
            )
            for item in ranked
        ),
    )


def _differs(best: ItemRow, item: ItemRow) -> Iterator[str]:
    """What the catalogue alone tells of two near-copies."""
    if (item.width_px, item.height_px) != (best.width_px, best.height_px):
        yield f"{item.width_px * item.height_px / (best.width_px * best.height_px):.0%} of the pixels"
        shapes = sorted((item.width_px / item.height_px, best.width_px / best.height_px))
        turned = abs(item.height_px / item.width_px / (best.width_px / best.height_px) - 1) < _SHAPE
        if shapes[1] / shapes[0] - 1 > _SHAPE:
            yield "turned by a quarter" if turned else "other shape (cropped, padded or stretched)"
    if item.format != best.format:
        yield f"{item.format} instead of {best.format}"
    density = item.size_bytes / max(1, item.width_px * item.height_px)
    best_density = best.size_bytes / max(1, best.width_px * best.height_px)
    if item.format == best.format and density < 0.8 * best_density:
        yield f"compressed harder ({density / best_density:.0%} of the bytes a pixel)"
    if item.partial:
        yield f"partly read: {item.partial}"


def _items(use: Use, other: Use, found: Pairs) -> Iterator[tuple[int, int, float]]:
    """Pairs of items of a block: whole pictures only, an item never with itself."""
    firsts, seconds = found.first.tolist(), found.second.tolist()
    parts = use.catalogue.vectors.regions(firsts), other.catalogue.vectors.regions(seconds)
    ours, theirs = use.catalogue.vectors.owners(firsts), other.catalogue.vectors.owners(seconds)
    for first, second, similarity in zip(firsts, seconds, found.similarity.tolist(), strict=True):
        if first in parts[0] or second in parts[1] or first not in ours or second not in theirs:
            continue
        if use is not other or ours[first] != theirs[second]:
            yield ours[first], theirs[second], similarity


def _opened(shelf: Shelf) -> tuple[Store, Base | None]:
    try:
        base = open_base(shelf)
    except IndexFileError:  # a cache that is no good: every pair is compared
        base = None
    return shelf.store(), base


def _check(least: float) -> None:
    if not 0 < least <= 1:
        raise UsageError(f"{least} is no least similarity; give one above 0 and up to 1")
