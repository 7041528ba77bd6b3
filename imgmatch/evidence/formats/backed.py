"""Disk images that need other files: parts of their own, or another disk that they only hold the differences from."""

from __future__ import annotations

from collections.abc import Iterator

from imgmatch.errors import EvidenceError
from imgmatch.evidence.formats.disk_image import DiskImage, Media, cant_open, opened
from imgmatch.evidence.look import Look
from imgmatch.locator import Locator, readable
from imgmatch.streams import RandomAccess
from imgmatch.types import Evidence
from imgmatch.workers import session

_MOST_ABOVE = 32


class Missing:
    """A file that is not there: of no size."""

    size = 0

    def read_at(self, offset: int, size: int) -> bytes:
        """Nothing."""
        return b""


class Backed(DiskImage):
    """An image whose reader says which other files it needs (``others``): they are looked for beside it, by name."""

    _above: frozenset[Locator] = frozenset()
    """The images that this one is looked at for, as a parent."""
    _told: tuple[tuple[str, str], ...] = ()

    def sources(self) -> list[RandomAccess]:
        """This file and those that it names; what is missing is told by ``faults``, and is empty."""
        own = self.access()
        asked = session.Session(self.parser, [own], self.outer, self.options.limits)
        try:
            others = asked.call("others")
        except (OSError, RuntimeError) as error:
            raise cant_open(error) from error
        finally:
            asked.close()
        self._told = ()
        return [own, *(self._other(other, own) for other in others)]

    def faults(self) -> list[tuple[str, str]]:
        """Files that are missing, or are not those that were meant."""
        return list(self._told)

    def _other(self, other: dict[str, str], own: RandomAccess) -> RandomAccess:
        name, wanted = readable(other["name"]), other["id"]
        if other["use"] == "itself":
            return own
        found = self.beside(other["name"])
        if found is None:
            return self._missing(f"the file {name!r}, which it needs, is not beside it: what lies there is missing")
        if other["use"] == "part":
            return opened(found, self.options)
        try:
            disk, identity = self._disk(found, other["use"] == "raw disk")
        except EvidenceError as error:
            return self._missing(f"{name!r}, which it is based on, can't be read: {error}")
        if wanted and identity != wanted:
            says = f"{name!r} is not the disk that it is based on, or was changed since: its identity is"
            return self._missing(f"{says} {identity or 'not there'}, not {wanted}; what lies there is missing")
        return disk

    def _missing(self, why: str) -> RandomAccess:
        self._told = (*self._told, ("broken_image", why))
        return Missing()

    def _disk(self, found: Evidence, raw: bool) -> tuple[RandomAccess, str]:
        """The bytes of a disk that this one is based on, and its identity."""
        above = self._above | {self.outer.locator}
        if found.locator in above or len(above) > _MOST_ABOVE:
            raise EvidenceError("broken_image", "the images are based on each other without end")
        with Look(found) as look:
            kind = next((kind for kind in _kinds(DiskImage) if not raw and kind.magic and kind.recognise(look)), None)
        if kind is None:
            return opened(found, self.options), ""
        image = kind(found, self.options, self.budget)
        if isinstance(image, Backed):
            image._above = above
        media: Media = image.media()
        self._told = (*self._told, *image.faults())
        return media, media.about["identity"]


def _kinds(kind: type[DiskImage]) -> Iterator[type[DiskImage]]:
    for each in kind.__subclasses__():
        yield each
        yield from _kinds(each)
