"""Expert Witness Format: E01 and Ex01, in one segment file or several."""

from __future__ import annotations

import os

from imgmatch.errors import EvidenceError
from imgmatch.evidence import files
from imgmatch.evidence.formats.disk_image import DiskImage, beside, cant_open
from imgmatch.evidence.formats.ewf_chunks import EwfChunks, UnknownLayoutError
from imgmatch.evidence.look import Look
from imgmatch.optional import require
from imgmatch.parsers import libyal
from imgmatch.streams import RandomAccess

_EWF, _EWF2 = b"EVF\x09\x0d\x0a\xff\x00", b"EVF2\r\n\x81\0"


class Ewf(DiskImage):
    """The image of a disk as EnCase makes it."""

    name = "E01"
    kinds = ("ewf",)
    parser = libyal.Ewf
    magic = (_EWF, _EWF2)
    needs = "pyewf", "forensic"

    @classmethod
    def elsewhere(cls, look: Look) -> bool:
        """A later segment file whose first lies beside it."""
        return look.path is not None and not _is_first(look.head) and _has_first(look.path)

    def media(self) -> RandomAccess:
        """The disk's bytes; raises EvidenceError when a segment file is missing."""
        if not _is_first(self.access().read_at(0, 16)):
            raise EvidenceError("broken_image", "a later part of a set of segment files whose first is not beside it")
        path = files.path_of(self.outer)
        if path is None:
            sources = [self.access()]
        else:
            try:  # looks at names only
                names = [name for name in require("pyewf", "forensic").glob(path) if os.path.isfile(name)]
            except OSError as error:
                raise cant_open(error) from error
            sources = [beside(name) for name in names]
        media = self.parsed(sources)
        try:
            return EwfChunks(sources, media)
        except UnknownLayoutError:
            return media


def _is_first(head: bytes) -> bool:
    """Is this the segment file that a set is opened by? The number stands in its header (libyal, EWF specification)."""
    return int.from_bytes(head[9:11] if head.startswith(_EWF) else head[12:16], "little") == 1


def _has_first(path: str) -> bool:
    """Does the first segment file of a set lie beside a later one?"""
    stem, ending = os.path.splitext(path)
    first = "01" if ending[1:2].lower() == "e" and ending[2:3].lower() != "x" else "x01"
    firsts = (f"{stem}.{letter}{first}" for letter in "Ee")
    return any(name != path and os.path.isfile(name) for name in firsts)
