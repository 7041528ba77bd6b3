"""VHDX (Microsoft, [MS-VHDX]): headers and tables by their CRC-32C, and what its log holds that was not written yet."""

from __future__ import annotations

import struct
from uuid import UUID

import numpy as np

from imgmatch.parsers.crc32c import crc32c
from imgmatch.parsers.disks.mapped import NOWHERE, Mapped
from imgmatch.parsers.disks.units import MOST_TABLE_BYTES, BadError, DamageError, Other, Place, UnsupportedError
from imgmatch.streams import RandomAccess

_KIB, _MIB = 1 << 10, 1 << 20
_MAP, _METADATA = "2dc27766-f623-4200-9d64-115e9bfd4a08", "8b7ca206-4790-4b9a-b8fe-575f050f886e"
_PARAMETERS, _DISK_BYTES = "caa16737-fa36-4d43-b3b6-33f0aa44e76b", "2fa54224-cd1b-4876-b211-5dbed83bf4b8"
_SECTOR_BYTES, _PARENT_AT = "8141bf1d-a96f-4709-ba47-f233a8faab5f", "a8d35f2d-b30b-454d-abf7-d3d84834ab0c"
_HAS_PARENT = 2
_FULL, _PARTLY = 6, 7
_MOST_LOG_BYTES = 256 << 20
_KEPT_BITMAPS = 64


