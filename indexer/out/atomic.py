"""Results that appear under their name only when they are complete: written beside, then renamed."""

from __future__ import annotations

import contextlib
import glob
import os
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from imgmatch.errors import UsageError
from imgmatch.vault import memory

_YOUNG_S = 60
"""A folder of less is perhaps not held yet by whoever has just made it."""


def refuse_existing(target: Path) -> None:
    """Raises UsageError where something is there that would be overwritten, or nothing it could be written into:
    before work begins that ends there.
    """
    if target.is_dir() and not any(target.iterdir()):
        return
    if os.path.lexists(target):
        raise UsageError(f"{target}: exists already; nothing is overwritten, give a new folder or file")
    folder = target.absolute().parent
    if not folder.is_dir():
        raise UsageError(f"{target}: there is no folder {folder} to write it into; make it, or choose another place")


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A folder to fill, which becomes ``target`` when the block ends without error and is removed when it doesn't.

    Only its owner may enter it; what one that was killed has left of the same target is removed first.

    Raises UsageError when ``target`` exists and is not an empty folder, or when the disk
    or the rights don't allow it.
    """
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise UsageError(f"{target}: exists already; nothing is overwritten, give a new folder")
        for left in target.absolute().parent.glob(f".{glob.escape(target.name)}.*.part"):
            _remove_left(left)
        draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.absolute().parent))
        try:
            with _held(draft):
                yield draft
                if target.is_dir():
                    target.rmdir()
                os.rename(draft, target)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
    except OSError as error:
        raise UsageError(
            f"{target}: can't be written ({error.strerror}); check disk space and rights, or choose another place"
        ) from error


@contextmanager
def passing_folder(prefix: str, place: Path | None = None) -> Iterator[Path]:
    """A folder for a while, for its owner only, in ``place`` (default: where temporary files lie), removed when the
    block ends; what one that was killed has left there is removed first.
    """
    within = memory.place() or Path(place or tempfile.gettempdir())
    for left in within.glob(f"{glob.escape(prefix)}*"):
        _remove_left(left, _YOUNG_S)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=within) as made, _held(Path(made)):
        yield Path(made)


@contextmanager
def whole_file(target: Path, *, replace: bool = False) -> Iterator[BinaryIO]:
    """A binary file to write, which becomes ``target``, on disk, when the block ends without error and is removed when
    it doesn't. Only its owner may read it.

    Raises UsageError when ``target`` exists (unless it is to be replaced), or when the disk or the rights don't allow
    it.
    """
    try:
        if not replace and os.path.lexists(target):
            raise UsageError(f"{target}: exists already; nothing is overwritten, give a new file")
        folder, draft = target.absolute().parent, ""
        descriptor = _nameless(folder)
        if descriptor is None:
            descriptor, draft = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=folder)
        try:
            with os.fdopen(descriptor, "w+b") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
                if not draft:
                    draft = str(folder / f".{target.name}.{secrets.token_hex(8)}.part")
                    # With a descriptor, though none is needed: else Python links to the link itself.
                    os.link(f"/proc/self/fd/{file.fileno()}", draft, src_dir_fd=file.fileno(), follow_symlinks=True)
            os.replace(draft, target)
        except BaseException:
            if draft:
                Path(draft).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UsageError(
            f"{target}: can't be written ({error.strerror}); check disk space and rights, or choose another place"
        ) from error


def _nameless(folder: Path) -> int | None:
    """A file without a name in a folder, which goes with the process however that ends; None where there are none."""
    if not os.path.isdir("/proc/self/fd"):  # by which it gets its name
        return None
    try:
        return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except (AttributeError, OSError):  # not Linux, or a file system that has none
        return None


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Hold a folder as in use, as long as this process lives. BlockingIOError where another one does."""
    if os.name == "nt":  # pragma: no cover
        yield
        return
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _remove_left(left: Path, older_than_s: float = 0) -> None:
    """Remove a folder of this account that nobody holds any more: its process was killed."""
    if os.name == "nt":  # pragma: no cover
        return
    with contextlib.suppress(OSError):
        told = left.lstat()
        if stat.S_ISDIR(told.st_mode) and told.st_uid == os.getuid() and time.time() - told.st_mtime >= older_than_s:
            with _held(left):
                shutil.rmtree(left)
