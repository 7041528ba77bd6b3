"""QCOW2, also over a backing file that lies beside it."""

from __future__ import annotations

from imgmatch.evidence.formats.backed import Backed
from imgmatch.parsers.disks.qcow import Qcow as Parser


class Qcow(Backed):
    """A virtual disk of QEMU's."""

    name = "QCOW2"
    kinds = ("qcow",)
    parser = Parser
    magic = (b"QFI\xfb",)
