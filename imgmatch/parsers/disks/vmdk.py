"""VMDK: one file or several, flat, sparse or packed (VMware, Virtual Disk Format 5.0).

What a sparse extent says twice is compared: its tables with their copies, a packed grain's place with the one that
stands before its bytes, whose checksum is zlib's.
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from imgmatch.parsers.disks.mapped import EMPTY, NOWHERE, Mapped
from imgmatch.parsers.disks.units import (
    MOST_TABLE_BYTES,
    About,
    BadError,
    DamageError,
    Disk,
    Numbers,
    Other,
    Place,
    UnsupportedError,
    inflate,
)
from imgmatch.streams import RandomAccess

MAGIC, TEXT = b"KDMV", b"# Disk DescriptorFile"
_HEADER = struct.Struct("<4sIIQQQQIQQQB4sH")
_SECTOR = 512
_MOST_TEXT = 1 << 20
_AT_END = 0xFFFFFFFFFFFFFFFF
_COPIED, _ZEROS, _PACKED, _MARKED = 1 << 1, 1 << 2, 1 << 16, 1 << 17
_EXTENT = re.compile(r'^(?:RW|RDONLY|NOACCESS)\s+(\d+)\s+([A-Z0-9]+)(?:\s+"([^"]*)")?(?:\s+(\d+))?', re.MULTILINE)
_SETTING = re.compile(r'^\s*(\w+)\s*=\s*"?([^"\r\n]*?)"?\s*$', re.MULTILINE)
_FLAT, _SPARSE = ("FLAT", "VMFS"), ("SPARSE",)
_NO_PARENT = ("", "ffffffff")


Flags = npt.NDArray[np.bool_]


class Extent(NamedTuple):
    """A line of a descriptor: sectors, kind, file and the sector in it."""

    sectors: int
    kind: str
    name: str
    offset: int


def extents_of(text: str) -> list[Extent]:
    """The extents that a descriptor names."""
    return [
        Extent(int(sectors), kind, name, int(offset or 0))
        for sectors, kind, name, offset in _EXTENT.findall(text)
        if int(sectors) < 1 << 52 and int(offset or 0) < 1 << 52
    ]


class Vmdk(Disk):
    """A virtual disk of VMware's. Sources: the file with the descriptor, one for each extent, and the disk that it is
    based on, where there is one.
    """

    def _open(self) -> None:
        head = self._images[0].read_at(0, _SECTOR)
        self._sparse = head[:4] == MAGIC
        text = self._embedded(head) if self._sparse else self._images[0].read_at(0, _MOST_TEXT)
        decoded = text.decode("utf-8", "surrogateescape")
        settings = {name.lower(): value for name, value in _SETTING.findall(decoded)}
        self._identity = settings.get("cid", "").lower()
        self._parent_id = settings.get("parentcid", "").lower()
        self._parent_name = settings.get("parentfilenamehint", "")
        self._extents = extents_of(decoded)
        if self._sparse and not self._extents:
            raise OSError("it is a part of a disk that another file describes, or its description is damaged")
        for extent in self._extents:
            if extent.kind not in (*_FLAT, *_SPARSE, "ZERO"):
                raise UnsupportedError(f"VMDK with an extent of the kind {extent.kind}")
        if not self._extents:
            raise OSError("its description names no extents")
        self.size_bytes = sum(extent.sectors for extent in self._extents) * _SECTOR
        self._parts: list[Disk] | None = None

    def _embedded(self, head: bytes) -> bytes:
        at, sectors = struct.unpack_from("<QQ", head, 28)
        return self._header(at * _SECTOR, min(sectors * _SECTOR, _MOST_TEXT)) if at else b""

    @property
    def _based(self) -> bool:
        return self._parent_id not in _NO_PARENT

    def others(self) -> list[Other]:
        """The files of its extents, and the disk that it is based on."""
        if self._unsupported:
            return []
        found: list[Other] = []
        for number, extent in enumerate(self._extents):
            own = extent.kind == "ZERO" or (self._sparse and number == 0)
            found.append({"name": extent.name, "use": "itself" if own else "part", "id": ""})
        if self._based:
            found.append({"name": self._parent_name, "use": "disk", "id": self._parent_id})
        return found

    def about(self) -> About:
        """What it says of itself."""
        if not self._unsupported:
            self._load()
        return super().about()

    def _load(self) -> list[Disk]:
        if self._parts is not None:
            return self._parts
        self._parts, self._starts, at = [], [], 0
        parent = self._images[len(self._extents) + 1] if self._based and len(self._images) > 1 else None
        for extent, source in zip(self._extents, self._images[1:], strict=False):
            part: Disk
            size = extent.sectors * _SECTOR
            if extent.kind == "ZERO":
                part = _Flat(size, None, 0)
            elif not source.size:
                part = _Flat(size, source, 0)
            elif extent.kind in _SPARSE:
                part = Sparse(source, size, None if parent is None else _From(parent, at), self._based)
            else:
                part = _Flat(size, source, extent.offset * _SECTOR)
            for fault in part.about()["faults"]:
                self._faults.append({**fault, "start": fault["start"] + at if fault["size"] else 0})
            self._starts.append(at)
            self._parts.append(part)
            at += size
        return self._parts

    def read(self, offset: int, size: int) -> bytes:
        """Bytes of the disk, as Disk."""
        parts = self._load()
        end = min(offset + size, self.size_bytes)
        found: list[bytes] = []
        while offset < end:
            number = bisect_right(self._starts, offset) - 1
            part, start = parts[number], self._starts[number]
            try:
                found.append(part.read(offset - start, min(end, start + part.size_bytes) - offset))
            except DamageError as error:
                raise DamageError(error.start + start, error.size, error.why) from error
            offset = start + part.size_bytes
        return b"".join(found)


class _From:
    """A disk from a place on."""

    def __init__(self, disk: RandomAccess, start: int) -> None:
        self._disk, self._start = disk, start
        self.size = max(0, disk.size - start)

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``offset``."""
        return self._disk.read_at(self._start + offset, size)


