"""All items of a case, a batch at a time, for writers that stream."""

from __future__ import annotations

from collections.abc import Iterator

from imgmatch.errors import UsageError
from indexer.case.case import Case
from indexer.case.use import Use
from indexer.catalogue import ItemRow
from indexer.index.protocol import Progress

BATCH = 2048


def item_batches(use: Use, progress: Progress | None = None) -> Iterator[dict[int, ItemRow]]:
    """Every item by id, ascending, in batches."""
    total = use.catalogue.counts()["items"]
    after = done = 0
    while ids := use.catalogue.items.page(after, BATCH):
        yield use.catalogue.items.by_id(ids)
        after = ids[-1]
        done += len(ids)
        if progress:
            progress("items", done, total)


def require_items(case: Case) -> None:
    """Raises UsageError where a case holds nothing to export."""
    if not case.catalogue.counts()["items"]:
        raise UsageError(f"{case.path}: holds no pictures yet; add some with: imgmatch ingest {case.path} FOLDER")
