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
_SHARED_MEMORY = Path("/dev/shm")


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
    if not _is_memory(_SHARED_MEMORY):
        raise MachineError(
            "no temporary folder can be made: an encrypted case is open, and this system has no file system in memory "
            "(/dev/shm); decrypt a copy of the case on a disk that is encrypted itself"
        )
    return _SHARED_MEMORY


def _is_memory(path: Path) -> bool:
    """Is it a file system in memory, by the system's own list?"""
    try:
        lines = Path("/proc/self/mounts").read_text("utf-8", "replace").splitlines()
    except OSError:
        return False
    return any(line.split(" ")[1:3] == [str(path), "tmpfs"] for line in lines)
