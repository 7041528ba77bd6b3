"""What all disk images have in common: units of one size (clusters, grains, blocks, chunks) that lie somewhere.

A unit that is damaged or missing is never given: reading it says where it is and what is wrong with it.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, TypedDict

import numpy as np
import numpy.typing as npt

from imgmatch.parsers.told import Size
from imgmatch.streams import RandomAccess, one_line

_KEPT_BYTES = 16 << 20
_SECTOR = 512
_MOST_FAULTS = 1000
_MOST_NOTED = 100 * _MOST_FAULTS
MOST_TABLE_BYTES = 1 << 30
"""Of the tables of one image that are held at once."""

Numbers = npt.NDArray[np.int64]


class Fault(TypedDict):
    """Something wrong with an image: at ``start``, for ``size`` bytes of the disk; of no size, with the whole."""

    start: Size
    size: Size
    why: str


class About(TypedDict):
    """What an image says of itself. ``unsupported``: what of it can't be read here, empty where all can. ``identity``:
    by which others know it, where there is one. ``hashes`` of all its bytes: name and hexadecimal digits.
    """

    size: Size
    unsupported: str
    identity: str
    faults: list[Fault]
    hashes: list[tuple[str, str]]


class Other(TypedDict):
    """Another file that an image needs: its ``name`` there, and what it is: a ``part`` of this image, this file
    ``itself``, or a ``disk`` (``raw disk``: whatever it looks like) that this one is based on, whose identity is ``id``
    where that is known.
    """

    name: str
    use: Literal["part", "itself", "disk", "raw disk"]
    id: str


class Place(NamedTuple):
    """Where a unit lies: ``raw`` or ``packed`` in a file, for ``stored`` bytes; as in the ``parent``; or nowhere, as
    ``zero``. A packed one holds ``inside`` bytes before the unit.
    """

    how: str
    source: int = 0
    at: int = 0
    stored: int = 0
    inside: int = 0


ZERO, PARENT = Place("zero"), Place("parent")


class BadError(Exception):
    """What is wrong with a unit."""


class UnsupportedError(Exception):
    """What of an image can't be read here."""


class DamageError(OSError):
    """Bytes of a disk that can't be had as they were."""

    def __init__(self, start: int, size: int, why: str) -> None:
        super().__init__(f"{start}+{size}: {why}")
        self.start, self.size, self.why = start, size, why


