"""Evidence into a case: walk, hash, decode, embed, commit. One readable page; each stage is called here, in order."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

import imgmatch
from imgmatch.cores import usable_cores
from imgmatch.errors import EvidenceError, UsageError
from imgmatch.evidence import DEFAULT_OPTIONS, SourceOptions, walk
from imgmatch.evidence.limits import AllLimits
from imgmatch.evidence.read import read
from imgmatch.limits import DEFAULT_WORKER_LIMITS, WorkerLimits
from imgmatch.locator import readable
from imgmatch.match.regions import FAST, PROFILES, THOROUGH, read_regions
from imgmatch.models.base import Embedder
from imgmatch.picture.facts import Facts
from imgmatch.picture.image import DEFAULT_LIMITS, Limits
from imgmatch.picture.pdq import has_pdq
from imgmatch.types import Digests, Embedding, Evidence, Image, Issue
from imgmatch.workers.decode import ReadPicture, Request, read_picture
from imgmatch.workers.pictures import PicturePool
from indexer.case.case import Case
from indexer.case.compact import join_small
from indexer.case.run import Batch, NewItem
from indexer.case.use import Use
from indexer.index.remote import follow_commit
from indexer.index.shelf import Shelf
from indexer.intake.known import Alert, Container, KnownFiles, match_pdq
from indexer.intake.labels import apply_labels, read_labels
from indexer.intake.manifests import manifest_files, read_manifest

if TYPE_CHECKING:
    from imgmatch.types import Pixels, Vector
    from indexer.catalogue import ListHit

# Pictures that go through the network together. More gains nothing on a CPU and costs memory.
EMBED_BATCH = 16
# Commits between two joinings of their segments: 128 of 512 items fill one.
_JOIN_EVERY = 128
ALERTS_NAMED = 100


@dataclass(frozen=True, slots=True)
class IngestConfig:
    """How to ingest. ``jobs`` is the number of threads (default: the cores this process may use).

    ``commit_items`` new items make a commit: what a kill can cost. ``reread`` reads files again that have the same
    place, size and times as when they were last read. ``profile`` is one of PROFILES in imgmatch.match.regions:
    ``thorough`` adds the vectors of regions, also to items that were read ``fast``. ``isolation``: decode in confined
    worker processes, within ``worker_limits``; without it in this process, where a decoder's fault is the run's.
    ``manifest`` says where pictures come from (indexer.intake.manifests); without any path its files are ingested.
    """

    jobs: int | None = None
    commit_items: int = 512
    reread: bool = False
    labels: Path | None = None
    manifest: Path | None = None
    limits: Limits = DEFAULT_LIMITS
    sources: SourceOptions = DEFAULT_OPTIONS
    profile: str = FAST
    isolation: bool = True
    worker_limits: WorkerLimits = DEFAULT_WORKER_LIMITS

    @property
    def beyond(self) -> str | None:
        """The profile, where it adds to the whole picture's vector."""
        return None if self.profile == FAST else self.profile


@dataclass(slots=True)
class IngestReport:
    """What a run did. Every file met counts in ``files`` and in one of new, known, ignored, unchanged and unusable.

    ``deepened`` of the known are items that got vectors of regions now. ``ignored`` are left out by a hash list;
    ``alerts`` counts the files that alert lists name (by PDQ: the items), ``alerted`` says which, the first hundred.
    """

    files: int = 0
    new_items: int = 0
    known: int = 0
    unchanged: int = 0
    unusable: int = 0
    ignored: int = 0
    partial: int = 0
    new_sightings: int = 0
    new_issues: int = 0
    labelled: int = 0
    deepened: int = 0
    alerts: int = 0
    read_bytes: int = 0
    interrupted: bool = False
    alerted: list[Alert] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """The whole numbers of it."""
        return {name: int(value) for name, value in dataclasses.asdict(self).items() if isinstance(value, int)}


@dataclass(slots=True)
class _Read:
    """A file after reading: an issue, known content, or a picture prepared for the network."""

    evidence: Evidence | None = None
    digests: Digests | None = None
    issue: Issue | None = None
    image: Image | None = None
    prepared: Pixels | None = None
    vector: Vector | None = None
    larger: Image | None = None
    regions: tuple[Embedding, ...] | None = None
    whole_known: bool = False
    ignored: bool = False
    container: Container | None = None
    facts: Facts | None = None
    found_at: list[Evidence] = field(default_factory=list)


