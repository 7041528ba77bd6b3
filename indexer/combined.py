"""One answer for a set of queries, and answers by label instead of by picture: rankings over a search's matches."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from imgmatch.ranking import fuse, rank_labels
from imgmatch.types import FalseMatchRate, Match
from indexer.filters import Filter
from indexer.search import MAX_K, NOTHING_LEFT_OUT, LeaveOut, Searcher, SearchResult

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
    searcher: Searcher,
    queries: Sequence[str | os.PathLike[str]],
    k: int = 10,
    leave_out: LeaveOut = NOTHING_LEFT_OUT,
    within: Filter | None = None,
    regions: bool = True,
    verify_top: int = 0,
) -> Iterator[SearchResult]:
    """Several photographs of one thing as one query: queries that can't be read first, each with its issue, then one
    fused ranking; each match names the query that found it best.

    Scores are compared less each query's similarity to the background, where there is one. A match of the set is the
    best of several tries: its false-match rate and the expected number are multiplied by the number of queries.
    """
    started = time.perf_counter()
    results = []
    for result in searcher.search(queries, depth(k), leave_out, within, regions, verify_top):
        if result.issue is not None:
            yield result
        else:
            results.append(result)
    if not results:
        return
    fused = fuse([{m.item_id: _comparable(m) for m in result.matches} for result in results], SET_FUSION)
    best: dict[int, Match] = {}
    for result in results:
        for match in result.matches:
            if match.item_id not in best or _comparable(match) > _comparable(best[match.item_id]):
                best[match.item_id] = replace(match, query=result.locator)
    matches = tuple(
        replace(best[item_id], rank=rank, false_match=_of_set(best[item_id], len(results)))
        for rank, (item_id, _) in enumerate(fused[:k], start=1)
    )
    elapsed = round((time.perf_counter() - started) * 1000, 1)
    yield replace(results[0], matches=matches, elapsed_ms=elapsed, queries=tuple(result.locator for result in results))


def by_label(result: SearchResult, column: str = "label", k: int = 10) -> LabelResult:
    """Rank the values of a label column over the pictures a search found; pictures without one speak for none."""
    found: dict[str, list[Match]] = {}
    for match in result.matches:
        for value in match.labels.get(column, ()):
            found.setdefault(value, []).append(match)
    ranked = rank_labels({value: [m.score for m in matches] for value, matches in found.items()}, LABEL_AGGREGATION)
    return LabelResult(
        result,
        column,
        tuple(
            LabelMatch(rank, label, score, len(found[label]), tuple(found[label][:SPEAKING]))
            for rank, (label, score) in enumerate(ranked[:k], start=1)
        ),
    )


def _comparable(match: Match) -> float:
    """A score that can be compared between queries."""
    judged = match.false_match
    return match.score if judged is None or judged.normalised is None else judged.normalised


def _of_set(match: Match, queries: int) -> FalseMatchRate | None:
    return None if match.false_match is None else match.false_match.of_several(queries)
