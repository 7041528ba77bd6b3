"""Rewriting segments: without deleted rows, and small ones together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np

from imgmatch.errors import CaseError
from indexer.case.case import Case
from indexer.catalogue import SegmentRow
from indexer.index.protocol import Ids, Progress
from indexer.index.remote import follow_commit
from indexer.index.segments import MAX_ROWS, ids_of

# Fewer small segments than this are not worth writing their rows again.
_JOINED = 16


@dataclass(frozen=True, slots=True)
class Compacted:
    """What a compaction did: segments before and after, and rows removed for good."""

    segments_before: int
    segments_after: int
    rows_removed: int


def compact(case: Case, *, progress: Progress | None = None) -> Compacted:
    """Rewrite segments so that no deleted row is left and small ones are together, up to 65,536 rows.

    Vector ids stay what they are, so an index in use goes on being right. Each rewritten segment is one transaction: a
    kill at any moment leaves the case as it was or one step further, and running again goes on. Searches that run
    meanwhile keep the files that they have open. Raises CaseError when a segment is damaged: its rows must be repaired
    first, never copied.
    """
    with case.writing(), case.use("compact", ends="compacted") as use:
        follow_commit(case.shelves())  # a server is told of deletions while it is still known which they were
        removed = 0
        before = len(case.catalogue.segments.committed())
        for shelf in case.every_shelf():
            rows, dead = shelf.segments(), shelf.dead()
            done = 0
            for group in _groups(rows, dead):
                removed += shelf.rewrite(group, dead)
                done += len(group)
                if progress:
                    progress("segments", done, len(rows))
        case.tidy()
        case.catalogue.checkpoint()
        result = Compacted(before, len(case.catalogue.segments.committed()), removed)
        use.entry.counts = asdict(result)
    return result


def join_small(case: Case) -> int:
    """Put small segments together while the caller holds the writer's place, so that a long ingest does not leave a
    file a commit; returns how many files fewer there are. As in ``compact``, ids stay, one transaction a new segment.

    Only where it saves many files. What can't be joined (a damaged segment, a full disk) stays as it is: ``check``
    names it, and no ingest fails by it.
    """
    saved = removed = 0
    before = len(case.catalogue.segments.committed())
    for shelf in case.every_shelf():
        dead = shelf.dead()
        for group in _groups(shelf.segments(), dead):
            if len(group) >= _JOINED:
                try:
                    removed += shelf.rewrite(group, dead)
                except CaseError:
                    continue
                saved += len(group) - 1
    if saved:
        case.tidy()
        with case.use("compact") as use:
            use.entry.details = {"during": "ingest"}
            use.entry.counts = asdict(Compacted(before, len(case.catalogue.segments.committed()), removed))
    return saved


def _groups(rows: list[SegmentRow], dead: Ids) -> Iterator[list[SegmentRow]]:
    """Neighbours, in the order of ids, that fit into one segment; those that are well as they are stay out."""
    group: list[SegmentRow] = []
    size = 0
    for row in rows:
        live = row.rows - _dead_in(row, dead)
        if group and size + live > MAX_ROWS:
            if _worth_it(group, dead):
                yield group
            group, size = [], 0
        group.append(row)
        size += live
    if group and _worth_it(group, dead):
        yield group


def _worth_it(group: list[SegmentRow], dead: Ids) -> bool:
    return len(group) > 1 or _dead_in(group[0], dead) > 0


def _dead_in(row: SegmentRow, dead: Ids) -> int:
    return int(np.isin(ids_of(row), dead, assume_unique=True).sum()) if len(dead) else 0
