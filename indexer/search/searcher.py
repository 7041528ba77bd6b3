"""Searches in a case, stage by stage: the query is read, its nearest items found, verified, judged and described."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from imgmatch.errors import CaseError
from imgmatch.evidence import SourceOptions, walk
from imgmatch.evidence.read import Finder
from imgmatch.models.base import Embedder
from imgmatch.types import LEARNED, Evidence, Issue, Match
from indexer.case.case import Case
from indexer.case.use import Use
from indexer.catalogue.filters import Filter
from indexer.index.open import CaseIndex
from indexer.index.protocol import Ids, VectorIndex
from indexer.search import decisions
from indexer.search.background import check_limit
from indexer.search.nearest import nearest
from indexer.search.order import rare_enough
from indexer.search.query import Query, read_query
from indexer.search.reasons import describe
from indexer.search.request import ANYTHING, LeftOut, SearchRequest, SearchResult
from indexer.search.verification import ItemFeatures, verified_first

if TYPE_CHECKING:
    from imgmatch.models.xfeat.matcher import Matcher
    from indexer.search.background import Background


class Searcher:
    """Search over one case by one model. Holds the index in memory, so that many queries pay for it once."""

    def __init__(
        self,
        case: Case,
        embedder: Embedder,
        index: VectorIndex | None = None,
        warn: Callable[[str], None] | None = None,
        background: Background | None = None,
        matcher: Matcher | None = None,
    ) -> None:
        """Load the index; ``warn`` is told when a built one can't be used. ``background`` gives each match its
        false-match rate; with a ``matcher`` learned points are asked where SIFT's verify nothing.

        Raises CaseError when the case holds no vectors by this model, or a segment is damaged.
        """
        self._case = case
        self._embedder = embedder
        shelf = case.find_shelf(embedder.spec)
        if shelf is None or not shelf.segments():
            raise CaseError(_no_vectors(case, embedder))
        self._shelf = shelf
        self._background = background
        self._kept: tuple[tuple[Any, ...], Ids] = ((), np.empty(0, np.int64))
        self._counted: tuple[dict[str, int], int] = ({}, 0)
        finder = Finder(case.limits)
        self.limits = finder.limits
        self._features = ItemFeatures(finder, embedder, matcher)
        self.index = index or CaseIndex(shelf, warn)

    def search(
        self, queries: Sequence[str | os.PathLike[str]], request: SearchRequest = ANYTHING
    ) -> Iterator[SearchResult]:
        """Search with each query file, and each file in a query folder, in order; every use is recorded.

        One list a query, best first (``indexer.search.order``; equal ones by their scores, then in the order of items).
        A query that can't be read gives a result with its issue. Raises UsageError on a path that does not exist, and
        when the false-match rate that is asked for can't be shown.
        """
        for path in queries:
            for found in walk(path, options=SourceOptions(limits=self.limits.source)):
                yield self.search_one(found, request)

    def search_one(self, found: Evidence | Issue, request: SearchRequest = ANYTHING) -> SearchResult:
        """Search with one picture, wherever it is; as ``search``."""
        started = time.perf_counter()
        return self.answer(self.read(found, request), request, started)

    def read(self, found: Evidence | Issue, request: SearchRequest = ANYTHING) -> Query | Issue:
        """The first stage: the query, or why it can't be used."""
        return read_query(found, self._embedder, request, self.limits)

    def answer(self, query: Query | Issue, request: SearchRequest, started: float) -> SearchResult:
        """All further stages of a query that was read from ``started`` on (time.perf_counter); recorded."""
        self.require(request)
        model = self._embedder.spec
        arguments, subject = request.arguments() | self.asks(), {"query": str(query.locator)}
        with self._case.use("search", arguments=arguments, subject=subject, model=model) as use:
            if isinstance(query, Issue):
                use.entry.details = {"issue": query.error}
                return SearchResult(query.locator, None, model.name, ms_since(started), issue=query)
            near, rejected = self.nearest(use, query, request)
            found = self.judge(query, self.verify(use, query, near, request.verify_top), request)
            kept = [match for match in found if rare_enough(match, request.max_fmr if request.cut else None)]
            matches = self.describe(use, query, kept)
            left_out = LeftOut(self.describe(use, query, rejected), len(found) - len(kept))
            counts = {"matches": len(matches), "rejected": len(rejected), "likelier_by_chance": left_out.by_rate}
            use.entry.details, use.entry.counts = {"masked": query.masked}, counts
            use.entry.subject = {**subject, "query_sha256": query.sha256}
        reference = None if self._background is None else self._background.reference
        return SearchResult(
            query.locator,
            query.sha256,
            model.name,
            ms_since(started),
            matches,
            masked=query.masked,
            left_out=left_out,
            background=reference,
        )

    def asks(self) -> dict[str, Any]:
        """What the audit log says of how this searches, besides what is asked."""
        return {} if self.matcher is None else {"verify_with": LEARNED}

    @property
    def matcher(self) -> Matcher | None:
        """What pairs learned points, where they are asked."""
        return self._features.matcher

    @property
    def items(self) -> int:
        """How many items it searches. Counting a million takes longer than a search: kept until the case changes."""
        state = self._case.catalogue.state()
        of, count = self._counted  # one thing: several threads may search at once
        if of != state:
            count = self._shelf.item_count()
            self._counted = state, count
        return count

    def require(self, request: SearchRequest) -> None:
        """Raises UsageError when the false-match rate that is asked for can't be shown here."""
        check_limit(self._case, self._background, request.max_fmr)

    def nearest(self, use: Use, query: Query, request: SearchRequest) -> tuple[list[Match], list[Match]]:
        """The nearest items, as many as are asked for or are to be verified; apart from them those among the nearest
        that an examiner rejected, unless they are asked for too.
        """
        rejected = set() if request.with_rejected else decisions.rejected_items(use, query.sha256)
        wanted = max(request.k, request.verify_top) + len(rejected)
        found = nearest(use, self.index, query, wanted, self._allowed(request.within))
        apart = [match for match in found if match.item_id in rejected]
        return [match for match in found if match.item_id not in rejected], apart

    def verify(self, use: Use, query: Query, matches: Sequence[Match], top: int) -> list[Match]:
        """The first ``top`` verified, all of them in their order."""
        return verified_first(use, self._features, query, self.index, matches, top)

    def judge(self, query: Query, matches: Sequence[Match], request: SearchRequest) -> list[Match]:
        """The first ``k``, each with its false-match rate, where there is a background."""
        first = matches[: request.k]
        if self._background is not None:
            gallery = self._shelf.item_count(request.within) if request.within else self.items
            first = self._background.judge(query.sha256, query.vector, first, gallery, query.tries, query.empty)
        return list(first)

    def describe(self, use: Use, query: Query, matches: Sequence[Match]) -> tuple[Match, ...]:
        """The last stage: ranks, places, labels, metadata and reasons."""
        return describe(use, query, matches, self._embedder.spec.name)

    def _allowed(self, within: Filter) -> Ids | None:
        """Vector ids that a filter lets through; None: all. Kept until the case or the filter changes."""
        if not within:
            return None
        key = (within, *sorted(self._case.catalogue.state().items()), self._case.catalogue.data_version())
        of, ids = self._kept  # one thing: several threads may search at once
        if of != key:
            ids = self._shelf.matching(within)
            self._kept = key, ids
        return ids


def _no_vectors(case: Case, embedder: Embedder) -> str:
    others = sorted({shelf.spec.name for shelf in case.shelves() if shelf.segments()})
    if embedder.spec.name in others:
        return (
            f"{case.path}: its vectors were made by a model {embedder.spec.name!r} with other weights than the one "
            "installed; use the imgmatch version that made it, or make a new case"
        )
    if others:
        return f"{case.path}: holds no vectors by {embedder.spec.name!r}; search with --model {others[0]}"
    return f"{case.path}: nothing to search yet; add pictures with: imgmatch ingest {case.path} FOLDER"


def ms_since(started: float) -> float:
    """Milliseconds since then (time.perf_counter)."""
    return round((time.perf_counter() - started) * 1000, 1)
