"""Near-copies within a case, and what one case has in common with another; over pairs of vectors, streamed."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from imgmatch.errors import UsageError
from imgmatch.locator import Locator
from imgmatch.match.copies import COPY_SIMILARITY
from imgmatch.types import Decision, FalseMatchRate, ModelSpec, Verification
from indexer.case.use import Use
from indexer.catalogue import ItemRow
from indexer.index.layered import Base
from indexer.index.manifest import IndexFileError
from indexer.index.open import open_base
from indexer.index.pairs import Pairs, pairs_above
from indexer.index.protocol import Progress
from indexer.index.shelf import Shelf
from indexer.index.store import Store
from indexer.search.background import Background
from indexer.search.copies import ItemPair, Told
from indexer.search.order import rare_enough

if TYPE_CHECKING:
    from imgmatch.types import Vector

Compare = Callable[[ItemRow, ItemRow], Sequence[str]]
"""What a closer look says of two near-copies (best, other), such as cropped or mirrored (``indexer.search.closer``)."""

LINK_SIMILARITY = 0.6
LINKS = 1000
"""So many links are kept, the nearest ones."""
TRIES = 24
"""An item that is no copy of so many others is taken for one of many of a template."""
_AT_ONCE = 64
_SLICE = 8192
# Shapes that differ by less are a matter of rounding.
_SHAPE = 0.02


class Wanted(Protocol):
    """Which links are asked for."""

    def floor(self) -> float:
        """How alike two vectors must be by now."""

    def passed(self, count: int) -> None:
        """So many pairs of vectors were less alike than that."""

    def wanted(self, first: int, second: int, similarity: float) -> bool:
        """Is the link of two items asked for?"""


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
    place: Locator
    other_place: Locator
    false_match: FalseMatchRate | None
    verification: Verification | None = None
    labels: tuple[str, str] = ("", "")
    """What either case calls it (the column ``label``)."""
    decision: Decision | None = None
    """What stands of the pair by the decisions of both cases."""
    bits_apart: int | None = None
    """In how many of 256 bits their PDQ hashes differ, where these are all that was compared."""

    @property
    def identical(self) -> bool:
        """Are both the same content (SHA-256)?"""
        return self.item.sha256 == self.other.sha256

    @property
    def score(self) -> float:
        """How alike they are, as a match of a query says it."""
        return self.similarity


def groups(
    use: Use,
    spec: ModelSpec,
    told: Told,
    least: float = COPY_SIMILARITY,
    *,
    compare: Compare | None = None,
    progress: Progress | None = None,
) -> Iterator[Group]:
    """Groups of items joined by pairs with a cosine of at least ``least`` that are ``told`` to be copies (``Copies``),
    in the order of their lowest items.

    Pairs join (single linkage): two members may be less alike than ``least``. An item that was told to be no copy of
    ``TRIES`` others, the nearest first, is not looked at further beside another such one: time grows with the items
    that have anything alike, not with the pairs among a thousand pages of one template. Memory: a block of pairs, and
    three numbers an item that has anything alike. With a built index as few pairs are missed as the index misses
    neighbours.
    """
    check_least(least)
    store, base = _opened(use.shelf(spec))
    joined = _Joined(told)
    for found in pairs_above(store, least, base=base, progress=progress):
        near = sorted(_items(use, use, found), key=lambda pair: (-pair[2], pair[:2]))
        joined.join([pair[:2] for pair in near], progress)
    for number, ids in enumerate(joined.groups(), start=1):
        yield _group(use, number, ids, compare)


class _Joined:
    """Items joined by pairs of copies, each pair looked at only where it may join what is not joined yet."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._parent: dict[int, int] = {}
        self._missed: Counter[int] = Counter()

    def join(self, pairs: Sequence[ItemPair], progress: Progress | None) -> None:
        """Join what is told to be copies of these pairs, in their order."""
        waiting = list(dict.fromkeys(pairs))
        total = len(waiting)
        while waiting:
            batch, waiting = self._next(waiting)
            for pair, copies in zip(batch, self._told(batch) if batch else (), strict=True):
                if copies:
                    low, high = sorted(map(self._root, pair))
                    self._parent[high] = low
                else:
                    self._missed.update(pair)
            if progress:
                progress("copies", total - len(waiting), total)

    def _next(self, waiting: Sequence[ItemPair]) -> tuple[list[ItemPair], list[ItemPair]]:
        """Pairs to look at now, none of which would join what others of them do; and what is to be seen after that."""
        batch: list[ItemPair] = []
        busy: set[int] = set()
        later: list[ItemPair] = []
        for number, pair in enumerate(waiting):
            if len(batch) == _AT_ONCE:
                return batch, [*later, *waiting[number:]]
            one, other = map(self._root, pair)
            if one == other or min(self._missed[pair[0]], self._missed[pair[1]]) >= TRIES:
                continue
            if one in busy or other in busy:
                later.append(pair)
            else:
                batch.append(pair)
                busy |= {one, other}
        return batch, later

    def groups(self) -> Iterator[list[int]]:
        """The items of each group, in the order of the lowest."""
        members: dict[int, list[int]] = {}
        for item_id in sorted(self._parent):
            members.setdefault(self._root(item_id), []).append(item_id)
        return (ids for ids in members.values() if len(ids) > 1)

    def _root(self, item_id: int) -> int:
        parent = self._parent
        while parent.setdefault(item_id, item_id) != item_id:
            parent[item_id] = parent[parent[item_id]]
            item_id = parent[item_id]
        return item_id


