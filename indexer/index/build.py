"""Building an index beside ingest and search: a new generation, one transaction, the old one removed."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

import imgmatch
from imgmatch.errors import CaseError
from imgmatch.types import ModelSpec
from indexer.case import segments
from indexer.case.case import Case
from indexer.case.lock import locked
from indexer.clock import now_utc
from indexer.index import kinds, manifest, policy
from indexer.index.layered import Base
from indexer.index.manifest import IndexFileError, Manifest
from indexer.index.open import INDEXES, folder, open_store
from indexer.index.protocol import Ids, Queries
from indexer.index.store import Store

_LOCK = "build.lock"
_FILE = "index.faiss"
_SEED = 20
_RECALL_QUERIES = 256
_DRAFT = "draft-"
_LOOK_EVERY_S = 30.0

Progress = Callable[[str, int, int], None]


class BuildStopped(Exception):  # noqa: N818 - not an error: somebody asked for it
    """A build was asked to stop; nothing has changed."""


@dataclass(frozen=True, slots=True)
class BuildConfig:
    """``kind``: None lets the policy choose. ``jobs``: threads (None: all)."""

    kind: str | None = None
    target_recall: float = policy.TARGET_RECALL
    jobs: int | None = None


def build(
    case: Case,
    spec: ModelSpec,
    config: BuildConfig | None = None,
    *,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> Manifest | None:
    """Build the index of one model's committed rows and put it to use; returns its manifest, or None where exact
    search needs none (an index that was in use before is dropped then).

    Runs beside a writer and any number of searches. Raises CaseError when another build runs, a segment is damaged or
    the disk is full, and BuildStopped when ``stop`` is set.
    """
    config = config or BuildConfig()
    report = progress or (lambda part, done, total: None)
    model_id = case.catalogue.models.id_of(spec)
    if model_id is None:
        raise CaseError(f"{case.path}: holds no vectors by {spec.name!r}; nothing to build")
    if case.catalogue.indexes.remote() is not None:
        _follow(case, progress)
        return None
    with _building(case):
        _remove_unnamed(case)
        store = open_store(case, spec, model_id)
        chosen = policy.plan(store.rows, spec.dim, config.kind)
        if chosen.kind == "exact":
            _switch(case, model_id, spec, None, "")
            return None
        with case.catalogue.transaction() as writer:
            number = writer.meta.next_number("generations")
        name = f"{spec.name}/{number:06d}"
        draft = folder(case, f"{spec.name}/{_DRAFT}{number:06d}")
        try:
            draft.mkdir(parents=True, mode=0o700)
            made = _make(store, spec, chosen, config, draft, report, stop)
            digest = manifest.write(draft, made)
            draft.rename(folder(case, name))
            segments.sync_folder(draft.parent)
        except BaseException as error:
            shutil.rmtree(draft, ignore_errors=True)
            if isinstance(error, OSError | RuntimeError) and not isinstance(error, CaseError):
                raise CaseError(f"{draft}: the index can't be built ({error}); check disk space and memory") from error
            raise
        _switch(case, model_id, spec, name, digest, made)
        return made


def build_if_due(
    case: Case,
    spec: ModelSpec,
    config: BuildConfig | None = None,
    *,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> Manifest | None:
    """Build when the policy says so, or when the index in use can't be read; None when nothing was built."""
    if case.catalogue.indexes.remote() is not None:
        _follow(case, progress)
        return None
    model_id = case.catalogue.models.id_of(spec)
    if model_id is None or case.catalogue.vectors.count(model_id) < policy.EXACT_BELOW:
        return None
    status = inspect(case, spec)
    if status.fault is None and not policy.due(status.live, status.covered, status.dead):
        return None
    try:
        return build(case, spec, config, progress=progress, stop=stop)
    except BuildStopped:
        return None


