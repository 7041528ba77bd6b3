"""What disk images in a container format of their own have in common: one member, ``disk``, the bytes of the disk.

Read by libyal's libraries (extra ``forensic``) in a process of their own (``imgmatch.parsers.libyal``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from imgmatch.errors import EvidenceError
from imgmatch.evidence import files
from imgmatch.evidence.container import Container
from imgmatch.locator import Locator
from imgmatch.streams import RandomAccess, Shared
from imgmatch.types import Evidence, Issue
from imgmatch.workers import session


class DiskImage(Container):
    """A file, or a set of files, that holds the bytes of a disk."""

    hashed_up_to_bytes: ClassVar[int | None] = None
    parser: ClassVar[type]
    """The class of ``imgmatch.parsers.libyal``."""

    def media(self) -> RandomAccess:
        """The disk's bytes. Raises EvidenceError when a file of the set is missing."""
        return self.parsed([self.access()])

    def members(self) -> Iterator[Evidence | Issue]:
        """The disk."""
        media = self.media()
        yield self.extent("disk", media, 0, media.size)

    def parsed(self, sources: list[RandomAccess]) -> RandomAccess:
        """What the parser reads out of ``sources``."""
        opened = session.Session(self.parser, sources, self.outer, self.options.limits)
        try:
            return session.Reading(opened, opened.call("size"))
        except OSError as error:
            raise cant_open(error) from error


def beside(path: str) -> RandomAccess:
    """Another file of a set."""
    return Shared(files.reopen(Locator.file(path)).open())


def cant_open(error: OSError) -> EvidenceError:
    """The first line of libyal's story."""
    says = str(error).strip().splitlines()
    return EvidenceError("broken_image", f"the image can't be opened: {says[0] if says else 'no reason given'}")
