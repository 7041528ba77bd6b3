"""Several cases searched at once: one ranking, in which each match names its case.

Each case is searched by itself, and its log says so. What is said of a match, its false-match rate above all, is what
its own case says. The order is that of a single case (``indexer.search.order``), as if one held them all.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from imgmatch.evidence import SourceOptions, walk
from imgmatch.evidence.limits import AllLimits
from imgmatch.models.base import Embedder
from imgmatch.types import Evidence, Issue, Match
from indexer.search.order import by_parts, standing
from indexer.search.query import Query, read_query
from indexer.search.request import ANYTHING, InCase, LeftOut, SearchRequest, SearchResult
from indexer.search.searcher import Searcher
from indexer.search.sets import comparable, depth, fused


class SeveralCases:
    """Search over one case or more by one model. Of one alone it answers what its searcher does."""

    def __init__(self, searchers: Mapping[str, Searcher], embedder: Embedder) -> None:
        """``searchers`` by the names that matches give their cases, all with this ``embedder``."""
        self._searchers = searchers
        self._embedder = embedder
        self.limits = AllLimits()
        for searcher in searchers.values():
            self.limits = self.limits.widened(searcher.limits.named())

    def search(
        self, queries: Sequence[str | os.PathLike[str]], request: SearchRequest = ANYTHING
    ) -> Iterator[SearchResult]:
        """As ``Searcher.search``."""
        for found in self._walk(queries):
            yield self.search_one(found, request)

    def search_one(self, found: Evidence | Issue, request: SearchRequest = ANYTHING) -> SearchResult:
        """As ``Searcher.search_one``."""
        started = time.perf_counter()
        return self.answer(self.read(found, request), request, started)

    def answer(self, query: Query | Issue, request: SearchRequest, started: float) -> SearchResult:
        """As ``Searcher.answer``."""
        return merged(self._each(query, request, started), request)

    def together(
        self, queries: Sequence[str | os.PathLike[str]], request: SearchRequest = ANYTHING
    ) -> Iterator[SearchResult]:
        """As ``sets.together``: the set is fused in each case, then the cases are merged."""
        return self.together_of(self._walk(queries), request)

    def together_of(
        self, queries: Iterator[Evidence | Issue], request: SearchRequest = ANYTHING
    ) -> Iterator[SearchResult]:
        """The same with pictures that were found already."""
        started = time.perf_counter()
        deep = replace(request, k=depth(request.k), cut=False)
        found: dict[str, list[SearchResult]] = {name: [] for name in self._searchers}
        for query in queries:
            results = self._each(self.read(query, deep), deep, time.perf_counter())
            first = next(iter(results.values()))
            if first.issue is not None:
                yield first
                continue
            for name, result in results.items():
                found[name].append(result)
        if all(found.values()):
            yield merged({name: fused(results, request, started) for name, results in found.items()}, request)

    def read(self, found: Evidence | Issue, request: SearchRequest) -> Query | Issue:
        """The query, read once for all cases, or why it can't be used."""
        return read_query(found, self._embedder, request, self.limits)

    def _each(self, query: Query | Issue, request: SearchRequest, started: float) -> dict[str, SearchResult]:
        for searcher in self._searchers.values():  # before any of them is searched, and has it recorded
            searcher.require(request)
        return {name: searcher.answer(query, request, started) for name, searcher in self._searchers.items()}

    def _walk(self, queries: Sequence[str | os.PathLike[str]]) -> Iterator[Evidence | Issue]:
        for path in queries:
            yield from walk(path, options=SourceOptions(limits=self.limits.source))


def merged(results: Mapping[str, SearchResult], request: SearchRequest) -> SearchResult:
    """The one answer of several cases, by their names, to one query or one set of them; of a single case its own."""
    first = next(iter(results.values()))
    if len(results) == 1 or first.issue is not None:
        return first
    found = [replace(match, case=name) for name, result in results.items() for match in result.matches]
    kept = (_fused_order if first.queries else _order)(found)[: request.k]
    rejected = [replace(match, case=name) for name, result in results.items() for match in result.left_out.rejected]
    own = {name: sum(match.case == name for match in kept) for name in results}
    return replace(
        first,
        matches=tuple(replace(match, rank=rank) for rank, match in enumerate(kept, start=1)),
        elapsed_ms=max(result.elapsed_ms for result in results.values()),
        left_out=LeftOut(tuple(rejected), sum(result.left_out.by_rate for result in results.values())),
        background=None,
        cases=tuple(InCase(name, own[name], result.background) for name, result in results.items()),
    )


def _order(found: Sequence[Match]) -> list[Match]:
    """What geometry was asked about by how well parts meet, then the rest; equal ones by case, then by item."""
    number = {name: place for place, name in enumerate(dict.fromkeys(match.case for match in found))}
    near = sorted(found, key=lambda match: (-match.score, number[match.case], match.item_id))
    looked_at = [match for match in near if match.verification is not None]
    return sorted([*by_parts(looked_at), *(match for match in near if match.verification is None)], key=standing)


def _fused_order(found: Sequence[Match]) -> list[Match]:
    """As ``sets.fused`` orders a set: by scores less what is usual for each query, where every case has such."""
    rated = all(match.false_match is not None and match.false_match.normalised is not None for match in found)
    return sorted(found, key=lambda match: (*standing(match), -(comparable(match) if rated else match.score)))
