"""The items that are nearest to a query, each by its best few vectors over all parts of the query."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from imgmatch.types import Box, Candidate, Match
from indexer.case.use import Use
from indexer.index.protocol import Ids, VectorIndex
from indexer.search.query import PART_COST, Query

CANDIDATES = 4
"""So many of its vectors does a match keep."""
_Met = tuple[float, int, float]
"""How an item's vector met the query: score, number of the query's vector, similarity."""


def nearest(use: Use, index: VectorIndex, query: Query, k: int, allowed: Ids | None = None) -> list[Match]:
    """The ``k`` nearest items, the best first, equal scores in the order of items; of ``allowed`` vectors (None: all).

    They say what met, and are not described yet.
    """
    wanted = k
    total = index.rows if allowed is None else len(allowed)
    filtered: dict[str, Ids] = {} if allowed is None else {"within": allowed}
    while total:
        similarities, ids = index.search(query.vectors, min(wanted, total), **filtered)
        scores = similarities - np.array([[query.cost(box)] for box in query.boxes], np.float32)
        met_ids = [i for i in np.unique(ids).tolist() if i >= 0]
        owners, regions = use.catalogue.vectors.owners(met_ids), use.catalogue.vectors.regions(met_ids)
        if regions:
            scores -= np.where(np.isin(ids, list(regions)), np.float32(PART_COST), np.float32(0))
        best: dict[int, dict[int, _Met]] = {}
        part, place = np.nonzero(ids >= 0)
        columns = (scores[part, place], ids[part, place], part, similarities[part, place])
        met = zip(*(column.tolist() for column in columns), strict=True)
        for score, vector_id, number, similarity in sorted(met, key=lambda m: (-m[0], m[1], m[2])):
            if vector_id in owners:
                of_item = best.setdefault(owners[vector_id], {})
                if len(of_item) < CANDIDATES:
                    of_item.setdefault(vector_id, (score, number, similarity))
        ranked = sorted((-next(iter(found.values()))[0], item_id) for item_id, found in best.items())
        # What no list reached is at most as near as the last of the nearest list: look further until k are above.
        costs = np.array([query.cost(box) for box in query.boxes])
        floor = float((similarities[:, -1] - costs).max()) if (ids[:, -1] >= 0).any() else -np.inf
        if sum(-near >= floor for near, _ in ranked) >= k or wanted >= total:
            return _matches(use, query, {item_id: best[item_id] for _, item_id in ranked[:k]}, regions)
        wanted *= 2
    return []


def _matches(use: Use, query: Query, found: dict[int, dict[int, _Met]], regions: Mapping[int, Box]) -> list[Match]:
    """Items with the vectors that met, and their rectangles in both pictures."""
    items = use.catalogue.items.by_id(found)
    matches = []
    for rank, (item_id, met) in enumerate(found.items(), start=1):
        candidates = tuple(
            Candidate(vector_id, item_id, similarity, query.boxes[number], regions.get(vector_id))
            for vector_id, (_, number, similarity) in met.items()
        )
        best, item = candidates[0], items[item_id]
        # Rounding of float16 can carry a cosine a hair past its bounds.
        part = PART_COST if best.region_px is not None else 0.0
        score = max(-1.0, min(1.0, best.similarity) - query.cost(best.query_region_px) - part)
        matches.append(
            Match(
                rank,
                item_id,
                item.sha256,
                score,
                candidates=candidates,
                identical=item.sha256 == query.sha256,
                partial=item.partial,
            )
        )
    return matches
