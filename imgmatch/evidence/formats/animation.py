"""Pictures that hold several: animated GIF, WebP and PNG, any TIFF, HEIF and AVIF sequences, Multi-Picture JPEG."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import BinaryIO, ClassVar

from imgmatch.evidence.formats.ends import Ahead
from imgmatch.evidence.formats.extracted import Moving
from imgmatch.evidence.look import Look, read
from imgmatch.picture.brands import coding_of
from imgmatch.picture.directories import BIG, CLASSIC, order_of

_MOST_SEGMENTS = 256
_LAYERED = b"icns", b"8BPS\0", b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"  # JPEG XL too


class Animation(Moving):
    """All but the first picture, which is the file itself; of a TIFF its previews too."""

    name = "picture of several"
    kinds: ClassVar[tuple[str, ...]] = ("frame", "preview")
    parser = "animation"
    itself = True
    begins = (
        b"GIF8",
        b"\x89PNG\r\n\x1a\n",
        b"RIFF",
        b"\xff\xd8\xff",
        b"\0\0\1\0",
        b"\0\0\2\0",
        *CLASSIC,
        *BIG,
        *_LAYERED,
    )

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """May it hold several?"""
        head = look.head
        if head.startswith(b"GIF8"):
            with look.stream() as stream:
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
        return order_of(head) is not None or head.startswith(_LAYERED)


def _has_index(look: Look) -> bool:
    """Has a JPEG an index of several pictures (CIPA DC-007)? Past its first bytes it is read only where need be."""
    found = _index_in(lambda place, size: look.head[place : place + size])
    if found is None:
        with look.stream() as stream:
            found = _index_in(Ahead(stream, look.evidence.size_bytes).at)
    return bool(found)


def _index_in(at: Callable[[int, int], bytes]) -> bool | None:
    """None where it ends before the pixels do begin."""
    place = 2
    for _ in range(_MOST_SEGMENTS):
        piece = at(place, 8)
        if len(piece) < 8:
            return None
        if piece[0] != 0xFF or piece[1] == 0xDA:
            return False
        if piece[1] == 0xE2 and piece[4:] == b"MPF\0":
            return True
        place += 2 + max(2, piece[2] << 8 | piece[3])
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