def links(
    use: Use,
    other: Use,
    spec: ModelSpec,
    least: float = LINK_SIMILARITY,
    *,
    background: Background | None = None,
    max_fmr: float | None = None,
    wanted: Wanted | None = None,
    progress: Progress | None = None,
) -> Iterator[Link]:
    """Pairs of an item of ``use`` and one of ``other``, which is only read, that are near enough; in no order. Where
    both are one use, pairs within the case, each once.

    ``max_fmr`` leaves out those with a higher false-match rate by the ``background``; without, ``rated`` says the rates
    of those that are kept. Of a pair that is not ``wanted`` nothing more is read.
    """
    check_least(least)
    shelf = use.shelf(spec)
    store, base = _opened(shelf)
    others = None if other is use else other.shelf(spec).store()
    floor = None if wanted is None else wanted.floor
    blocks = pairs_above(store, least, other=others, base=base, floor=floor, progress=progress)
    for found in blocks if wanted is None else _near(blocks, wanted):
        pairs = [pair for pair in _items(use, other, found) if wanted is None or wanted.wanted(*pair)]
        near = _links(use, other, pairs)
        yield from near if max_fmr is None else _rare(rated(use, other, spec, near, background), max_fmr)


def rated(use: Use, other: Use, spec: ModelSpec, found: Iterable[Link], background: Background | None) -> list[Link]:
    """Links with their false-match rates by a ``background``, and how many false ones to expect of all pairs of the
    two; those that have one keep it, and identical contents have none.
    """
    links = list(found)
    if background is None:
        return links
    bare = {link.item.item_id for link in links if link.false_match is None and not link.identical}
    shelf = use.shelf(spec)
    vectors, compared = _whole(shelf, shelf.store(), bare), _compared(use, other, spec)
    contents = {link.item.item_id: link.item.sha256 for link in links}
    above = {item: background.normalise(contents[item], vector, 0.0) for item, vector in vectors.items()}
    return [
        link
        if link.identical or link.false_match is not None
        else replace(link, false_match=background.rate(above[link.item.item_id], link.similarity, compared))
        for link in links
    ]


def _rare(found: Iterable[Link], max_fmr: float) -> Iterator[Link]:
    return (link for link in found if rare_enough(link, max_fmr))


def _near(blocks: Iterable[Pairs], wanted: Wanted) -> Iterator[Pairs]:
    """Pairs that may be wanted, a slice at a time, of each block the nearest first."""
    for found in blocks:
        order = np.argsort(-found.similarity, kind="stable")
        for start in range(0, len(order), _SLICE):
            part = order[start : start + _SLICE]
            near = part[found.similarity[part] >= wanted.floor()]
            wanted.passed(len(part) - len(near))
            if len(near):
                yield Pairs(found.first[near], found.second[near], found.similarity[near])


