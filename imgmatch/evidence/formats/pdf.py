"""PDF (ISO 32000)."""

from __future__ import annotations

from imgmatch.evidence.formats.extracted import Extracted
from imgmatch.evidence.look import Look


class Pdf(Extracted):
    """Pictures and attached files."""

    name = "PDF"
    kinds = ("pdf",)
    parser = "pdf"
    switch = "documents"
    needs = "pypdf", "documents"

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """By its header, which may stand a little behind the start."""
        return b"%PDF-" in look.head[:1024]
