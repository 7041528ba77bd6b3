"""What disk images in a container format of their own have in common: one member, ``disk``, the bytes of the disk.

Readers (``imgmatch.parsers.disks``), most in a process of their own, give what they can prove and name the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar

from imgmatch.errors import EvidenceError
from imgmatch.evidence import beside
from imgmatch.evidence.container import Container
from imgmatch.evidence.options import SourceOptions
from imgmatch.locator import Locator, readable
from imgmatch.streams import LOCK, DamagedError, RandomAccess, access, damage_of, one_line
from imgmatch.types import Evidence, Issue
from imgmatch.workers import session

_DAMAGE = re.compile(r"(\d{1,19})\+(\d{1,19}): (.*)", re.ASCII | re.DOTALL)
_MOST_TOLD = 1000


class DiskImage(Container):
    """A file, or a set of files, that holds the bytes of a disk."""

    hashed_up_to_bytes: ClassVar[int | None] = None
    parser: type
    """The class of ``imgmatch.parsers.disks``."""
    here = False
    """Is it read in this process, where that is much faster?"""

    def sources(self) -> list[RandomAccess]:
        """The files of the image, this one first. Raises EvidenceError where one is missing that nothing can be read
        without.
        """
        return [self.access()]

    def faults(self) -> list[tuple[str, str]]:
        """What is wrong with the set of files itself: kind of issue and message."""
        return []

    def media(self) -> Media:
        """The disk's bytes. Raises EvidenceError where nothing of it can be read."""
        sources = self.sources()
        return Media(self.parser, sources, self)

    def members(self) -> Iterator[Evidence | Issue]:
        """The disk, after what is wrong with it; then what turned out to be damaged when it was read."""
        media = self.media()
        for number, (kind, message) in enumerate(self.faults()):
            yield self.issue(f"set{number}", kind, message)
        for number, fault in enumerate(media.about["faults"]):
            yield self._fault(number, fault)
        if sum(fault["size"] for fault in media.about["faults"]) < media.size:
            yield self.extent("disk", media, 0, media.size)
        told = list(media.met.values())
        for damage in told:
            yield damage_issue(damage)

    def _fault(self, number: int, fault: dict[str, Any]) -> Issue:
        if not fault["size"]:
            return self.issue(f"fault{number}", "broken_image", fault["why"])
        return damage_issue(DamagedError(fault["start"], fault["size"], fault["why"], self.place("disk")))

    def beside(self, name: str) -> Evidence | None:
        """A file that lies beside this one, whatever folder ``name`` says; None where there is none."""
        near, own = beside.of(self.outer), self.outer.locator.at
        place = beside.folder_of(own) + re.split(r"[\\/]", name)[-1]
        return None if near is None or place == own else near.named(place)


def damage_issue(damage: DamagedError) -> Issue:
    """What is said of a damaged range of a disk, at a place of its own."""
    assert damage.place is not None
    place = Locator(damage.place.kind, f"{damage.start}+{damage.size}", damage.place.parent)
    return Issue(place, "read", "broken_image", str(damage))


class _Elsewhere:
    """A reader in a process of its own."""

    def __init__(
        self, parser: type, sources: list[RandomAccess], image: DiskImage, opening: tuple[object, ...]
    ) -> None:
        self._session = session.Session(parser, sources, image.outer, image.options.limits, *opening)

    def about(self) -> dict[str, Any]:
        """What the image says of itself."""
        told: dict[str, Any] = self._session.call("about")
        return told

    def reading(self, size: int) -> RandomAccess:
        """Its bytes."""
        return session.Reading(self._session, size)


class _Here:
    """A reader in this process: Python and zlib, which unpacks no more than a chunk."""

    def __init__(self, parser: type, sources: list[RandomAccess]) -> None:
        self._reader = parser(lambda: None, sources)
        self.size = 0

    def about(self) -> dict[str, Any]:
        """What the image says of itself."""
        return dict(self._reader.about())

    def reading(self, size: int) -> RandomAccess:
        """Its bytes."""
        self.size = size
        return self

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``offset``."""
        with LOCK:
            return bytes(self._reader.read(offset, size))


class Media:
    """The bytes of a disk as a parser gives them, as RandomAccess. What it can't prove raises DamagedError.

    ``opening``: what the parser takes besides. ``about`` is what the image says of itself, ``met``
    what turned out to be damaged, by where it begins.
    """

    def __init__(self, parser: type, sources: list[RandomAccess], image: DiskImage, *opening: object) -> None:
        self._place = image.place("disk")
        try:
            asked = _Here(parser, sources) if image.here else _Elsewhere(parser, sources, image, opening)
            self.about: dict[str, Any] = asked.about()
        except (OSError, RuntimeError) as error:
            raise cant_open(error) from error
        if self.about["unsupported"]:
            raise EvidenceError("unsupported", self.about["unsupported"])
        self.size: int = self.about["size"]
        self.met: dict[int, DamagedError] = {}
        self._reading = asked.reading(self.size)

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``offset``."""
        size = min(size, self.size - offset)
        if size <= 0:
            return b""
        try:
            data = self._reading.read_at(offset, size)
        except (OSError, RuntimeError) as error:
            raise self._damage(error, offset, size) from error
        if len(data) < size:
            raise self._noted(DamagedError(offset + len(data), size - len(data), "its reader gives less", self._place))
        return data

    def _damage(self, error: Exception, offset: int, size: int) -> Exception:
        if (before := damage_of(error)) is not None:  # of what it lies in, or of its parent
            return before.again()
        own = getattr(error, "errno", None) is None and not isinstance(error.__cause__, OSError)
        if not own:  # nothing of the image's: its file can't be read
            return error
        match = _DAMAGE.fullmatch(one_line(error))
        if match is None or not offset - (1 << 40) <= int(match[1]) < offset + size:
            return self._noted(DamagedError(offset, size, one_line(error), self._place))
        return self._noted(DamagedError(int(match[1]), int(match[2]), match[3], self._place))

    def _noted(self, damage: DamagedError) -> DamagedError:
        if len(self.met) < _MOST_TOLD:
            self.met.setdefault(damage.start, damage.again())
        return damage


def cant_open(error: Exception) -> EvidenceError:
    """What kept an image from being opened, in one line."""
    return EvidenceError("broken_image", f"the image can't be opened: {readable(one_line(error))}")


def opened(evidence: Evidence, options: SourceOptions) -> RandomAccess:
    """The bytes of another file of a set."""
    return access(evidence.open(), options.limits)
