"""VMDK, in one file or with extents in files beside it."""

from __future__ import annotations

import os

from imgmatch.errors import EvidenceError
from imgmatch.evidence import files, quiet
from imgmatch.evidence.formats.backed import Backed
from imgmatch.evidence.formats.filesystem import FileSystem
from imgmatch.evidence.formats.partitions import Partitions
from imgmatch.evidence.look import Look
from imgmatch.locator import Locator
from imgmatch.parsers.disks.vmdk import MAGIC, TEXT, named_files
from imgmatch.parsers.disks.vmdk import Vmdk as Parser

_MOST_DESCRIPTOR = 1 << 20


class Vmdk(Backed):
    """A virtual disk of VMware's."""

    name = "VMDK"
    kinds = ("vmdk",)
    parser = Parser
    magic = (MAGIC, TEXT)

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """By its magic; of an extent, by the file that describes the disk."""
        return super().recognise(look) or cls.elsewhere(look)

    @classmethod
    def elsewhere(cls, look: Look) -> bool:
        """A file of extents that a descriptor beside it names."""
        if look.path is None or look.head.startswith(TEXT):
            return False
        name = os.path.basename(look.path).lower()
        if not (name.endswith(".vmdk") or Partitions.recognise(look) or FileSystem.recognise(look)):
            return False
        return any(name in map(str.lower, named) for named in _described(os.path.dirname(look.path)))


def _described(folder: str) -> list[list[str]]:
    """The files that each descriptor in a folder names."""
    found = []
    for path, *_ in quiet.entries(folder):
        if path.lower().endswith(".vmdk") and 0 < os.path.getsize(path) <= _MOST_DESCRIPTOR:
            try:
                with Look(files.reopen(Locator.file(path))) as look:
                    text = look.at(0, _MOST_DESCRIPTOR) if look.head.startswith(TEXT) else b""
            except (OSError, EvidenceError):
                continue
            found.append(list(named_files(text.decode("utf-8", "surrogateescape"))))
    return found
