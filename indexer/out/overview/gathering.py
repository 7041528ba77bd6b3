"""What cases say of their pictures, in one pass, and which pairs of them match: what an overview rests on."""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from imgmatch.match.strength import strength
from imgmatch.types import Decision, ModelSpec
from indexer.case.use import Use
from indexer.catalogue.decisions import REJECTED, SEEN
from indexer.index.protocol import Progress
from indexer.out.exchange.snapshot import item_batches
from indexer.out.overview.entities import Entity, Named, day_of, is_date, kind_of, of_labels, of_metadata, of_places
from indexer.search.background import Background
from indexer.search.closer import standing_in, verify_links
from indexer.search.groups import LINK_SIMILARITY, Link, chosen_links, links, rated

Items = tuple[int, int]
"""Two items, of a case or of one each of two."""
Together = Callable[[int, int, Sequence[Entity]], None]
"""Is told of a picture (number of its case, item) and all that it stands for."""
PAIRS = 1000
"""So many pairs are looked at, the nearest ones."""
A_TIE = 12
"""So many pairs, the nearest ones, that would tie the same."""


@dataclass(frozen=True, slots=True)
class OverviewRequest:
    """What is asked: pairs at least so alike, at most ``top`` of them, verified by geometry or not, none with a
    false-match rate above ``max_fmr``; which ``columns`` of labels name what is tied (none: those whose names say so).
    """

    least: float = LINK_SIMILARITY
    top: int = PAIRS
    verify: bool = True
    max_fmr: float | None = None
    columns: tuple[str, ...] = ()


@dataclass(slots=True)
class Told:
    """An entity: how it is written, in which cases, of how many pictures, and in which months those were taken."""

    names: set[str] = field(default_factory=set)
    cases: set[int] = field(default_factory=set)
    pictures: int = 0
    days: Counter[str] = field(default_factory=Counter)
    first: str = ""
    last: str = ""

    @property
    def name(self) -> str:
        """One of the ways in which it is written, always the same."""
        return min(self.names, key=lambda name: (len(name), name))

    def count(self, named: str, case: int, day: str | None) -> None:
        """One more picture stands for it."""
        self.names.add(named)
        self.cases.add(case)
        self.pictures += 1
        if day:
            self.days[day[:7]] += 1
            self.first = min(self.first or day, day)
            self.last = max(self.last, day)


@dataclass(slots=True)
class Pictures:
    """What every picture of the cases stands for, by case (its number) and item."""

    columns: dict[str, str]
    unused: list[str]
    told: dict[Entity, Told] = field(default_factory=dict)
    of: dict[tuple[int, int], tuple[Entity, ...]] = field(default_factory=dict)
    days: dict[tuple[int, int], str] = field(default_factory=dict)

    @property
    def labelled(self) -> bool:
        """Does any column say what pictures stand for? Else they are put together by groups."""
        return bool(self.columns)

    def read(self, number: int, use: Use, case: str, told: Together, progress: Progress | None) -> None:
        """Take in all pictures of a case."""
        shared: dict[tuple[Entity, ...], tuple[Entity, ...]] = {}
        for batch in item_batches(use, progress):
            labels, metadata = use.catalogue.labels.of(batch), use.catalogue.facts.metadata(batch)
            seen = use.catalogue.sightings.of(batch)
            for item_id in batch:
                fields = metadata.get(item_id, {})
                said: dict[Named, None] = dict.fromkeys(of_labels(labels[item_id], self.columns))
                said = {**(said or of_places(seen[item_id], case)), **dict.fromkeys(of_metadata(fields))}
                day = day_of(fields, labels[item_id])
                if day:
                    self.days[number, item_id] = day
                found = self.stand(number, said, day)
                self.of[number, item_id] = shared.setdefault(found, found)
                told(number, item_id, found)

    def stand(self, number: int, said: Mapping[Named, None], day: str | None = None) -> tuple[Entity, ...]:
        """Count a picture for what it stands for."""
        names = dict(said.keys())  # of two ways to write one thing on one picture, the last
        for entity, name in names.items():
            self.told.setdefault(entity, Told()).count(name, number, day)
        return tuple(sorted(names))


