"""Outlook's mail stores (.pst, .ost)."""

from __future__ import annotations

from collections.abc import Iterator

from imgmatch.evidence.formats.extracted import Extracted
from imgmatch.types import Evidence, Issue


class Pst(Extracted):
    """Attachments of every message, of those too that lie in no folder any more."""

    name = "mail store of Outlook"
    kinds = ("pst", "deleted")
    parser = "pst"
    switch = "documents"
    magic = (b"!BDN",)

    def members(self) -> Iterator[Evidence | Issue]:
        """In the order of their messages."""
        for member in super().members():
            if self.options.deleted or member.locator.kind != "deleted":
                yield member
