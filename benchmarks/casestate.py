"""What a case holds, independent of when and in how many commits it came in: for comparing two cases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from indexer.case import Case


def state(path: Path) -> dict[str, Any]:
    """Items, sightings and issues by content and place, and each vector's bytes, sorted; duplicates show."""
    with Case.open(path) as case:
        catalogue = case.catalogue
        model_id, _ = catalogue.models()[0]
        vectors = []
        for first, rows in case.rows(model_id):
            owners = catalogue.item_ids(range(first, first + len(rows)))
            items = catalogue.items(owners.values())
            vectors += [(items[owners[first + row]].sha256, rows[row].tobytes().hex()) for row in range(len(rows))]
        return {
            "sightings": sorted((str(s.locator), s.sha256) for s in catalogue.all_sightings()),
            "issues": sorted((str(i.issue.locator), i.issue.error) for i in catalogue.issues()),
            "vectors": sorted(vectors),
            "counts": {name: catalogue.counts()[name] for name in ("items", "sightings", "issues", "vectors")},
            "faults": catalogue.integrity(),
        }
