"""UDIF, Apple's disk images (.dmg): a trailer, and tables of pieces in a property list.

What is packed proves itself by zlib's, bzip2's or xz's checksum and by its length; pieces that are not have none of
their own.
"""

from __future__ import annotations

import bisect
import bz2
import lzma
import plistlib
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

from imgmatch.parsers.disks.units import About, BadError, DamageError, Fault, inflate
from imgmatch.streams import RandomAccess, one_line

MAGIC = b"koly\0\0\0\4\0\0\2\0"
TRAILER_BYTES = 512
_SECTOR = 512
_MOST_LIST_BYTES = 64 << 20
_MOST_PIECES = 4_000_000
_MOST_UNPACKED = 64 << 20
_MOST_FAULTS = 1000
_ZERO, _RAW, _IGNORED, _COMMENT, _END = 0, 1, 2, 0x7FFFFFFE, 0xFFFFFFFF
_ADC, _ZLIB, _BZIP2, _LZFSE, _LZMA = range(0x80000004, 0x80000009)
_UNREAD = {_ADC: "ADC", _LZFSE: "LZFSE"}


class _Piece(NamedTuple):
    start: int
    size: int
    kind: int
    at: int
    stored: int


class Udif:
    """The disk in the first image."""

    def __init__(self, _: Callable[[], None], images: Sequence[RandomAccess]) -> None:
        self._image = images[0]
        self._kept: tuple[_Piece, bytes] | None = None
        self._unsupported, self._faults = "", list[Fault]()
        trailer = self._image.read_at(self._image.size - TRAILER_BYTES, TRAILER_BYTES)
        if len(trailer) < TRAILER_BYTES or not trailer.startswith(MAGIC):
            raise OSError("its trailer is missing")
        self._data_at, data_bytes = struct.unpack_from(">QQ", trailer, 24)
        list_at, list_bytes = struct.unpack_from(">QQ", trailer, 216)
        self.size_bytes = struct.unpack_from(">Q", trailer, 492)[0] * _SECTOR
        if struct.unpack_from(">I", trailer, 60)[0] > 1:
            self._unsupported = "Apple disk image (DMG) in segments"
            return
        if not list_bytes or list_bytes > _MOST_LIST_BYTES:
            raise OSError("its trailer is damaged: no table of pieces, or one of a size that can't be")
        self._pieces = sorted(self._told(self._image.read_at(list_at, list_bytes)))
        self._starts = [piece.start for piece in self._pieces]
        self._compare(data_bytes)

    def _told(self, raw: bytes) -> list[_Piece]:
        try:
            tables = [each["Data"] for each in plistlib.loads(raw, fmt=plistlib.FMT_XML)["resource-fork"]["blkx"]]
        except Exception as error:
            raise OSError(f"its table of pieces is damaged: {one_line(error)}") from error
        found: list[_Piece] = []
        for table in tables:
            if not isinstance(table, bytes) or table[:4] != b"mish" or len(table) < 204:
                raise OSError("its table of pieces is damaged")
            first, _, inside = struct.unpack_from(">QQQ", table, 8)
            count = struct.unpack_from(">I", table, 200)[0]
            if len(found) + count > _MOST_PIECES or 204 + 40 * count > len(table):
                raise OSError("its table of pieces is damaged: it ends before all of them are named")
            for number in range(count):
                kind, _, sector, sectors, at, stored = struct.unpack_from(">IIQQQQ", table, 204 + 40 * number)
                if kind not in (_COMMENT, _END) and sectors:
                    place = self._data_at + inside + at
                    found.append(_Piece((first + sector) * _SECTOR, sectors * _SECTOR, kind, place, stored))
        return found

    def _compare(self, data_bytes: int) -> None:
        """Pieces follow one another, and lie where data does."""
        end = 0
        for piece in self._pieces:
            if piece.start > end:
                self._fault(end, piece.start - end, "no piece holds it")
            elif piece.start < end:
                self._fault(piece.start, min(end - piece.start, piece.size), "two pieces hold it")
            end = max(end, piece.start + piece.size)
            if piece.kind in _UNREAD:
                self._fault(piece.start, piece.size, f"is packed by {_UNREAD[piece.kind]}, which is not read")
            elif piece.kind not in (_ZERO, _RAW, _IGNORED, _ZLIB, _BZIP2, _LZMA):
                self._fault(piece.start, piece.size, f"is of an unknown kind ({piece.kind:#x})")
            elif piece.stored and piece.at + piece.stored > self._data_at + data_bytes:
                self._fault(piece.start, piece.size, "lies behind the end of the data")
        if end < self.size_bytes:
            self._fault(end, self.size_bytes - end, "no piece holds it")
        self.size_bytes = max(self.size_bytes, end)

    def _fault(self, start: int, size: int, why: str) -> None:
        last = self._faults[-1] if self._faults else None
        if last is not None and last["why"] == why and last["start"] + last["size"] == start:
            last["size"] += size
        elif len(self._faults) < _MOST_FAULTS:
            self._faults.append({"start": start, "size": size, "why": why})

    def about(self) -> About:
        """What it says of itself."""
        return {
            "size": self.size_bytes, "unsupported": self._unsupported, "identity": "", "faults": self._faults,
            "hashes": [],
        }  # fmt: skip

    def read(self, offset: int, size: int) -> bytes:
        """Bytes of the disk. Raises DamageError where some of them can't be had as they were."""
        end, parts = min(offset + size, self.size_bytes), []
        while offset < end:
            number = bisect.bisect_right(self._starts, offset) - 1
            piece = self._pieces[number] if number >= 0 else None
            if piece is None or offset >= piece.start + piece.size:
                raise DamageError(offset, end - offset, "no piece holds it")
            after = self._starts[number + 1] if number + 1 < len(self._starts) else piece.start + piece.size
            if after < piece.start + piece.size:
                raise DamageError(piece.start, piece.size, "two pieces hold it")
            inside = offset - piece.start
            parts.append(self._bytes(piece, inside, min(end - offset, piece.size - inside)))
            offset += len(parts[-1])
        return b"".join(parts)

    def _bytes(self, piece: _Piece, inside: int, size: int) -> bytes:
        if piece.kind in (_ZERO, _IGNORED):
            return bytes(size)
        if piece.kind == _RAW:
            if piece.stored != piece.size:
                raise DamageError(piece.start, piece.size, "is not as long as it says")
            data = self._image.read_at(piece.at + inside, size)
        else:
            if self._kept is None or self._kept[0] != piece:
                self._kept = piece, self._unpacked(piece)
            data = self._kept[1][inside : inside + size]
        if len(data) < size:
            raise DamageError(piece.start + inside + len(data), size - len(data), "the file ends before")
        return data

    def _unpacked(self, piece: _Piece) -> bytes:
        if piece.kind in _UNREAD:
            raise DamageError(piece.start, piece.size, f"is packed by {_UNREAD[piece.kind]}, which is not read")
        if max(piece.size, piece.stored) > _MOST_UNPACKED:
            raise DamageError(piece.start, piece.size, "is a piece of a size that can't be")
        packed = self._image.read_at(piece.at, piece.stored)
        try:
            if piece.kind == _ZLIB:
                data, _ = inflate(packed, piece.size)
            elif piece.kind in (_BZIP2, _LZMA):
                unpacker = bz2.BZ2Decompressor() if piece.kind == _BZIP2 else lzma.LZMADecompressor(lzma.FORMAT_XZ)
                data = unpacker.decompress(packed, piece.size + 1)
                if not unpacker.eof and not (data == b"" or len(data) > piece.size):
                    data += unpacker.decompress(b"", 1)  # up to its checksum
                if not unpacker.eof:
                    raise BadError("is packed, and ends too soon or too late")
            else:
                raise BadError(f"is of an unknown kind ({piece.kind:#x})")
        except (BadError, zlib.error, OSError, EOFError, lzma.LZMAError) as error:
            raise DamageError(piece.start, piece.size, one_line(error)) from error
        if len(data) != piece.size:
            raise DamageError(piece.start, piece.size, "unpacks to another length than it should")
        return data
