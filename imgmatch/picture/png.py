"""PNG chunks (ISO/IEC 15948) that would cost the picture: wrong checksums, long texts and profiles.

Pillow refuses a wrong checksum in a header chunk and never looks at those of the pixel data; and it refuses a picture
whose texts or colour profile unpack to more than it likes.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from PIL.PngImagePlugin import MAX_TEXT_CHUNK, MAX_TEXT_MEMORY

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TEXTS = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")
_XMP = b"XML:com.adobe.xmp"
_MOST_UNPACKED = 32 << 20
"""A longer text or profile is not looked at."""


def mend_checksums(data: bytes) -> tuple[bytes, str | None]:
    """Return ``data`` with every chunk's CRC-32 right, and what was wrong with the first bad one (None: nothing)."""
    view = memoryview(data)
    fault: str | None = None
    mended: bytearray | None = None
    for at, end in _chunks(data):
        right = zlib.crc32(view[at + 4 : end]).to_bytes(4, "big")
        if right != view[end : end + 4]:
            fault = fault or f"wrong checksum in PNG chunk {data[at + 4 : at + 8].decode('ascii', 'replace')!r}"
            mended = mended or bytearray(data)
            mended[end : end + 4] = right
    return (bytes(mended), fault) if mended else (data, None)


def without_long_texts(data: bytes) -> tuple[bytes, dict[str, bytes]]:
    """Return ``data`` without the texts and the profile that Pillow would refuse it for, and of these ``icc_profile``
    and ``xmp``, by Pillow's names.
    """
    parts, found = [], dict[str, bytes]()
    copied = in_all = 0
    for at, end in _chunks(data):
        name = data[at + 4 : at + 8]
        if name not in _TEXTS:
            continue
        key, value = _unpacked(name, data[at + 8 : end])
        if value is not None:
            in_all += len(value) if name != b"iCCP" else 0
            if len(value) < MAX_TEXT_CHUNK and in_all <= MAX_TEXT_MEMORY:
                continue
            if name == b"iCCP":
                found["icc_profile"] = value
            elif key == _XMP:
                found["xmp"] = value
        parts.append(data[copied:at])
        copied = end + 4
    return (b"".join((*parts, data[copied:])), found) if parts else (data, found)


def _chunks(data: bytes) -> Iterator[tuple[int, int]]:
    """Where each whole chunk begins, and where its checksum does."""
    at = len(SIGNATURE) if data.startswith(SIGNATURE) else len(data)
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if end + 4 > len(data):
            break  # truncated: the decoder says so
        yield at, end
        if data[at + 4 : at + 8] == b"IEND":
            break  # what stands behind it is no part of the picture
        at = end + 4


def _unpacked(name: bytes, body: bytes) -> tuple[bytes, bytes | None]:
    """Keyword and value of a text or profile; None for one that is too long, or packed as nothing is."""
    key, _, rest = body.partition(b"\0")
    packed = name != b"tEXt"
    if name == b"iTXt":
        packed, parts = rest[:2] == b"\1\0", rest[2:].split(b"\0", 2)
        rest = parts[2] if len(parts) == 3 else b""
    elif packed:
        if rest[:1] != b"\0":
            return key, None
        rest = rest[1:]
    if not packed:
        return key, rest
    try:
        value = zlib.decompressobj().decompress(rest, _MOST_UNPACKED + 1)
    except zlib.error:
        return key, b""
    return key, value if len(value) <= _MOST_UNPACKED else None
