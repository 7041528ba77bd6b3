"""7z archives by py7zr (extra ``archives``), in a process of its own."""

from __future__ import annotations

from typing import ClassVar

from imgmatch.evidence.container import Container
from imgmatch.evidence.formats.extracted import Extracted


class SevenZip(Extracted):
    """The 7z format. Solid blocks make every member need those before it, hence one pass."""

    name = "7z archive"
    kinds = ("sevenzip",)
    magic = (b"7z\xbc\xaf\x27\x1c",)
    needs = "py7zr", "archives"
    parser = "sevenzip"
    as_old_as_itself = False
    hashed_up_to_bytes: ClassVar[int | None] = Container.hashed_up_to_bytes
