"""Deleting items, and rewriting segments: without deleted rows, and small ones together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from imgmatch.errors import CaseError, UsageError
from indexer.case import segments
from indexer.case.case import Case, Ids, ids_of
from indexer.catalogue import SegmentRow
from indexer.clock import now_utc
from indexer.index.remote import follow_commit

_NAMED = 1000
# Fewer small segments than this are not worth writing their rows again.
_JOINED = 16


@dataclass(frozen=True, slots=True)
class Deleted:
    """What a deletion removed."""

    items: int
    vectors: int
    sightings: int
    issues: int


def delete(
    case: Case, *, items: Sequence[int] = (), sha256: Sequence[str] = (), sources: Sequence[str] = (), reason: str = ""
) -> Deleted:
    """Remove items by id or content, and sources (locators) with what was seen nowhere else.

    One transaction; every search from then on leaves them out. Their rows stay in the segments until ``compact``.
    Evidence is never touched. Raises UsageError, changing nothing, when something named is not in the case.
    """
    with case.writing():
        wanted = set(items)
        for digest in sha256:
            found = case.catalogue.items.id_of(digest)
            if found is None:
                raise UsageError(f"{digest}: no item with this SHA-256 in {case.path}; nothing was deleted")
            wanted.add(found)
        missing = wanted - case.catalogue.items.by_id(wanted).keys()
        if missing:
            raise UsageError(f"item {min(missing)}: not in {case.path}; nothing was deleted")
        sightings = issues = 0
        with case.changing() as (writer, record):
            for source in sources:
                removed = writer.delete_source(source)
                if not (removed["sightings"] or removed["issues"] or removed["listed_files"]):
                    raise UsageError(f"{source}: nothing in {case.path} was seen there; nothing was deleted")
                sightings += removed["sightings"]
                issues += removed["issues"]
            wanted.update(case.catalogue.items.unseen())
            gone = case.catalogue.items.by_id(wanted)
            sightings += sum(len(seen) for seen in case.catalogue.sightings.of(wanted).values())
            vectors = writer.delete_items(sorted(wanted))
            done = Deleted(len(wanted), vectors, sightings, issues)
            record(
                "delete",
                {"reason": reason},
                arguments={"items": list(items)[:_NAMED], "sha256": list(sha256)[:_NAMED], "sources": list(sources)},
                subject={"sha256": [item.sha256 for item in gone.values()][:_NAMED]},
                counts=asdict(done),
            )
    return done


@dataclass(frozen=True, slots=True)
class Compacted:
    """What a compaction did: segments before and after, and rows removed for good."""

    segments_before: int
    segments_after: int
    rows_removed: int


def compact(case: Case, *, progress: Callable[[str, int, int], None] | None = None) -> Compacted:
    """Rewrite segments so that no deleted row is left and small ones are together, up to 65,536 rows.

    Vector ids stay what they are, so an index in use goes on being right. Each rewritten segment is one transaction: a
    kill at any moment leaves the case as it was or one step further, and running again goes on. Searches that run
    meanwhile keep the files that they have open. Raises CaseError when a segment is damaged: its rows must be repaired
    first, never copied.
    """
    with case.writing():
        follow_commit(case)  # a server is told of deletions while it is still known which they were
        removed = 0
        before = case.catalogue.segments.committed()
        for model_id in sorted({row.model_id for row in before}):
            rows = [row for row in before if row.model_id == model_id]
            dead = np.array(case.catalogue.segments.tombstones(model_id), dtype=np.int64)
            done = 0
            for group in _groups(rows, dead):
                removed += _rewrite(case, group, dead)
                done += len(group)
                if progress:
                    progress("segments", done, len(rows))
        segments.remove_unnamed(case.segments_folder, case.catalogue.segments.committed())
        case.catalogue.checkpoint()
        after = case.catalogue.segments.committed()
        result = Compacted(len(before), len(after), removed)
        case.record("compact", counts=asdict(result))
    return result


def join_small(case: Case) -> int:
    """Put small segments together while the caller holds the writer's place, so that a long ingest does not leave a
    file a commit; returns how many files fewer there are. As in ``compact``, ids stay, one transaction a new segment.

    Only where it saves many files. What can't be joined (a damaged segment, a full disk) stays as it is: ``check``
    names it, and no ingest fails by it.
    """
    saved = removed = 0
    before = case.catalogue.segments.committed()
    for model_id in sorted({row.model_id for row in before}):
        dead = np.array(case.catalogue.segments.tombstones(model_id), dtype=np.int64)
        for group in _groups([row for row in before if row.model_id == model_id], dead):
            if len(group) >= _JOINED:
                try:
                    removed += _rewrite(case, group, dead)
                except CaseError:
                    continue
                saved += len(group) - 1
    if saved:
        after = case.catalogue.segments.committed()
        segments.remove_unnamed(case.segments_folder, after)
        case.record("compact", {"during": "ingest"}, counts=asdict(Compacted(len(before), len(after), removed)))
    return saved


def _groups(rows: Sequence[SegmentRow], dead: Ids) -> Iterator[list[SegmentRow]]:
    """Neighbours, in the order of ids, that fit into one segment; those that are well as they are stay out."""
    group: list[SegmentRow] = []
    size = 0
    for row in rows:
        live = row.rows - _dead_in(row, dead)
        if group and size + live > segments.MAX_ROWS:
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


def _rewrite(case: Case, group: list[SegmentRow], dead: Ids) -> int:
    kept_ids, kept_rows, gone = [], [], []
    for row in group:
        fault = segments.check(case.segments_folder, row)
        if fault is not None:
            raise CaseError(f"{fault}; {case.held(row)}")
        ids = ids_of(row)
        live = ~np.isin(ids, dead, assume_unique=True)
        kept_ids.append(ids[live])
        kept_rows.append(segments.read(case.segments_folder, row)[live])
        gone += ids[~live].tolist()
    ids, vectors = np.concatenate(kept_ids), np.concatenate(kept_rows)
    made = None
    with case.catalogue.transaction() as writer:
        if len(ids):
            name = f"{group[0].name.rpartition('/')[0]}/{writer.meta.next_number('segments'):06d}.npy"
            digest = segments.write(case.segments_folder, name, vectors)
            gapless = int(ids[-1] - ids[0]) == len(ids) - 1
            blob = None if gapless else ids.astype("<i8").tobytes()
            made = SegmentRow(group[0].model_id, name, int(ids[0]), len(ids), digest, vectors.shape[1], blob)
        writer.replace_segments([row.name for row in group], made, gone, now_utc())
    return len(gone)
