"""Partitions of a disk (MBR, GPT), by The Sleuth Kit (pytsk3, extra ``forensic``) in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from imgmatch.errors import EvidenceError
from imgmatch.evidence.container import Container
from imgmatch.evidence.formats.filesystem import FileSystem
from imgmatch.evidence.look import Look
from imgmatch.parsers import tsk
from imgmatch.streams import one_line
from imgmatch.types import Evidence, Issue
from imgmatch.workers import session


class Partitions(Container):
    """Allocated partitions, each called by its number in the table and where it begins, in bytes."""

    name = "partitioned disk"
    kinds = ("partition",)
    hashed_up_to_bytes: ClassVar[int | None] = None
    needs = "pytsk3", "forensic"

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """An MBR whose four entries make sense, a protective one included; not the boot sector of a file system."""
        if look.head[510:512] != b"\x55\xaa" or FileSystem.recognise(look):
            return False
        entries = [look.head[at : at + 16] for at in range(446, 510, 16)]
        used = [entry for entry in entries if entry[4] and any(entry[12:16])]
        return bool(used) and all(entry[0] in (0, 0x80) for entry in entries)

    def members(self) -> Iterator[Evidence | Issue]:
        """Partitions in the order of the table."""
        source = self.access()
        try:
            parts = session.Session(tsk.Partitions, [source], self.outer, self.options.limits).call("table")
        except OSError as error:
            raise EvidenceError("broken_image", f"the partitions can't be read: {one_line(error)}") from error
        for number, (start, size) in enumerate(parts, start=1):
            inside = max(0, min(size, source.size - start))
            yield self.extent(f"{number}@{start}", source, start, inside)
            if inside < size:
                yield self.issue(
                    f"{number}@{start}", "broken_image", f"the image ends {size - inside:,} bytes before the partition"
                )
