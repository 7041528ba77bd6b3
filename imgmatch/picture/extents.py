"""Where a picture that begins somewhere in other bytes ends, by its own structure."""

from __future__ import annotations

import re
import struct

JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
BEGIN = re.compile(
    rb"\xff\xd8\xff[\xc0-\xcf\xdb\xdd\xe0-\xef\xfe]|\x89PNG\r\n\x1a\n|GIF8[79]a|RIFF.{4}WEBPVP8"
    rb"|BM.{4}\0{4}.{4}[\x0c\x28\x38\x40\x6c\x7c]\0{3}|\0\0.{2}ftyp(?:hei[cxms]|hev[cxms]|avi[fs]|mif[12]|msf1)"
    rb"|\0\0\0\x0cjP  \r\n\x87\n",
    re.DOTALL,
)
"""What a picture begins with, as far as that is long enough to be none by chance."""
_BOXES = {b"ftyp", b"meta", b"mdat", b"moov", b"free", b"skip", b"uuid", b"idat", b"jP  ", b"jp2h", b"jp2c", b"mini"}


def length_of(data: bytes) -> int:
    """Length of the picture that ``data`` begins with; 0 where it is none of those in ``BEGIN`` or no end is found."""
    if data.startswith(JPEG):
        return jpeg_length(data)
    if data.startswith(PNG):
        return png_length(data)
    if data.startswith(b"GIF8"):
        return _gif_length(data)
    if data.startswith(b"RIFF") and len(data) >= 8:
        size = 8 + int.from_bytes(data[4:8], "little")
        return _inside(size + size % 2, data) or _inside(size, data)
    if data.startswith(b"BM") and len(data) >= 6:
        return _inside(int.from_bytes(data[2:6], "little"), data)
    return _boxes_length(data)


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


def _gif_length(data: bytes) -> int:
    """By its blocks (GIF 89a)."""
    if len(data) < 13:
        return 0
    at = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    while at < len(data):
        if data[at] == 0x3B:
            return at + 1
        if data[at] == 0x21:
            at += 2
        elif data[at] == 0x2C and at + 10 <= len(data):
            at += 11 + (3 << (data[at + 9] & 7) + 1 if data[at + 9] & 0x80 else 0)
        else:
            return 0
        while at < len(data) and data[at]:
            at += 1 + data[at]
        at += 1
    return 0


def _boxes_length(data: bytes) -> int:
    """Of an ISO base media file, up to the first box that none of a picture's has."""
    at = 0
    while at + 8 <= len(data) and data[at + 4 : at + 8] in _BOXES:
        size = int.from_bytes(data[at : at + 4], "big")
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if size < 8 or at + size > len(data):
            return 0
        at += size
    return at


def _inside(size: int, data: bytes) -> int:
    return size if 12 <= size <= len(data) else 0
