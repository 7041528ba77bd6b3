"""Thumbnails in Windows's thumbcache_*.db and iconcache_*.db, from Vista on.

An entry stays when its picture is gone, and what was let go of stays until it is written over: entries are found by
their signature, whatever lies between them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from imgmatch.errors import EvidenceError
from imgmatch.locator import Names
from imgmatch.parsers.pieces import Clock, Piece, Settings, Trouble

MAGIC = b"CMMM"
_VISTA, _SEVEN = 0x14, 0x15
_SEARCHED_BYTES = 1 << 20
_MOST_NAME = 4096


def extract(stream: BinaryIO, settings: Settings, at: str | None = None) -> Iterator[Piece | Trouble]:
    """Every thumbnail, called by what its entry is called (by its hash where that is nothing), with the ending that
    Vista notes.

    Raises EvidenceError of kind ``broken_document``.
    """
    clock, name_of = Clock(settings), Names()
    head = stream.read(24)
    version = int.from_bytes(head[4:8], "little")
    whole = stream.seek(0, 2)
    if len(head) < 24:
        raise EvidenceError("broken_document", "ends within its header")
    place = 8
    while (place := _find(stream, place)) >= 0:
        clock.check()
        stream.seek(place)
        size, hashed, ending, name_bytes, padding, data_bytes, head_bytes = _header(stream.read(56), version)
        if not head_bytes <= size or name_bytes > _MOST_NAME or head_bytes + name_bytes + padding + data_bytes > size:
            place += 4  # these four letters, and no entry
            continue
        stream.seek(place + head_bytes)
        called = stream.read(name_bytes).decode("utf-16-le", "replace").strip("\0")
        called = (called or f"{hashed:016x}") + (f".{ending}" if ending else "")
        start = place + head_bytes + name_bytes + padding
        if start + data_bytes > whole:
            yield Trouble(
                "thumb", name_of(called), "broken_document", "ends within the thumbnail: the file was cut off"
            )
            place += 4
            continue
        if data_bytes:
            stream.seek(start)
            yield Piece("thumb", name_of(called), stream.read(data_bytes))
        # What lies in an entry behind its thumbnail may be what is left of an older one.
        place = start + data_bytes


def _header(head: bytes, version: int) -> tuple[int, int, str, int, int, int, int]:
    """Size, hash, ending, bytes of name, padding and data, and of the header itself."""
    head = head.ljust(56, b"\0")
    size, hashed = struct.unpack_from("<IQ", head, 4)
    if version == _VISTA:
        ending = head[16:24].decode("utf-16-le", "replace").partition("\0")[0]
        return (size, hashed, ending, *struct.unpack_from("<3I", head, 24), 56)
    return (size, hashed, "", *struct.unpack_from("<3I", head, 16), 48 if version == _SEVEN else 56)


def _find(stream: BinaryIO, start: int) -> int:
    """The next entry's signature from a place on, or -1."""
    stream.seek(start)
    before = b""
    while block := stream.read(_SEARCHED_BYTES):
        at = (before + block).find(MAGIC)
        if at >= 0:
            return start - len(before) + at
        start += len(block)
        before = block[-3:]
    return -1
