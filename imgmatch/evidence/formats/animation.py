"""Pictures that hold several: animated GIF, WebP and PNG, any TIFF, HEIF and AVIF sequences, Multi-Picture JPEG."""

from __future__ import annotations

import io
from contextlib import suppress
from functools import partial
from typing import BinaryIO, ClassVar

from imgmatch.evidence.formats.extracted import Moving
from imgmatch.evidence.look import Look, read
from imgmatch.picture.brands import coding_of
from imgmatch.picture.directories import order_of

_MOST_SEGMENTS = 256
_JPEG_XL = b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"


class Animation(Moving):
    """All but the first picture, which is the file itself; of a TIFF its previews too."""

    name = "picture of several"
    kinds: ClassVar[tuple[str, ...]] = ("frame", "preview")
    parser = "animation"
    itself = True

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """May it hold several?"""
        head = look.head
        if head.startswith(b"GIF8"):
            with look.evidence.open() as stream:
                return _images_of_gif(stream) > 1
        if head.startswith(b"\x89PNG\r\n\x1a\n"):
            return b"acTL" in head
        if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
            return head[12:16] == b"VP8X" and bool(head[20] & 2)
        if head[4:8] == b"ftyp":
            return coding_of(head) is not None
        if head.startswith(b"\xff\xd8\xff"):
            return _has_index(look)
        if head.startswith((b"\0\0\1\0", b"\0\0\2\0")):  # icons and cursors, by their number
            return head[5:6] == b"\0" and head[4] > 1 and head[9:10] == b"\0"
        return order_of(head) is not None or head.startswith((b"icns", b"8BPS\0", *_JPEG_XL))


def _has_index(look: Look) -> bool:
    """Has a JPEG an index of several pictures (CIPA DC-007)? Past its first bytes it is read only where need be."""
    with suppress(EOFError):
        return _index_in(io.BytesIO(look.head))
    with suppress(EOFError), look.evidence.open() as stream:
        return _index_in(stream)
    return False


def _index_in(stream: BinaryIO) -> bool:
    """EOFError where it ends before the pixels do begin."""
    _take(stream, 2)
    for _ in range(_MOST_SEGMENTS):
        marker, kind, *length = _take(stream, 4)
        if marker != 0xFF or kind == 0xDA:
            break
        if _take(stream, max(2, int.from_bytes(length, "big")) - 2).startswith(b"MPF\0") and kind == 0xE2:
            return True
    return False


def _images_of_gif(stream: BinaryIO) -> int:
    """1 or 2: images in a GIF (GIF89a), counted no further than the second; 0 where it is broken before the first."""

    take = partial(_take, stream)

    def colours(flags: int) -> int:
        return 3 << ((flags & 7) + 1) if flags & 0x80 else 0

    images = 0
    try:
        take(colours(take(13)[10]))
        while images < 2:
            block = take(1)
            if block == b",":
                images += 1
                take(colours(take(9)[8]) + 1)
            elif block == b"!":
                take(1)
            else:
                break
            while length := take(1)[0]:
                take(length)
    except EOFError:
        pass
    return images


def _take(stream: BinaryIO, size: int) -> bytes:
    part = read(stream, size)
    if len(part) < size:
        raise EOFError
    return part