def chosen_links(use: Use, other: Use, spec: ModelSpec, pairs: Collection[ItemPair]) -> Iterator[Link]:
    """Chosen pairs as ``links``, however alike they are; those that the model has not read are left out."""
    shelf, other_shelf = use.shelf(spec), other.shelf(spec)
    ours = _whole(shelf, shelf.store(), {pair[0] for pair in pairs})
    kept_out = _erased_here(use, other, {pair[1] for pair in pairs})
    theirs = _whole(other_shelf, other_shelf.store(), {pair[1] for pair in pairs} - kept_out)
    near = [(one, two, float(ours[one] @ theirs[two])) for one, two in sorted(pairs) if one in ours and two in theirs]
    yield from _links(use, other, near)


def _links(use: Use, other: Use, pairs: Sequence[tuple[int, int, float]]) -> Iterator[Link]:
    """Links of pairs of items with their similarities."""
    ours = use.catalogue.items.by_id({pair[0] for pair in pairs})
    theirs = other.catalogue.items.by_id({pair[1] for pair in pairs})
    seen, seen_there = use.catalogue.sightings.of(ours), other.catalogue.sightings.of(theirs)
    for first, second, similarity in pairs:
        places = seen[first][0].locator, seen_there[second][0].locator
        yield Link(ours[first], theirs[second], min(1.0, similarity), *places, None)


def _compared(use: Use, other: Use, spec: ModelSpec) -> int:
    """How many pairs of items there are."""
    count = use.shelf(spec).item_count()
    return count * (count - 1) // 2 if other is use else count * other.shelf(spec).item_count()


def _whole(shelf: Shelf, store: Store, items: Collection[int]) -> dict[int, Vector]:
    """The vector of each item's whole picture, where the model has read it."""
    owner = {row[1]: row[0] for row in shelf.vectors_of(list(items)) if row[2] is None}
    ids = np.array(sorted(owner), np.int64)
    rows = store.gather(ids)[0].astype(np.float32) if len(ids) else ()
    return {owner[int(number)]: row for number, row in zip(ids, rows, strict=True)}


class NearestLinks:
    """The ``top`` nearest links of all that are given, the nearest first, equal ones in the order of their items.

    Memory: so many links. ``count`` is how many there were, those included that were passed over unread.
    """

    def __init__(self, top: int = LINKS) -> None:
        self._top = top
        self._heap: list[tuple[float, int, int, int, Link]] = []
        self.count = 0

    def floor(self) -> float:
        """How alike two must be to be among the nearest so far."""
        return self._heap[0][0] if len(self._heap) == self._top else -1.0

    def passed(self, count: int) -> None:
        """So many were less alike than that."""
        self.count += count

    def wanted(self, first: int, second: int, similarity: float) -> bool:
        """Is a link of two items near enough? One that is not is counted here."""
        near = similarity >= self.floor()
        self.count += not near
        return near

    def take(self, found: Iterable[Link]) -> list[Link]:
        """Keep the nearest of these; returns the nearest of all so far."""
        for link in found:
            self.count += 1
            entry = (link.similarity, -link.item.item_id, -link.other.item_id, -self.count, link)
            (heapq.heappushpop if len(self._heap) == self._top else heapq.heappush)(self._heap, entry)
        return [entry[-1] for entry in sorted(self._heap, reverse=True)]


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
    kept_out = _erased_here(use, other, set(theirs.values()))
    for first, second, similarity in zip(firsts, seconds, found.similarity.tolist(), strict=True):
        if first in parts[0] or second in parts[1] or first not in ours or second not in theirs:
            continue
        if theirs[second] not in kept_out and (use is not other or ours[first] != theirs[second]):
            yield ours[first], theirs[second], similarity


def _erased_here(use: Use, other: Use, items: set[int]) -> set[int]:
    """Those of the other's items whose content was erased from this case: of them nothing is shown."""
    if use is other or not use.catalogue.erasures.any():
        return set()
    rows = other.catalogue.items.by_id(items)
    return {item for item, row in rows.items() if use.catalogue.erasures.keeps_out(row.sha256)}


def _opened(shelf: Shelf) -> tuple[Store, Base | None]:
    try:
        base = open_base(shelf)
    except IndexFileError:  # a cache that is no good: every pair is compared
        base = None
    return shelf.store(), base


def check_least(least: float) -> None:
    """Raises UsageError on what is no similarity."""
    if not 0 < least <= 1:
        raise UsageError(f"{least} is no least similarity; give one above 0 and up to 1")