def pictures_of(uses: Sequence[Use], columns: Sequence[str]) -> Pictures:
    """None read yet; the columns that name what is tied, by their kinds, and those that don't."""
    every = list(dict.fromkeys(column for use in uses for column in use.catalogue.labels.columns()))
    if columns:
        kinds: dict[str, str] = {column: kind_of(column) or column for column in columns}
    else:
        kinds = {column: kind for column in every if (kind := kind_of(column)) is not None}
    return Pictures(kinds, sorted(name for name in every if name not in kinds and not is_date(name)))


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures that match: the numbers of their cases, and what is known of both."""

    cases: tuple[int, int]
    link: Link

    @property
    def items(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Case and item of both."""
        return (self.cases[0], self.link.item.item_id), (self.cases[1], self.link.other.item_id)


@dataclass(slots=True)
class Found:
    """The pairs that tie something, and how many others there were and why they are not among them."""

    pairs: list[Pair] = field(default_factory=list)
    rejected: list[tuple[tuple[int, int], tuple[int, int]]] = field(default_factory=list)
    within: int = 0
    """Pairs whose pictures stand for the same: they tie nothing further."""
    cut: int = 0
    """Pairs that are further apart than those that are kept, or likelier by chance than asked for."""
    nothing: int = 0
    """Pairs in which, looked at closely, nothing is convincing."""


class _Nearest:
    """Of the pairs that would tie the same the nearest, and of all these the nearest."""

    def __init__(self, top: int) -> None:
        self._top = top
        self._heaps: dict[tuple[object, object], list[tuple[float, tuple[int, ...], Pair]]] = {}
        self._count = 0
        self._floor = -1.0

    @property
    def floor(self) -> float:
        """What is less alike is not among them."""
        return self._floor

    def wants(self, ties: tuple[object, object], similarity: float) -> bool:
        """May a pair so alike be among them?"""
        heap = self._heaps.get(ties, [])
        return similarity >= self._floor and (len(heap) < A_TIE or similarity >= heap[0][0])

    def add(self, ties: tuple[object, object], pair: Pair) -> None:
        """Take a pair, and let go of what is further apart."""
        heap = self._heaps.setdefault(ties, [])
        (one, first), (other, second) = pair.items
        key = -one, -first, -other, -second
        heapq.heappush(heap, (pair.link.similarity, key, pair))
        self._count += 1
        if len(heap) > A_TIE:
            heapq.heappop(heap)
            self._count -= 1
        if self._count >= 2 * self._top + A_TIE:
            self._prune()

    def _prune(self) -> None:
        kept = heapq.nlargest(self._top, ((entry, ties) for ties, heap in self._heaps.items() for entry in heap),
                              key=lambda one: one[0][:2])  # fmt: skip
        self._heaps = {}
        for entry, ties in kept:
            self._heaps.setdefault(ties, []).append(entry)
        for heap in self._heaps.values():
            heapq.heapify(heap)
        self._count, self._floor = len(kept), kept[-1][0][0] if kept else -1.0

    def all(self) -> list[Pair]:
        """Them, the nearest first."""
        self._prune()
        every = sorted(((entry for heap in self._heaps.values() for entry in heap)), key=lambda e: e[:2], reverse=True)
        return [pair for _, _, pair in every]


class _Between:
    """The pairs within a case or between two: which would tie something, and how many there were."""

    def __init__(
        self, numbers: tuple[int, int], chosen: Mapping[Items, str], pictures: Pictures, nearest: _Nearest
    ) -> None:
        self._numbers = numbers
        self._chosen = chosen
        self._pictures = pictures
        self._nearest = nearest
        self.seen = self.within = 0

    def floor(self) -> float:
        """How alike two must be by now."""
        return self._nearest.floor

    def passed(self, count: int) -> None:
        """So many were less alike than that."""
        self.seen += count

    def wanted(self, first: int, second: int, similarity: float) -> bool:
        """Is a pair looked at: one that was not decided, that ties something, and is near enough to be kept?"""
        if (first, second) in self._chosen:
            return False
        ties = self._ties(first, second)
        if ties[0] == ties[1]:
            self.within += 1
            return False
        self.seen += 1
        return self._nearest.wants(ties, similarity)

    def add(self, link: Link) -> None:
        """Take a pair that is wanted."""
        self._nearest.add(self._ties(link.item.item_id, link.other.item_id), Pair(self._numbers, link))

    def _ties(self, first: int, second: int) -> tuple[object, object]:
        """What the two stand for; without labels themselves, as any pair may join groups."""
        items = (self._numbers[0], first), (self._numbers[1], second)
        return (self._pictures.of[items[0]], self._pictures.of[items[1]]) if self._pictures.labelled else items


