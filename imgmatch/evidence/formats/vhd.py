"""VHD and VHDX, not the differing kind."""

from __future__ import annotations

from imgmatch.evidence.formats.disk_image import DiskImage
from imgmatch.evidence.streams import RandomAccess


class Vhd(DiskImage):
    """A virtual hard disk of Microsoft's."""

    name = "VHD"
    kinds = ("vhd",)
    magic = (b"vhdxfile", b"conectix")
    needs = "pyvhdi", "forensic"

    def media(self) -> RandomAccess:
        """The disk's bytes."""
        return self.parsed("Vhd", [self.access()])
