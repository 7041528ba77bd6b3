"""RAR, CAB, LHA, cpio, ar and RPM archives, and files packed by LZ4, lzip or compress, by libarchive (extra
``rar``, and the system's library), in a process of its own.
"""

from __future__ import annotations

from typing import ClassVar

from imgmatch.evidence.container import Container
from imgmatch.evidence.formats.extracted import Extracted
from imgmatch.evidence.look import Look
from imgmatch.evidence.signatures_of_storage import ARCHIVES

_NAMES = (
    *("RAR archive", "Windows cabinet (CAB)", "LHA archive", "cpio archive", "ar archive"),
    *("RPM package", "LZ4 file", "lzip file", "compress file (.Z)"),
)
_SIGNATURES = [sign for sign in ARCHIVES if sign.name in _NAMES]
_MAGICS = [
    (at, tuple(sign.magic for sign in _SIGNATURES if sign.at == at)) for at in sorted({sign.at for sign in _SIGNATURES})
]


class Unfolded(Extracted):
    """What libarchive unpacks."""

    name = "archive"
    kinds = ("archive",)
    needs = "libarchive", "rar"
    parser = "unfolded"
    as_old_as_itself = False
    hashed_up_to_bytes: ClassVar[int | None] = Container.hashed_up_to_bytes

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """By its signature."""
        if not any(look.head.startswith(magics, at) for at, magics in _MAGICS):
            return False
        places = (((sign.at, sign.magic), *sign.more) for sign in _SIGNATURES)
        return any(all(look.head.startswith(magic, at) for at, magic in each) for each in places)
