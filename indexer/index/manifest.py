"""Manifests: what an index file is, what it was built from, and the hash without which FAISS never gets to see it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from imgmatch.errors import CaseError
from imgmatch.given import loads
from imgmatch.types import ModelSpec
from indexer.index.disk import file_sha256, sync_folder

FORMAT = 1
_MOST_BYTES = 64 << 20
NAME = "manifest.json"


class IndexFileError(CaseError):
    """An index can't be used: it is missing, altered, or another case's or model's. It can be built again."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """``coverage``: first and last vector id of each run of rows that the index was built from, ascending.

    ``nprobe`` (lists, or efSearch of HNSW) and ``candidates`` (re-scored) reach ``recall`` at ten results, measured
    on ``recall_queries`` of the case's own vectors against exact search.
    """

    format: int
    model: str
    weights_sha256: str
    dim: int
    kind: str
    factory: str
    nlist: int
    nprobe: int
    candidates: int
    rows: int
    coverage: tuple[tuple[int, int], ...]
    target_recall: float
    recall: float
    recall_queries: int
    reason: str
    file: str
    file_bytes: int
    file_sha256: str
    build_seconds: float
    made_by: str
    made_utc: str


def write(folder: Path, manifest: Manifest) -> str:
    """Write the manifest into an index's folder and force it to disk; returns its SHA-256."""
    data = json.dumps(dataclasses.asdict(manifest), sort_keys=True, indent=1).encode("ascii")
    with (folder / NAME).open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(folder)
    return hashlib.sha256(data).hexdigest()


def read(folder: Path, sha256: str, spec: ModelSpec) -> Manifest:
    """Read a manifest that must have the hash which the catalogue names. Raises IndexFileError, naming the file."""
    path = folder / NAME
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)  # more is of no case, and its hash is another
    except OSError as error:
        raise IndexFileError(f"{path}: can't be read ({error.strerror}); {REBUILD}") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise IndexFileError(f"{path}: altered or of another case, its SHA-256 is not the recorded one; {REBUILD}")
    try:
        fields = loads(data)
        if fields["format"] != FORMAT:
            raise IndexFileError(f"{path}: format {fields['format']}, this version reads {FORMAT}; {REBUILD}")
        fields["coverage"] = tuple((first, last) for first, last in fields["coverage"])
        manifest = Manifest(**fields)
    except (ValueError, TypeError, KeyError) as error:
        raise IndexFileError(f"{path}: not a manifest of this version ({error}); {REBUILD}") from error
    if (manifest.model, manifest.weights_sha256, manifest.dim) != (spec.name, spec.weights_sha256, spec.dim):
        raise IndexFileError(f"{path}: made by another model ({manifest.model}, {manifest.dim}-d); {REBUILD}")
    return manifest


def checked_file(folder: Path, manifest: Manifest) -> Path:
    """The path of the index file, once its size and hash are right. Raises IndexFileError, naming the file."""
    path = folder / manifest.file
    try:
        size = path.stat().st_size
        if size != manifest.file_bytes:
            raise IndexFileError(f"{path}: {size:,} bytes, the manifest says {manifest.file_bytes:,}; {REBUILD}")
        if file_sha256(path) != manifest.file_sha256:
            raise IndexFileError(f"{path}: altered, its SHA-256 is not the recorded one; {REBUILD}")
    except OSError as error:
        raise IndexFileError(f"{path}: can't be read ({error.strerror}); {REBUILD}") from error
    return path


REBUILD = "every row is compared until it is built again with: imgmatch index build CASE"