def find_pairs(
    uses: Sequence[Use],
    spec: ModelSpec,
    request: OverviewRequest,
    pictures: Pictures,
    backgrounds: Sequence[Background | None],
    progress: Progress | None = None,
) -> Found:
    """The pairs of pictures, within each case and between each two, that tie something; by the decisions of all cases
    together: what is rejected is none, what is confirmed or possible is there however alike it is.

    Memory: ``top`` pairs, and what stands of every decision.
    """
    found, nearest = Found(), _Nearest(request.top)
    decided = standing_in(*uses)
    chosen_pairs: list[Pair] = []
    for one, other in itertools.combinations_with_replacement(range(len(uses)), 2):
        chosen = dict(_decided(uses, (one, other), decided))
        found.rejected += [((one, pair[0]), (other, pair[1])) for pair, said in chosen.items() if said == REJECTED]
        between = _Between((one, other), chosen, pictures, nearest)
        for link in links(
            uses[one],
            uses[other],
            spec,
            request.least,
            background=backgrounds[one],
            max_fmr=request.max_fmr,
            wanted=between,
            progress=progress,
        ):
            between.add(link)
        found.cut += between.seen
        found.within += between.within
        kept = [pair for pair, said in chosen.items() if said != REJECTED]
        standing = chosen_links(uses[one], uses[other], spec, kept)
        chosen_pairs += [Pair((one, other), link) for link in standing]
    alike = nearest.all()
    found.cut -= len(alike)
    pairs = _rated(uses, spec, [*chosen_pairs, *alike], backgrounds)
    _look(uses, found, pairs, decided, request, progress)
    return found


def _rated(
    uses: Sequence[Use], spec: ModelSpec, pairs: Sequence[Pair], backgrounds: Sequence[Background | None]
) -> list[Pair]:
    """Pairs with their false-match rates by the background of the first case of each, those of two cases together."""
    told: list[Pair] = []
    for cases, some in itertools.groupby(sorted(pairs, key=lambda pair: pair.cases), key=lambda pair: pair.cases):
        one, other = (uses[number] for number in cases)
        told += [Pair(cases, link) for link in rated(one, other, spec, [p.link for p in some], backgrounds[cases[0]])]
    return told


def _decided(
    uses: Sequence[Use], numbers: tuple[int, int], decided: Mapping[tuple[str, str], Decision]
) -> Iterator[tuple[Items, str]]:
    """Pairs of items of two cases, or of one, of which a decision stands that counts here."""
    ours, theirs = (uses[number].catalogue.items for number in numbers)
    for (low, high), said in decided.items():
        if said.verdict == SEEN:
            continue
        for one, two in ((low, high), (high, low)):
            first, second = ours.id_of(one), theirs.id_of(two)
            if first is not None and second is not None and (numbers[0] != numbers[1] or first < second):
                yield (first, second), said.verdict


def _look(
    uses: Sequence[Use],
    found: Found,
    pairs: Sequence[Pair],
    decided: Mapping[tuple[str, str], Decision],
    request: OverviewRequest,
    progress: Progress | None,
) -> None:
    """Verify pairs where that is asked, and leave out those where nothing is convincing and nobody said otherwise."""
    found.pairs = []
    of_cases: dict[tuple[int, int], list[Link]] = {}
    for pair in pairs:
        of_cases.setdefault(pair.cases, []).append(pair.link)
    for numbers, some in sorted(of_cases.items()):
        one, other = (uses[number] for number in numbers)
        for link in verify_links(one, other, some, progress) if request.verify else some:
            low, high = sorted((link.item.sha256, link.other.sha256))
            known = replace(link, decision=decided.get((low, high)))
            said = known.decision is not None and known.decision.verdict != SEEN
            if said or strength(known).convincing:
                found.pairs.append(Pair(numbers, known))
            else:
                found.nothing += 1