class Disk:
    """A disk of ``size_bytes`` in units of ``unit_bytes``.

    A reader fills these in ``_open``, which may raise UnsupportedError and OSError, and gives ``_where`` (a unit's
    place, or BadError); what is packed is unpacked by ``_unpacked``.
    """

    def __init__(self, _: Callable[[], None], images: Sequence[RandomAccess]) -> None:
        self._images = images
        self._kept: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._kept_bytes = 0
        self._faults: list[Fault] = []
        self._hashes: list[tuple[str, str]] = []
        self._parent: RandomAccess | None = None
        self._unsupported = self._identity = ""
        self.size_bytes, self.unit_bytes = 0, _SECTOR
        try:
            self._open()
        except UnsupportedError as error:
            self._unsupported = str(error)

    def _open(self) -> None:
        raise NotImplementedError

    def _where(self, number: int) -> Place:
        raise NotImplementedError

    def _unpacked(self, data: bytes, place: Place) -> bytes:
        raise NotImplementedError

    def about(self) -> About:
        """What it says of itself."""
        faults = self._faults[:_MOST_FAULTS]
        if len(faults) < len(self._faults):
            faults.append({"start": 0, "size": 0, "why": f"{len(self._faults) - len(faults):,} further faults"})
        return {
            "size": self.size_bytes,
            "unsupported": self._unsupported,
            "identity": self._identity,
            "faults": faults,
            "hashes": self._hashes,
        }

    def others(self) -> list[Other]:
        """Other files that it needs, in the order in which they are to be given."""
        return []

    def read(self, offset: int, size: int) -> bytes:
        """Bytes of the disk. Raises DamageError where some of them can't be had as they were."""
        end = min(offset + size, self.size_bytes)
        parts: list[bytes] = []
        while offset < end:
            number, inside = divmod(offset, self.unit_bytes)
            place = self._at(number)
            last = min(end, (number + 1) * self.unit_bytes)
            if place.how == "raw":  # as many as lie one behind the other
                while last < end and self._at(last // self.unit_bytes) == place._replace(
                    at=place.at + last - number * self.unit_bytes
                ):
                    last = min(end, last + self.unit_bytes)
            parts.append(self._bytes(number, place, inside, last - offset))
            offset = last
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _at(self, number: int) -> Place:
        try:
            return self._where(number)
        except BadError as error:
            raise self._damaged(number, str(error)) from error

    def _bytes(self, number: int, place: Place, inside: int, size: int) -> bytes:
        start = number * self.unit_bytes + inside
        if place.how == "zero":
            return bytes(size)
        if place.how == "parent":
            if self._parent is None or not self._parent.size:
                raise self._damaged(number, "lies in the disk that this one is based on, which is not there")
            return self._parent.read_at(start, size).ljust(size, b"\0")
        if place.how == "raw":
            data = self._images[place.source].read_at(place.at + inside, size)
            if len(data) != size:
                raise DamageError(start + len(data), size - len(data), "its file ends before")
            return data
        try:
            whole = self._whole(place)
        except (BadError, zlib.error) as error:
            raise self._damaged(number, one_line(error)) from error
        data = whole[place.inside + inside : place.inside + inside + size]
        if len(data) != size:
            raise self._damaged(number, "unpacks to too few bytes")
        return data

    def _whole(self, place: Place) -> bytes:
        """What is packed at a place, kept for a while."""
        key = place.source, place.at
        data = self._kept.get(key)
        if data is None:
            data = self._unpacked(self._images[place.source].read_at(place.at, place.stored), place)
            self._kept[key] = data
            self._kept_bytes += len(data)
            while self._kept_bytes > _KEPT_BYTES and len(self._kept) > 1:
                self._kept_bytes -= len(self._kept.popitem(last=False)[1])
        else:
            self._kept.move_to_end(key)
        return data

    def _damaged(self, number: int, why: str) -> DamageError:
        start = number * self.unit_bytes
        return DamageError(start, min(self.unit_bytes, self.size_bytes - start), why)

    def _fault(self, why: str, first: int = 0, count: int = 0) -> None:
        """Note what is wrong with so many units, or with the whole."""
        start = first * self.unit_bytes
        size = max(0, min(count * self.unit_bytes, self.size_bytes - start))
        if len(self._faults) < _MOST_NOTED:
            self._faults.append({"start": start, "size": size, "why": why})

    def _fault_each(self, why: str, numbers: Numbers) -> None:
        """Note what is wrong with units, those that follow one another as one."""
        numbers = np.unique(numbers)
        breaks = np.flatnonzero(np.diff(numbers) != 1) + 1
        for run in np.split(numbers, breaks)[: _MOST_FAULTS + 1]:
            if len(run):
                self._fault(why, int(run[0]), len(run))

    def _header(self, at: int, size: int, source: int = 0) -> bytes:
        """Bytes that must be there. OSError where the file ends before."""
        data = self._images[source].read_at(at, size) if at >= 0 else b""
        if len(data) != size:
            raise OSError(f"the file ends before byte {at + size:,}, where its tables should be")
        return data


def inflate(data: bytes, most: int, window: int = zlib.MAX_WBITS) -> tuple[bytes, int]:
    """Bytes that a zlib stream (RFC 1950; of negative ``window`` RFC 1951) unpacks to, at most ``most``, and how many
    it takes itself. Raises BadError where it does not end within, zlib.error where it is damaged.
    """
    unpacker = zlib.decompressobj(window)
    made = unpacker.decompress(data, most + 1)
    if len(made) > most:
        raise BadError("unpacks to too many bytes")
    if not unpacker.eof:
        raise BadError("is packed, and ends too soon")
    return made, len(data) - len(unpacker.unused_data)


def repeated(places: Numbers) -> npt.NDArray[np.bool_]:
    """Which of some numbers are there more than once."""
    _, inverse, counts = np.unique(places, return_inverse=True, return_counts=True)
    return counts[inverse] > 1
