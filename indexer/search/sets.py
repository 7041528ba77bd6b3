"""One answer for a set of queries, and answers by label instead of by picture: rankings over a search's matches."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from imgmatch.match.ranking import fuse, rank_labels
from imgmatch.types import FalseMatchRate, Match
from indexer.search.order import rare_enough, standing
from indexer.search.request import ANYTHING, MAX_K, LeftOut, SearchRequest, SearchResult
from indexer.search.searcher import Searcher, ms_since

SET_FUSION = "max"
LABEL_AGGREGATION = "max"
SPEAKING = 5
"""Pictures shown for each label."""


@dataclass(frozen=True, slots=True)
class LabelMatch:
    """A ranked label, with the pictures that speak for it, best first. ``pictures``: how many of it were looked at."""

    rank: int
    label: str
    score: float
    pictures: int
    matches: tuple[Match, ...]


@dataclass(frozen=True, slots=True)
class LabelResult:
    """One search by label; ``result`` is the search it was made of."""

    result: SearchResult
    column: str
    labels: tuple[LabelMatch, ...]


def depth(k: int) -> int:
    """How many items to look at, so that ``k`` fused items or labels are right."""
    return min(MAX_K, max(10 * k, 200))


def together(
    searcher: Searcher, queries: Sequence[str | os.PathLike[str]], request: SearchRequest = ANYTHING
) -> Iterator[SearchResult]:
    """Several photographs of one thing as one query: queries that can't be read first, each with its issue, then one
    fused ranking; each match names the query that found it best.

    What is identical to a query, or what any query verifies, comes first (``indexer.search.order``); the others by
    their fused scores, which are compared less each query's similarity to the background, where there is one. A match
    of the set is the best of several tries: its false-match rate is the lowest of its queries, and that and the
    expected number are multiplied by the number of queries. ``max_fmr`` is held against this rate, after fusing: no
    query's list is cut before. Within the set, too, a rate never falls with the score.
    """
    started = time.perf_counter()
    results = []
    for result in searcher.search(queries, replace(request, k=depth(request.k), cut=False)):
        if result.issue is not None:
            yield result
        else:
            results.append(result)
    if results:
        yield fused(results, request, started)


def fused(results: Sequence[SearchResult], request: SearchRequest, started: float) -> SearchResult:
    """The one answer of a set, of what each of its queries found; as ``together``."""
    ranked = fuse([{m.item_id: comparable(m) for m in result.matches} for result in results], SET_FUSION)
    best = {i: replace(match, query=results[at].locator) for i, (at, match) in found_best(results).items()}
    rates: dict[int, FalseMatchRate] = {}
    for result in results:
        for match in result.matches:
            if match.false_match is not None:
                rate = match.false_match.of_several(len(results))
                rates[match.item_id] = min(rates.get(match.item_id, rate), rate, key=lambda r: r.stated)
    found = sorted(_falling([replace(best[i], false_match=rates.get(i)) for i, _ in ranked]), key=standing)
    rare = [match for match in found if rare_enough(match, request.max_fmr)]
    kept = rare[: request.k]
    # Rejected as a match of one query, an item may still be found by another one.
    shown = {match.item_id for match in kept}
    rejected = {match.item_id: match for result in results for match in result.left_out.rejected}
    return replace(
        results[0],
        matches=tuple(replace(match, rank=rank) for rank, match in enumerate(kept, start=1)),
        elapsed_ms=ms_since(started),
        queries=tuple(result.locator for result in results),
        contents=tuple(result.sha256 or "" for result in results),
        left_out=LeftOut(
            tuple(match for item_id, match in rejected.items() if item_id not in shown),
            sum(not rare_enough(match, request.max_fmr) for match in found[: request.k]),
        ),
    )


def found_best(results: Sequence[SearchResult]) -> dict[int, tuple[int, Match]]:
    """Of each item that queries found: the number of the one that says most for it, and its match."""
    best: dict[int, tuple[int, Match]] = {}
    for at, result in enumerate(results):
        for match in result.matches:
            if match.item_id not in best or _better(match, best[match.item_id][1]):
                best[match.item_id] = at, match
    return best


def by_label(result: SearchResult, column: str = "label", k: int = 10) -> LabelResult:
    """Rank the values of a label column over the pictures a search found; pictures without one speak for none.

    Labels stand as the best of their pictures does, in the order of the search.
    """
    found: dict[str, list[Match]] = {}
    for match in result.matches:
        for value in match.labels.get(column, ()):
            found.setdefault(value, []).append(match)
    ranked = rank_labels({value: [m.score for m in matches] for value, matches in found.items()}, LABEL_AGGREGATION)
    ranked.sort(key=lambda pair: found[pair[0]][0].rank)
    return LabelResult(
        result,
        column,
        tuple(
            LabelMatch(rank, label, score, len(found[label]), tuple(found[label][:SPEAKING]))
            for rank, (label, score) in enumerate(ranked[:k], start=1)
        ),
    )


def _falling(matches: Sequence[Match]) -> list[Match]:
    """Matches of several queries in their order, none with a lower rate than one that scored more."""
    told = list(matches)
    worst: FalseMatchRate | None = None
    for number in sorted(range(len(matches)), key=lambda n: -matches[n].score):
        rate = matches[number].false_match
        if rate is not None:
            worst = rate if worst is None else max(worst, rate, key=lambda r: r.stated)
            told[number] = replace(matches[number], false_match=replace(worst, normalised=rate.normalised))
    return told


def comparable(match: Match) -> float:
    """A score that can be compared between queries."""
    judged = match.false_match
    return match.score if judged is None or judged.normalised is None else judged.normalised


def _better(match: Match, other: Match) -> bool:
    """Does one query say more for an item than another does?"""
    return (*standing(match), -comparable(match)) < (*standing(other), -comparable(other))
