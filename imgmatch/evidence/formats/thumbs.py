"""Thumbs.db, which Windows up to Vista left in folders, and Office documents up to 2003: compound files."""

from __future__ import annotations

from imgmatch.evidence.formats.extracted import Extracted


class Thumbs(Extracted):
    """Thumbnails, called by the names of their pictures; of others, pictures by the stream that they lie in."""

    name = "compound file (Thumbs.db, Office)"
    kinds = ("thumb", "ole")
    parser = "thumbs"
    switch = "documents"
    needs = "olefile", "documents"
    magic = (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",)  # any compound file
