"""Making the files of a new index beside ingest and search; whoever asked for them puts them to use."""

from __future__ import annotations

import dataclasses
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import imgmatch
from imgmatch.errors import CaseError
from indexer.catalogue.clock import now_utc
from indexer.index import kinds, manifest, policy
from indexer.index.disk import file_sha256, locked, sync_file, sync_folder
from indexer.index.layered import Base
from indexer.index.manifest import Manifest
from indexer.index.protocol import Ids, Progress, Queries
from indexer.index.shelf import INDEXES, Shelf
from indexer.index.store import Store
from indexer.index.tune import tune

_LOCK = "build.lock"
_FILE = "index.faiss"
_SEED = 20
_DRAFT = "draft-"


class BuildStopped(Exception):  # noqa: N818 - not an error: somebody asked for it
    """A build was asked to stop; nothing has changed."""


@dataclass(frozen=True, slots=True)
class BuildConfig:
    """``kind``: None lets the policy choose. ``jobs``: threads (None: all)."""

    kind: str | None = None
    target_recall: float = policy.TARGET_RECALL
    jobs: int | None = None


@dataclass(frozen=True, slots=True)
class Built:
    """A generation whose files are on disk: its folder below ``indexes/`` and its manifest."""

    name: str
    manifest: Manifest
    manifest_sha256: str


@contextmanager
def building(path: Path) -> Iterator[None]:
    """Hold the only builder's place of a case in this folder. Raises CaseError when it is taken."""
    try:
        with (path / _LOCK).open("ab") as file, locked(file, wait=False):
            yield
    except BlockingIOError as error:
        raise CaseError(f"{path}: another build of an index is running; wait until it is done") from error
    except PermissionError as error:
        raise CaseError(f"{path}: no right to write to this case; ask its owner") from error


def remove_unnamed(shelf: Shelf) -> None:
    """Remove generations that are not in use: old ones, and drafts of a killed build. Only by the only builder."""
    named = shelf._catalogue.indexes.names()
    for folder in shelf.indexes.glob("*/*"):
        if folder.relative_to(shelf.indexes).as_posix() not in named:
            # A file that another process still holds open can't be removed everywhere: the next build does.
            shutil.rmtree(folder, ignore_errors=True)


def make(shelf: Shelf, config: BuildConfig, progress: Progress | None, stop: threading.Event | None) -> Built | None:
    """Make an index of a shelf's committed rows, by the only builder; None where exact search needs none.

    Raises CaseError when a segment is damaged or the disk is full, and BuildStopped when ``stop`` is set.
    """
    store = shelf.store()
    chosen = policy.plan(store.rows, shelf.spec.dim, config.kind)
    if chosen.kind == "exact":
        return None
    with shelf._catalogue.transaction() as writer:
        number = writer.meta.next_number("generations")
    name = shelf.named(number)
    above, _, last = name.rpartition("/")
    draft = shelf.index_folder(f"{above}/{_DRAFT}{last}")

    def added(count: int) -> None:
        if progress:
            progress("index", count, store.rows)
        if stop is not None and stop.is_set():
            raise BuildStopped

    try:
        draft.mkdir(parents=True, mode=0o700)
        started = time.perf_counter()
        ids = store.ids()
        with kinds.threads(config.jobs):
            sample = _sample(store, ids, chosen.train_rows)
            base = Base(kinds.build(chosen, shelf.spec.dim, sample, store.blocks(), added), _about(shelf, chosen, ids))
            tuned = tune(base, store, ids, config.target_recall)
        file = draft / _FILE
        kinds.write(base.index, file, shelf.seal, f"{INDEXES}/{name}/{_FILE}")
        sync_file(file)
        made = dataclasses.replace(
            base.manifest,
            **tuned,
            target_recall=config.target_recall,
            file_bytes=file.stat().st_size,
            file_sha256=file_sha256(file),
            build_seconds=round(time.perf_counter() - started, 2),
        )
        digest = manifest.write(draft, made, shelf.seal, f"{INDEXES}/{name}/{manifest.NAME}")
        draft.rename(shelf.index_folder(name))
        sync_folder(draft.parent)
    except BaseException as error:
        shutil.rmtree(draft, ignore_errors=True)
        if isinstance(error, OSError | RuntimeError) and not isinstance(error, CaseError):
            raise CaseError(f"{draft}: the index can't be built ({error}); check disk space and memory") from error
        raise
    return Built(name, made, digest)


def _about(shelf: Shelf, chosen: policy.Plan, ids: Ids) -> Manifest:
    """What is known of an index before it is measured and written."""
    return Manifest(
        format=manifest.FORMAT,
        model=shelf.spec.name,
        weights_sha256=shelf.spec.weights_sha256,
        dim=shelf.spec.dim,
        kind=chosen.kind,
        factory=chosen.factory,
        nlist=chosen.nlist,
        nprobe=1,
        candidates=policy.CANDIDATES[0],
        rows=len(ids),
        # Ids are given in the order of commits: whatever comes later lies beyond the last.
        coverage=((int(ids[0]), int(ids[-1])),),
        target_recall=0.0,
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


def _sample(store: Store, ids: Ids, rows: int) -> Queries:
    """Random rows of all segments, float32."""
    chosen = np.sort(np.random.default_rng(_SEED).choice(ids, max(1, rows), replace=False)) if len(ids) else ids
    return store.gather(chosen)[0].astype(np.float32)