class _Flat(Disk):
    """An extent that lies in one piece in a file; without a source, of zeros."""

    def __init__(self, size: int, source: RandomAccess | None, at: int) -> None:
        self._size, self._source_at = size, at
        super().__init__(lambda: None, [] if source is None else [source])

    def _open(self) -> None:
        self.size_bytes = self._size
        there = max(0, self._images[0].size - self._source_at) if self._images else self._size
        if there < self._size:
            self._faults.append({"start": there, "size": self._size - there, "why": "its extent is missing or cut off"})

    def _where(self, number: int) -> Place:
        return Place("raw", 0, self._source_at + number * self.unit_bytes) if self._images else Place("zero")


class Sparse(Mapped):
    """A sparse extent of ``size`` bytes, packed or not."""

    def __init__(self, source: RandomAccess, size: int, parent: RandomAccess | None, based: bool) -> None:
        self._wanted, self._differs = size, based
        super().__init__(lambda: None, [source])
        self._parent = parent

    def _open(self) -> None:
        head = self._header(0, _HEADER.size)
        if head[:4] == b"COWD":
            raise OSError("it is an extent of VMFS (COWD), which can't be read here")
        fields = _HEADER.unpack(head)
        if fields[9] == _AT_END:
            end = self._images[0].size
            fields = _HEADER.unpack(self._header(end - 2 * _SECTOR, _HEADER.size))
        magic, _, flags, capacity, grain, _, _, per_table, copy_at, first_at, overhead, unclean, _, packing = fields
        self.unit_bytes, self.size_bytes = grain * _SECTOR, self._wanted
        if magic != MAGIC or not 8 <= grain <= 1 << 16 or not 1 <= per_table <= 1 << 16 or capacity > 1 << 46:
            raise OSError("its header is damaged, or it is cut off")
        if flags & _PACKED and packing != 1:
            raise OSError("is packed in a way that is not known here")
        if unclean:
            self._fault("was not closed")
        if capacity * _SECTOR < self._wanted:
            self._fault(
                "an extent is shorter than its description says", capacity // grain, self._wanted // self.unit_bytes
            )
        self._flags, self._grain, self._overhead = flags, grain, overhead * _SECTOR
        grains = min(-(-self._wanted // self.unit_bytes), -(-capacity // grain))
        tables = -(-grains // per_table)
        if tables * per_table * 4 > MOST_TABLE_BYTES:
            raise OSError("its header is damaged: a table of a size that can't be")
        entries, lost = self._read_tables(first_at * _SECTOR, tables, per_table)
        copied = copy_at and copy_at != first_at and not flags & _MARKED
        if copied and flags & _COPIED:
            entries = self._with_copy(entries, lost, *self._read_tables(copy_at * _SECTOR, tables, per_table))
        elif lost.any():
            entries[lost] = -3
            self._fault_each("a table is damaged or missing", np.flatnonzero(lost))
        self._finish(entries[:grains], first_at * _SECTOR, tables)

    def _read_tables(self, at: int, tables: int, per_table: int) -> tuple[Numbers, Flags]:
        """All entries, and which of them could not be read."""
        image = self._images[0]
        data = image.read_at(at, tables * 4) if 0 < at < image.size else b""
        where = np.frombuffer(data[: len(data) // 4 * 4], "<u4").astype(np.int64) * _SECTOR
        entries = np.zeros(tables * per_table, np.int64)
        lost = np.zeros(tables * per_table, bool)
        lost[len(where) * per_table :] = True
        for number, place in enumerate(where.tolist()):
            if not place:
                continue
            table = image.read_at(place, per_table * 4) if place < image.size else b""
            if len(table) < per_table * 4:
                lost[number * per_table : (number + 1) * per_table] = True
                continue
            entries[number * per_table : (number + 1) * per_table] = np.frombuffer(table, "<u4")
        self._table_places = where
        return entries, lost

    def _with_copy(self, entries: Numbers, lost: Flags, copy: Numbers, copy_lost: Flags) -> Numbers:
        """Tables held against their copies. Where one can't be right, the other is; else nobody knows."""
        end = self._images[0].size // _SECTOR

        def impossible(values: Numbers, gone: Flags) -> Flags:
            within = (values == 0) | (values == 1) | ((values * _SECTOR >= self._overhead) & (values < end))
            return gone | ~within

        first_bad, copy_bad = impossible(entries, lost), impossible(copy, copy_lost)
        differ = (entries != copy) | lost | copy_lost
        if differ.any():
            self._fault(f"its tables and their copies differ in {int(differ.sum()):,} entries")
        made = np.where(first_bad & ~copy_bad, copy, entries)
        unknown = (differ & ~first_bad & ~copy_bad) | (first_bad & copy_bad)
        made[unknown] = -3
        self._fault_each("its tables and their copies differ", np.flatnonzero(unknown))
        return made

    def _finish(self, entries: Numbers, first_at: int, tables: int) -> None:
        packed = bool(self._flags & _PACKED)
        places = np.where(entries == 0, NOWHERE, entries * _SECTOR)
        if self._flags & _ZEROS:
            places[entries == 1] = EMPTY
        places[entries == -3] = -3
        if packed:
            self._ends = np.sort(places[places >= 0])
            self._take_packed(places)
        else:
            taken = [(0, max(_SECTOR, self._overhead)), (first_at, tables * 4)]
            taken += [(place, 4) for place in self._table_places.tolist() if place >= self._overhead]
            taken = [each for each in taken if each[0] >= self._overhead or each[0] == 0]
            self._take_map(places, self.unit_bytes, taken, based=self._differs)

    def _take_packed(self, places: Numbers) -> None:
        """Packed grains tell themselves where they belong; what no entry names shows when it is asked for."""
        self._map, self._based, self._doubtful = places, self._differs, ""
        self._overlapping = np.zeros(len(places), bool)
        self._named = np.flatnonzero(places >= 0)

    def _where(self, number: int) -> Place:
        place = super()._where(number)
        if place.how == "raw" and self._flags & _PACKED:
            which = int(np.searchsorted(self._ends, place.at, "right"))
            most = int(self._ends[which]) if which < len(self._ends) else self._images[0].size
            stored = min(most - place.at, 2 * self.unit_bytes + 1024)
            return Place("packed", 0, place.at, stored)
        return place

    def _bytes(self, number: int, place: Place, inside: int, size: int) -> bytes:
        self._number = number
        return super()._bytes(number, place, inside, size)

    def _unpacked(self, data: bytes, place: Place) -> bytes:
        if self._flags & _MARKED:
            if len(data) < 12:
                raise BadError("its file ends before")
            sector, size = struct.unpack_from("<QI", data)
            if sector != self._number * self._grain:
                raise BadError("what lies there is another grain")
            if 12 + size > len(data):
                raise BadError("is packed, and ends too soon")
            data = data[12 : 12 + size]
        whole, _ = inflate(data, self.unit_bytes)
        if (
            len(whole) != min(self.unit_bytes, self.size_bytes - self._number * self.unit_bytes)
            and len(whole) != self.unit_bytes
        ):
            raise BadError("unpacks to too few bytes")
        return whole

    def _nowhere(self, number: int) -> Place:
        if self._flags & _PACKED and self._flags & _MARKED and self._left_over(number):
            raise BadError("is empty, while a grain lies in the file that no entry names")
        return super()._nowhere(number)

    def _left_over(self, number: int) -> bool:
        """Does anything lie between the grains before and after one that is nowhere, but markers?"""
        which = int(np.searchsorted(self._named, number))
        after = int(self._map[self._named[which]]) if which < len(self._named) else None
        at = self._overhead
        if which:
            start = int(self._map[self._named[which - 1]])
            head = self._images[0].read_at(start, 12)
            at = -(-(start + 12 + int.from_bytes(head[8:12], "little")) // _SECTOR) * _SECTOR
        if after is not None and after < at:
            return False  # not written in order
        while after is None or at < after:
            head = self._images[0].read_at(at, 16)
            sectors, size, kind = struct.unpack("<QII", head.ljust(16, b"\0"))
            if size or kind > 3:
                return not (len(head) < 16)
            if kind == 0:
                return after is not None
            at += _SECTOR * (1 + min(sectors, 1 << 40))
        return at != after


def named_files(text: str) -> Sequence[str]:
    """The files of the extents that a descriptor names, without their folders."""
    return [re.split(r"[\\/]", extent.name)[-1] for extent in extents_of(text) if extent.name]
