"""What arrives in a folder, and when it is whole: a file is taken once it has been still for a while.

A file is still when its size and time of change have stayed the same for so long, and no program has it open to write
(Linux tells that of files that this account owns). What may be a part of a set, beside a file that is not still, waits
with it.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

_Looks = tuple[int, int, int]
"""Size, time of modification and of change."""


@dataclass(slots=True)
class _Seen:
    looks: _Looks
    since: float


class Arrivals:
    """The files below a folder, by their ways from it on, as they come and change."""

    def __init__(self, folder: Path, still_s: float, *, leave_out: Path | None = None) -> None:
        """``leave_out`` is a folder to pass over: the case's own."""
        self._folder = folder
        self._still_s = still_s
        self._leave_out = None if leave_out is None else os.path.realpath(leave_out)
        self._seen: dict[str, _Seen] = {}
        self._taken: dict[str, _Looks] = {}

    def look(self) -> None:
        """See what is there now. OSError where the folder itself can't be listed."""
        now = time.monotonic()
        seen: dict[str, _Seen] = {}
        os.scandir(self._folder).close()
        for folder, folders, names in os.walk(self._folder):
            inside = (name for name in folders if os.path.realpath(os.path.join(folder, name)) != self._leave_out)
            folders[:] = sorted(inside)
            for name in names:
                path = os.path.join(folder, name)
                try:
                    info = os.stat(path)
                except OSError:  # gone again, or a link that leads nowhere: an ingest says so
                    continue
                looks = (info.st_size, info.st_mtime_ns, info.st_ctime_ns)
                way = os.path.relpath(path, self._folder)
                before = self._seen.get(way)
                seen[way] = before if before is not None and before.looks == looks else _Seen(looks, now)
        self._seen = seen

    @property
    def due(self) -> bool:
        """Is there something that is whole and was not taken yet?"""
        return any(self._taken.get(way) != looks for way, looks in self.ready().items())

    @property
    def moving(self) -> set[str]:
        """What is not whole yet."""
        now = time.monotonic()
        return {
            way
            for way, seen in self._seen.items()
            if self._taken.get(way) != seen.looks
            and (now - seen.since < self._still_s or _is_written(os.path.join(self._folder, way)))
        }

    def ready(self) -> dict[str, _Looks]:
        """Everything that is whole, with how it looks."""
        moving = self.moving
        sets = {_stem(way) for way in moving}
        return {way: seen.looks for way, seen in self._seen.items() if way not in moving and _stem(way) not in sets}

    def taken(self, ways: dict[str, _Looks]) -> None:
        """These were given, as they looked then."""
        self._taken = {**ways}


def _stem(way: str) -> str:
    """What the names of a set of files begin with."""
    folder, name = os.path.split(way)
    return os.path.join(folder, name.partition(".")[0].casefold())


def _is_written(path: str) -> bool:
    """Has a program the file open to write? False where that can't be told."""
    try:
        import fcntl
    except ImportError:  # pragma: no cover
        return False
    if not hasattr(fcntl, "F_SETLEASE"):  # pragma: no cover
        return False
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        return False
    except BlockingIOError:
        return True
    except OSError:  # not this account's file, or a file system without leases
        return False
    finally:
        os.close(descriptor)
