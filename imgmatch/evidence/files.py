"""Folders and single files, read in place without touching them."""

from __future__ import annotations

import io
import os
import stat
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import BinaryIO, TypeVar, cast

from imgmatch import times
from imgmatch.errors import (
    EvidenceError,
    MachineError,
    SourceDiskError,
    UsageError,
    of_disk,
    raise_if_machine,
    why,
)
from imgmatch.evidence import quiet
from imgmatch.locator import Locator, readable
from imgmatch.types import Evidence, Issue

_SPECIAL = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
}
# What a disk fails to give is asked for so often, with so much time between.
_TRIES, _PAUSE_S = 3, 0.2
_Given = TypeVar("_Given")
Passed = Callable[[str, bool], bool]
"""Is something passed over: its way from the given path on, and whether it is a folder?"""


def walk(
    path: str | os.PathLike[str],
    *,
    leave_out: str | os.PathLike[str] | None = None,
    listed: Callable[[Locator], None] | None = None,
    excluded: Passed = lambda place, is_folder: False,
) -> Iterator[Evidence | Issue]:
    """Find every file under ``path`` (or ``path`` itself), in the byte order of names, the same order every time.

    A link to a file inside ``path`` is evidence at its own place; a link that leads out, dangles or points to a
    folder, a special file and a folder that can't be listed each become an Issue. A block device is read where
    ``path`` names it. ``leave_out`` is a folder to pass over (the case's own); ``listed`` is told of each folder whose
    entries were all given; what is ``excluded``, by its way from ``path`` on, is passed over. What the disk does not
    give is an Issue of kind ``source_disk``, which is never kept. Raises UsageError when ``path`` does not exist,
    MachineError when its disk is gone.
    """
    root = os.path.abspath(os.fsdecode(path))
    try:
        mode = os.stat(root).st_mode  # a path that the user names may itself be a link
    except OSError as error:
        raise UsageError(f"{readable(root)}: {why(error)}; give an existing file or folder") from error
    skip = os.path.realpath(leave_out) if leave_out is not None else None
    if stat.S_ISDIR(mode):
        yield from _walk_folders(root, skip, listed, excluded)
    elif not excluded(os.path.basename(root), False):
        yield _of_disk(root, partial(_examine, devices=True))


def reopen(locator: Locator) -> Evidence:
    """Find evidence again where it was seen. Raises EvidenceError when it is gone, or no plain file (nor a
    block device, which was named then) any more, SourceDiskError where its disk does not answer.
    """
    if locator.kind != "file" or locator.parent is not None:
        raise EvidenceError("unknown_source", f"{locator}: this version reads plain files only")
    found = _examine(locator.at, devices=True)
    if isinstance(found, Issue):
        raise EvidenceError(found.error, f"{locator}: {found.message}", what=found.what)
    return found


def path_of(evidence: Evidence) -> str | None:
    """The path of a file that lies in a folder, so that others lie beside it; None of what lies in a container."""
    place = evidence.locator
    return place.at if place.kind == "file" and place.parent is None else None


def held_bytes(evidence: Evidence) -> int:
    """How much of the disk a file takes: less than its size where it has holes."""
    path = path_of(evidence)
    try:
        blocks = getattr(os.stat(path), "st_blocks", None) if path is not None else None
    except OSError:  # reading it says why
        blocks = None
    return evidence.size_bytes if blocks is None else min(evidence.size_bytes, 512 * blocks)


def set_bytes(evidence: Evidence) -> int:
    """How large a file is, with all files beside it whose names begin as its does: a set of them may be read as one."""
    path = path_of(evidence)
    if path is None:
        return evidence.size_bytes
    stem = path[: len(path) - len(os.path.basename(path))] + os.path.basename(path).partition(".")[0]
    total = 0
    try:
        for entry in quiet.entries(os.path.dirname(path)):
            if entry.path != path and entry.path.startswith(stem) and os.path.isfile(entry.path):
                total += os.stat(entry.path).st_size
    except OSError:
        return evidence.size_bytes
    return total + evidence.size_bytes


def _walk_folders(
    root: str, skip: str | None, listed: Callable[[Locator], None] | None, excluded: Passed
) -> Iterator[Evidence | Issue]:
    real_root, below = os.path.realpath(root), os.path.join(root, "")
    own = _met_at(skip, root, real_root)
    levels = [_entries(root, own, listed)]
    while levels:
        entry = next(levels[-1], None)
        if entry is None:
            levels.pop()
        elif isinstance(entry, Issue):
            if entry.locator.at == root and entry.error == SourceDiskError.kind:
                raise MachineError(f"{readable(root)}: {entry.message}; it can't be gone on with")
            yield entry
        elif excluded(entry.path.removeprefix(below), entry.is_folder):
            continue
        elif entry.is_link:
            yield _of_disk(entry.path, partial(_examine_link, real_root=real_root))
        elif entry.is_folder:
            levels.append(_entries(entry.path, own, listed))
        else:
            yield _of_disk(entry.path, _examine)


def _met_at(skip: str | None, root: str, real_root: str) -> Callable[[str], bool]:
    """Is a folder that is come to below ``root`` the one to ``skip``? No link is followed there, so that its path says
    so; but for junctions on Windows, where all that lies above each folder has to be looked up.
    """
    if os.name == "nt":
        return lambda folder: os.path.realpath(folder) == skip
    below = os.path.join(real_root, "")
    if skip == real_root:
        skip = root
    elif skip is not None and skip.startswith(below):
        skip = os.path.join(root, skip.removeprefix(below))
    return lambda folder: folder == skip


