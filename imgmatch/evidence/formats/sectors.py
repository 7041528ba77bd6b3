"""Images of CDs with all that a sector holds (ECMA-130): .bin of a .cue, .img of CloneCD, .mdf of Alcohol."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from imgmatch.errors import EvidenceError
from imgmatch.evidence.container import Container
from imgmatch.streams import RandomAccess
from imgmatch.types import Evidence, Issue

SYNC = b"\0" + b"\xff" * 10 + b"\0"
_DATA = 2048
_SIZES = (2352, 2448)  # without and with subchannels
_MODE, _PLACES = 15, {1: 16, 2: 24}  # of XA, form 1: behind a subheader


class RawSectors(Container):
    """The data of the disc, as one image: what checks and corrects them is left out, and not used."""

    name = "CD in raw sectors"
    kinds = ("cd",)
    magic = (SYNC,)
    hashed_up_to_bytes: ClassVar[int | None] = None

    def members(self) -> Iterator[Evidence | Issue]:
        """The disc."""
        disc = _Disc(self.access())
        yield self.extent("disk", disc, 0, disc.size)
        if disc.sound:
            yield self.issue(
                "tracks", "unsupported", "its last sectors are of no data: tracks of sound, which are not read"
            )


class _Disc:
    """As RandomAccess. EvidenceError where its sectors are of no size that there is."""

    def __init__(self, source: RandomAccess) -> None:
        head = source.read_at(0, _SIZES[-1] + len(SYNC))
        size = next(
            (size for size in _SIZES if head[size:].startswith(SYNC)), 0 if len(head) > _SIZES[0] else _SIZES[0]
        )
        self._at = _PLACES.get(head[_MODE]) if len(head) > _MODE else None
        if not size or self._at is None:
            raise EvidenceError("broken_image", "its sectors are of no size or kind that there is")
        self._source, self._sector = source, size
        last = max(0, source.size // size - 1) * size
        self.sound = not source.read_at(last, len(SYNC)).startswith(SYNC)  # it follows data, as a rule
        self.size = source.size // size * _DATA

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``offset``."""
        size = max(0, min(size, self.size - offset))
        first, last = offset // _DATA, (offset + size + _DATA - 1) // _DATA
        raw = self._source.read_at(first * self._sector, (last - first) * self._sector)
        assert self._at is not None
        data = b"".join(raw[at + self._at : at + self._at + _DATA] for at in range(0, len(raw), self._sector))
        return data[offset - first * _DATA :][:size]
