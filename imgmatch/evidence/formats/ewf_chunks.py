"""The chunks of an E01 image, unpacked by zlib.

The libewf that PyPI brings is built without zlib: it unpacks some 17 MB/s, zlib ten times as much. What this reader
does not know or finds damaged is left to libewf. Format: Joachim Metz, Expert Witness Compression Format specification.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from imgmatch.streams import RandomAccess

_HEADER_BYTES = 13
_SECTION = struct.Struct("<16sQQ40sI")
_TABLE_BYTES = 24
_VOLUME_BYTES = 1052
_COMPRESSED = 0x80000000
# Of 32 KiB each, as a rule: enough for what a file system reads again and again.
_KEPT_CHUNKS = 256

Table = npt.NDArray[np.int64]


class UnknownLayoutError(ValueError):
    """Not laid out as this reader expects."""


class EwfChunks:
    """The bytes of the disk in E01 segment files, given in order, as RandomAccess.

    Raises UnknownLayoutError when they are not laid out as expected, or don't hold all of the disk. Reads that meet a
    chunk which can't be unpacked, or whose checksum is wrong, come from ``otherwise``.
    """

    def __init__(self, parts: Sequence[RandomAccess], otherwise: RandomAccess) -> None:
        self.size = otherwise.size
        self._parts = parts
        self._otherwise = otherwise
        self._chunk_bytes = 0
        # A row a chunk: part, offset, stored bytes, packed or not.
        self._table = np.concatenate([self._read_part(number) for number in range(len(parts))])
        if not self._chunk_bytes or len(self._table) != -(-self.size // self._chunk_bytes):
            raise UnknownLayoutError("chunks are missing")
        self._chunk = lru_cache(_KEPT_CHUNKS)(self._unpack)

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``offset``."""
        size = max(0, min(size, self.size - offset))
        if not size:
            return b""
        first, last = offset // self._chunk_bytes, (offset + size - 1) // self._chunk_bytes
        start = offset - first * self._chunk_bytes
        try:
            return b"".join(map(self._chunk, range(first, last + 1)))[start : start + size]
        except (zlib.error, UnknownLayoutError):
            return self._otherwise.read_at(offset, size)

    def _unpack(self, number: int) -> bytes:
        part, offset, stored, packed = self._table[number].tolist()
        data = self._parts[part].read_at(offset, stored)
        wanted = min(self._chunk_bytes, self.size - number * self._chunk_bytes)
        if packed:
            data = zlib.decompress(data)  # which checks its Adler-32
        elif zlib.adler32(data[:-4]) != int.from_bytes(data[-4:], "little"):
            raise UnknownLayoutError("a checksum is wrong")
        else:
            data = data[:-4]
        if len(data) < wanted:
            raise UnknownLayoutError("a chunk is short")
        return data[:wanted]

    def _read_part(self, number: int) -> Table:
        part = self._parts[number]
        tables: list[Table] = []
        at, data_end = _HEADER_BYTES, 0
        while True:
            section = part.read_at(at, _SECTION.size)
            if len(section) < _SECTION.size or zlib.adler32(section[:-4]) != int.from_bytes(section[-4:], "little"):
                raise UnknownLayoutError("a section is damaged")
            name, following, size, _, _ = _SECTION.unpack(section)
            kind = name.rstrip(b"\0")
            if kind in (b"volume", b"disk"):
                self._read_volume(part.read_at(at + _SECTION.size, _VOLUME_BYTES), size)
            elif kind == b"sectors":
                data_end = at + size
            elif kind == b"table":
                tables.append(_entries(part, number, at + _SECTION.size, data_end))
            if kind in (b"next", b"done") or following <= at:
                break
            at = following
        return np.concatenate(tables) if tables else np.empty((0, 4), np.int64)

    def _read_volume(self, data: bytes, section_bytes: int) -> None:
        if len(data) < _VOLUME_BYTES or section_bytes != _SECTION.size + _VOLUME_BYTES:
            raise UnknownLayoutError("a volume section of another kind")
        _, sectors_per_chunk, bytes_per_sector = struct.unpack_from("<III", data, 4)
        self._chunk_bytes = sectors_per_chunk * bytes_per_sector
        if not 512 <= self._chunk_bytes <= 1 << 26:
            raise UnknownLayoutError("chunks of an unlikely size")


def _entries(part: RandomAccess, number: int, at: int, data_end: int) -> Table:
    head = part.read_at(at, _TABLE_BYTES)
    if len(head) < _TABLE_BYTES or zlib.adler32(head[:20]) != int.from_bytes(head[20:], "little"):
        raise UnknownLayoutError("a table is damaged")
    count, base = struct.unpack_from("<I4xQ", head)
    data = part.read_at(at + _TABLE_BYTES, 4 * count + 4)
    if len(data) != 4 * count + 4 or zlib.adler32(data[:-4]) != int.from_bytes(data[-4:], "little"):
        raise UnknownLayoutError("a table is damaged")
    entries = np.frombuffer(data[:-4], "<u4").astype(np.int64)
    starts = base + (entries & ~_COMPRESSED)
    stored = np.diff(starts, append=data_end)
    if not count or stored.min() <= 0 or stored.max() > 1 << 27:  # offsets past 2 GiB wrap in some images
        raise UnknownLayoutError("offsets that do not follow one another")
    packed = (entries & _COMPRESSED) != 0
    return np.stack([np.full(count, number), starts, stored, packed.astype(np.int64)], axis=1)