def ingest(
    case: Case,
    paths: Sequence[str | os.PathLike[str]],
    embedder: Embedder,
    config: IngestConfig | None = None,
    *,
    progress: Callable[[IngestReport], None] | None = None,
    stop: threading.Event | None = None,
) -> IngestReport:
    """Bring every file under ``paths`` into the case, in the same order every time.

    Each file ends as a new item, a further sighting of a known one, or a recorded issue; sources are only read. Setting
    ``stop`` finishes what is in flight, commits it and returns with ``interrupted``; a later run goes on from there.
    ``progress`` is called after each commit and each batch. Raises CaseError when the case can't be written.
    """
    config = config or IngestConfig()
    if config.profile not in PROFILES:
        raise UsageError(f"no profile {config.profile!r}; there are: {', '.join(PROFILES)}")
    # A table of another layout is named now, not after hours of work.
    if config.labels is not None:
        next(read_labels(config.labels), None)
    if config.manifest is not None:
        next(read_manifest(config.manifest), None)
    stop = stop or threading.Event()
    report = IngestReport()
    jobs = config.jobs or usable_cores()
    arguments = {
        "paths": [readable(os.fsdecode(path)) for path in paths],
        "reread": config.reread,
        "jobs": jobs,
        "profile": config.profile,
        "isolation": config.isolation,
    }
    changed = AllLimits(config.limits, config.worker_limits, config.sources.limits).changed()
    arguments |= config.sources.record() | {
        "labels": None if config.labels is None else readable(os.fsdecode(config.labels))
    }
    arguments |= {"limits": changed} if changed else {}
    if config.manifest is not None:
        arguments["manifest"] = readable(os.fsdecode(config.manifest))
    with case.writing(), ExitStack() as stack:
        shelf = case.add_shelf(embedder.spec)
        subject = {"paths": arguments["paths"]}
        recorded = case.run("ingest", embedder.runtime, arguments=arguments, subject=subject, model=embedder.spec)
        run = stack.enter_context(recorded)
        known = KnownFiles(run)
        following = True
        commits = 0

        def commit(batch: Batch) -> None:
            nonlocal commits, following
            new = run.commit(batch, shelf)
            commits += 1
            if commits % _JOIN_EVERY == 0:
                join_small(case)
            report.new_items += new["items"]
            report.new_sightings += new["sightings"]
            report.new_issues += new["issues"]
            following = following and follow_commit(case.shelves())

        def record_issues(issues: list[Issue]) -> None:
            commit(Batch(issues=[(issue, None, None) for issue in issues]))

        try:
            named = paths if paths or config.manifest is None else manifest_files(config.manifest)
            found = _files(run, named, known, shelf, config, report, stop)
            # Two pools, so that reading and decoding go on while pictures are embedded; both are fed in walk order and
            # hand back in walk order, and hold a bounded number of pictures, however many files there are.
            with (
                _decoder(config, jobs) as decoder,
                ThreadPoolExecutor(jobs, "read") as readers,
                ThreadPoolExecutor(jobs, "embed") as embedders,
            ):
                prepared = _in_order(
                    readers,
                    lambda item: _read(item, run, known, shelf, config, decoder),
                    found,
                    2 * EMBED_BATCH * jobs,
                )
                embedded = _in_order(
                    embedders, lambda group: _embed(group, embedder), _grouped(_unique(prepared), EMBED_BATCH), jobs + 1
                )
                batch = Batch()
                for group in embedded:
                    for read in group:
                        _settle(read, batch, report, known)
                        if len(batch.items) >= config.commit_items or len(batch) >= 8 * config.commit_items:
                            commit(batch)
                            batch = Batch()
                    if progress:
                        progress(report)
                if len(batch):
                    commit(batch)
            for alert in match_pdq(run):
                report.alerts += 1
                report.alerted += [alert] if len(report.alerted) < ALERTS_NAMED else []
            if not stop.is_set():
                if config.labels is not None:
                    rows = read_labels(config.labels)
                    report.labelled += apply_labels(run, config.labels, rows, paths, record_issues, "labels")
                if config.manifest is not None:
                    told = read_manifest(config.manifest)
                    report.labelled += apply_labels(run, config.manifest, told, paths, record_issues, "manifest")
            report.interrupted = stop.is_set()
            join_small(case)
        finally:
            run.entry.counts = report.counts()
    if progress:
        progress(report)
    return report


