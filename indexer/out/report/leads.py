"""What a lead sheet says of each query and its matches, with the decisions that stand when it is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from imgmatch.locator import Locator
from imgmatch.match.strength import strength
from imgmatch.types import Decision, Match
from indexer.case.use import Use
from indexer.catalogue import ItemRow
from indexer.out.places import file_name
from indexer.out.report.pairs import Pair, pair
from indexer.out.report.pictures import Thumbnail
from indexer.search.fields import elsewhere
from indexer.search.request import SearchResult

_APART = 12
"""So many decisions on what is no lead here are listed with a query."""


@dataclass(frozen=True, slots=True)
class Lead:
    """A match of a query, as the sheet shows it. ``entry`` is its item's number in the appendix."""

    match: Match
    pair: Pair
    entry: int

    @property
    def item(self) -> str:
        """Its item, and of which of several cases."""
        return f"item {self.match.item_id}{f' of {self.match.case}' if self.match.case else ''}"

    @property
    def title(self) -> str:
        """The hotel or place: its label, else the other things that label tables say of it, else its file."""
        labels = self.match.labels
        own = labels.get("label") or [f"{name} {'; '.join(values)}" for name, values in sorted(labels.items())]
        return "; ".join(own) if own else file_name(elsewhere(self.match).locator)

    @property
    def strength(self) -> str:
        """How strong it is, in words, by what was measured."""
        return str(strength(self.match))

    @property
    def verified(self) -> str:
        """What geometry says, in a word."""
        found = self.match.verification
        return "identical" if self.match.identical else "" if found is None else "yes" if found.verified else "no"


@dataclass(frozen=True, slots=True)
class Apart:
    """A decision on a query and a content that is no lead here; ``item_id`` where the case has it."""

    sha256: str
    decision: Decision
    item_id: int | None
    case: str = ""

    @property
    def item(self) -> str:
        """Its item, and of which of several cases; empty where the case has none."""
        return "" if self.item_id is None else f"item {self.item_id}{f' of {self.case}' if self.case else ''}"


@dataclass(frozen=True, slots=True)
class Asked:
    """A query, or a set of queries, and what was found."""

    number: int
    result: SearchResult
    queries: tuple[Locator, ...]
    contents: tuple[str, ...]
    alone: Pair
    leads: Sequence[Lead]
    apart: Sequence[Apart]

    @property
    def best(self) -> Lead | None:
        """The first lead that is convincing and not just the query photograph where it lies itself."""
        there = (one for one in self.leads if not all(sighting.own for sighting in one.match.sightings))
        return next((one for one in there if strength(one.match).convincing), None)

    @property
    def decided(self) -> str:
        """What stands of its best lead, and how many others were confirmed, in words."""
        best = self.best
        said = [] if best is None or best.match.decision is None else [best.match.decision.words]
        others = [one for one in self.leads if one is not best and _verdict(one.match.decision) == "confirmed"]
        if others:
            said.append(f"confirmed too: {', '.join(str(one.match.rank) for one in others)}")
        apart = sum(_verdict(one.decision) == "confirmed" for one in self.apart)
        if apart:
            said.append(f"{apart:,} confirmed that {'is' if apart == 1 else 'are'} no lead here")
        return "; ".join(said)

    @property
    def left_out(self) -> str:
        """How much was left out of the leads, and why; empty where nothing was."""
        rejected = sum(_verdict(one.decision) == "rejected" for one in self.apart)
        counts = (
            (rejected, "rejected by an examiner"),
            (self.result.left_out.by_rate, "likelier by chance than asked for"),
        )
        return ", ".join(f"{count:,} {why}" for count, why in counts if count)

    @property
    def apart_shown(self) -> Sequence[Apart]:
        """The decisions that are listed, the newest first."""
        return sorted(self.apart, key=lambda one: one.decision.decided_utc, reverse=True)[:_APART]


@dataclass(frozen=True, slots=True)
class Entry:
    """An item of the appendix: all that its leads have in common."""

    number: int
    item: ItemRow
    match: Match
    picture: Thumbnail | None


@dataclass(frozen=True, slots=True)
class Sheet:
    """All queries in their order, and each item once."""

    asked: Sequence[Asked]
    entries: Sequence[Entry]


def sheet(uses: Mapping[str, Use], results: Sequence[SearchResult], pictures: Mapping[str, Thumbnail]) -> Sheet:
    """What a sheet shows of these searches, of cases by the names that matches give them (empty: of the only one);
    ``pictures`` by content (SHA-256). Matches of items that are gone from their case since are left out.
    """
    every = [match for result in results for match in result.matches]
    items = {
        name: use.catalogue.items.by_id({match.item_id for match in every if match.case == name})
        for name, use in uses.items()
    }
    entries: dict[tuple[str, int], Entry] = {}
    asked = []
    for number, result in enumerate(results, start=1):
        queries = result.queries or (result.locator,)
        contents = tuple(filter(None, result.contents or (result.sha256,)))
        standing = {
            name: {sha256: use.catalogue.decisions.standing(sha256) for sha256 in contents}
            for name, use in uses.items()
        }
        content_of = dict(zip(queries, contents, strict=False))
        leads = []
        for match in result.matches:
            item = items[match.case].get(match.item_id)
            if item is None:
                continue
            query = content_of.get(match.query or result.locator, contents[0] if contents else "")
            match = replace(match, decision=standing[match.case].get(query, {}).get(match.sha256))
            picture = pictures.get(match.sha256)
            at = (match.case, item.item_id)
            entry = entries.setdefault(at, Entry(len(entries) + 1, item, match, picture))
            leads.append(Lead(match, pair(pictures.get(query), picture, match), entry.number))
        alone = pair(pictures.get(contents[0]) if contents else None, None, None)
        apart = [one for name, use in uses.items() for one in _apart(name, use, standing[name], leads)]
        asked.append(Asked(number, result, queries, contents, alone, leads, apart))
    return Sheet(asked, list(entries.values()))


def _apart(
    name: str, use: Use, standing: Mapping[str, Mapping[str, Decision]], leads: Sequence[Lead]
) -> Iterator[Apart]:
    shown = {lead.match.sha256 for lead in leads if lead.match.case == name}
    found = {other: said for by_other in standing.values() for other, said in by_other.items() if other not in shown}
    for other, said in found.items():
        yield Apart(other, said, use.catalogue.items.id_of(other), name)


def _verdict(decision: Decision | None) -> str:
    return "" if decision is None else decision.verdict
