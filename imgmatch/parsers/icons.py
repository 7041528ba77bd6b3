"""Icons: Windows's ICO and CUR, Apple's ICNS, which hold one picture in several sizes, or several pictures."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from PIL import Image as Pillow

from imgmatch.errors import EvidenceError
from imgmatch.parsers.alike import is_plain, luma_of
from imgmatch.parsers.pieces import Piece, Settings, Trouble, at_most, png
from imgmatch.parsers.previews import alike
from imgmatch.picture.image import NOTHING_VISIBLE, Limits, decode

HEADS = (b"\0\0\1\0", b"\0\0\2\0", b"icns")
_ENTRY, _MOST = 16, 1024
_ARGB = b"ARGB"
_SIDES = {b"ic04": 16, b"ic05": 32, b"icsb": 18, b"icsB": 36, b"sb24": 24, b"SB24": 48}
_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51", b"\xff\xd8\xff")
# Masks, and what is no picture.
_NO_PICTURES = {
    b"TOC ",
    b"icnV",
    b"name",
    b"info",
    b"s8mk",
    b"l8mk",
    b"h8mk",
    b"t8mk",
    b"ICN#",
    b"icm#",
    b"ics#",
    b"ich#",
}


def pictures(data: bytes, settings: Settings, only: str | None) -> Iterator[Piece | Trouble]:
    """Of its entries those that show something else than the file does, which is the largest; called by their number
    from 0.
    """
    limits = Limits(settings.limits.max_frame_pixels, max(1, len(data)))
    shown = []
    try:
        if only is None:
            shown.append(Pillow.fromarray(decode(data, limits=limits).pixels).convert("L"))
    except EvidenceError as error:  # the file itself says so
        if isinstance(error.__cause__, MemoryError):
            raise MemoryError from error
    entries = _of_apple(data) if data.startswith(b"icns") else _of_windows(data)
    for number, single in at_most(enumerate(entries), settings):
        if only not in (None, str(number)) or single is None:
            continue
        try:
            image = decode(single, limits=limits)
        except EvidenceError as error:
            if isinstance(error.__cause__, MemoryError):
                raise MemoryError from error
            yield Trouble("frame", str(number), "broken_picture", f"this size can't be read: {error}")
            continue
        seen = Pillow.fromarray(image.pixels)
        grey = seen.convert("L")
        if only is None and (is_plain(luma_of(grey)) or any(alike(one, grey) for one in shown)):
            continue
        shown.append(grey)
        yield Piece("frame", str(number), png(seen))
        if image.partial not in (None, NOTHING_VISIBLE):
            yield Trouble("frame", str(number), "broken_picture", f"a part of this size is missing: {image.partial}")


def _of_windows(data: bytes) -> Iterator[bytes | None]:
    """Each entry as an icon of its own."""
    (count,) = struct.unpack_from("<H", data, 4)
    for number in range(min(count, _MOST)):
        entry = data[6 + _ENTRY * number : 6 + _ENTRY * (number + 1)]
        if len(entry) < _ENTRY:
            return
        length, at = struct.unpack_from("<II", entry, 8)
        yield data[:4] + b"\1\0" + entry[:12] + struct.pack("<I", 6 + _ENTRY) + data[at : at + length]


def _of_apple(data: bytes) -> Iterator[bytes | None]:
    """Each element as a file of its own; None for what is no picture."""
    at, end = 8, min(len(data), struct.unpack_from(">I", data, 4)[0])  # others may stand behind it
    while at + 8 <= end:
        (length,) = struct.unpack_from(">I", data, at + 4)
        if length < 8:
            return
        element = data[at : at + length]
        at += length
        if element[8:].startswith(_PICTURES):  # whatever size it is said to have
            yield element[8:]
            continue
        if element[8:12] == _ARGB and element[:4] in _SIDES:
            yield png(_unpacked(element[12:], _SIDES[element[:4]]))
            continue
        yield None if element[:4] in _NO_PICTURES else b"icns" + struct.pack(">I", 8 + len(element)) + element


def _unpacked(packed: bytes, side: int) -> Pillow.Image:
    """Alpha, red, green and blue, each packed by runs; what is missing is zero."""
    out, at, size = bytearray(), 0, 4 * side * side
    while len(out) < size and at < len(packed):
        code = packed[at]
        if code < 128:
            out += packed[at + 1 : at + 2 + code]
            at += code + 2
        else:
            out += packed[at + 1 : at + 2] * (code - 125)
            at += 2
    planes = bytes(out[:size]).ljust(size, b"\0")
    alpha, red, green, blue = (
        Pillow.frombytes("L", (side, side), planes[at : at + side * side]) for at in range(0, size, side * side)
    )
    return Pillow.merge("RGBA", (red, green, blue, alpha))
