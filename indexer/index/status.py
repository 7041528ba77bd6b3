"""What index a model has, and what the policy wants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from indexer.index import manifest, policy
from indexer.index.manifest import IndexFileError, Manifest
from indexer.index.remote import describe as describe_remote
from indexer.index.shelf import Shelf


@dataclass(frozen=True, slots=True)
class Status:
    """What index a model has: ``covered`` of its ``live`` rows are in it, and ``dead`` ones; ``fault`` if it is bad."""

    generation: str | None
    manifest: Manifest | None
    live: int
    covered: int
    dead: int
    fault: str | None


def inspect(shelf: Shelf) -> Status:
    """Look at the index in use, without reading it into memory."""
    live = shelf.count()
    generation = shelf.generation()
    if generation is None:
        return Status(None, None, live, 0, 0, None)
    try:
        where = shelf.index_folder(generation.name)
        found = manifest.of(shelf, generation)
        manifest.checked_file(where, found)
    except IndexFileError as fault:
        return Status(generation.name, None, live, 0, 0, str(fault))
    covered = sum(shelf.count(first, last) for first, last in found.coverage)
    return Status(generation.name, found, live, covered, found.rows - covered, None)


def describe(shelf: Shelf) -> dict[str, Any]:
    """Everything there is to say about a model's index: what it is, why, what it reaches, and what the policy wants."""
    remote = shelf._catalogue.indexes.remote()
    if remote is not None:
        return describe_remote(shelf, remote)
    status = inspect(shelf)
    wanted = policy.plan(status.live, shelf.spec.dim)
    record: dict[str, Any] = {
        "model": shelf.spec.name,
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
