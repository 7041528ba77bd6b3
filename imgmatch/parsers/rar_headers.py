"""Checksums of files as RAR archives state them (RAR 5.0 archive format; technote of RAR 4), as libarchive does not
compare them in every case.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

_RAR4, _RAR5 = b"Rar!\x1a\7\0", b"Rar!\x1a\7\1\0"
_MOST_HEADER_BYTES = 2 << 20
_FILE4, _FILE5 = 0x74, 2


def checksums(stream: BinaryIO) -> list[int | None]:
    """CRC-32 of each entry, folders too, in order, up to what can't be read; None where none is stated. Nothing of a
    file that is no RAR archive.
    """
    stream.seek(0)
    head = stream.read(len(_RAR5))
    if head.startswith(_RAR4):
        stream.seek(len(_RAR4))
        return list(_rar4(stream))
    return list(_rar5(stream)) if head == _RAR5 else []


def _rar4(stream: BinaryIO) -> Iterator[int | None]:
    while len(base := stream.read(7)) == 7:
        _, kind, flags, size = struct.unpack("<HBHH", base)
        if size < 7:
            return
        fields, data = stream.read(size - 7), 0
        if len(fields) >= 25 and kind in (_FILE4, 0x7A):
            data = struct.unpack_from("<I", fields)[0]
            if flags & 0x100 and len(fields) >= 29:
                data |= struct.unpack_from("<I", fields, 25)[0] << 32
            if kind == _FILE4:
                # A folder has none, nor has what goes on in another volume one of its part here.
                yield None if flags & 0xE0 == 0xE0 or flags & 3 else struct.unpack_from("<I", fields, 9)[0]
        elif flags & 0x8000 and len(fields) >= 4:
            data = struct.unpack_from("<I", fields)[0]
        stream.seek(data, 1)


def _rar5(stream: BinaryIO) -> Iterator[int | None]:
    while len(stream.read(4)) == 4:
        size = 0
        for shift in range(0, 21, 7):
            byte = stream.read(1)
            if not byte:
                return
            size |= (byte[0] & 0x7F) << shift
            if byte[0] < 0x80:
                break
        if not 0 < size <= _MOST_HEADER_BYTES:
            return
        numbers = _Numbers(stream.read(size))
        try:
            kind, flags = numbers.next(), numbers.next()
            _ = flags & 1 and numbers.next()
            data = numbers.next() if flags & 2 else 0
            if kind == _FILE5:
                yield _checksum5(numbers, flags)
        except IndexError:
            return
        stream.seek(data, 1)


def _checksum5(numbers: _Numbers, flags: int) -> int | None:
    own, _, _ = numbers.next(), numbers.next(), numbers.next()
    if own & 2:
        numbers.at += 4
    stated = numbers.header[numbers.at : numbers.at + 4]
    return int.from_bytes(stated, "little") if own & 4 and not own & 1 and not flags & 0x18 else None


class _Numbers:
    """Numbers of a header, seven bits a byte, the lowest first. IndexError at its end."""

    def __init__(self, header: bytes) -> None:
        self.header, self.at = header, 0

    def next(self) -> int:
        value = shift = 0
        while True:
            byte = self.header[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80 or shift > 63:
                return value
