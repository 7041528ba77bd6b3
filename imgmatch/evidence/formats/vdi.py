"""VDI, VirtualBox's virtual disks."""

from __future__ import annotations

from imgmatch.evidence.formats.disk_image import DiskImage
from imgmatch.evidence.look import Look
from imgmatch.parsers.disks.vdi import Vdi as Parser


class Vdi(DiskImage):
    """A virtual disk of VirtualBox's."""

    name = "VDI"
    kinds = ("vdi",)
    parser = Parser

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """By its signature, which stands behind 64 bytes of text."""
        return look.head[64:68] == b"\x7f\x10\xda\xbe"
