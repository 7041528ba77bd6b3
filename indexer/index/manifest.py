"""Manifests: what an index file is, what it was built from, and the hash without which FAISS never gets to see it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

from imgmatch.errors import CaseError
from imgmatch.given import loads
from imgmatch.types import ModelSpec
from imgmatch.vault import sealed
from imgmatch.vault.keys import Seal
from imgmatch.vault.sealed import SealError
from imgmatch.workers.wire import WireError, checked
from indexer.catalogue import GenerationRow
from indexer.index.disk import file_sha256, sync_folder, whole
from indexer.index.shelf import INDEXES, Shelf

FORMAT = 1
_MOST_BYTES = 64 << 20
NAME = "manifest.json"
_MOST = 1 << 48
_Count = Annotated[int, range(1, _MOST)]
# Of fields whose type alone does not say what they may be.
_KINDS: dict[str, Any] = {
    "kind": Literal["ivf", "hnsw"],
    "nlist": Annotated[int, range(_MOST)],
    **dict.fromkeys(("nprobe", "candidates", "rows"), _Count),
    "coverage": list[tuple[int, int]],
}


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


def write(folder: Path, manifest: Manifest, seal: Seal | None = None, name: str = NAME) -> str:
    """Write the manifest into an index's folder, with ``seal`` sealed at the place ``name``, and force it to disk;
    returns the SHA-256 of what it says.
    """
    data = json.dumps(dataclasses.asdict(manifest), sort_keys=True, indent=1).encode("ascii")
    with whole(folder / NAME, seal, name) as file:
        file.write(data)
    sync_folder(folder)
    return hashlib.sha256(data).hexdigest()


def read(folder: Path, sha256: str, spec: ModelSpec, seal: Seal | None = None, name: str = NAME) -> Manifest:
    """Read a manifest that must have the hash which the catalogue names (``seal``, ``name``: as ``write``). Raises
    IndexFileError, naming the file."""
    path = folder / NAME
    try:
        with path.open("rb") if seal is None else sealed.opened(path, seal, name) as file:
            data = file.read(_MOST_BYTES + 1)  # more is of no case, and its hash is another
    except SealError as error:
        raise IndexFileError(f"{error}; {REBUILD}") from error
    except OSError as error:
        raise IndexFileError(f"{path}: can't be read ({error.strerror}); {REBUILD}") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise IndexFileError(f"{path}: altered or of another case, its SHA-256 is not the recorded one; {REBUILD}")
    try:
        fields = checked(dict[str, Any], loads(data))
        if (version := checked(int, fields.get("format"))) != FORMAT:
            raise IndexFileError(f"{path}: format {version}, this version reads {FORMAT}; {REBUILD}")
        manifest = _manifest(fields)
    except (ValueError, TypeError, KeyError, WireError) as error:
        says = " ".join(str(error).split())[:200]
        raise IndexFileError(f"{path}: not a manifest of this version ({says}); {REBUILD}") from error
    if (manifest.model, manifest.weights_sha256, manifest.dim) != (spec.name, spec.weights_sha256, spec.dim):
        raise IndexFileError(f"{path}: made by another model ({manifest.model}, {manifest.dim}-d); {REBUILD}")
    return manifest


def of(shelf: Shelf, generation: GenerationRow) -> Manifest:
    """What the index of a generation is. Raises IndexFileError."""
    where = shelf.index_folder(generation.name)
    name = f"{INDEXES}/{generation.name}/{NAME}"
    return read(where, generation.manifest_sha256, shelf.spec, shelf.seal, name)


def _manifest(fields: dict[str, Any]) -> Manifest:
    """Of fields that are all of their kinds. Raises ValueError, TypeError, KeyError or WireError."""
    for name, kind in get_type_hints(Manifest).items():
        checked(_KINDS.get(name, int | float if kind is float else kind), fields[name])
    manifest = Manifest(**{**fields, "coverage": tuple((first, last) for first, last in fields["coverage"])})
    runs = [end for run in manifest.coverage for end in run]
    if manifest.file != Path(manifest.file).name or not all(a <= b for a, b in pairwise([0, *runs, _MOST])):
        raise ValueError("what it covers, or its file, is none")
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
