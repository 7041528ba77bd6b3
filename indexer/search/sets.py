"""One answer for a set of queries, and answers by label instead of by picture: rankings over a search's matches."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from imgmatch.match.ranking import fuse, rank_labels
from imgmatch.types import FalseMatchRate, Match
from indexer.catalogue.filters import Filter
from indexer.search.searcher import MAX_K, NOTHING_LEFT_OUT, LeaveOut, Searcher, SearchResult

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

    Items that any query verifies come first, by inliers; the others by their fused scores, which are compared less each
    query's similarity to the background, where there is one. A match of the set is the best of several tries: its
    false-match rate is the lowest of its queries, and that and the expected number are multiplied by the number of
    queries. The searcher's ``max_fmr`` is held against this rate, after fusing: no query's list is cut before.
    """
    started = time.perf_counter()
    results = []
    for result in searcher.search(queries, depth(k), leave_out, within, regions, verify_top, cut=False):
        if result.issue is not None:
            yield result
        else:
            results.append(result)
    if not results:
        return
    fused = fuse([{m.item_id: _comparable(m) for m in result.matches} for result in results], SET_FUSION)
    best: dict[int, Match] = {}
    rates: dict[int, FalseMatchRate] = {}
    for result in results:
        for match in result.matches:
            if match.item_id not in best or _standing(match) > _standing(best[match.item_id]):
                best[match.item_id] = replace(match, query=result.locator)
            if match.false_match is not None:
                rate = match.false_match.of_several(len(results))
                rates[match.item_id] = min(rates.get(match.item_id, rate), rate, key=lambda r: r.stated)
    contents = {result.sha256 for result in results}
    limit = searcher.max_fmr
    order = sorted((item_id for item_id, _ in fused), key=lambda i: _standing(best[i])[:2], reverse=True)
    kept = [
        i for i in order if limit is None or best[i].sha256 in contents or (i in rates and rates[i].stated <= limit)
    ]
    matches = tuple(
        replace(best[item_id], rank=rank, false_match=rates.get(item_id))
        for rank, item_id in enumerate(kept[:k], start=1)
    )
    elapsed = round((time.perf_counter() - started) * 1000, 1)
    yield replace(results[0], matches=matches, elapsed_ms=elapsed, queries=tuple(result.locator for result in results))


def by_label(result: SearchResult, column: str = "label", k: int = 10) -> LabelResult:
    """Rank the values of a label column over the pictures a search found; pictures without one speak for none.

    Labels with a verified picture come first, by its inliers.
    """
    found: dict[str, list[Match]] = {}
    for match in result.matches:
        for value in match.labels.get(column, ()):
            found.setdefault(value, []).append(match)
    ranked = rank_labels({value: [m.score for m in matches] for value, matches in found.items()}, LABEL_AGGREGATION)
    ranked.sort(key=lambda pair: max(_standing(m)[:2] for m in found[pair[0]]), reverse=True)
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


def _standing(match: Match) -> tuple[bool, int, float]:
    """What a match is ranked by: verified or not, by how many inliers, and its score."""
    verification = match.verification
    good = verification is not None and verification.verified
    return good, verification.inliers if good and verification is not None else 0, _comparable(match)
