"""Erasing for good: after a deletion the disk is cleared of it, and its bytes are looked for."""

from __future__ import annotations

import json
import os
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from imgmatch.errors import CaseError
from indexer.care.indexing import drop_generation
from indexer.case.case import Case
from indexer.case.place import AUDIT, CATALOGUE, content
from indexer.case.traces import Found, files_of, look
from indexer.case.use import Use
from indexer.catalogue.clock import now_utc
from indexer.index.protocol import Progress
from indexer.index.remote import follow
from indexer.index.segments import ids_of
from indexer.index.shelf import INDEXES, SEGMENTS
from indexer.index.status import inspect

FINISH = "run: imgmatch delete {} --finish"
_OF_HASHES = (CATALOGUE, "certificate.")
_HASHES_OF_A_SUBJECT = ("sha256", "query_sha256", "item_sha256", "content_sha256")


@dataclass(frozen=True, slots=True)
class Cleared:
    """What was cleared, and looked at: rows of vectors, files and their bytes. From ``redacted`` entries of the audit
    log texts were taken that named a place of what was erased, or were a note on it; ``log_entries`` still have some:
    they were written by a version whose chain would not hold without.
    """

    erasures: int
    rows_removed: int
    files_looked_at: int
    bytes_looked_at: int
    redacted: tuple[int, ...]
    log_entries: tuple[int, ...]


def clear(case: Case, *, progress: Progress | None = None) -> Cleared:
    """Clear the disk of everything that was deleted, and say so with each erasure that was not finished.

    Rewrites the segments that hold deleted rows, drops indexes that were built from such, rewrites the catalogue and
    empties its write-ahead log; then every byte of the case's folder is looked at, and where something is left, it is
    an error. After a kill or an error it can be run again. Raises CaseError, naming what is left and what to do.
    """
    with case.writing(), case.use("erase", ends="erased") as use:
        follow(case.shelves())  # a server is told of deletions while it is still known which they were
        removed = 0
        for shelf in case.every_shelf():
            dead = shelf.dead()
            if shelf.generation() is not None and len(dead):
                drop_generation(case, shelf)
            touched = [each for each in shelf.segments() if np.isin(dead, ids_of(each), assume_unique=True).any()]
            for number, segment in enumerate(touched, start=1):
                removed += shelf.rewrite([segment], dead)
                if progress:
                    progress("segments", number, len(touched))
        case.tidy()
        # Its last entries may wait in the catalogue, which is rewritten afterwards.
        redacted = case.log.redact(_Named(use)) if use.catalogue.erasures.any() else set()
        if not case.catalogue.rewrite():
            raise CaseError(
                f"{case.path}: another program reads this case, and keeps what was deleted in its write-ahead log; "
                f"close it (a search, the review page), then {FINISH.format(case.path)}"
            )
        open_ones = [row for row in use.catalogue.erasures.all() if row.finished_utc is None]
        faults = list(_leftovers(use, progress))
        files = [path for path in files_of(case.path) if path.name != AUDIT]
        entries = tuple(sorted(_traced(use)))
        size = sum(path.stat().st_size for path in files)
        done = Cleared(len(open_ones), removed, len(files), size, tuple(sorted(redacted)), entries)
        told = {
            "rows_removed": removed,
            "files_looked_at": done.files_looked_at,
            "bytes_looked_at": done.bytes_looked_at,
            "log_entries_redacted": list(done.redacted),
            "log_entries": list(entries),
        }
        with use.catalogue.transaction() as writer:
            for row in open_ones:
                writer.erasures.tell(row.erasure_id, {**row.told, **told}, None if faults else now_utc())
        case.catalogue.checkpoint()
        if faults:
            raise CaseError(f"{case.path}: {len(faults)} traces are left: {faults[0]}")
        use.entry.counts = {name: value for name, value in told.items() if isinstance(value, int)}
    return done


def left(use: Use, progress: Progress | None = None) -> Iterator[str]:
    """What is left of contents that were erased, each as a fault with what to do; nothing when all is well."""
    known = use.catalogue.erasures
    if not known.all():
        return
    finish = FINISH.format(use.path)
    for row in known.all():
        if row.finished_utc is None:
            yield f"{use.path}: erasure {row.erasure_id} of {row.erased_utc} was not finished; {finish}"
    yield from _leftovers(use, progress)


