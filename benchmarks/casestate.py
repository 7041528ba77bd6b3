"""What a case holds, independent of when and in how many commits it came in: for comparing two cases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from indexer.case.case import Case
from indexer.catalogue import Catalogue


def inside(case: Case) -> Catalogue:
    """All that a case's catalogue holds, by a connection of its own: what a measurement looks at leaves no trace."""
    return Catalogue(case.path / "catalogue.sqlite")


def state(path: Path) -> dict[str, Any]:
    """Items, sightings and issues by content and place, and each vector's bytes, sorted; duplicates show."""
    with Case.open(path) as case:
        catalogue = inside(case)
        vectors = []
        for ids, rows in case.shelves()[0].store().blocks():
            owners = catalogue.vectors.owners(ids.tolist())
            items = catalogue.items.by_id(owners.values())
            vectors += [
                (items[owners[vector_id]].sha256, row.tobytes().hex())
                for vector_id, row in zip(ids.tolist(), rows, strict=True)
            ]
        return {
            "sightings": sorted((str(s.locator), s.sha256) for s in catalogue.sightings.all()),
            "issues": sorted((str(i.issue.locator), i.issue.error) for i in catalogue.issues.all()),
            "vectors": sorted(vectors),
            "counts": {name: catalogue.counts()[name] for name in ("items", "sightings", "issues", "vectors")},
            "faults": catalogue.integrity(),
        }
