"""Properties of Outlook's messages (MS-OXPROPS) as a stream of them holds them (MS-OXTNEF)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

BODY, HTML, ATTACHED, SHORT_NAME, LONG_NAME = 0x1000, 0x1013, 0x3701, 0x3704, 0x3707
SUBMITTED, DELIVERED = 0x0039, 0x0E06
OBJECT, TEXT8, TEXT16, TIME, BINARY = 0x0D, 0x1E, 0x1F, 0x40, 0x102
_FIXED_BYTES = {0x02: 4, 0x03: 4, 0x04: 4, 0x05: 8, 0x06: 8, 0x07: 8, 0x0A: 4, 0x0B: 4, 0x14: 8, 0x40: 8, 0x48: 16}
_SEVERAL = 0x1000


def text_of(kind: int, value: bytes) -> str:
    """A property of text. Letters of 8 bits are those of the machine that wrote them: taken as Windows's."""
    decoded = value.decode("utf-16-le", "replace") if kind == TEXT16 else value.decode("cp1252", "replace")
    return decoded.rstrip("\0")


def properties(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Number, type and value of each. Raises ValueError where they make no sense."""
    at = 4
    try:
        for _ in range(struct.unpack_from("<I", data)[0]):
            kind, number = struct.unpack_from("<HH", data, at)
            at += 4
            if number >= 0x8000:  # one with a name
                by_text, length = struct.unpack_from("<II", data, at + 16)
                at += 24 + (_padded(length) if by_text else 0)
            values, size = 1, _FIXED_BYTES.get(kind & ~_SEVERAL)
            if kind & _SEVERAL or size is None:
                values = struct.unpack_from("<I", data, at)[0]
                at += 4
            for _ in range(values):
                length = size
                if length is None:
                    length = struct.unpack_from("<I", data, at)[0]
                    at += 4
                if at + length > len(data):
                    raise ValueError("a property is longer than what it lies in")
                yield number, kind, data[at : at + length]
                at += _padded(length)
    except struct.error as error:
        raise ValueError("properties break off") from error


def _padded(length: int) -> int:
    return -(-length // 4) * 4
