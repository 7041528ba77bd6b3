"""Files opened and folders listed without moving their access times, and how often that was not to be had.

Linux leaves the access time alone for whoever owns a file or folder (O_NOATIME, open(2)), and where the file system is
mounted read-only or without access times. A link has no such way: whoever follows it may move its time.
"""

from __future__ import annotations

import os
import threading
from typing import NamedTuple

_NOATIME = getattr(os, "O_NOATIME", 0)
_STAYS = getattr(os, "ST_RDONLY", 0) | getattr(os, "ST_NOATIME", 0)


class Entry(NamedTuple):
    """An entry of a folder: its path, and what it is itself."""

    path: str
    is_link: bool
    is_folder: bool


class _Moved:
    """How many access times this process may have moved: files by each opening, folders by each listing, links."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.count = 0

    def may_have(self, place: str | int) -> None:
        try:
            if _STAYS and os.statvfs(place).f_flag & _STAYS:
                return
        except OSError:
            pass
        with self._lock:
            self.count += 1


moved = _Moved()


def open_quietly(path: str, flags: int) -> int:
    """As os.open, for reading."""
    flags |= getattr(os, "O_CLOEXEC", 0)
    if _NOATIME:
        try:
            return os.open(path, flags | _NOATIME)
        except PermissionError:
            pass  # another owner's, or one that may not be read at all
    descriptor = os.open(path, flags)
    moved.may_have(descriptor)
    return descriptor


def entries(folder: str) -> list[Entry]:
    """What a folder holds, in the byte order of names. Raises OSError."""
    if not (_NOATIME and os.scandir in os.supports_fd):
        moved.may_have(folder)
        return _listed(folder, folder)
    descriptor = open_quietly(folder or ".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        return _listed(folder, descriptor)
    finally:
        os.close(descriptor)


def _listed(folder: str, place: str | int) -> list[Entry]:
    with os.scandir(place or ".") as listing:
        found = [
            Entry(os.path.join(folder, each.name), each.is_symlink(), each.is_dir(follow_symlinks=False))
            for each in listing
        ]
    return sorted(found, key=lambda each: os.fsencode(each.path))
