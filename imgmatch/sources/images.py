"""Disk images in a container format of their own, as the bytes of the disk: E01/Ex01, VHD, VMDK, QCOW2, split raw.

Read by libyal's libraries (extra ``forensic``). Each has one member, ``disk``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any, ClassVar

from imgmatch.errors import EvidenceError
from imgmatch.locator import Locator
from imgmatch.optional import require
from imgmatch.sources import files
from imgmatch.sources.base import Container
from imgmatch.sources.ewf_chunks import EwfChunks, UnknownLayoutError
from imgmatch.sources.streams import LOCK, Joined, RandomAccess, Shared, Window
from imgmatch.types import Evidence, Issue

_NUMBER = re.compile(r"\.(\d{3})\Z")


class _Media:
    """A libyal handle as RandomAccess. ``keep`` lives as long as it."""

    def __init__(self, handle: Any, keep: Any) -> None:
        self._handle, self._keep = handle, keep
        self.size = int(handle.get_media_size())

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``offset``."""
        size = max(0, min(size, self.size - offset))
        with LOCK:
            return bytes(self._handle.read_buffer_at_offset(size, offset)) if size else b""


_EWF, _EWF2 = b"EVF\x09\x0d\x0a\xff\x00", b"EVF2\r\n\x81\0"


def is_ewf(head: bytes) -> bool:
    """A segment file of E01 or Ex01."""
    return head.startswith((_EWF, _EWF2))


def is_first_segment(head: bytes) -> bool:
    """Is this the segment file that a set is opened by? The number stands in its header (libyal, EWF specification)."""
    return int.from_bytes(head[9:11] if head.startswith(_EWF) else head[12:16], "little") == 1


class DiskContainer(Container):
    """A file, or a set of files, that holds the bytes of a disk."""

    def media(self) -> RandomAccess:
        """The disk's bytes."""
        raise NotImplementedError

    def members(self) -> Iterator[Evidence | Issue]:
        """The disk."""
        media = self.media()
        yield self.part("disk", media, 0, media.size)


class Ewf(DiskContainer):
    """Expert Witness Format: E01 and Ex01, in one segment file or several."""

    kind: ClassVar[str] = "ewf"

    def media(self) -> RandomAccess:
        """The disk's bytes; raises EvidenceError when a segment file is missing."""
        pyewf = require("pyewf", "forensic")
        if not is_first_segment(self.access().read_at(0, 16)):
            raise EvidenceError("broken_image", "a later part of a set of segment files whose first is not beside it")
        handle = pyewf.handle()
        root = self.outer.locator
        parts: list[Any] = []
        try:
            if root.kind == "file" and root.parent is None:
                # Names only: the library opens the files, for reading.
                parts = [name for name in pyewf.glob(root.at) if os.path.isfile(name)]
                handle.open(parts)
                sources: list[RandomAccess] = [Shared(files.reopen(Locator.file(name)).open()) for name in parts]
            else:
                sources = [self.access()]
                parts = [Window(sources[0])]
                handle.open_file_objects(parts)
            media = _Media(handle, parts)
        except OSError as error:
            raise EvidenceError("broken_image", f"the image can't be opened: {_reason(error)}") from error
        try:
            return EwfChunks(sources, media)
        except UnknownLayoutError:
            return media


class _OneFile(DiskContainer):
    module: ClassVar[str]

    def media(self) -> RandomAccess:
        """The disk's bytes."""
        library = require(self.module, "forensic")
        handle = self._new(library)
        try:
            return _Media(handle, self._load(handle))
        except OSError as error:
            raise EvidenceError("broken_image", f"the image can't be opened: {_reason(error)}") from error

    def _new(self, library: Any) -> Any:
        return library.file()

    def _load(self, handle: Any) -> Any:
        """Open the handle; returns what must live as long as it."""
        stream = Window(self.access())
        handle.open_file_object(stream)
        return stream


class Vhd(_OneFile):
    """VHD and VHDX, not the differing kind."""

    kind: ClassVar[str] = "vhd"
    module: ClassVar[str] = "pyvhdi"


class Vmdk(_OneFile):
    """VMDK in one file."""

    kind: ClassVar[str] = "vmdk"
    module: ClassVar[str] = "pyvmdk"

    def _new(self, library: Any) -> Any:
        return library.handle()

    def _load(self, handle: Any) -> Any:
        root = self.outer.locator
        if root.kind == "file" and root.parent is None:
            handle.open(root.at)
            handle.open_extent_data_files()
            return None
        streams = [Window(self.access()), Window(self.access())]
        handle.open_file_object(streams[0])
        handle.open_extent_data_files_as_file_objects(streams[1:])
        return streams


class Qcow(_OneFile):
    """QCOW, QCOW2 and QCOW3 without a backing file."""

    kind: ClassVar[str] = "qcow"
    module: ClassVar[str] = "pyqcow"


class SplitRaw(DiskContainer):
    """A raw image in parts, .001, .002, ...: read as one."""

    kind: ClassVar[str] = "split"

    def media(self) -> RandomAccess:
        """The disk's bytes, as far as parts follow one another."""
        return Joined([Shared(files.reopen(Locator.file(name)).open()) for name in parts_of(self.outer.locator.at)])


def parts_of(first: str) -> list[str]:
    """The parts of a split raw image whose first is ``first``, in order."""
    match = _NUMBER.search(first)
    if match is None:
        return [first]
    stem, number, found = first[: match.start()], int(match[1]), []
    while os.path.isfile(name := f"{stem}.{number:03d}"):
        found.append(name)
        number += 1
    return found


def first_part(name: str) -> str | None:
    """The first part of the set that a later part (.002 and so on) belongs to, where it lies beside it."""
    match = _NUMBER.search(name)
    if match is None:
        return None
    for start in (0, 1):
        first = f"{name[: match.start()]}.{start:03d}"
        if first != name and os.path.isfile(first):
            return first if name in parts_of(first) else None
    return None


def _reason(error: OSError) -> str:
    """The first line of libyal's story."""
    return str(error).strip().splitlines()[0] if str(error).strip() else "no reason given"
