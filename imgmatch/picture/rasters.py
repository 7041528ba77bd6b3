"""Old raster formats without a signature worth the name, told by everything that their headers must say: TGA, PCX; and
cursors of Windows, which are icons.
"""

from __future__ import annotations

import struct

_FOOTER = b"TRUEVISION-XFILE.\0"
_TGA = struct.Struct("<BBBHHBHHHHBB")
_MAPPED, _COLOUR, _GREY, _PACKED = 1, 2, 3, 8
_DEPTHS = {_MAPPED: (8, 16), _COLOUR: (15, 16, 24, 32), _GREY: (8, 16)}
_ALPHA = {8: (0,), 15: (0,), 16: (0, 1, 8), 24: (0,), 32: (0, 8)}
_MOST_PIXELS = 1 << 28
# What a file that hides behind one may begin with.
_OTHERS = (
    b"PK\3\4",
    b"\xff\xd8\xff",
    b"\x89PNG\r\n",
    b"7z\xbc\xaf\x27",
    b"Rar!\x1a",
    b"%PDF-1",
    b"GIF8",
    b"\x1f\x8b\x08",
)
_PCX = struct.Struct("<BBBB4H")


def is_tga(data: bytes) -> bool:
    """A Truevision TGA: by its footer, or, as version 1 has none, where every field of the header makes sense and the
    pixels that it describes end where the file does.
    """
    if len(data) < _TGA.size:
        return False
    id_bytes, mapped, kind, first, colours, colour_bits, *_, width, height, depth, flags = _TGA.unpack_from(data)
    plain = kind & ~_PACKED
    sound = mapped == (plain == _MAPPED) and depth in _DEPTHS.get(plain, ()) and width and height
    if not sound or flags >> 6 or (flags & 15) not in _ALPHA[depth] or width * height > _MOST_PIXELS:
        return False
    if mapped and (colour_bits not in (15, 16, 24, 32) or not colours or first):
        return False
    if data.rfind(_FOOTER) >= _TGA.size:  # something may stand behind it
        return True
    if not mapped and (first or colours or colour_bits):
        return False
    start = _TGA.size + id_bytes + colours * ((colour_bits + 7) // 8)
    pixel = (depth + 7) // 8
    end = _packed_end(data, start, pixel, width * height) if kind & _PACKED else start + width * height * pixel
    return end == len(data) or (0 < end < len(data) and data.startswith(_OTHERS, end))


def _packed_end(data: bytes, at: int, pixel: int, left: int) -> int:
    """Where run-length packets of so many pixels end; -1 where they do not."""
    while left > 0 and at < len(data):
        count = (data[at] & 0x7F) + 1
        at += 1 + (pixel if data[at] & 0x80 else pixel * count)
        left -= count
    return at if left == 0 else -1


def is_pcx(data: bytes) -> bool:
    """A ZSoft PCX, where every field of its header makes sense."""
    if len(data) <= 128:
        return False
    maker, version, packed, bits, left, top, right, bottom = _PCX.unpack_from(data)
    if maker != 10 or version not in (0, 2, 3, 4, 5) or packed != 1 or bits not in (1, 2, 4, 8) or data[64]:
        return False
    width, planes, row = right - left + 1, data[65], int.from_bytes(data[66:68], "little")
    return width > 0 and bottom >= top and 1 <= planes <= 4 and (width * bits + 7) // 8 <= row <= width + 8


def as_icon(data: bytes) -> bytes:
    """A cursor of Windows as an icon, which differs in its kind, and in that it has a hot spot where an icon has planes
    and depth; anything else as it came.
    """
    if not data.startswith(b"\0\0\2\0"):
        return data
    made = bytearray(data)
    made[2] = 1
    for entry in range(6, min(6 + 16 * int.from_bytes(data[4:6], "little"), len(data) - 15), 16):
        (at,) = struct.unpack_from("<I", data, entry + 12)
        depth = data[at + 14 : at + 16] if data[at : at + 4] == b"\x28\0\0\0" else b"\x20\0"
        made[entry + 4 : entry + 8] = b"\1\0" + (depth + bytes(2))[:2]
    return bytes(made)
