"""What the disk must hold before work goes on, and who may work: forced writes, hashes of files, locks."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from imgmatch.vault import sealed
from imgmatch.vault.keys import Seal

_BLOCK_BYTES = 1 << 20


@contextmanager
def locked(file: Any, *, wait: bool = True, shared: bool = False) -> Iterator[None]:
    """Hold an exclusive lock on ``file`` (``shared``: one of several), which the system lets go of when the
    process ends, however it ends.

    Raises BlockingIOError when another holds it and ``wait`` is false.
    """
    if os.name == "nt":  # pragma: no cover
        import msvcrt

        file.seek(0)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError as error:
            raise BlockingIOError(str(error)) from error
        try:
            yield
        finally:
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)  # type: ignore[attr-defined]
        return
    import fcntl

    fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_file(path: Path) -> None:
    """Force a file that another library wrote to disk."""
    _sync(path, os.O_RDWR)


def sync_folder(folder: Path) -> None:
    """Force a folder's entries to disk, where the system can."""
    if os.name == "posix":
        _sync(folder, os.O_RDONLY)


@contextmanager
def whole(path: Path, seal: Seal | None, name: str) -> Iterator[IO[bytes]]:
    """A new file to write, on disk when the block ends; with ``seal`` it is sealed at the place ``name``."""
    if seal is not None:
        with sealed.writing(path, seal, name) as stream:
            yield cast(IO[bytes], stream)
        return
    with path.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def wipe(path: Path) -> None:
    """Overwrite a file where it lies, and remove it. What else a disk keeps of it (copies of its own, a journal, cells
    of flash that are written elsewhere) is out of reach.
    """
    with path.open("r+b") as file:
        left = os.fstat(file.fileno()).st_size
        while left > 0:
            left -= file.write(bytes(min(left, _BLOCK_BYTES)))
        file.flush()
        os.fsync(file.fileno())
    path.unlink()


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
