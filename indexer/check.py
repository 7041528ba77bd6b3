"""Is everything still as it was committed? Segments, weights, catalogue, audit log, and on request the sources."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from imgmatch.errors import EvidenceError, ModelError
from imgmatch.hashes import digest
from imgmatch.models import verify_model
from imgmatch.sources import DEFAULT_OPTIONS, Reopener, SourceOptions
from indexer import audit, remote, segments
from indexer.case import AUDIT, Case
from indexer.catalogue import SightingRow
from indexer.index.build import inspect


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault: ``part`` is segment, index, weights, catalogue, audit or source; ``message`` names file and fault."""

    part: str
    message: str


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
    for fault in audit.verify(case.path / AUDIT):
        yield Finding("audit", fault)
    for _, spec in case.catalogue.models():
        try:
            installed = verify_model(spec.name)
        except ModelError as error:
            yield Finding("weights", str(error))
            continue
        if installed.weights_sha256 != spec.weights_sha256:
            yield Finding("weights", f"{spec.name}: the weights installed here are not those that made this case")
    rows = case.catalogue.segments()
    for number, segment in enumerate(rows, start=1):
        segment_fault = segments.check(case.segments_folder, segment)
        if segment_fault is not None:
            yield Finding("segment", f"{segment_fault}; {case.held(segment)}")
        if progress:
            progress("segments", number, len(rows))
    for model_id, spec in case.catalogue.models():
        if case.catalogue.remote() is not None and case.catalogue.segments(model_id):
            yield from (Finding("index", fault) for fault in remote.faults(case, spec, model_id))
        if case.catalogue.generation(model_id) is not None:
            index_fault = inspect(case, spec).fault
            if index_fault is not None:
                yield Finding("index", index_fault)
    if sources:
        total = case.catalogue.counts()["sightings"]
        reopener = Reopener(options)
        for number, sighting in enumerate(case.catalogue.all_sightings(), start=1):
            source_fault = _compare(sighting, reopener)
            if source_fault is not None:
                yield Finding("source", f"{sighting.locator}: {source_fault}")
            if progress:
                progress("sources", number, total)


def _compare(sighting: SightingRow, reopener: Reopener) -> str | None:
    try:
        with reopener.reopen(sighting.locator).open() as stream:
            found, _ = digest(stream)
    except (EvidenceError, OSError) as error:
        return str(error).removeprefix(f"{sighting.locator}: ")
    return None if found.sha256 == sighting.sha256 else "its content has changed since it was ingested"