class Vhdx(Mapped):
    """A dynamic or fixed disk, or one that is based on another (the second source)."""

    def _open(self) -> None:
        header = self._newest_header()
        log = header[48:64]
        log_bytes, log_at = struct.unpack_from("<IQ", header, 68)
        if any(log):
            self._images = [_Replayed(self._images[0], log_at, log_bytes, log), *self._images[1:]]
            replayed = self._images[0]
            assert isinstance(replayed, _Replayed)
            self._fault(f"was not closed: {replayed.count:,} changes stand in its log, and are read from there")
        regions = self._regions()
        if _MAP not in regions or _METADATA not in regions:
            raise OSError("its table of regions names no map or no metadata")
        told = self._metadata(*regions[_METADATA])
        block, flags = struct.unpack_from("<II", told.get(_PARAMETERS, b"").ljust(8, b"\0"))
        self.size_bytes = int.from_bytes(told.get(_DISK_BYTES, b""), "little")
        self._sector = int.from_bytes(told.get(_SECTOR_BYTES, b""), "little")
        if self._sector not in (512, 4096) or not _MIB <= block <= 256 * _MIB or block & (block - 1):
            raise OSError("its metadata is damaged: blocks, or sectors, of a size that can't be")
        if self.size_bytes > 1 << 52:
            raise OSError("its metadata is damaged: a disk of a size that can't be")
        self.unit_bytes = block
        self._differs = bool(flags & _HAS_PARENT)
        self._parent = self._images[1] if self._differs and len(self._images) > 1 else None
        self._locator = _parent_locator(told.get(_PARENT_AT, b""))
        self._identity = str(UUID(bytes_le=header[32:48]))
        self._read_map(*regions[_MAP], taken=[(0, _MIB), (log_at, log_bytes), *regions.values()])

    def _newest_header(self) -> bytes:
        headers = [self._images[0].read_at(at, 4 * _KIB) for at in (64 * _KIB, 128 * _KIB)]
        whole = [header for header in headers if header[:4] == b"head" and _checked(header)]
        if not whole:
            raise OSError("both its headers are damaged")
        if len(whole) < len(headers):
            self._fault("one of its two headers is damaged: the other is read, which may be older")
        return max(whole, key=lambda header: int.from_bytes(header[8:16], "little"))

    def _regions(self) -> dict[str, tuple[int, int]]:
        """Start and length of each region."""
        tables = [self._images[0].read_at(at, 64 * _KIB) for at in (192 * _KIB, 256 * _KIB)]
        whole = [table for table in tables if table[:4] == b"regi" and _checked(table)]
        if not whole:
            raise OSError("both its tables of regions are damaged")
        if len(whole) < len(tables):
            self._fault("one of its two tables of regions is damaged")
        (count,) = struct.unpack_from("<I", whole[0], 8)
        found = {}
        for number in range(min(count, 2047)):
            kind, at, size, required = struct.unpack_from("<16sQII", whole[0], 16 + 32 * number)
            name = str(UUID(bytes_le=kind))
            if required and name not in (_MAP, _METADATA):
                raise UnsupportedError("VHDX with a region that is not known here")
            found[name] = at, size
        return found

    def _metadata(self, at: int, size: int) -> dict[str, bytes]:
        head = self._header(at, 64 * _KIB)
        if head[:8] != b"metadata":
            raise OSError("its metadata is damaged")
        found = {}
        for number in range(min(int.from_bytes(head[10:12], "little"), 2047)):
            kind, offset, length, _ = struct.unpack_from("<16sIII", head, 32 + 32 * number)
            if length and offset + length <= size and length <= _MIB:
                found[str(UUID(bytes_le=kind))] = self._header(at + offset, length)
        return found

    def _read_map(self, at: int, size: int, taken: list[tuple[int, int]]) -> None:
        blocks = -(-self.size_bytes // self.unit_bytes)
        self._ratio = (1 << 23) * self._sector // self.unit_bytes
        wanted = blocks + (-(-blocks // self._ratio) if self._differs else (blocks - 1) // self._ratio if blocks else 0)
        if wanted * 8 > MOST_TABLE_BYTES:
            raise OSError("its metadata is damaged: a map of a size that can't be")
        data = self._images[0].read_at(at, min(size, wanted * 8))
        entries = np.frombuffer(data[: len(data) // 8 * 8], "<u8")
        entries = np.append(entries, np.zeros(max(0, wanted - len(entries)), np.uint64))
        self._states = (entries & np.uint64(7)).astype(np.uint8)
        offsets = (entries >> np.uint64(20)).astype(np.int64) * _MIB
        self._wrong = (entries & np.uint64(0xFFFF8)) != 0
        number = np.arange(blocks)
        where = number + number // self._ratio
        held = np.isin(self._states, (_FULL, _PARTLY))
        places = np.where(held, offsets, NOWHERE)[where] if blocks else np.empty(0, np.int64)
        bitmaps = offsets[self._ratio :: self._ratio + 1]
        present = self._states[self._ratio :: self._ratio + 1] == _FULL
        taken = taken + [(int(start), _MIB) for start in bitmaps[present]]
        self._offsets = offsets
        self._take_map(places, self.unit_bytes, taken, based=self._differs)
        bad = np.flatnonzero(self._wrong[where] | np.isin(self._states[where], (4, 5)))
        self._fault_each(_WRONG, bad)
        if len(data) < wanted * 8:
            self._fault("its map is cut off")
            self._doubtful = self._doubtful or "its map is cut off"
        self._bitmaps: dict[int, bytes] = {}

    def others(self) -> list[Other]:
        """The disk that it is based on."""
        if self._unsupported or not self._differs:
            return []
        names = [self._locator.get(key, "") for key in ("relative_path", "absolute_win32_path", "volume_path")]
        name = next(filter(None, names), "")
        return [{"name": name, "use": "disk", "id": self._locator.get("parent_linkage", "").strip("{}").lower()}]

    def _where(self, number: int) -> Place:
        entry = number + number // self._ratio
        state = int(self._states[entry])
        if self._wrong[entry] or state in (4, 5):
            raise BadError(_WRONG)
        if state in (2, 3):
            return Place("zero")
        place = super()._where(number)
        if state == _PARTLY:
            return Place("mixed", 0, place.at)
        return place

    def _bytes(self, number: int, place: Place, inside: int, size: int) -> bytes:
        if place.how != "mixed":
            return super()._bytes(number, place, inside, size)
        bitmap = self._bitmap(number)
        parts, at, end = [], inside, inside + size
        base = number % self._ratio * (self.unit_bytes // self._sector)

        def there(at: int) -> bool:
            sector = base + at // self._sector
            return bool(bitmap[sector // 8] >> sector % 8 & 1)

        while at < end:
            own = there(at)
            last = min(end, (at // self._sector + 1) * self._sector)
            while last < end and there(last) == own:
                last = min(end, last + self._sector)
            how = Place("raw", 0, place.at) if own else Place("parent")
            parts.append(super()._bytes(number, how, at, last - at))
            at = last
        return b"".join(parts)

    def _bitmap(self, number: int) -> bytes:
        """Which sectors of the blocks around one are in this file."""
        chunk = number // self._ratio
        if chunk not in self._bitmaps:
            entry = chunk * (self._ratio + 1) + self._ratio
            there = entry < len(self._states) and self._states[entry] == _FULL
            bits = self._images[0].read_at(int(self._offsets[entry]), _MIB) if there else b""
            if len(bits) < _MIB:
                start = number * self.unit_bytes
                raise DamageError(start, min(self.unit_bytes, self.size_bytes - start), "its bitmap is missing")
            if len(self._bitmaps) >= _KEPT_BITMAPS:
                self._bitmaps.clear()
            self._bitmaps[chunk] = bits
        return self._bitmaps[chunk]


_WRONG = "its entry is damaged"


class _Replayed:
    """A file as it will be when what its log holds is written: ``count`` pages of 4 KiB, or runs of zeros.

    Raises OSError where the log is damaged: then nobody can tell what else of the file is old.
    """

    def __init__(self, source: RandomAccess, at: int, size: int, guid: bytes) -> None:
        self._source, self.size = source, source.size
        self._pages: dict[int, bytes] = {}
        self._zeros: list[tuple[int, int]] = []
        if not 0 < size <= _MOST_LOG_BYTES or size % (4 * _KIB):
            raise OSError("its log is damaged: of a size that can't be")
        log = source.read_at(at, size)
        if len(log) < size:
            raise OSError("its log is cut off")
        entries = _log_entries(log, guid)
        if not entries:
            raise OSError("it was not closed, and its log is damaged: what was last written is lost")
        for entry in entries:
            self._take(entry)
            self.size = max(self.size, int.from_bytes(entry[56:64], "little"))
        self.count = len(self._pages) + len(self._zeros)

    def _take(self, entry: bytes) -> None:
        (count,) = struct.unpack_from("<I", entry, 24)
        data_at = -(-(64 + 32 * count) // 4096) * 4096
        for number in range(count):
            kind, trailing, leading, at, _ = struct.unpack_from("<4s4s8sQQ", entry, 64 + 32 * number)
            if kind == b"desc":
                self._pages[at] = leading + entry[data_at + 8 : data_at + 4092] + trailing
                data_at += 4096
            elif kind == b"zero":
                length = int.from_bytes(leading, "little")
                self._pages = {page: data for page, data in self._pages.items() if not at <= page < at + length}
                self._zeros.append((at, at + length))

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``offset``."""
        size = max(0, min(size, self.size - offset))
        data = bytearray(self._source.read_at(offset, size).ljust(size, b"\0"))
        for start, end in self._zeros:
            first, last = max(start, offset), min(end, offset + size)
            if first < last:
                data[first - offset : last - offset] = bytes(last - first)
        for page in range(offset // 4096 * 4096, offset + size, 4096):
            if page in self._pages:
                first, last = max(page, offset), min(page + 4096, offset + size)
                data[first - offset : last - offset] = self._pages[page][first - page : last - page]
        return bytes(data)


def _log_entries(log: bytes, guid: bytes) -> list[bytes]:
    """The entries of the newest sequence in a log, oldest first ([MS-VHDX] 2.3): those that are whole, and follow one
    another up to the one with the highest number, from the tail that this names."""
    found: dict[int, tuple[int, bytes]] = {}
    for at in range(0, len(log), 4096):
        if log[at : at + 4] != b"loge" or log[at + 32 : at + 48] != guid:
            continue
        length, tail, sequence = struct.unpack_from("<IIQ", log, at + 8)
        if not 4096 <= length <= len(log) or length % 4096:
            continue
        entry = (log + log)[at : at + length] if at + length > len(log) else log[at : at + length]
        if _checked(entry):
            found[sequence] = (tail, entry)
    if not found:
        return []
    newest = max(found)
    entries = []
    while newest in found:
        entries.append(found[newest][1])
        newest -= 1
    return entries[::-1]


def _parent_locator(data: bytes) -> dict[str, str]:
    """Names and values of a parent locator ([MS-VHDX] 2.6.2.6)."""
    found = {}
    for number in range(int.from_bytes(data[18:20], "little") if len(data) >= 20 else 0):
        if 20 + 12 * number + 12 > len(data):
            break
        key, value, key_bytes, value_bytes = struct.unpack_from("<IIHH", data, 20 + 12 * number)
        name = data[key : key + key_bytes].decode("utf-16-le", "replace")
        found[name] = data[value : value + value_bytes].decode("utf-16-le", "replace")
    return found


def _checked(data: bytes) -> bool:
    """Is the CRC-32C (RFC 3720) at byte 4 right, of the bytes with that taken as zero?"""
    return crc32c(data[:4] + bytes(4) + data[8:]) == int.from_bytes(data[4:8], "little")
