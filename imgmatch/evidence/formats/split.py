"""A raw image in parts, .001, .002, ...: read as one."""

from __future__ import annotations

import os
import re

from imgmatch.evidence import files
from imgmatch.evidence.formats.disk_image import DiskImage, beside
from imgmatch.evidence.formats.filesystem import FileSystem
from imgmatch.evidence.formats.partitions import Partitions
from imgmatch.evidence.formats.zips import Zip
from imgmatch.evidence.look import Look
from imgmatch.locator import Locator
from imgmatch.streams import Joined, RandomAccess

_NUMBER = re.compile(r"\.(\d{3})\Z")


class Split(DiskImage):
    """The parts of a disk's image, as far as they follow one another."""

    name = "split raw image"
    kinds = ("split",)

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """The first of several parts, or one that follows."""
        if look.path is None:
            return False
        return cls.elsewhere(look) or (len(_parts(look.path)) > 1 and _is_disk(look))

    @classmethod
    def elsewhere(cls, look: Look) -> bool:
        """A later part whose first lies beside it and begins as a disk does."""
        first = None if look.path is None else _first_part(look.path)
        return first is not None and not Zip.recognise(look) and _is_disk(Look(files.reopen(Locator.file(first))))

    def media(self) -> RandomAccess:
        """The disk's bytes."""
        return Joined([beside(name) for name in _parts(self.outer.locator.at)])


def _is_disk(look: Look) -> bool:
    return Partitions.recognise(look) or FileSystem.recognise(look)


def _parts(first: str) -> list[str]:
    """The parts of a set whose first is ``first``, in order."""
    match = _NUMBER.search(first)
    if match is None:
        return [first]
    stem, number, found = first[: match.start()], int(match[1]), []
    while os.path.isfile(name := f"{stem}.{number:03d}"):
        found.append(name)
        number += 1
    return found


def _first_part(name: str) -> str | None:
    """The first part of the set that a later part (.002 and so on) belongs to, where it lies beside it."""
    match = _NUMBER.search(name)
    if match is None:
        return None
    for start in (0, 1):
        first = f"{name[: match.start()]}.{start:03d}"
        if first != name and os.path.isfile(first):
            return first if name in _parts(first) else None
    return None
