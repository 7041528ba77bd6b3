"""QCOW, QCOW2 and QCOW3 without a backing file."""

from __future__ import annotations

from imgmatch.evidence.formats.disk_image import DiskImage
from imgmatch.parsers import libyal


class Qcow(DiskImage):
    """A virtual disk of QEMU's."""

    name = "QCOW"
    kinds = ("qcow",)
    parser = libyal.Qcow
    magic = (b"QFI\xfb",)
    needs = "pyqcow", "forensic"
