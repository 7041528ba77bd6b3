"""Where a file of a known format ends, by its own account: what stands behind that is no part of it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import BinaryIO

import numpy as np

from imgmatch.evidence.look import read

_BLOCK = 1 << 18
_HEADERS_BYTES = 1 << 12
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)
_EOF = b"%%EOF"
_PDF_TAIL = 1024
_MOST_SECTIONS = 256
_MOST_ICONS = 1_000
_MOST_ROWS = 4 << 20
_QOI_END = bytes(7) + b"\1"


class Ahead:
    """Bytes of a stream at places that mostly grow: what was read last is kept, so that little is read twice."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream, self._seekable = stream, stream.seekable()
        self._start, self._data, self._place = 0, b"", 0
        self.size = size
        """In bytes, or 0 where it is not known before all was read."""

    def at(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes; fewer at the end, and at places already passed of a stream that only goes forwards."""
        return bytes(self.view(offset, size))

    def view(self, offset: int, size: int) -> memoryview:
        """As ``at``, and nothing is copied."""
        if self.size:
            size = max(0, min(size, self.size - offset))
        found = self._kept(offset, size)
        if len(found) == size:
            return found
        wanted = max(size, _BLOCK)
        if self._seekable:
            self._stream.seek(offset)
            self._start = offset
            self._data = read(self._stream, min(wanted, self.size - offset) if self.size else wanted)
            return memoryview(self._data)[:size]
        while self._place < offset + size and (block := self._stream.read(wanted)):
            keep = self._data[-(size + 8) :]
            self._data, self._start = keep + block, self._place - len(keep)
            self._place += len(block)
            if self._start > offset:
                break
        return self._kept(offset, size)

    def _kept(self, offset: int, size: int) -> memoryview:
        from_ = offset - self._start
        return memoryview(self._data)[from_ : from_ + size] if from_ >= 0 else memoryview(b"")


def end_of(ahead: Ahead) -> int | None:
    """Where the file that begins at 0 ends; None where that can't be told, or where it is cut off before its end."""
    head = ahead.at(0, 32)
    for magic, end in _ENDS:
        if head.startswith(magic):
            return end(ahead)
    return _boxes(ahead) if head[4:8] in (b"ftyp", b"jP  ", b"JXL ") else None


def _jpeg(ahead: Ahead) -> int | None:
    """By its markers (ITU-T T.81, annex B): the first end marker behind the first scan's header."""
    at = 2
    start, near = 0, ahead.at(0, _HEADERS_BYTES)
    while True:
        if at + 4 > start + len(near):
            start, near = at, ahead.at(at, _HEADERS_BYTES)
        head = near[at - start : at - start + 4]
        if len(head) < 4 or head[0] != 0xFF:
            return None
        kind = head[1]
        if kind == 0xFF:
            at += 1
            continue
        if kind == 0xD9:
            return at + 2
        at += 2 + (head[2] << 8 | head[3])
        if kind == 0xDA:
            break
    while len(block := ahead.view(at, _BLOCK)) > 1:
        found = _find_end_marker(block)
        if found >= 0:
            return at + found + 2
        at += len(block) - 1
    return None


def _find_end_marker(block: memoryview) -> int:
    """As bytes.find, which takes ten times as long where every 256th byte is the first one of these."""
    places = []
    for shift in (0, 1):
        pairs = np.frombuffer(block, "<u2", (len(block) - shift) // 2, shift)
        here = pairs == 0xD9FF
        first = int(here.argmax()) if here.size else 0
        if here.size and here[first]:
            places.append(shift + 2 * first)
    return min(places, default=-1)


def _png(ahead: Ahead) -> int | None:
    at = 8
    while len(head := ahead.at(at, 8)) == 8:
        at += 12 + int.from_bytes(head[:4], "big")
        if head[4:] == b"IEND":
            return at
        if not head[4:].isalpha():
            return None
    return None


def _gif(ahead: Ahead) -> int | None:
    head = ahead.at(0, 13)
    if len(head) < 13:
        return None
    at = 13 + _colours(head[10])
    while kind := ahead.at(at, 1):
        at += 1
        if kind == b";":
            return at
        if kind == b",":
            flags = ahead.at(at + 8, 1)
            if not flags:
                return None
            at += 10 + _colours(flags[0])
        elif kind == b"!":
            at += 1
        else:
            return None
        while True:
            length = ahead.at(at, 1)
            if not length:
                return None
            at += 1 + length[0]
            if not length[0]:
                break
    return None


def _colours(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _riff(ahead: Ahead) -> int | None:
    at = 0
    while (head := ahead.at(at, 8))[:4] == b"RIFF" and len(head) == 8:
        length = int.from_bytes(head[4:], "little")
        if at and ahead.at(at + 8, 4) != b"AVIX":  # another file; a long AVI goes on
            break
        at += 8 + length + (length & 1)
    return at


def _bmp(ahead: Ahead) -> int | None:
    head = ahead.at(0, 54)
    if len(head) < 54:
        return None
    said, pixels, header = struct.unpack_from("<I4xII", head, 2)
    if header not in _BMP_HEADERS or not said:
        return None
    if header == 12:
        width, height, bits, packed, length = *struct.unpack_from("<HH2xH", head, 18), 0, 0
    else:
        width, height, bits, packed, length = struct.unpack_from("<ii2xHII", head, 18)
    rows = length if packed in (1, 2, 4, 5) else (width * bits + 31) // 32 * 4 * abs(height)
    return max(int(said), int(pixels) + int(rows))


def _boxes(ahead: Ahead) -> int | None:
    """An ISO base media file (ISO/IEC 14496-12): up to what is no box."""
    at = 0
    while True:
        head = ahead.at(at, 16)
        length, name = int.from_bytes(head[:4], "big"), head[4:8]
        if len(name) < 4 or not all(32 <= byte < 127 or byte == 0xA9 for byte in name):
            return at
        if length == 1 and len(head) == 16:
            length = int.from_bytes(head[8:], "big")
        if length < 8:
            return None if length == 0 else at
        at += length


def _pdf(ahead: Ahead) -> int | None:
    """The last end that it tells, where nothing else says that it ends there."""
    if not ahead.size or _EOF in ahead.at(max(0, ahead.size - _PDF_TAIL), _PDF_TAIL):
        return None
    at = ahead.size
    while at > 0:
        at = max(0, at - _BLOCK)
        found = ahead.at(at, _BLOCK + len(_EOF)).rfind(_EOF)
        if found >= 0:
            return at + found + len(_EOF)
    return None


def _icons(ahead: Ahead) -> int | None:
    """Of Windows: where the last of its sizes ends."""
    (count,) = struct.unpack("<H", ahead.at(4, 2).ljust(2, b"\0"))
    table = ahead.at(6, 16 * count)
    if not 0 < count <= _MOST_ICONS or len(table) < 16 * count:
        return None
    places = [struct.unpack_from("<II", table, entry + 8) for entry in range(0, len(table), 16)]
    return max(size + at for size, at in places) if all(at >= 6 + len(table) and size for size, at in places) else None


def _apple_icons(ahead: Ahead) -> int | None:
    return int.from_bytes(ahead.at(4, 4), "big") or None


def _qoi(ahead: Ahead) -> int | None:
    """By its end, which no pixels look like."""
    at = 14
    while len(block := ahead.at(at, _BLOCK)) >= len(_QOI_END):
        found = block.find(_QOI_END)
        if found >= 0:
            return at + found + len(_QOI_END)
        at += len(block) - len(_QOI_END) + 1
    return None


def _photoshop(ahead: Ahead) -> int | None:
    """By the lengths of its parts, and of its rows (Adobe Photoshop File Formats Specification)."""
    head = ahead.at(0, 26)
    if len(head) < 26:
        return None
    version, channels, height, width, depth = struct.unpack_from(">H6xHIIH", head, 4)
    at, large = 26, version == 2
    for number in range(3):  # colours, resources, layers
        size = 8 if large and number == 2 else 4
        at += size + int.from_bytes(ahead.at(at, size), "big")
    packed, rows = int.from_bytes(ahead.at(at, 2), "big"), channels * height
    if packed == 0:
        return at + 2 + rows * ((width * depth + 7) // 8)
    each = 4 if large else 2
    if packed != 1 or rows > _MOST_ROWS or len(counts := ahead.at(at + 2, rows * each)) < rows * each:
        return None
    return at + 2 + len(counts) + int(np.frombuffer(counts, f">u{each}").sum(dtype=np.uint64))


def program_end(ahead: Ahead) -> int | None:
    """Where the parts of a Windows program end that are loaded (PE/COFF), or those of one for DOS."""
    head = ahead.at(0, 64)
    if head[:2] != b"MZ" or len(head) < 64:
        return None
    (at,) = struct.unpack_from("<I", head, 60)
    coff = ahead.at(at, 24)
    if coff[:4] != b"PE\0\0" or len(coff) < 24:
        last, pages = struct.unpack_from("<HH", head, 2)
        return max(64, (pages - 1) * 512 + (last or 512)) if pages else None
    sections, optional = struct.unpack_from("<H12xH", coff, 6)
    table = ahead.at(at + 24 + optional, 40 * min(sections, _MOST_SECTIONS))
    ends = [sum(struct.unpack_from("<II", table, entry + 16)) for entry in range(0, len(table) - 39, 40)]
    return max(ends, default=at + 24 + optional)


_ENDS: tuple[tuple[bytes, Callable[[Ahead], int | None]], ...] = (
    (b"\xff\xd8\xff", _jpeg),
    (b"\x89PNG\r\n\x1a\n", _png),
    (b"GIF8", _gif),
    (b"RIFF", _riff),
    (b"BM", _bmp),
    (b"%PDF-", _pdf),
    (b"\0\0\1\0", _icons),
    (b"\0\0\2\0", _icons),
    (b"icns", _apple_icons),
    (b"qoif", _qoi),
    (b"8BPS", _photoshop),
)
BEGINNINGS = tuple(magic for magic, _ in _ENDS)
"""What a file begins with whose end can be told, but for those that are made of boxes."""