def _files(
    use: Use,
    paths: Iterable[str | os.PathLike[str]],
    known: KnownFiles,
    shelf: Shelf,
    config: IngestConfig,
    report: IngestReport,
    stop: threading.Event,
) -> Iterator[Evidence | Issue | Container]:
    """Walk all paths; leave out what this case has read before and what has not changed since. Containers that hash
    lists name come before what is in them, or without it.
    """
    named: list[Container] = []

    def pass_over(found: Evidence, is_picture: bool) -> bool:
        # A picture is compared, and its hits are recorded, when it is read itself.
        if not is_picture and not config.reread and use.catalogue.listed.is_ignored(found):
            report.files += 1
            report.unchanged += 1
            return True
        container = known.of_container(found)
        if container is None:
            return False
        if is_picture:
            return container.ignored and not shelf.holds(container.digests.sha256)
        named.append(container)
        return container.ignored

    def told() -> Iterator[Container]:
        while named:
            report.files += named[0].ignored  # else what is in it is counted
            yield named.pop(0)

    for path in paths:
        for found in walk(path, leave_out=use.path, options=config.sources, pass_over=pass_over):
            if stop.is_set():
                return
            yield from told()
            report.files += 1
            if isinstance(found, Evidence) and not config.reread:
                before = shelf.unchanged(found, imgmatch.__version__, config.beyond)
                if before is not None:
                    report.unchanged += 1
                    continue
            yield found
        yield from told()


@contextmanager
def _decoder(config: IngestConfig, jobs: int) -> Iterator[ReadPicture]:
    """What decodes: workers that end with the run, or this process."""
    if not config.isolation:
        yield read_picture
        return
    with PicturePool(jobs, config.worker_limits) as pool:
        yield pool.read_picture


def _read(
    found: Evidence | Issue | Container,
    use: Use,
    known: KnownFiles,
    shelf: Shelf,
    config: IngestConfig,
    decoder: ReadPicture,
) -> _Read:
    """Read and hash a file once; decode it unless its content is known, or to be ignored. Runs in a reader thread."""
    if isinstance(found, Issue):
        return _Read(issue=found)
    if isinstance(found, Container):
        return _Read(container=found)
    try:
        content = read(found, config.limits)
    except EvidenceError as error:
        return _Read(found, issue=Issue.of(found.locator, error))
    digests = content.digests
    if shelf.holds(digests.sha256, config.beyond):
        return _Read(found, digests, facts=_facts_lacking(digests, content.data, use, config, decoder))
    if known.ignores(digests):
        return _Read(found, digests, ignored=True)
    whole_known = config.beyond is not None and shelf.holds(digests.sha256)
    try:
        sides = (2 * shelf.spec.input_px,) if config.beyond else ()
        request = Request(shelf.spec.input_px, sides, metadata=True, pdq=True, limits=config.limits)
        done = decoder(content.whole, request)
    except EvidenceError as error:
        return _Read(found, digests, Issue.of(found.locator, error))
    return _Read(
        found,
        digests,
        image=done.image,
        prepared=done.prepared,
        larger=done.pictures[0] if done.pictures else None,
        whole_known=whole_known,
        facts=done.facts,
    )


def _facts_lacking(
    digests: Digests, data: bytes | None, use: Use, config: IngestConfig, decoder: ReadPicture
) -> Facts | None:
    """Facts of a known item that was read before they were kept: made up for when files are read again."""
    if not config.reread or data is None or not use.catalogue.facts.lacking(digests.sha256, has_pdq()):
        return None
    try:
        sides = (use.default_model.input_px,)
        return decoder(data, Request(sides_px=sides, metadata=True, pdq=True, limits=config.limits)).facts
    except EvidenceError:
        return None


