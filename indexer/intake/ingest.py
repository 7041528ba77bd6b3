"""Evidence into a case: walk, hash, decode, embed, commit. One readable page; each stage is called here, in order."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import cast

from imgmatch.errors import MachineError
from imgmatch.evidence import walk
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
from indexer.intake.embedding import EMBED_BATCH, embed, grouped, in_order, unique, until_a_fault
from indexer.intake.finding import Entry, entries
from indexer.intake.known import KnownFiles, match_pdq
from indexer.intake.labels import apply_labels, read_labels
from indexer.intake.manifests import manifest_files, read_manifest
from indexer.intake.outcomes import Outcome
from indexer.intake.reading import Decoding, Reading
from indexer.intake.said import Said

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
                images = _take_in(_Asked(Said(run, known, shelf, config), embedder, faces, stop), named, commits, tell)
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
                report.access_times += moved.count - moved_before
                run.entry.counts = report.counts()
                if report.unread_at:
                    run.entry.details = {**run.entry.details, "unread": report.unread_at}
    if progress:
        progress(report)
    return report


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the middle stages of an ingest need."""

    said: Said
    embedder: Embedder
    faces: FaceEmbedder | None
    stop: threading.Event


def _take_in(
    asked: _Asked, paths: Iterable[str | os.PathLike[str]], commits: Commits, tell: Callable[[], None]
) -> Iterable[Evidence]:
    """Files to outcomes, here or by workers elsewhere, and those into the case in walk order; gives the images of disks
    that were met. Where this machine fails, what came before is committed first.
    """
    faults: list[MachineError] = []
    images: list[Evidence] = []
    config = asked.said.config
    if config.cluster is None:
        found = entries(asked.said, paths, commits.report, asked.stop, partial(walk, image=images.append))
        with _decoder(config) as decoder:
            decoding = Decoding(asked.said.shelf.spec.input_px, config, decoder, asked.faces)
            for group in _here(found, Reading(asked.said, decoding), asked.embedder, faults):
                commits.add_all(group)
                tell()
    else:
        from indexer.intake.cluster.spread import reopened, spread

        named = list(paths)
        with spread(asked.said, named, asked.embedder, asked.faces, asked.stop) as elsewhere:
            walk_there = partial(elsewhere.walk, image=images.append)
            found = entries(asked.said, named, commits.report, asked.stop, walk_there)
            settled = unique(until_a_fault(elsewhere.settled(found), faults))
            for part in grouped(settled, EMBED_BATCH):
                commits.add_all(cast("list[Outcome]", part))
                tell()
            commits.report.access_times += elsewhere.moved
    commits.flush()
    if faults:
        raise faults[0]
    return images if config.cluster is None else reopened(images, config.sources)


def _here(
    found: Iterator[Entry], reading: Reading, embedder: Embedder, faults: list[MachineError]
) -> Iterator[list[Outcome]]:
    """Entries to outcomes on this machine. Two pools, so that reading and decoding go on while pictures are embedded;
    both are fed in walk order and hand back in walk order, and hold a bounded number of pictures, however many files
    there are.
    """
    jobs = reading.said.config.threads
    batch = 1 if reading.said.config.beyond else EMBED_BATCH  # a picture with its regions is a batch, and large
    with ThreadPoolExecutor(jobs, "read") as readers, ThreadPoolExecutor(jobs, "embed") as embedders:
        read = in_order(readers, reading, until_a_fault(found, faults), 2 * batch * jobs)
        groups = grouped(unique(until_a_fault(read, faults)), batch)
        yield from in_order(embedders, lambda group: embed(group, embedder), groups, jobs + 1)


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
