"""Thumbs.db, which Windows up to Vista left in folders."""

from __future__ import annotations

from imgmatch.evidence.formats.extracted import Extracted


class Thumbs(Extracted):
    """Thumbnails, called by the names of their pictures."""

    name = "Thumbs.db"
    kinds = ("thumb",)
    parser = "thumbs"
    switch = "documents"
    needs = "olefile", "documents"
    magic = (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",)  # any compound file