@contextmanager
def building_beside(
    case: Case,
    spec: ModelSpec,
    config: BuildConfig | None = None,
    *,
    stop: threading.Event | None = None,
    every_s: float = _LOOK_EVERY_S,
) -> Iterator[None]:
    """While the block runs (a long ingest), a thread looks now and then whether a build is due, and builds.

    A build that runs when the block ends is finished first, or left when ``stop`` is set. A build that fails is left
    to ``build_if_due`` afterwards, which says why.
    """
    over = threading.Event()

    def look() -> None:
        while not over.wait(every_s):
            try:
                build_if_due(case, spec, config, stop=stop)
            except CaseError:
                return

    thread = threading.Thread(target=look, name="index", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@dataclass(frozen=True, slots=True)
class Status:
    """What index a model has: ``covered`` of its ``live`` rows are in it, and ``dead`` ones; ``fault`` if it is bad."""

    generation: str | None
    manifest: Manifest | None
    live: int
    covered: int
    dead: int
    fault: str | None


def inspect(case: Case, spec: ModelSpec) -> Status:
    """Look at the index in use, without reading it into memory."""
    model_id = case.catalogue.models.id_of(spec)
    if model_id is None:
        raise CaseError(f"{case.path}: holds no vectors by {spec.name!r}")
    live = case.catalogue.vectors.count(model_id)
    generation = case.catalogue.indexes.generation(model_id)
    if generation is None:
        return Status(None, None, live, 0, 0, None)
    try:
        found = manifest.read(folder(case, generation.name), generation.manifest_sha256, spec)
        manifest.checked_file(folder(case, generation.name), found)
    except IndexFileError as fault:
        return Status(generation.name, None, live, 0, 0, str(fault))
    covered = sum(case.catalogue.vectors.count(model_id, first, last) for first, last in found.coverage)
    return Status(generation.name, found, live, covered, found.rows - covered, None)


def describe(case: Case, spec: ModelSpec) -> dict[str, Any]:
    """Everything there is to say about a model's index: what it is, why, what it reaches, and what the policy wants."""
    if case.catalogue.indexes.remote() is not None:
        from indexer.index import remote

        return remote.describe(case, spec)
    status = inspect(case, spec)
    wanted = policy.plan(status.live, spec.dim)
    record: dict[str, Any] = {
        "model": spec.name,
        "rows": status.live,
        "generation": status.generation,
        "fault": status.fault,
        "in_index": status.covered,
        "compared_one_by_one": status.live - status.covered,
        "deleted_in_index": status.dead,
        "build_due": status.fault is not None or policy.due(status.live, status.covered, status.dead),
        "by_size": f"{wanted.kind} ({wanted.reason})",
    }
    if status.manifest is not None:
        keys = (
            "kind", "factory", "reason", "nlist", "nprobe", "candidates", "target_recall", "recall", "recall_queries",
            "file_bytes", "file_sha256", "build_seconds", "made_by", "made_utc",
        )  # fmt: skip
        record |= {key: getattr(status.manifest, key) for key in keys}
    return record


@contextmanager
def _building(case: Case) -> Iterator[None]:
    try:
        with (case.path / _LOCK).open("ab") as file, locked(file, wait=False):
            yield
    except BlockingIOError as error:
        raise CaseError(f"{case.path}: another build of an index is running; wait until it is done") from error
    except PermissionError as error:
        raise CaseError(f"{case.path}: no right to write to this case; ask its owner") from error


def _make(
    store: Store,
    spec: ModelSpec,
    chosen: policy.Plan,
    config: BuildConfig,
    draft: Any,
    report: Progress,
    stop: threading.Event | None,
) -> Manifest:
    def added(count: int) -> None:
        report("index", count, store.rows)
        if stop is not None and stop.is_set():
            raise BuildStopped

    started = time.perf_counter()
    ids = store.ids()
    with kinds.threads(config.jobs):
        index = kinds.build(chosen, spec.dim, _sample(store, ids, chosen.train_rows), store.blocks(), added)
        found = Manifest(
            format=manifest.FORMAT,
            model=spec.name,
            weights_sha256=spec.weights_sha256,
            dim=spec.dim,
            kind=chosen.kind,
            factory=chosen.factory,
            nlist=chosen.nlist,
            nprobe=1,
            candidates=policy.CANDIDATES[0],
            rows=len(ids),
            # Ids are given in the order of commits: whatever comes later lies beyond the last.
            coverage=((int(ids[0]), int(ids[-1])),),
            target_recall=config.target_recall,
            recall=0.0,
            recall_queries=0,
            reason=chosen.reason,
            file=_FILE,
            file_bytes=0,
            file_sha256="",
            build_seconds=0.0,
            made_by=f"imgmatch {imgmatch.__version__}, {kinds.library()}",
            made_utc=now_utc(),
        )
        tuned = tune(Base(index, found), store, ids, config.target_recall)
    kinds.write(index, draft / _FILE)
    _force(draft / _FILE)
    fields = {name: getattr(found, name) for name in Manifest.__slots__}
    return Manifest(
        **{
            **fields,
            **tuned,
            "file_bytes": (draft / _FILE).stat().st_size,
            "file_sha256": segments.file_sha256(draft / _FILE),
            "build_seconds": round(time.perf_counter() - started, 2),
        }
    )


def tune(base: Base, store: Store, ids: Ids, target: float) -> dict[str, Any]:
    """Find the cheapest lists to visit and candidates to score that reach ``target`` recall at ten, on the case's own
    vectors against exact search; each vector searched for is left out of its own neighbours, which makes it harder
    than searching for a picture that is there. The most there is where nothing reaches it.
    """
    chosen = np.sort(np.random.default_rng(_SEED).choice(ids, min(_RECALL_QUERIES, len(ids)), replace=False))
    queries = store.gather(chosen)[0].astype(np.float32)
    k = min(10, len(ids) - 1)
    if k < 1:
        return {"recall": 1.0, "recall_queries": 0}
    _, near = store.nearest(queries, k + 1, ids)
    truth = [[i for i in row.tolist() if i != own][:k] for row, own in zip(near, chosen.tolist(), strict=True)]
    ivf = base.manifest.kind == "ivf"
    most = policy.CANDIDATES[-1]
    best: tuple[float, float, int, int] | None = None
    reached: tuple[float, float, int, int] | None = None
    for visit in [n for n in policy.NPROBES if n <= base.manifest.nlist] if ivf else policy.EF_SEARCH:
        found = kinds.nearest(base.index, base.manifest.kind, queries, most if ivf else 100, visit)
        for count in policy.CANDIDATES if ivf else (100,):
            hits = [
                len(set(true).intersection(row[:count].tolist())) / k for true, row in zip(truth, found, strict=True)
            ]
            recall = float(np.mean(hits))
            cost = policy.scan_cost(len(ids), base.manifest.nlist, visit, count) if ivf else float(visit)
            if best is None or recall > best[0]:
                best = (recall, cost, visit, count)
            if recall >= target and (reached is None or cost < reached[1]):
                reached = (recall, cost, visit, count)
    assert best is not None
    recall, _, visit, count = reached or best
    return {"nprobe": visit, "candidates": count, "recall": round(recall, 4), "recall_queries": len(queries)}


def drop_generations(case: Case) -> None:
    """Do without index files; every row is compared where nothing else serves."""
    with _building(case):
        for model_id, spec in case.catalogue.models.all():
            if case.catalogue.indexes.generation(model_id) is not None:
                _switch(case, model_id, spec, None, "")


def _follow(case: Case, progress: Progress | None) -> None:
    """Where a server keeps the index, it builds it; what it needs is the rows."""
    from indexer.index.remote import follow

    follow(case, progress=progress)


def _sample(store: Store, ids: Ids, rows: int) -> Queries:
    """Random rows of all segments, float32."""
    chosen = np.sort(np.random.default_rng(_SEED).choice(ids, max(1, rows), replace=False)) if len(ids) else ids
    return store.gather(chosen)[0].astype(np.float32)


def _switch(
    case: Case, model_id: int, spec: ModelSpec, name: str | None, digest: str, made: Manifest | None = None
) -> None:
    with case.changing() as (writer, record):
        writer.indexes.set_generation(model_id, name, digest, now_utc())
        record(
            "index",
            {"factory": made.factory if made else "exact"},
            subject={"generation": name, "manifest_sha256": digest or None},
            model=spec,
            counts={"rows": made.rows if made else 0},
        )
    _remove_unnamed(case)


def _remove_unnamed(case: Case) -> None:
    """Remove generations that are not in use: old ones, and drafts of a killed build. Only under the build lock."""
    named = case.catalogue.indexes.names()
    for path in (case.path / INDEXES).glob("*/*"):
        if path.relative_to(case.path / INDEXES).as_posix() not in named:
            # A file that another process still holds open can't be removed everywhere: the next build does.
            shutil.rmtree(path, ignore_errors=True)


def _force(path: Any) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
