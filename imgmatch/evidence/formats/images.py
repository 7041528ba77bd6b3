"""Disk images in a container format of their own, as the bytes of the disk: E01/Ex01, VHD, VMDK, QCOW2, split raw.

Read by libyal's libraries (extra ``forensic``) in a process of their own (``imgmatch.parsers.libyal``). Each has one
member, ``disk``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import ClassVar

from imgmatch.errors import EvidenceError
from imgmatch.evidence import files
from imgmatch.evidence.container import Container
from imgmatch.evidence.formats.ewf_chunks import EwfChunks, UnknownLayoutError
from imgmatch.locator import Locator
from imgmatch.optional import require
from imgmatch.streams import Joined, RandomAccess, Shared
from imgmatch.types import Evidence, Issue
from imgmatch.workers import session

_NUMBER = re.compile(r"\.(\d{3})\Z")


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

    def parsed(self, parser: str, sources: list[RandomAccess]) -> RandomAccess:
        """What a parser of ``imgmatch.parsers.libyal`` reads out of ``sources``."""
        opened = session.Session(parser, sources, self.outer, self.options.limits)
        try:
            return session.Reading(opened, opened.call("size"))
        except OSError as error:
            raise EvidenceError("broken_image", f"the image can't be opened: {_reason(error)}") from error

    def plain_file(self) -> str | None:
        """Its path where it lies in a folder, so that others lie beside it."""
        place = self.outer.locator
        return place.at if place.kind == "file" and place.parent is None else None


class Ewf(DiskContainer):
    """Expert Witness Format: E01 and Ex01, in one segment file or several."""

    kind: ClassVar[str] = "ewf"

    def media(self) -> RandomAccess:
        """The disk's bytes; raises EvidenceError when a segment file is missing."""
        pyewf = require("pyewf", "forensic")
        if not is_first_segment(self.access().read_at(0, 16)):
            raise EvidenceError("broken_image", "a later part of a set of segment files whose first is not beside it")
        path = self.plain_file()
        if path is None:
            sources = [self.access()]
        else:
            try:
                names = [name for name in pyewf.glob(path) if os.path.isfile(name)]  # looks at names only
            except OSError as error:
                raise EvidenceError("broken_image", f"the image can't be opened: {_reason(error)}") from error
            sources = [_beside(name) for name in names]
        media = self.parsed("Ewf", sources)
        try:
            return EwfChunks(sources, media)
        except UnknownLayoutError:
            return media


class Vhd(DiskContainer):
    """VHD and VHDX, not the differing kind."""

    kind: ClassVar[str] = "vhd"

    def media(self) -> RandomAccess:
        """The disk's bytes."""
        return self.parsed("Vhd", [self.access()])


class Vmdk(DiskContainer):
    """VMDK, in one file or with extents in files beside it."""

    kind: ClassVar[str] = "vmdk"

    def media(self) -> RandomAccess:
        """The disk's bytes; raises EvidenceError when an extent is missing."""
        own = self.access()
        try:
            descriptor = session.Session("VmdkDescriptor", [own], self.outer, self.options.limits)
            names = descriptor.call("extents")
        except OSError as error:
            raise EvidenceError("broken_image", f"the image can't be opened: {_reason(error)}") from error
        return self.parsed("Vmdk", [own, *(self._extent(name, own) for name in names)])

    def _extent(self, name: str | None, own: RandomAccess) -> RandomAccess:
        """The file of an extent: beside this one, and nowhere else, whatever the descriptor says; or this one."""
        path = self.plain_file()
        if path is not None and name is not None:
            beside = os.path.join(os.path.dirname(path), re.split(r"[\\/]", name)[-1])
            if os.path.isfile(beside):
                return _beside(beside)
        return own


class Qcow(DiskContainer):
    """QCOW, QCOW2 and QCOW3 without a backing file."""

    kind: ClassVar[str] = "qcow"

    def media(self) -> RandomAccess:
        """The disk's bytes."""
        return self.parsed("Qcow", [self.access()])


class SplitRaw(DiskContainer):
    """A raw image in parts, .001, .002, ...: read as one."""

    kind: ClassVar[str] = "split"

    def media(self) -> RandomAccess:
        """The disk's bytes, as far as parts follow one another."""
        return Joined([_beside(name) for name in parts_of(self.outer.locator.at)])


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


def _beside(path: str) -> RandomAccess:
    return Shared(files.reopen(Locator.file(path)).open())


def _reason(error: OSError) -> str:
    """The first line of libyal's story."""
    return str(error).strip().splitlines()[0] if str(error).strip() else "no reason given"
