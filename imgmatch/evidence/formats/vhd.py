"""VHD and VHDX, not the differing kind."""

from __future__ import annotations

from imgmatch.evidence.formats.disk_image import DiskImage
from imgmatch.parsers import libyal


class Vhd(DiskImage):
    """A virtual hard disk of Microsoft's."""

    name = "VHD"
    kinds = ("vhd",)
    parser = libyal.Vhd
    magic = (b"vhdxfile", b"conectix")
    needs = "pyvhdi", "forensic"
