"""Searches that a sitting keeps, as they were asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from imgmatch.match.strength import Level, strength
from imgmatch.types import Match
from indexer.review.queries import QueryPicture
from indexer.search.request import SearchRequest, SearchResult


@dataclass(frozen=True, slots=True)
class KeptSearch:
    """A search that was made. ``parts`` are what each of several queries found by itself, ``result`` is what is shown,
    ``finders`` the number of the query that says most for an item, where there are several.
    """

    search_id: int
    queries: tuple[QueryPicture, ...]
    request: SearchRequest
    asked_utc: str
    verified: bool
    parts: tuple[SearchResult, ...]
    result: SearchResult
    finders: Mapping[int, int]

    @property
    def query(self) -> QueryPicture:
        """The first query."""
        return self.queries[0]

    def query_of(self, item_id: int) -> QueryPicture:
        """The query that a match is held against: of several, the one that found it best."""
        return self.queries[self.finders.get(item_id, 0)]

    @property
    def name(self) -> str:
        """What a reader calls it: its queries."""
        first = self.query.name
        return first if len(self.queries) == 1 else f"{first} and {len(self.queries) - 1} more together"

    @property
    def asked(self) -> list[str]:
        """What tells it from others with the same query: what was left out of it, and what it keeps to."""
        said = []
        if self.request.leave_out.outside is not None:
            said.append(f"only the box {', '.join(map(str, self.request.leave_out.outside))}")
        if self.result.masked and self.request.leave_out.outside is None:
            said.append(f"{self.result.masked:.0%} left out")
        if not self.request.regions:
            said.append("whole pictures")
        within = self.request.within
        for field in fields(within):
            value = getattr(within, field.name)
            if value:
                said.append(f"{_WORDS.get(field.name, field.name)} {_told(value)}")
        return said


_WORDS = {
    "labels": "label", "since": "since", "until": "until", "sources": "in", "items": "items", "metadata": "metadata",
    "lists": "on list", "exclude_labels": "not label", "exclude_sources": "not in", "exclude_items": "not items",
    "exclude_lists": "not on list",
}  # fmt: skip


def _told(value: object) -> str:
    if isinstance(value, str):
        return value
    assert isinstance(value, tuple)
    return "; ".join("=".join(map(str, one)) if isinstance(one, tuple) else str(one) for one in value)


def counts(matches: Sequence[Match]) -> Counter[Level]:
    """How many matches are of each strength."""
    return Counter(strength(match).level for match in matches)
