"""How much of a built index to visit, measured on the case's own vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from indexer.index import kinds, policy
from indexer.index.layered import Base
from indexer.index.protocol import Ids
from indexer.index.store import Store

_SEED = 20
_RECALL_QUERIES = 256


def tune(base: Base, store: Store, ids: Ids, target: float) -> dict[str, Any]:
    """Find the cheapest lists to visit and candidates to score that reach ``target`` recall at ten, on the case's own
    vectors against exact search; each vector searched for is left out of its own neighbours, which makes it harder
    than searching for a picture that is there. The most there is where nothing reaches it.
    """
    chosen = np.sort(np.random.default_rng(_SEED).choice(ids, min(_RECALL_QUERIES, len(ids)), replace=False))
    queries = store.gather(chosen)[0].astype(np.float32)
    k = min(10, len(ids) - 1)
    if k < 1:
        return {"recall": 1.0, "recall_queries": 0}
    _, near = store.nearest(queries, k + 1, ids)
    truth = [[i for i in row.tolist() if i != own][:k] for row, own in zip(near, chosen.tolist(), strict=True)]
    ivf = base.manifest.kind == "ivf"
    most = policy.CANDIDATES[-1]
    best: tuple[float, float, int, int] | None = None
    reached: tuple[float, float, int, int] | None = None
    for visit in [n for n in policy.NPROBES if n <= base.manifest.nlist] if ivf else policy.EF_SEARCH:
        found = kinds.nearest(base.index, base.manifest.kind, queries, most if ivf else 100, visit)
        for count in policy.CANDIDATES if ivf else (100,):
            hits = [
                len(set(true).intersection(row[:count].tolist())) / k for true, row in zip(truth, found, strict=True)
            ]
            recall = float(np.mean(hits))
            cost = policy.scan_cost(len(ids), base.manifest.nlist, visit, count) if ivf else float(visit)
            if best is None or recall > best[0]:
                best = (recall, cost, visit, count)
            if recall >= target and (reached is None or cost < reached[1]):
                reached = (recall, cost, visit, count)
    assert best is not None
    recall, _, visit, count = reached or best
    return {"nprobe": visit, "candidates": count, "recall": round(recall, 4), "recall_queries": len(queries)}
