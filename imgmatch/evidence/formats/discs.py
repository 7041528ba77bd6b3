"""Discs with two file systems over the same files (ISO 9660 and UDF), which need not name the same ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from imgmatch.errors import EvidenceError
from imgmatch.evidence.formats import boot_sectors
from imgmatch.evidence.formats.boot_sectors import where_it_can
from imgmatch.evidence.formats.filesystem import FileSystem
from imgmatch.evidence.formats.trees import Udf, is_udf
from imgmatch.evidence.look import Look
from imgmatch.types import Evidence, Issue


class Bridge(FileSystem):
    """Files that ISO 9660 names, then those that UDF alone does."""

    name = "disc with ISO 9660 and UDF"
    kinds: ClassVar[tuple[str, ...]] = (*FileSystem.kinds, "udf")

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """By the descriptors of both."""
        at = where_it_can(look.at)
        return is_udf(at) and boot_sectors.intact(look.head, at) == "ISO9660"

    def members(self) -> Iterator[Evidence | Issue]:
        """Files, ISO 9660's first; where it can't be read, all that UDF names."""
        known: list[tuple[int, int]] = []
        try:
            yield from super().members()
            yield from self._owned(set(), known)
        except EvidenceError as error:
            yield Issue.walked(self.outer.locator, error, self.name)
        other = Udf(self.outer, self.options, self.budget)
        other.known = frozenset(known)
        yield from other.members()
