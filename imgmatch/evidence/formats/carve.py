"""Carving: JPEG and PNG files found by their own structure in space that no file owns, where they lie in one piece."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator

from imgmatch.evidence.container import Container
from imgmatch.streams import BLOCK_BYTES, RandomAccess
from imgmatch.types import Evidence

_PLACE = re.compile(r"(\d{1,18})\+(\d{1,18})", re.ASCII)
_SECTOR = 512  # file content begins at a sector, whatever the block size
_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"


def carve(container: Container, source: RandomAccess, free: Iterable[tuple[int, int]]) -> Iterator[Evidence]:
    """Every JPEG and PNG that begins at a sector of ``free`` (start, length in bytes) and whose end is found before the
    run, or ``max_carved_bytes``, ends. Called by where it lies: ``start+length``.
    """
    limit = container.options.limits.max_carved_bytes
    for start, length in free:
        at, end = start, start + length
        while at < end:
            block = source.read_at(at, min(BLOCK_BYTES, end - at))
            if not block:
                break
            step = len(block)
            for offset in range(0, len(block), _SECTOR):
                if block.startswith((_JPEG, _PNG), offset):
                    data = source.read_at(at + offset, min(limit, end - at - offset))
                    size = png_length(data) if data.startswith(_PNG) else jpeg_length(data)
                    if size:
                        place = at + offset
                        yield container.extent(f"{place}+{size}", source, place, size, kind="carved")
                        step = max(_SECTOR, (offset + size + _SECTOR - 1) // _SECTOR * _SECTOR)
                        break
            at += step


def carved_at(container: Container, source: RandomAccess, at: str) -> Evidence | None:
    """What was carved at a place, whatever lies there now; None for what is no place in it."""
    match = _PLACE.fullmatch(at)
    if match is None or (start := int(match[1])) + (size := int(match[2])) > source.size:
        return None
    return container.extent(at, source, start, size, kind="carved")


def jpeg_length(data: bytes) -> int:
    """Length of the JPEG that ``data`` begins with, by its markers (ITU-T T.81, annex B); 0 where no end is found."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == 0xD9:
            return at + 2
        at += 2 + struct.unpack_from(">H", data, at + 2)[0]
        if marker == 0xDA:  # entropy-coded data: up to the next marker that is neither stuffing nor a restart
            while (at := data.find(b"\xff", at)) >= 0 and at + 1 < len(data):
                if data[at + 1] != 0 and not 0xD0 <= data[at + 1] <= 0xD7:
                    break
                at += 2
            if at < 0:
                return 0
    return at + 2 if data[at : at + 2] == b"\xff\xd9" else 0


def png_length(data: bytes) -> int:
    """Length of the PNG that ``data`` begins with, by its chunks (ISO/IEC 15948); 0 where no IEND is found."""
    at = 8
    while at + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        at += 12 + length
        if name == b"IEND":
            return at if at <= len(data) else 0
        if not name.isalpha():
            return 0
    return 0