def _unique(reads: Iterable[_Read]) -> Iterator[_Read]:
    """Content met twice before its first commit is embedded once; the second is a further sighting."""
    recent: dict[str, None] = {}
    for one in reads:
        if one.digests is not None and one.prepared is not None:
            if one.digests.sha256 in recent:
                one.prepared = one.image = one.larger = None
            else:
                recent[one.digests.sha256] = None
                if len(recent) > 65_536:  # long committed by then: _read finds those in the catalogue
                    del recent[next(iter(recent))]
        yield one


def _embed(group: list[_Read], embedder: Embedder) -> list[_Read]:
    """Embed the new pictures of a group. Runs in an embedder thread."""
    new = [read for read in group if read.prepared is not None]
    if new:
        vectors = embedder.embed(np.stack([read.prepared for read in new if read.prepared is not None]))
        for read, vector in zip(new, vectors, strict=True):
            read.vector = vector
            read.prepared = None
            if read.larger is not None:
                read.regions = read_regions(read.larger, embedder)
                read.larger = None
    return group


def _settle(read: _Read, batch: Batch, report: IngestReport, known: KnownFiles) -> None:
    """Put a file where it belongs in the next commit, and count it."""
    if read.container is not None:
        _settle_container(read.container, batch, report)
        return
    if read.digests is not None:
        report.read_bytes += read.digests.size_bytes
        _note_lists(read, batch, report, known)
        if read.facts is not None:
            batch.facts.append((read.digests.sha256, read.facts))
    if read.ignored:
        report.ignored += 1
    elif read.issue is not None:
        report.unusable += 1
        batch.issues.append((read.issue, read.digests.sha256 if read.digests else None, read.evidence))
    elif read.vector is not None and read.image is not None:
        assert read.evidence is not None
        assert read.digests is not None
        profile = None if read.regions is None else THOROUGH
        vector = None if read.whole_known else read.vector
        report.partial += read.image.partial is not None and not read.whole_known
        report.known += read.whole_known
        report.deepened += read.whole_known
        batch.items.append(NewItem(read.digests, read.image, vector, [read.evidence], read.regions or (), profile))
    else:
        assert read.evidence is not None
        assert read.digests is not None
        report.known += 1
        batch.seen.append((read.digests.sha256, read.evidence))


def _note_lists(read: _Read, batch: Batch, report: IngestReport, known: KnownFiles) -> None:
    """Count what alert lists name; of what becomes no item, record which lists name it (of items they always tell)."""
    assert read.evidence is not None
    assert read.digests is not None
    hits = known.of(read.digests)
    _tell_alerts(read.evidence, hits, report)
    if hits and (read.ignored or read.issue is not None):
        batch.listed.append((read.digests, read.evidence, hits, read.ignored))


def _settle_container(found: Container, batch: Batch, report: IngestReport) -> None:
    """Record which lists name a container, and count it where it is left out; else what is in it is counted."""
    _tell_alerts(found.evidence, found.new, report)
    batch.listed.append((found.digests, found.evidence, found.hits, found.ignored))
    if found.ignored:
        report.ignored += 1
        report.read_bytes += found.digests.size_bytes


def _tell_alerts(evidence: Evidence, hits: Iterable[ListHit], report: IngestReport) -> None:
    alerts = [hit for hit in hits if hit.kind == "alert"]
    report.alerts += bool(alerts)
    if len(report.alerted) < ALERTS_NAMED:
        report.alerted += [Alert(evidence.locator, hit.name, hit.category) for hit in alerts]


_In = TypeVar("_In")
_Out = TypeVar("_Out")


def _in_order(
    pool: ThreadPoolExecutor, work: Callable[[_In], _Out], inputs: Iterable[_In], in_flight: int
) -> Iterator[_Out]:
    """Like ``pool.map``, but takes inputs only as results are used: at most ``in_flight`` at a time."""
    waiting: deque[Future[_Out]] = deque()
    try:
        for item in inputs:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= in_flight:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def _grouped(reads: Iterable[_Read], size: int) -> Iterator[list[_Read]]:
    """Groups that hold ``size`` new pictures each, known files and issues along with them in their place."""
    group: list[_Read] = []
    new = 0
    for one in reads:
        group.append(one)
        new += one.prepared is not None
        if new >= size or len(group) >= 16 * size:
            yield group
            group, new = [], 0
    if group:
        yield group
