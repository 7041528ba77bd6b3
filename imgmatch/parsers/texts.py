"""Pictures that a text carries, however long it is: HTML, CSS, SVG, JSON, XML, vCards, lists of properties, LDIF."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from imgmatch.parsers import carried, embedded
from imgmatch.parsers.pieces import Clock, Piece, Settings, Trouble

_BLOCK_BYTES = 16 << 20
_MOST_BYTES = 512 << 20


def extract(stream: BinaryIO, settings: Settings, at: str | None = None) -> Iterator[Piece | Trouble]:
    """Every picture, called ``@`` and the place, in bytes, where what carries it begins."""
    clock = Clock(settings)
    yield from _uuencoded(stream, clock)
    wide = stream.read(2) in (b"\xff\xfe", b"\xfe\xff")
    stream.seek(0)
    if wide:
        yield from (Piece("carried", found.at, found.data) for found in carried.in_text(stream.read(_MOST_BYTES)))
        return
    text, start, ended = b"", 0, False
    while not ended:
        block = stream.read(_BLOCK_BYTES)
        ended = not block
        text += block
        clock.check()
        kept = max(0, len(text) - 256)  # something may begin here
        for begin, end, data in carried.runs(text):
            if end >= len(text) - 1 and not ended and len(text) < _MOST_BYTES:
                kept = begin  # more of it is to come
                break
            clock.check()
            for found in carried.in_value(data, 1):
                yield Piece("carried", f"@{start + begin}" + (f"/{found.at}" if found.at else ""), found.data)
            kept = max(kept, end)
        if ended:
            break
        kept = max(0, kept - 1)
        text, start = text[kept:], start + kept


def _uuencoded(stream: BinaryIO, clock: Clock) -> Iterator[Piece | Trouble]:
    """Files in lines of uuencode, called as they say themselves, behind ``@`` and their number."""
    text = stream.read(_MOST_BYTES)
    if embedded.has_file(text):
        for number, (name, data) in enumerate(embedded.in_text(text), start=1):
            clock.check()
            yield Piece("carried", f"@{number}/{name}", data)
    stream.seek(0)
