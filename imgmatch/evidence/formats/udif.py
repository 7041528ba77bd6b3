"""Apple's disk images (.dmg)."""

from __future__ import annotations

from imgmatch.evidence.formats.disk_image import DiskImage
from imgmatch.evidence.look import Look
from imgmatch.parsers.disks.udif import MAGIC, TRAILER_BYTES
from imgmatch.parsers.disks.udif import Udif as Parser


class Udif(DiskImage):
    """A disk image of macOS, packed or not, with a trailer; those without are raw images."""

    name = "Apple disk image (DMG)"
    kinds = ("udif",)
    parser = Parser

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """By its trailer."""
        return look.evidence.size_bytes > TRAILER_BYTES and look.at(-TRAILER_BYTES, len(MAGIC)) == MAGIC
