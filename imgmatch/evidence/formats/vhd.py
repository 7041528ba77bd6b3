"""Virtual disks of Microsoft's: VHD and VHDX, also over a disk that lies beside them. A fixed VHD is a raw image."""

from __future__ import annotations

from imgmatch.evidence.formats.backed import Backed
from imgmatch.parsers.disks import vhd, vhdx
from imgmatch.streams import RandomAccess


class Vhd(Backed):
    """A VHD, dynamic or differencing, or a VHDX."""

    name = "VHD"
    kinds = ("vhd",)
    parser: type = vhd.Vhd
    magic = (b"vhdxfile", b"conectix")

    def sources(self) -> list[RandomAccess]:
        """As Backed, by the reader of its kind."""
        if self.access().read_at(0, 8) == b"vhdxfile":
            self.parser = vhdx.Vhdx
        return super().sources()
