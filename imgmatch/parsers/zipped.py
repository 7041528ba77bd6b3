"""One member of a ZIP archive that is packed by Deflate64 or PPMd (APPNOTE.TXT 4.4.5, 5.10), which no library of
Python's own unpacks: by inflate64 and pyppmd, which come with py7zr.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from imgmatch.errors import EvidenceError
from imgmatch.optional import require
from imgmatch.parsers.pieces import Clock, Part, Piece, Settings

DEFLATE64, PPMD = 9, 98
_HOW = re.compile(r"(\d{1,5})\+(\d{1,20})\+(\d{1,10})", re.ASCII)
_BLOCK_BYTES, _PIECE_BYTES = 512, 1 << 20  # a block of Deflate64 unpacks to 26,000 times as much
_MOST_MEMORY_MB = 128


def extract(stream: BinaryIO, settings: Settings, at: str | None = None) -> Iterator[Part | Piece]:
    """What it unpacks to; ``at`` says METHOD+SIZE+CRC. Raises EvidenceError of kind ``broken_archive`` where
    that is not what comes out, or ``limit``.
    """
    if (match := _HOW.fullmatch(at or "")) is None:
        raise EvidenceError("broken_archive", "nothing says how it is packed")
    method, size, crc = map(int, match.groups())
    clock, left, checksum = Clock(settings), size, 0
    try:
        unpack = _ppmd(stream, size) if method == PPMD else _deflate64(stream)
        while left and (data := unpack(min(left, _PIECE_BYTES))):
            data = data[:left]
            clock.check()
            left -= len(data)
            checksum = zlib.crc32(data, checksum)
            yield Part(data)
    except (EvidenceError, MemoryError, OSError):
        raise
    except Exception as error:
        raise EvidenceError("broken_archive", f"it can't be unpacked: {error}") from error
    if left or checksum != crc:
        raise EvidenceError("broken_archive", "its content has another length or CRC than its header says")
    yield Piece("zip", "", b"")


def _deflate64(stream: BinaryIO) -> Callable[[int], bytes]:
    inflate = require("inflate64", "archives", "ZIP packed by Deflate64").Inflater()

    def unpack(_: int) -> bytes:
        while block := stream.read(_BLOCK_BYTES):
            if data := inflate.inflate(block):
                return bytes(data)
        return b""

    return unpack


def _ppmd(stream: BinaryIO, size: int) -> Callable[[int], bytes]:
    """PPMd of version I, revision 1: order, memory and what is done when that is used up are two bytes before it."""
    how = int.from_bytes(stream.read(2), "little")
    order, memory, restore = (how & 15) + 1, (how >> 4 & 255) + 1, how >> 12
    if memory > _MOST_MEMORY_MB:
        raise EvidenceError("limit", f"it needs {memory} MB to be unpacked, more than {_MOST_MEMORY_MB}; not opened")
    pyppmd: Any = require("pyppmd", "archives", "ZIP packed by PPMd")
    decoder = pyppmd.Ppmd8Decoder(order, memory << 20, restore_method=restore)

    def unpack(wanted: int) -> bytes:
        data = decoder.decode(stream.read(_BLOCK_BYTES) if decoder.needs_input else b"", wanted)
        while not data and not decoder.eof and (block := stream.read(_BLOCK_BYTES)):
            data = decoder.decode(block, wanted)
        return bytes(data)

    return unpack
