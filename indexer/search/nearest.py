"""The items that are nearest to a query, each by its best few vectors over all parts of the query."""

from __future__ import annotations

import numpy as np

from imgmatch.types import Candidate, Match
from indexer.case.use import Use
from indexer.index.protocol import Ids, VectorIndex
from indexer.search.query import Query

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
        owners = use.catalogue.vectors.owners(i for i in np.unique(ids).tolist() if i >= 0)
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
        floor = float(scores[:, -1].max()) if (ids[:, -1] >= 0).any() else -np.inf
        if sum(-near >= floor for near, _ in ranked) >= k or wanted >= total:
            return _matches(use, query, {item_id: best[item_id] for _, item_id in ranked[:k]})
        wanted *= 2
    return []


def _matches(use: Use, query: Query, found: dict[int, dict[int, _Met]]) -> list[Match]:
    """Items with the vectors that met, and their rectangles in both pictures."""
    regions = use.catalogue.vectors.regions([vector_id for met in found.values() for vector_id in met])
    items = use.catalogue.items.by_id(found)
    matches = []
    for rank, (item_id, met) in enumerate(found.items(), start=1):
        candidates = tuple(
            Candidate(vector_id, item_id, similarity, query.boxes[number], regions.get(vector_id))
            for vector_id, (_, number, similarity) in met.items()
        )
        best, item = candidates[0], items[item_id]
        # Rounding of float16 can carry a cosine a hair past its bounds.
        score = max(-1.0, min(1.0, best.similarity) - query.cost(best.query_region_px))
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
