"""VMDK, in one file or with extents in files beside it."""

from __future__ import annotations

from imgmatch.errors import EvidenceError
from imgmatch.evidence import beside
from imgmatch.evidence.formats.backed import Backed
from imgmatch.evidence.formats.filesystem import FileSystem
from imgmatch.evidence.formats.partitions import Partitions
from imgmatch.evidence.look import Look
from imgmatch.parsers.disks.vmdk import MAGIC, TEXT, named_files
from imgmatch.parsers.disks.vmdk import Vmdk as Parser
from imgmatch.types import Siblings

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
        return super().recognise(look) or (not look.is_short_text and cls.elsewhere(look))

    @classmethod
    def elsewhere(cls, look: Look) -> bool:
        """A file of extents that a descriptor beside it names."""
        at = look.evidence.locator.at
        is_named = at[-5:].lower() == ".vmdk"
        if not is_named and (look.path is None or not (Partitions.recognise(look) or FileSystem.recognise(look))):
            return False
        if look.head.startswith(TEXT) or (near := beside.of(look.evidence)) is None:
            return False
        name = at[len(beside.folder_of(at)) :].lower()
        return any(name in map(str.lower, named) for named in _described(near, beside.folder_of(at)))


def _described(near: Siblings, folder: str) -> list[list[str]]:
    """The files that each descriptor in a folder names."""
    found = []
    for name in near.names():
        if not name.lower().endswith(".vmdk") or beside.folder_of(name) != folder:
            continue
        try:
            descriptor = near.named(name)
            if descriptor is None or not 0 < descriptor.size_bytes <= _MOST_DESCRIPTOR:
                continue
            with Look(descriptor) as look:
                text = look.at(0, _MOST_DESCRIPTOR) if look.head.startswith(TEXT) else b""
        except (OSError, EvidenceError):
            continue
        found.append(list(named_files(text.decode("utf-8", "surrogateescape"))))
    return found
