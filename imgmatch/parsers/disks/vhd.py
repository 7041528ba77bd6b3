"""VHD, dynamic and differencing (Microsoft, Virtual Hard Disk Image Format Specification)."""

from __future__ import annotations

import struct
from uuid import UUID

import numpy as np

from imgmatch.parsers.disks.mapped import NOWHERE, Mapped
from imgmatch.parsers.disks.units import MOST_TABLE_BYTES, BadError, DamageError, Other, Place, UnsupportedError

_FOOTER, _DYNAMIC = 512, 1024
_FIXED, _DYNAMIC_KIND, _DIFFERENCING = 2, 3, 4
_UNUSED = 0xFFFFFFFF
_SECTOR = 512
_KEPT_BITMAPS = 256


class Vhd(Mapped):
    """A dynamic disk, or one that is based on another (the second source)."""

    def _open(self) -> None:
        image = self._images[0]
        copy = image.read_at(0, _FOOTER)
        footer = image.read_at(image.size - _FOOTER, _FOOTER)
        whole = [data for data in (footer, copy) if data[:8] == b"conectix" and _checked(data, 64)]
        if not whole:
            raise OSError("its footer and the copy of it are damaged")
        if footer not in whole:
            self._fault("its footer is damaged or missing: the file may have been cut off")
        if copy not in whole:
            self._fault("the copy of its footer is damaged")
        elif len(whole) == 2 and copy[:64] + copy[68:84] != footer[:64] + footer[68:84]:
            self._fault("its footer and the copy of it differ")
        (header_at,) = struct.unpack_from(">Q", whole[0], 16)
        (self.size_bytes,) = struct.unpack_from(">Q", whole[0], 48)
        (kind,) = struct.unpack_from(">I", whole[0], 60)
        self._identity = str(UUID(bytes=whole[0][68:84]))
        if kind not in (_DYNAMIC_KIND, _DIFFERENCING):
            raise UnsupportedError(f"VHD of kind {kind}")
        self._differs = kind == _DIFFERENCING
        self._parent = self._images[1] if self._differs and len(self._images) > 1 else None
        self._dynamic = self._header(header_at, _DYNAMIC)
        if self._dynamic[:8] != b"cxsparse" or not _checked(self._dynamic, 36):
            raise OSError("its header is damaged")
        table_at, _, count, self.unit_bytes = struct.unpack_from(">QIII", self._dynamic, 16)
        if not _SECTOR <= self.unit_bytes <= 1 << 28 or count * 4 > MOST_TABLE_BYTES or self.size_bytes > 1 << 52:
            raise OSError("its header is damaged: blocks, or a table, of a size that can't be")
        self._bitmap_bytes = -(-self.unit_bytes // _SECTOR // 8 // _SECTOR) * _SECTOR
        blocks = -(-self.size_bytes // self.unit_bytes)
        if count < blocks:
            self._fault("its table is too short for the disk", count, blocks - count)
        entries = np.frombuffer(self._header(table_at, 4 * count), ">u4").astype(np.int64)
        places = np.where(entries == _UNUSED, NOWHERE, entries * _SECTOR)
        taken = [(0, _FOOTER), (header_at, _DYNAMIC), (table_at, 4 * count), (image.size - _FOOTER, _FOOTER)]
        taken = taken if footer in whole else taken[:-1]
        self._take_map(places, self._bitmap_bytes + self.unit_bytes, taken, based=self._differs)
        self._bitmaps: dict[int, bytes] = {}

    def others(self) -> list[Other]:
        """The disk that it is based on."""
        if self._unsupported or not self._differs:
            return []
        name = self._dynamic[64:576].decode("utf-16-be", "replace").split("\0")[0]
        return [{"name": name, "use": "disk", "id": str(UUID(bytes=self._dynamic[40:56]))}]

    def _where(self, number: int) -> Place:
        place = super()._where(number)
        if place.how != "raw":
            return place
        full = self._bitmap(place.at).strip(b"\xff") == b""
        return Place("raw", 0, place.at + self._bitmap_bytes) if full else Place("mixed", 0, place.at)

    def _bytes(self, number: int, place: Place, inside: int, size: int) -> bytes:
        if place.how != "mixed":
            return super()._bytes(number, place, inside, size)
        bitmap, parts = self._bitmap(place.at), []
        at, end = inside, inside + size
        while at < end:
            there = _bit(bitmap, at // _SECTOR)
            last = min(end, (at // _SECTOR + 1) * _SECTOR)
            while last < end and _bit(bitmap, last // _SECTOR) == there:
                last = min(end, last + _SECTOR)
            how = "raw" if there or not self._differs else "parent"
            data = super()._bytes(number, Place(how, 0, place.at + self._bitmap_bytes), at, last - at)
            if not there and how == "raw" and data.strip(b"\0"):
                start = number * self.unit_bytes + at
                raise DamageError(start, last - at, "its bitmap says that it is empty, and it is not")
            parts.append(data)
            at = last
        return b"".join(parts)

    def _bitmap(self, at: int) -> bytes:
        """Which sectors of a block are in it."""
        if at not in self._bitmaps:
            if len(self._bitmaps) >= _KEPT_BITMAPS:
                self._bitmaps.clear()
            bits = self._images[0].read_at(at, self._bitmap_bytes)
            if len(bits) < self._bitmap_bytes:
                raise BadError("lies behind the end of the file")
            self._bitmaps[at] = bits
        return self._bitmaps[at]


def fixed_fault(footer: bytes, size: int) -> str | None:
    """What is wrong with a disk of ``size`` bytes that a footer follows, as that says: a fixed VHD. None of another."""
    if footer[:8] != b"conectix" or len(footer) != _FOOTER:
        return None
    if not _checked(footer, 64):
        return "it ends as a fixed VHD, and its footer is damaged"
    (told,) = struct.unpack_from(">Q", footer, 48)
    if int.from_bytes(footer[60:64], "big") != _FIXED or told == size:
        return None
    return f"it ends as a fixed VHD of {told:,} bytes, and has {size:,}: the file was cut or changed"


def _bit(bitmap: bytes, sector: int) -> bool:
    return bool(bitmap[sector // 8] & 0x80 >> sector % 8)


def _checked(data: bytes, at: int) -> bool:
    """Is the checksum at a place right: the complement of the sum of all other bytes?"""
    total = sum(data) - sum(data[at : at + 4])
    return ~total & 0xFFFFFFFF == int.from_bytes(data[at : at + 4], "big")
