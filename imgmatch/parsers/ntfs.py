"""What TSK's Python bindings don't say of an NTFS file: how much of it was ever written.

After "NTFS documentation" of the Linux-NTFS project: file records with their update sequence, attributes of type $DATA.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

Read = Callable[[int, int], bytes]
"""Bytes of $MFT: offset, size."""
_DATA = 0x80
_LEAST_RECORD, _MOST_RECORD = 512, 65_536
_SECTOR = 512


def initialised(read: Read, inode: int, attribute: int | None) -> int | None:
    """How many bytes of a stream were written; those behind read as zeros, whatever its blocks hold. ``attribute`` is
    the stream's number, None that without a name. None where its first file record doesn't say so.
    """
    size = struct.unpack_from("<I", read(0, 64).ljust(64, b"\0"), 0x1C)[0]
    if not _LEAST_RECORD <= size <= _MOST_RECORD or size % _SECTOR:
        return None
    record = _mended(bytearray(read(inode * size, size)), size)
    at = 0 if record is None else struct.unpack_from("<H", record, 0x14)[0]
    while record is not None and 0 < at <= size - 64:
        kind, length, elsewhere, name_length = struct.unpack_from("<IIBB", record, at)
        number = struct.unpack_from("<H", record, at + 0x0E)[0]
        mine = number == attribute if attribute is not None else not name_length
        if kind == _DATA and elsewhere == 1 and mine:
            return int(struct.unpack_from("<Q", record, at + 0x38)[0])
        at += length if length >= 16 else size
    return None


def _mended(record: bytearray, size: int) -> bytearray | None:
    """The record with the last bytes of its sectors, which stand in its update sequence; None where one is torn."""
    if len(record) != size or record[:4] != b"FILE":
        return None
    start, count = struct.unpack_from("<HH", record, 4)
    if count != size // _SECTOR + 1 or start + 2 * count > size:
        return None
    for number in range(1, count):
        end = number * _SECTOR
        if record[end - 2 : end] != record[start : start + 2]:
            return None
        record[end - 2 : end] = record[start + 2 * number : start + 2 * number + 2]
    return record
