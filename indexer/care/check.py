"""Is everything still as it was committed? Segments, weights, catalogue, audit log, and on request the sources."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from imgmatch.errors import EvidenceError, ModelError, SourceDiskError
from imgmatch.evidence import DEFAULT_OPTIONS, SourceOptions
from imgmatch.evidence.quiet import moved
from imgmatch.evidence.read import Finder, gone, hashed
from imgmatch.locator import Locator
from imgmatch.models import verify_model
from indexer.care.containers import image_faults
from indexer.care.erasure import left
from indexer.case.case import Case
from indexer.case.summary import summary_fault
from indexer.case.use import Use
from indexer.catalogue import SightingRow
from indexer.index.protocol import Progress
from indexer.index.remote import faults
from indexer.index.status import inspect


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault: ``part`` is segment, index, weights, catalogue, audit, erasure or source; ``message`` names file and
    fault.

    Of a source, ``kind`` is gone, changed or unreadable, and ``sha256`` what was found there when it was read.
    """

    part: str
    message: str
    kind: str = ""
    sha256: str | None = None

    @property
    def what(self) -> str:
        """Part and kind, for counting."""
        return f"{self.part} {self.kind}".rstrip()


def check(
    case: Case,
    *,
    sources: bool = False,
    options: SourceOptions = DEFAULT_OPTIONS,
    counts: Counter[str] | None = None,
    progress: Progress | None = None,
) -> Iterator[Finding]:
    """Yield every fault; nothing when all is well. With ``sources``, read every sighting's source again and compare;
    ``options`` hold passwords. ``counts`` gets how many places there are (``sightings``), how many could be read
    (``read``), in how many files (``files``), and how many bytes (``read_bytes``).

    ``progress`` is told the part, how many were checked and how many there are. Recorded before and after, but of a
    case that is read-only.
    """
    counts = Counter() if counts is None else counts
    counts["faults"] = 0
    with case.use("check", arguments={"sources": sources}, ends="checked", must_be_recorded=False) as use:
        parts = [_catalogue(case), _segments(case, progress), _indexes(case), _erasures(use, progress)]
        if sources:
            counts["sightings"] = case.catalogue.counts()["sightings"]
            parts.append(_sources(use, options, counts, progress))
        use.entry.counts = counts
        moved_before = moved.count
        for finding in chain.from_iterable(parts):
            counts["faults"] += 1
            counts[finding.what] += 1
            yield finding
        if sources:
            counts["access_times"] = moved.count - moved_before


def _catalogue(case: Case) -> Iterator[Finding]:
    for fault in case.catalogue.integrity():
        yield Finding("catalogue", f"{case.catalogue.path}: {fault}")
    for fault in case.log.verify().faults:
        yield Finding("audit", fault)
    if altered := summary_fault(case.place):
        yield Finding("catalogue", f"{altered}; it is written anew when the case is used next")
    for _, spec in case.catalogue.models.all():
        try:
            installed = verify_model(spec.name)
        except ModelError as error:
            yield Finding("weights", str(error))
            continue
        if installed.weights_sha256 != spec.weights_sha256:
            yield Finding("weights", f"{spec.name}: the weights installed here are not those that made this case")


def _erasures(use: Use, progress: Progress | None) -> Iterator[Finding]:
    """Whatever is left of contents that were erased: in tables, in rows of vectors, in the bytes of files."""
    for fault in left(use, progress):
        yield Finding("erasure", fault)


def _segments(case: Case, progress: Progress | None) -> Iterator[Finding]:
    rows = [(shelf, segment) for shelf in case.every_shelf() for segment in shelf.segments()]
    for number, (shelf, segment) in enumerate(rows, start=1):
        segment_fault = shelf.check(segment)
        if segment_fault is not None:
            yield Finding("segment", segment_fault)
        if progress:
            progress("segments", number, len(rows))


def _indexes(case: Case) -> Iterator[Finding]:
    remote = case.catalogue.indexes.remote()
    for shelf in case.shelves():
        if remote is not None and shelf.segments():
            yield from (Finding("index", fault) for fault in faults(shelf, remote))
        if shelf.generation() is not None:
            index_fault = inspect(shelf).fault
            if index_fault is not None:
                yield Finding("index", index_fault)


def _sources(use: Use, options: SourceOptions, counts: Counter[str], progress: Progress | None) -> Iterator[Finding]:
    total = use.catalogue.counts()["sightings"]
    finder = Finder(use.limits, options)
    images: dict[Locator, None] = {}
    files: set[str] = set()
    for number, sighting in enumerate(use.catalogue.sightings.all(), start=1):
        images.update(dict.fromkeys(_images(sighting.locator)))
        source_fault = _compare(sighting, finder)
        if source_fault is None or source_fault.kind == "changed":
            files.add(sighting.locator.outermost.at)
            counts["read"] += 1
            counts["read_bytes"] += sighting.size_bytes
            counts["files"] = len(files)
        if source_fault is not None:
            yield source_fault
        if progress:
            progress("sources", number, total)
    for image in images:
        yield from _whole(image, finder)


def _images(place: Locator) -> Iterator[Locator]:
    """The images, of a kind that stores a hash of all their bytes, that a place lies in."""
    while place.parent is not None:
        if place.kind == "ewf":
            yield place.parent
        place = place.parent


def _whole(image: Locator, finder: Finder) -> Iterator[Finding]:
    """All bytes of a disk image, also those that no sighting lies in, against the hashes that it stores of them."""
    try:
        wrong = image_faults(image, finder)
    except (EvidenceError, SourceDiskError) as error:
        wrong = [f"can't be read as a whole: {error}"]
    for fault in wrong[:1]:
        yield Finding("source", f"{image}: {fault}", "changed")


def _compare(sighting: SightingRow, finder: Finder) -> Finding | None:
    """Read a source once, a block at a time, and say how it differs from what was read there before."""
    try:
        found = hashed(finder.at(sighting.locator))
    except (EvidenceError, SourceDiskError) as error:
        why = str(error).removeprefix(f"{sighting.locator}: ")
        kind = "gone" if gone(sighting.locator, error) else "unreadable"
        return Finding("source", f"{sighting.locator}: {why}", kind, sighting.sha256)
    if found.sha256 == sighting.sha256:
        return None
    size = f", from {sighting.size_bytes:,} to {found.size_bytes:,} bytes"
    message = f"{sighting.locator}: its content has changed since it was ingested"
    return Finding(
        "source", message + (size if found.size_bytes != sighting.size_bytes else ""), "changed", sighting.sha256
    )
