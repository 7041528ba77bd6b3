"""Evidence into a case: walk, hash, decode, embed, commit. One readable page; each stage is called here, in order."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from imgmatch.errors import MachineError
from imgmatch.evidence.quiet import moved
from imgmatch.models.base import Embedder, FaceEmbedder
from imgmatch.types import Evidence, Issue
from imgmatch.workers.decode import ReadPicture, read_picture
from imgmatch.workers.pictures import PicturePool
from indexer.case.case import Case
from indexer.case.compact import join_small
from indexer.case.faces import require_same_model
from indexer.case.run import Run
from indexer.intake.commits import Commits
from indexer.intake.config import IngestConfig, IngestReport
from indexer.intake.containers import note_containers
from indexer.intake.embedding import embed, grouped, in_order, unique, until_a_fault
from indexer.intake.finding import Entry, entries
from indexer.intake.known import KnownFiles, match_pdq
from indexer.intake.labels import apply_labels, read_labels
from indexer.intake.manifests import manifest_files, read_manifest
from indexer.intake.reading import Reading

# Pictures that go through the network together. More gains nothing on a CPU and costs memory.
EMBED_BATCH = 16
# Between two looks whether somebody else still writes to the case.
_LOOK_S = 0.5

Paths = Sequence[str | os.PathLike[str]]
Progress = Callable[[IngestReport], None]


def ingest(
    case: Case,
    paths: Paths,
    embedder: Embedder,
    config: IngestConfig | None = None,
    *,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
    tell_issue: Callable[[Issue], None] | None = None,
    faces: FaceEmbedder | None = None,
) -> IngestReport:
    """Bring every file under ``paths`` into the case, in the same order every time.

    Each file ends as a new item, a further sighting of a known one, or a recorded issue; sources are only read.
    Setting ``stop`` finishes what is in flight, commits it and returns with ``interrupted``; a later run goes on from
    there. ``faces`` finds the faces of what is new, where the gate of the case is open. ``progress`` is called first,
    after each commit and each batch, ``tell_issue`` with each issue. What a disk did not give is ``unread`` in the
    report and in the log, and nowhere else. Raises CaseError when the case can't be written, and MachineError when this
    machine fails: what was committed stands, and a later run goes on from there.
    """
    config = config or IngestConfig()
    config.check()
    stop = stop or threading.Event()
    report = IngestReport(only_pictures=config.only_pictures)
    tell = (lambda: progress(report)) if progress else (lambda: None)
    moved_before = moved.count
    arguments = config.record(paths)
    subject = {"paths": arguments["paths"]}
    if faces is not None:
        require_same_model(case, faces)
        arguments["faces"], report.faces = faces.spec.name, 0
    with case.writing(waiting=(lambda: not stop.wait(_LOOK_S)) if config.wait else None):
        shelf = case.add_shelf(embedder.spec)
        with case.run("ingest", embedder.runtime, arguments=arguments, subject=subject, model=embedder.spec) as run:
            known = KnownFiles(run)
            commits = Commits(case, run, shelf, known, report, config, tell_issue or (lambda issue: None))
            tell()
            try:
                named = paths if paths or config.manifest is None else manifest_files(config.manifest)
                images: list[Evidence] = []
                found = entries(run, named, known, shelf, config, report, stop, images)
                with _decoder(config) as decoder:
                    _take_in(found, Reading(run, known, shelf, config, decoder, faces), embedder, commits, tell)
                note_containers(run, images, config.sources)
                for alert in match_pdq(run):
                    report.alert([alert])
                if not stop.is_set():
                    _label(run, paths, config, report)
                report.interrupted = stop.is_set()
                if report.interrupted:
                    run.stopped = getattr(stop, "why", "") or "who called it"
                report.issue_kinds = run.catalogue.issues.kinds(run.run_id)
                report.unsupported = run.catalogue.issues.unsupported(run.run_id)
                join_small(case)
            finally:
                report.access_times = moved.count - moved_before
                run.entry.counts = report.counts()
                if report.unread_at:
                    run.entry.details = {**run.entry.details, "unread": report.unread_at}
    if progress:
        progress(report)
    return report


def _take_in(
    found: Iterator[Entry], reading: Reading, embedder: Embedder, commits: Commits, tell: Callable[[], None]
) -> None:
    """Entries to outcomes, and those into the case. Two pools, so that reading and decoding go on while pictures are
    embedded; both are fed in walk order and hand back in walk order, and hold a bounded number of pictures, however
    many files there are. Where this machine fails, what came before is committed first.
    """
    faults: list[MachineError] = []
    jobs = reading.config.threads
    batch = 1 if reading.config.beyond else EMBED_BATCH  # a picture with its regions is a batch, and large
    with ThreadPoolExecutor(jobs, "read") as readers, ThreadPoolExecutor(jobs, "embed") as embedders:
        read = in_order(readers, reading, until_a_fault(found, faults), 2 * batch * jobs)
        groups = grouped(unique(until_a_fault(read, faults)), batch)
        for group in in_order(embedders, lambda group: embed(group, embedder), groups, jobs + 1):
            for outcome in group:
                commits.add(outcome)
            tell()
    commits.flush()
    if faults:
        raise faults[0]


def _label(run: Run, paths: Paths, config: IngestConfig, report: IngestReport) -> None:
    """Set what the tables say."""
    for table, read, stage in ((config.labels, read_labels, "labels"), (config.manifest, read_manifest, "manifest")):
        if table is not None:
            done = apply_labels(run, table, read(table), paths, stage)
            report.labelled += done.set
            report.unused_rows += done.unused
            report.tables_told += [f"{table}: {told}" for told in done.told]


@contextmanager
def _decoder(config: IngestConfig) -> Iterator[ReadPicture]:
    """What decodes: workers that end with the run, or this process."""
    if not config.isolation:
        yield read_picture
        return
    with PicturePool(config.threads, config.worker_limits) as pool:
        yield pool.read_picture