def _leftovers(use: Use, progress: Progress | None) -> Iterator[str]:
    known, finish = use.catalogue.erasures, FINISH.format(use.path)
    for told in known.left():
        yield f"{use.catalogue.path}: {told} speak of erased contents; {finish}"
    for shelf in use.every_shelf():
        dead = len(shelf.dead())
        if dead:
            yield f"{shelf.folder}: holds {dead} rows of deleted vectors by {shelf.spec.name}; {finish}"
        if shelf.generation() is not None:
            status = inspect(shelf)
            if status.fault is None and status.dead:
                yield f"{use.path}: its index holds {status.dead} deleted vectors; run: imgmatch index build {use.path}"
    for found in _traces(use, progress):
        at = found.end - found.mark.length
        ours = found.path.name.startswith(CATALOGUE) or {SEGMENTS, INDEXES} & {*found.path.parts}
        what = finish if ours else "it is no part of the case: remove it"
        yield f"{found.path}: holds a {found.mark.kind} of erased content at byte {at}; {what}"


def _traces(use: Use, progress: Progress | None) -> Iterator[Found]:
    """Traces among the bytes of every file but the audit log's, but for what is known of other contents too."""
    known, salt = use.catalogue.erasures, use.catalogue.meta.all().get("case_id", "")
    files = [path for path in files_of(use.path) if path.name != AUDIT]
    told = iter(files)

    def counted() -> Iterator[Path]:
        for number, path in enumerate(told, start=1):
            if progress:
                progress("files", number, len(files))
            yield path

    alive = _LiveRows(use)
    met: dict[bytes, list[Found]] = defaultdict(list)
    for found in look(salt, known.traces(), counted(), partial(content, use.catalogue)):
        if found.mark.kind == "hash" and found.path.name.startswith(_OF_HASHES):  # which are kept there
            continue
        met[found.mark.digest].append(found)
    for each in met.values():
        first = each[0]
        if not known.is_live(first.mark.kind, first.data) and not any(map(alive, each)):
            yield first


def _traced(use: Use) -> dict[int, set[bytes]]:
    """Entries of the audit log that name a place of something erased, or have a note on it, by their numbers, and what
    of it stands there.
    """
    log = use.catalogue.called.parent / AUDIT
    opened = partial(content, use.catalogue)
    known, salt = use.catalogue.erasures, use.catalogue.meta.all().get("case_id", "")
    places = [mark for mark in known.traces() if mark.kind in ("place", "note")]
    traces = sorted(look(salt, places, [log], opened), key=lambda found: found.end) if places and log.exists() else []
    entries: dict[int, set[bytes]] = defaultdict(set)
    at, number, waiting = 0, 0, deque(traces)
    with opened(log) as file:
        for line in file:
            number, at = number + 1, at + len(line)
            while waiting and waiting[0].end <= at:
                entries[number].add(waiting.popleft().data)
    return entries


class _Named:
    """Does a text of an entry of the log name something that was erased? Where its subject is such a content by its
    hash, every text of the subject does.
    """

    def __init__(self, use: Use) -> None:
        self._traced = _traced(use)
        self._erasures = use.catalogue.erasures

    def __call__(self, entry: dict[str, Any], way: str, text: str) -> bool:
        traces = self._traced.get(entry["entry"], ())
        forms = (text.encode("utf-8", "surrogatepass"), json.dumps(text).encode("ascii"))
        return any(trace in form for trace in traces for form in forms) or (
            way.startswith("subject/") and any(map(self._erasures.keeps_out, _contents(entry)))
        )


def _contents(entry: dict[str, Any]) -> Iterator[str]:
    subject = entry.get("subject")
    for name, value in subject.items() if isinstance(subject, dict) else ():
        if name in _HASHES_OF_A_SUBJECT and isinstance(value, str) and len(value) == 64:
            yield value


class _LiveRows:
    """Is a trace of a vector a row of a segment that an item of the case owns: another content with equal pixels?"""

    def __init__(self, use: Use) -> None:
        self._rows = {shelf.folder / row.name: (shelf, row) for shelf in use.every_shelf() for row in shelf.segments()}
        self._use = use

    def __call__(self, found: Found) -> bool:
        if found.mark.kind != "vector" or found.path not in self._rows:
            return False
        _, row = self._rows[found.path]
        with content(self._use.catalogue, found.path) as file:
            size = file.seek(0, os.SEEK_END)
        width = 2 * row.dim
        place, rest = divmod(found.end - (size - row.rows * width), width)
        if rest or not 0 < place <= row.rows:
            return False
        return bool(self._use.catalogue.vectors.owners([int(ids_of(row)[place - 1])]))
