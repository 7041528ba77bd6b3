"""Ties between what pictures stand for: by matches of two pictures, or by one picture that stands for both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from imgmatch.match.copies import COPY_SIMILARITY
from imgmatch.match.strength import Level, Strength, strength
from indexer.catalogue.decisions import CONFIRMED
from indexer.out.overview.entities import GROUP, MODEL, Entity
from indexer.out.overview.gathering import Found, Pair, Pictures

MOST_TIES = 100_000
"""So many ties by one picture are kept."""
SHOWN = 12
"""So many pictures of a tie are named."""
Item = tuple[int, int]
"""Number of a case, and an item of it."""
Two = tuple[Entity, Entity]

CONFIRMED_TIE, STATED = "confirmed", "stated"
_ORDER = (CONFIRMED_TIE, *Level, STATED)


@dataclass(slots=True)
class Tie:
    """What ties two entities. ``stated``: how many pictures stand for both, ``pictures`` some of these."""

    ends: Two
    pairs: list[Pair] = field(default_factory=list)
    pictures: list[Item] = field(default_factory=list)
    stated: int = 0
    rejected: int = 0

    @property
    def rests(self) -> str:
        """The best that it rests on: confirmed, a level of strength, or stated."""
        levels = (CONFIRMED_TIE if is_confirmed(pair) else strength(pair.link).level.value for pair in self.pairs)
        return min(levels, key=_ORDER.index, default=STATED)

    @property
    def best(self) -> Pair | None:
        """The pair that says most."""
        return self.pairs[0] if self.pairs else None

    @property
    def words(self) -> str:
        """What it rests on, in words."""
        said = []
        if self.pairs:
            said.append(f"{len(self.pairs):,} match{'es' * (len(self.pairs) > 1)}")
            confirmed = sum(map(is_confirmed, self.pairs))
            if confirmed:
                said.append(f"{confirmed:,} of them confirmed")
            else:
                said.append(f"at best: {self._strength}")
        if self.stated:
            said.append(f"{self.stated:,} picture{'s' * (self.stated > 1)} of both")
        if self.rejected:
            said.append(f"{self.rejected:,} rejected")
        return ", ".join(said)

    @property
    def _strength(self) -> Strength:
        return strength(self.pairs[0].link)

    @property
    def order(self) -> tuple[object, ...]:
        """To sort by: what was confirmed, then what is strongest, then what is most often said."""
        score = -self.pairs[0].link.score if self.pairs else 0.0
        general = any(end.kind == MODEL for end in self.ends)
        points = -self._strength.points if self.pairs else 0
        return _ORDER.index(self.rests), general, points, score, -len(self.pairs), -self.stated, self.ends


class Ties:
    """All ties of an overview, by their two ends."""

    def __init__(self) -> None:
        self._by_ends: dict[Two, Tie] = {}
        self.uncounted = 0
        """How often one picture tied what no longer had a place here."""
        self.gone = 0
        """Ties that would rest on nothing but rejected matches."""
        self.groups: dict[Entity, list[Pair]] = {}

    def one_picture(self, number: int, item_id: int, entities: Sequence[Entity]) -> None:
        """A picture of a case stands for all of these."""
        for at, one in enumerate(entities):
            for other in entities[at + 1 :]:
                self._stated((one, other), (number, item_id))

    def _stated(self, ends: Two, item: Item) -> None:
        tie = self._by_ends.get(ends)
        if tie is None:
            if len(self._by_ends) >= MOST_TIES:
                self.uncounted += 1
                return
            tie = self._by_ends[ends] = Tie(ends)
        tie.stated += 1
        if len(tie.pictures) < SHOWN:
            tie.pictures.append(item)

    def match(self, found: Found, pictures: Pictures) -> None:
        """Take in the pairs that were found, the strongest first, and count those that were rejected."""
        for pair in sorted(found.pairs, key=_standing):
            for ends in _ends(pictures, *pair.items):
                self._by_ends.setdefault(ends, Tie(ends)).pairs.append(pair)
        gone = set()
        for items in found.rejected:
            for ends in _ends(pictures, *items):
                if ends in self._by_ends:
                    self._by_ends[ends].rejected += 1
                else:
                    gone.add(ends)
        self.gone = len(gone)

    def group(self, found: Found, pictures: Pictures, looked: bool) -> None:
        """Put pictures together that show the same, by the pairs that were found (``looked``: closely); each group is
        something that its pictures stand for.
        """
        joined = [pair for pair in found.pairs if _same(pair, looked)]
        parent: dict[Item, Item] = {}

        def root(item: Item) -> Item:
            while parent.setdefault(item, item) != item:
                item = parent[item]
            return item

        for pair in joined:
            low, high = sorted(map(root, pair.items))
            parent[high] = low
        named: dict[Item, Entity] = {}
        for item in sorted(parent):
            group = named.setdefault(root(item), Entity(GROUP, f"{len(named) + 1:06}"))
            before = pictures.of[item]
            pictures.stand(item[0], {(group, f"group {int(group.key):,}"): None})
            pictures.of[item] = tuple(sorted((*before, group)))
            for entity in before:
                self._stated((min(entity, group), max(entity, group)), item)
        for pair in sorted(joined, key=_standing):
            self.groups.setdefault(named[root(pair.items[0])], []).append(pair)

    def all(self) -> list[Tie]:
        """Them, the strongest first."""
        return sorted(self._by_ends.values(), key=lambda tie: tie.order)


def is_confirmed(pair: Pair) -> bool:
    """Do examiners stand by this match?"""
    return pair.link.decision is not None and pair.link.decision.verdict == CONFIRMED


def _same(pair: Pair, looked: bool) -> bool:
    if is_confirmed(pair) or strength(pair.link).level in (Level.IDENTICAL, Level.GEOMETRY):
        return True
    return not looked and pair.link.similarity >= COPY_SIMILARITY


def _standing(pair: Pair) -> tuple[object, ...]:
    said = strength(pair.link)
    return not is_confirmed(pair), _ORDER.index(said.level.value), -said.points, -pair.link.similarity, pair.items


def _ends(pictures: Pictures, first: Item, second: Item) -> Iterator[Two]:
    """What two pictures that match tie; not what one of them stands for alone."""
    ours, theirs = pictures.of[first], pictures.of[second]
    ends: dict[Two, None] = {}
    for one in ours:
        for other in theirs:
            if one not in theirs and other not in ours:
                ends[min(one, other), max(one, other)] = None
    return iter(ends)
