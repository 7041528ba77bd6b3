"""QCOW, QCOW2 and QCOW3 without a backing file."""

from __future__ import annotations

from imgmatch.evidence.formats.disk_image import DiskImage
from imgmatch.evidence.streams import RandomAccess


class Qcow(DiskImage):
    """A virtual disk of QEMU's."""

    name = "QCOW"
    kinds = ("qcow",)
    magic = (b"QFI\xfb",)
    needs = "pyqcow", "forensic"

    def media(self) -> RandomAccess:
        """The disk's bytes."""
        return self.parsed("Qcow", [self.access()])
