"""Segments: immutable files of float16 unit vectors (NumPy .npy). They are the truth; an index is a cache."""

from __future__ import annotations

import io
import re
from pathlib import Path
from tokenize import TokenError

import numpy as np
import numpy.typing as npt

from imgmatch.errors import CaseError
from imgmatch.vault import sealed
from imgmatch.vault.keys import Seal
from indexer.catalogue import SegmentRow
from indexer.index.disk import file_sha256, sync_folder, whole
from indexer.index.protocol import Ids

MAX_ROWS = 65_536
_SEALED_NAME = re.compile(r"[0-9a-f]{32}")  # of an encrypted case; see the shelf
Rows = npt.NDArray[np.float16]


def ids_of(segment: SegmentRow) -> Ids:
    """Ids of a segment's rows, ascending."""
    ids = first_or_ids(segment)
    return ids + np.arange(segment.rows, dtype=np.int64) if isinstance(ids, int) else ids


def first_or_ids(segment: SegmentRow) -> int | Ids:
    """Ids of a segment's rows; the first one, where the others follow without a gap."""
    return segment.first_vector_id if segment.ids is None else np.frombuffer(segment.ids, dtype="<i8")


def write(folder: Path, name: str, vectors: npt.NDArray[np.float32] | Rows, seal: Seal | None = None) -> str:
    """Write (rows, dim) unit vectors as ``folder/name``, with ``seal`` sealed, and force them to disk; returns the
    file's SHA-256.

    The file counts only once the catalogue names it; one left by a killed run is overwritten.
    """
    if not 0 < len(vectors) <= MAX_ROWS:
        raise ValueError(f"a segment holds 1 to {MAX_ROWS} rows, not {len(vectors)}")
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with whole(path, seal, f"{folder.name}/{name}") as file:
            np.save(file, vectors.astype(np.float16), allow_pickle=False)
        sync_folder(path.parent)
    except OSError as error:
        raise CaseError(f"{path}: can't be written ({error.strerror}); check disk space and rights") from error
    return file_sha256(path)


def read(folder: Path, segment: SegmentRow, seal: Seal | None = None) -> Rows:
    """Map a segment's (rows, dim) float16 vectors into memory; with ``seal``, decrypt them into it. Raises CaseError,
    naming the file, when it is not as the catalogue says; its bytes are checked by ``imgmatch check``.
    """
    path = folder / segment.name
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise CaseError(f"{path}: is no plain file, as a segment file is")
    try:
        if seal is None:
            rows = np.load(path, mmap_mode="r", allow_pickle=False)
        else:
            rows = _array(sealed.read(path, seal, f"{folder.name}/{segment.name}"))
    except FileNotFoundError as error:
        raise CaseError(f"{path}: segment file is missing") from error
    except (OSError, ValueError, EOFError, SyntaxError, TokenError, OverflowError) as error:  # a header of any bytes
        why = (str(error) or type(error).__name__).splitlines()[0]
        raise CaseError(f"{path}: damaged segment file ({why})") from error
    if rows.shape != (segment.rows, segment.dim) or rows.dtype != np.float16:
        raise CaseError(
            f"{path}: holds {rows.dtype} {rows.shape}, the catalogue says float16 {(segment.rows, segment.dim)}"
        )
    return rows


def stamp(folder: Path, segment: SegmentRow) -> str:
    """How a segment's file looks without reading it: its recorded hash, size, times and place on the disk.

    A file written to since has another change time, which no program sets; so a file that looks as it did when its hash
    was right need not be read again. Bytes that rot on the disk are found by ``check``.
    """
    info = (folder / segment.name).stat()
    return f"{segment.sha256}:{info.st_size}:{info.st_mtime_ns}:{info.st_ctime_ns}:{info.st_ino}"


def check(folder: Path, segment: SegmentRow, seal: Seal | None = None) -> str | None:
    """Read the whole file: what is wrong with it (hash, finite, unit length), or None."""
    path = folder / segment.name
    try:
        rows = np.asarray(read(folder, segment, seal), dtype=np.float32)
        if file_sha256(path) != segment.sha256:
            return f"{path}: altered, its SHA-256 is not the recorded one"
    except CaseError as error:
        return str(error)
    except OSError as error:
        return f"{path}: can't be read ({error.strerror})"
    fault = fault_of(rows)
    return None if fault is None else f"{path}: {fault}"


def _array(data: bytearray) -> Rows:
    """The array of a NumPy file in memory, without a copy. Raises ValueError where it is none."""
    head = io.BytesIO(data[:4096])
    if np.lib.format.read_magic(head) != (1, 0):
        raise ValueError("no NumPy file")
    shape, by_columns, kind = np.lib.format.read_array_header_1_0(head)
    if by_columns or kind.hasobject:
        raise ValueError("no rows of numbers")
    rows: Rows = np.frombuffer(data, kind, offset=head.tell()).reshape(shape)
    return rows


def fault_of(rows: npt.NDArray[np.float32]) -> str | None:
    """What keeps rows from being unit vectors, or None."""
    if not np.isfinite(rows).all():
        return "holds values that are not finite"
    off = np.abs(np.linalg.norm(rows, axis=1) - 1.0)
    if (off > 2e-3).any():  # float16 rounding stays below 1e-3 at any dimension in use
        return f"row {int(off.argmax())} is not of unit length"
    return None


def remove_unnamed(folder: Path, segments: list[SegmentRow]) -> list[str]:
    """Remove segment files that no committed transaction names: what a killed run left. Returns their names. What is
    called otherwise than segments are is somebody else's.
    """
    named = {segment.name for segment in segments}
    removed = []
    for path in sorted(folder.glob("*/*")):
        name = path.relative_to(folder).as_posix()
        if name not in named and (path.suffix == ".npy" or _SEALED_NAME.fullmatch(path.name)):
            try:
                path.unlink()
            except PermissionError:  # Windows: a search has it open; the next writer removes it
                continue
            removed.append(name)
    return removed
