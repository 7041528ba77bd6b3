"""Previews in the EXIF data of a JPEG that show something else than the picture does."""

from __future__ import annotations

from typing import ClassVar

from imgmatch.evidence.formats.extracted import Moving
from imgmatch.evidence.look import Look


class Previews(Moving):
    """Previews, called by where they begin and how long they are."""

    name = "JPEG with previews"
    kinds: ClassVar[tuple[str, ...]] = ("preview",)
    parser = "previews"
    switch = "previews"
    itself = True
    begins = (b"\xff\xd8\xff",)

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """Is it a JPEG with EXIF data?"""
        return look.head.startswith(b"\xff\xd8\xff") and b"Exif\0\0" in look.head
