"""The index of a case: built when it is asked for or due, put to use in one recorded transaction, the old one gone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from imgmatch.errors import CaseError
from imgmatch.repeating import repeating
from imgmatch.types import ModelSpec
from indexer.case.case import Case
from indexer.index import policy
from indexer.index.build import BuildConfig, BuildStopped, Built, building, make, remove_unnamed
from indexer.index.manifest import Manifest
from indexer.index.protocol import Progress
from indexer.index.remote import follow, make_again
from indexer.index.shelf import Shelf
from indexer.index.status import inspect

_LOOK_EVERY_S = 30.0


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
    shelf = case.shelf(spec)
    remote = case.catalogue.indexes.remote()
    if remote is not None:
        follow(case.shelves(), progress=progress)  # a server builds its index itself: what it needs is the rows
        if config is not None and config.kind is not None:
            make_again(shelf, remote, config.kind)
            with case.change("index", arguments={"kind": config.kind, "server": remote.uri}, model=spec):
                pass
        return None
    with building(case.path):
        remove_unnamed(shelf)
        made = make(shelf, config or BuildConfig(), progress, stop)
        _put_to_use(case, shelf, made)
    return made.manifest if made else None


def build_if_due(
    case: Case,
    spec: ModelSpec,
    config: BuildConfig | None = None,
    *,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> Manifest | None:
    """Build when the policy says so, or when the index in use can't be read; None when nothing was built."""
    shelf = case.find_shelf(spec)
    if shelf is None:
        return None
    if case.catalogue.indexes.remote() is None:
        if shelf.count() < policy.EXACT_BELOW:
            return None
        status = inspect(shelf)
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

    def look() -> bool:
        try:
            build_if_due(case, spec, config, stop=stop)
        except CaseError:
            return False
        return True

    with repeating(look, every_s, "index"):
        yield


def drop_generations(case: Case) -> None:
    """Do without index files; every row is compared where nothing else serves."""
    for shelf in case.shelves():
        if shelf.generation() is not None:
            drop_generation(case, shelf)


def drop_generation(case: Case, shelf: Shelf) -> None:
    """The same of one model."""
    with building(case.path):
        _put_to_use(case, shelf, None)


def _put_to_use(case: Case, shelf: Shelf, made: Built | None) -> None:
    name, digest = (made.name, made.manifest_sha256) if made else (None, "")
    subject = {"generation": name, "manifest_sha256": digest or None}
    with case.change("index", subject=subject, model=shelf.spec) as change:
        shelf.set_generation(change.writer, name, digest)
        change.entry.details = {"factory": made.manifest.factory if made else "exact"}
        change.entry.counts = {"rows": made.manifest.rows if made else 0}
    remove_unnamed(shelf)
