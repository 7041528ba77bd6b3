"""Pictures in compound files ([MS-CFB]) of any kind: Word, PowerPoint and Excel up to 2003 ([MS-ODRAW]), Visio,
Publisher, Works; and files that were embedded in them ([MS-OLEDS], Ole10Native).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from imgmatch.errors import unsupported
from imgmatch.parsers import carried
from imgmatch.parsers.pieces import Clock, Piece, Trouble

_NATIVE = "\x01Ole10Native"
_DRAWING, _CONTINUED, _LOCKED, _BEGIN = 0x00EB, 0x003C, 0x002F, 0x0809
_METAFILES = {
    0xF01A: "Windows metafile (EMF)",
    0xF01B: "Windows metafile (WMF)",
    0xF01C: "picture of the Macintosh (PICT)",
}
_BITMAP = 0xF01F
_WORD, _WORD_LOCKED = b"\xec\xa5", 0x01
_CURRENT_LOCKED = b"\xdf\xc4\xd1\xf3"


def pictures(streams: Iterator[tuple[str, bytes]], clock: Clock) -> Iterator[Piece | Trouble]:
    """What lies in each stream, called by its name and the place in it."""
    for name, data in streams:
        clock.check()
        last = name.rpartition("/")[2]
        if _is_locked(last, data):
            says = "its pictures are encrypted with it; it is not read"
            yield Trouble.of("ole", name, unsupported("Office document (encrypted)", says))
            continue
        if last in ("Workbook", "Book"):
            data = _drawings(data)
        elif last == _NATIVE:
            data = _native(data)
        elif last == "Pictures":
            yield from _odd_records(name, data)
        for found in carried.in_value(data):
            yield Piece("ole", f"{name}/{found.at}" if found.at else name, found.data)


def _is_locked(name: str, data: bytes) -> bool:
    if name == "WordDocument":
        return data.startswith(_WORD) and bool(data[11:12]) and bool(data[11] & _WORD_LOCKED)
    if name == "Current User":
        return data[12:16] == _CURRENT_LOCKED
    return name in ("Workbook", "Book") and any(kind == _LOCKED for kind, _ in _records(data))


def _records(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and content of each record of a workbook ([MS-XLS], 2.1.4)."""
    at = 0
    while at + 4 <= len(data):
        kind, size = struct.unpack_from("<HH", data, at)
        yield kind, data[at + 4 : at + 4 + size]
        at += 4 + size


def _drawings(data: bytes) -> bytes:
    """Drawings of a workbook, which are told in records of 8 KB; where it is none, as it is."""
    if int.from_bytes(data[:2], "little") != _BEGIN:
        return data
    parts, more = [], False
    for kind, content in _records(data):
        more = kind == _DRAWING or (more and kind == _CONTINUED)
        if more:
            parts.append(content)
    return b"".join(parts)


def _native(data: bytes) -> bytes:
    """The file that was embedded, behind its names; where that makes no sense, all of it."""
    at = 6
    for _ in range(2):
        at = data.find(b"\0", at) + 1
        if at <= 0:
            return data
    at += 4
    if at + 4 > len(data):
        return data
    at += 4 + int.from_bytes(data[at : at + 4], "little")
    size = int.from_bytes(data[at : at + 4], "little")
    return data[at + 4 : at + 4 + size] if 0 < size <= len(data) - at - 4 else data


def _odd_records(name: str, data: bytes) -> Iterator[Piece | Trouble]:
    """Of PowerPoint's pictures those that are none as they lie there: bitmaps without a header, metafiles."""
    at, told = 0, set()
    while at + 8 <= len(data):
        version, kind, size = struct.unpack_from("<HHI", data, at)
        if kind in _METAFILES and kind not in told:
            told.add(kind)
            yield Trouble.of("ole", f"{name}/+{at}", unsupported(_METAFILES[kind], "it is not read"))
        elif kind == _BITMAP:
            bitmap = data[at + 8 + (33 if version >> 4 & 1 else 17) : at + 8 + size]
            yield Piece("ole", f"{name}/+{at}", with_header(bitmap))
        at += 8 + size


def with_header(bitmap: bytes) -> bytes:
    """A BMP of a bitmap as it lies in memory (BITMAPINFO)."""
    head, depth, packed = (int.from_bytes(bitmap[a:b], "little") for a, b in ((0, 4), (14, 16), (16, 20)))
    colours = int.from_bytes(bitmap[32:36], "little") or (1 << depth if depth <= 8 else 0)
    start = 14 + head + 4 * colours + (12 if packed == 3 and head == 40 else 0)
    return b"BM" + struct.pack("<IHHI", 14 + len(bitmap), 0, 0, start) + bitmap