def _entries(
    folder: str, own: Callable[[str], bool], listed: Callable[[Locator], None] | None
) -> Iterator[quiet.Entry | Issue]:
    """Entries of one folder, or the issue why there are none."""
    if own(folder):
        yield _issue(folder, "own_case", "this folder is the case itself; it is left out")
        return
    try:
        entries = again(folder, lambda: quiet.entries(folder))
    except SourceDiskError as error:
        yield Issue.walked(Locator.file(folder), error)
        return
    except OSError as error:
        yield _issue(folder, "unreadable_folder", f"the folder can't be listed: {_reason(error)}")
        return
    yield from entries
    if listed is not None:
        listed(Locator.file(folder))


def _examine_link(path: str, real_root: str) -> Evidence | Issue:
    quiet.moved.may_have(os.path.dirname(path))
    try:
        target = os.path.realpath(path, strict=True)
    except OSError as error:
        return _issue(path, "dangling_link", f"the link leads nowhere: {_reason(error)}")
    if os.path.commonpath([target, real_root]) != real_root:
        return _issue(path, "link_out", f"the link leads out of the given path, to {readable(target)}; not followed")
    if os.path.isdir(target):
        return _issue(path, "folder_link", "a link to a folder inside the given path; its files are read there")
    return _examine(path)


def _examine(path: str, *, devices: bool = False) -> Evidence | Issue:
    try:
        found = again(path, lambda: os.stat(path))
    except OSError as error:
        return _issue(path, "unreadable", f"the file can't be read: {_reason(error)}")
    if devices and _is_device(found.st_mode):
        return _device(path)
    if not stat.S_ISREG(found.st_mode):
        kind = _SPECIAL.get(stat.S_IFMT(found.st_mode), "not a plain file")
        return _issue(path, "special_file", f"{kind}, not a plain file; skipped")
    return Evidence(
        locator=Locator.file(path),
        size_bytes=found.st_size,
        modified_utc=times.utc(found.st_mtime),
        modified_ns=found.st_mtime_ns,
        changed_ns=found.st_ctime_ns,
        open=lambda: _open(path),
    )


def _is_device(mode: int) -> bool:
    return stat.S_ISBLK(mode)


def _device(path: str) -> Evidence | Issue:
    """A block device: a disk as it is. Nothing tells whether it has changed, so that it is read anew each time."""
    try:
        with _open(path, _is_device) as stream:
            size = stream.seek(0, os.SEEK_END)
    except OSError as error:
        return _issue(path, "unreadable", f"the device can't be read: {_reason(error)}")
    return Evidence(Locator.file(path), size, None, None, None, lambda: _open(path, _is_device))


def _open(path: str, allowed: Callable[[int], bool] = stat.S_ISREG) -> BinaryIO:
    """Open for reading only, without moving the access time where that can be had."""
    # NONBLOCK: a pipe put in the file's place between stat and open must not hang the run.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = again(path, lambda: quiet.open_quietly(path, flags))
    except OSError as error:  # told here, before a parser makes something else of it
        raise_if_machine(error)
        raise
    if not allowed(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError("no longer a plain file")
    return cast(BinaryIO, _File(descriptor, path))  # raw: digest() reads in large blocks


class _File(io.FileIO):
    """A file of a source: what its disk fails to give is asked for again."""

    def __init__(self, descriptor: int, path: str) -> None:
        super().__init__(descriptor, "rb")
        self._path = path

    def read(self, size: int | None = -1) -> bytes:
        """As any other file; SourceDiskError where its disk does not give it."""
        if size is None or size < 0:
            return self.readall()
        read = super().read  # what fails leaves the place where it was
        return again(self._path, lambda: read(size))

    def readall(self) -> bytes:
        """As ``read``."""
        at, seek, read = self.tell(), self.seek, super().readall
        return again(self._path, lambda: (seek(at), read())[1])

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """As ``read``."""
        read = super().readinto
        return again(self._path, lambda: read(buffer))


def again(path: str, ask: Callable[[], _Given]) -> _Given:
    """What is asked of a file, or a folder; where its disk fails, it is asked a few times. Raises SourceDiskError where
    it still does, MachineError where even the folder that it lies in can't be listed any more: the disk is gone.
    """
    for left in reversed(range(_TRIES)):
        try:
            return ask()
        except OSError as error:
            if not of_disk(error):
                raise
            if left:
                time.sleep(_PAUSE_S)
                continue
            if not _answers(os.path.dirname(path)):
                raise MachineError(f"{readable(path)}: its disk does not answer any more: {why(error)}") from error
            raise SourceDiskError(f"its disk can't read it: {why(error)}") from error
    raise AssertionError("unreachable")


def _answers(folder: str) -> bool:
    try:
        quiet.entries(folder)
    except OSError:
        return False
    return True


def _of_disk(path: str, examine: Callable[[str], Evidence | Issue]) -> Evidence | Issue:
    """What is seen at a path, or the issue that its disk does not show it."""
    try:
        return examine(path)
    except SourceDiskError as error:
        return Issue.walked(Locator.file(path), error)


def _issue(path: str, error: str, message: str) -> Issue:
    return Issue(Locator.file(path), "walk", error, message)


def _reason(error: OSError) -> str:
    raise_if_machine(error)
    return why(error)
