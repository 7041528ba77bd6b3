"""Is everything still as it was committed? Segments, weights, catalogue, audit log, and on request the sources."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from imgmatch.errors import EvidenceError, ModelError
from imgmatch.evidence import DEFAULT_OPTIONS, Reopener, SourceOptions
from imgmatch.locator import Locator
from imgmatch.models import verify_model
from imgmatch.picture.hashes import digest
from indexer.case.case import Case
from indexer.catalogue import SightingRow
from indexer.index.remote import faults
from indexer.index.status import inspect


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault: ``part`` is segment, index, weights, catalogue, audit or source; ``message`` names file and fault.

    Of a source, ``kind`` is gone, changed or unreadable, and ``sha256`` what was found there when it was read.
    """

    part: str
    message: str
    kind: str = ""
    sha256: str | None = None


def check(
    case: Case,
    *,
    sources: bool = False,
    options: SourceOptions = DEFAULT_OPTIONS,
    progress: Callable[[str, int, int], None] | None = None,
) -> Iterator[Finding]:
    """Yield every fault; nothing when all is well. With ``sources``, read every sighting's source again and compare;
    ``options`` hold passwords.

    ``progress`` is told the part, how many were checked and how many there are.
    """
    for fault in case.catalogue.integrity():
        yield Finding("catalogue", f"{case.catalogue.path}: {fault}")
    for fault in case.log.verify().faults:
        yield Finding("audit", fault)
    for _, spec in case.catalogue.models.all():
        try:
            installed = verify_model(spec.name)
        except ModelError as error:
            yield Finding("weights", str(error))
            continue
        if installed.weights_sha256 != spec.weights_sha256:
            yield Finding("weights", f"{spec.name}: the weights installed here are not those that made this case")
    rows = [(shelf, segment) for shelf in case.shelves() for segment in shelf.segments()]
    for number, (shelf, segment) in enumerate(rows, start=1):
        segment_fault = shelf.check(segment)
        if segment_fault is not None:
            yield Finding("segment", segment_fault)
        if progress:
            progress("segments", number, len(rows))
    remote = case.catalogue.indexes.remote()
    for shelf in case.shelves():
        if remote is not None and shelf.segments():
            yield from (Finding("index", fault) for fault in faults(shelf, remote))
        if shelf.generation() is not None:
            index_fault = inspect(shelf).fault
            if index_fault is not None:
                yield Finding("index", index_fault)
    if sources:
        total = case.catalogue.counts()["sightings"]
        reopener = Reopener(options)
        for number, sighting in enumerate(case.catalogue.sightings.all(), start=1):
            source_fault = _compare(sighting, reopener)
            if source_fault is not None:
                yield source_fault
            if progress:
                progress("sources", number, total)


def _compare(sighting: SightingRow, reopener: Reopener) -> Finding | None:
    """Read a source once, a block at a time, and say how it differs from what was read there before."""
    try:
        with reopener.reopen(sighting.locator).open() as stream:
            found, _ = digest(stream)
    except (EvidenceError, OSError) as error:
        why = str(error).removeprefix(f"{sighting.locator}: ")
        kind = "gone" if _gone(sighting.locator, error) else "unreadable"
        return Finding("source", f"{sighting.locator}: {why}", kind, sighting.sha256)
    if found.sha256 == sighting.sha256:
        return None
    size = f", from {sighting.size_bytes:,} to {found.size_bytes:,} bytes"
    message = f"{sighting.locator}: its content has changed since it was ingested"
    return Finding(
        "source", message + (size if found.size_bytes != sighting.size_bytes else ""), "changed", sighting.sha256
    )


def _gone(place: Locator, error: Exception) -> bool:
    """Is there nothing at this place any more, nor what it lay in?"""
    if isinstance(error, FileNotFoundError) or getattr(error, "kind", "") == "gone":
        return True
    while place.parent is not None:
        place = place.parent
    return not os.path.lexists(place.at)
