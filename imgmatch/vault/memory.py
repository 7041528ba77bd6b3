"""Memory in the place of temporary files: what this process keeps off the disk once it has opened an encrypted case.

``keep_off_disk`` is called once a process has such a case open, and never taken back. From then on ``file`` and
``place``, which everything that needs a temporary file asks, give memory; no core file is written; and as much of the
process as the system allows is kept from being swapped out.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import os
import sys
import tempfile
from pathlib import Path
from typing import IO

from imgmatch.errors import MachineError

_PR_SET_DUMPABLE = 4
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4
_SHARED_MEMORY = "/dev/shm"
_IN_MEMORY = {"tmpfs", "ramfs"}


class _State:
    off_disk = False
    locked = False


def keep_off_disk() -> None:
    """From now on, whatever this process keeps for a while is kept in memory."""
    if _State.off_disk:
        return
    _State.off_disk = True
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        zero = ctypes.c_ulong(0)
        libc.prctl(_PR_SET_DUMPABLE, zero, zero, zero, zero)
        # Pages are locked as they are first touched. Refused where less may be locked than there is.
        _State.locked = libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) == 0


def off_disk() -> bool:
    """Is nothing to be kept on disk?"""
    return _State.off_disk


def locked() -> bool:
    """Has the system promised to swap nothing of this process out?"""
    return _State.locked


def file(folder: str | os.PathLike[str] | None = None) -> IO[bytes]:
    """A temporary file without a name, to write and read; memory where nothing is to be on disk. Raises OSError."""
    return io.BytesIO() if _State.off_disk else tempfile.TemporaryFile(dir=folder)


def place() -> Path | None:
    """Where temporary folders go: a file system in memory where nothing is to be on disk; None: where they do.
    Raises MachineError where there is no such place then.
    """
    if not _State.off_disk:
        return None
    found = folder_in_memory()
    if found is None:
        raise MachineError(
            "no temporary folder can be made: an encrypted case is open, and this system has no file system in memory "
            "(/dev/shm); decrypt a copy of the case on a disk that is encrypted itself"
        )
    return found


def folder_in_memory() -> Path | None:
    """A folder that lies in memory, none on a disk; None where this system has none that is known. What it holds may be
    swapped, as any memory may.
    """
    try:
        mounts = [line.split(" ") for line in Path("/proc/self/mounts").read_text("utf-8", "replace").splitlines()]
    except OSError:
        return None
    kinds = {os.fsencode(mount[1]).decode("unicode_escape"): mount[2] for mount in mounts if len(mount) > 2}
    for folder in (tempfile.gettempdir(), _SHARED_MEMORY):
        place = os.path.realpath(folder)
        within = [at for at in kinds if place == at or place.startswith(f"{at.rstrip('/')}/")]
        with contextlib.suppress(OSError):
            if within and kinds[max(within, key=len)] in _IN_MEMORY and os.access(place, os.W_OK):
                return Path(place)
    return None
