"""What browsers and apps keep: entries of caches behind headers of their own, and many pictures in one file."""

from __future__ import annotations

import email.utils
import re
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from imgmatch import times
from imgmatch.errors import EvidenceError
from imgmatch.parsers.pieces import Clock, Piece, Settings, Trouble
from imgmatch.picture.extents import BEGIN, length_of

CHROME = b"\x30\x5c\x72\xa7\x1b\x6d\xfb\xfc"
"""An entry of Chrome's simple cache begins so."""
VOLLEY = (b"\x06\x03\x15\x20", b"\x23\x06\x14\x20", b"\x04\x05\x12\x20")
"""An entry of Android's Volley begins so."""
_CHROME_END = b"\xd8\x41\x0d\x97\x45\x6f\xfa\xf4"
_HEADER, _END = 24, 24
_HAS_CRC, _HAS_KEY_HASH = 1, 2
_MOST_ENTRY = 1 << 30
_MODIFIED = re.compile(rb"\blast-modified:\s*([^\0\r\n]{10,40})", re.IGNORECASE)
_SEARCHED_BYTES = 1 << 20
_ROOM = 64
_CHUNK = 256 << 10  # of Firefox's, each with a hash of two bytes


def extract(stream: BinaryIO, settings: Settings, at: str | None = None) -> Iterator[Piece | Trouble]:
    """The body of an entry, called by its address; of a file with many pictures, each by where it begins.

    Raises EvidenceError of kind ``broken_document`` or ``limit``.
    """
    head = stream.read(8)
    whole = stream.seek(0, 2)
    if head.startswith(CHROME):
        yield from _chrome(_all(stream, whole))
    elif head.startswith(VOLLEY):
        yield from _volley(_all(stream, whole))
    elif (told := firefox(stream)) is not None:
        body, key, when = told
        stream.seek(0)
        yield Piece("cache", key, stream.read(body), when)
    else:
        yield from _many(stream, whole, settings)


def firefox(stream: BinaryIO) -> tuple[int, str, str | None] | None:
    """Of an entry of Firefox's cache: how long its body is, its address, and when it was written."""
    whole = stream.seek(0, 2)
    if whole < 4:
        return None
    stream.seek(whole - 4)
    body = int.from_bytes(stream.read(4), "big")
    start = body + 4 + 2 * (-(-body // _CHUNK))
    if not 0 < body <= _MOST_ENTRY or start + 32 > whole:
        return None
    stream.seek(start)
    data = stream.read(min(whole - start - 4, 1 << 20))
    version, _, _, modified, _, _, key_bytes = struct.unpack_from(">7I", data)
    key = data[28 + 4 * (version >= 2) :][:key_bytes]
    if not 1 <= version <= 9 or len(key) != key_bytes or b":" not in key:
        return None
    return body, key.decode("utf-8", "replace").partition(":")[2] or "body", times.utc(modified) if modified else None


def _all(stream: BinaryIO, whole: int) -> bytes:
    if whole > _MOST_ENTRY:
        raise EvidenceError("limit", f"is longer than {_MOST_ENTRY:,} bytes, which no entry is; not opened")
    stream.seek(0)
    return stream.read()


def _chrome(data: bytes) -> Iterator[Piece | Trouble]:
    """Header, key, body, end of body, headers of HTTP, end of those."""
    key_bytes = int.from_bytes(data[12:16], "little")
    start = _HEADER + key_bytes
    key = data[_HEADER:start].decode("utf-8", "replace").split()
    name = key[-1] if key else "body"
    name = re.sub(r"^\d+/\d+/", "", name)
    last = len(data) - _END
    flags, _, size = struct.unpack_from("<3I", data, last + 8) if last >= start else (0, 0, 0)
    headers = last - size - 32 * bool(flags & _HAS_KEY_HASH)
    end = headers - _END
    if data[last : last + 8] != _CHROME_END or data[end : end + 8] != _CHROME_END or end < start:
        if start < len(data):
            end = data.find(_CHROME_END, start)
            yield Piece("cache", name, data[start : end if end > start else len(data)])
        raise EvidenceError("broken_document", "the entry was cut off; what is there of it is kept")
    flags, crc, _ = struct.unpack_from("<3I", data, end + 8)
    body, said = data[start:end], _MODIFIED.search(data, headers, last)
    if body:
        yield Piece("cache", name, body, None if said is None else _http_time(said[1]))
    if flags & _HAS_CRC and crc != zlib.crc32(body):
        yield Trouble("cache", f"{name};crc", "broken_document", "its bytes are not those whose checksum it holds")


def _http_time(text: bytes) -> str | None:
    try:
        return times.stated(email.utils.parsedate_to_datetime(text.decode("latin-1")))
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _volley(data: bytes) -> Iterator[Piece | Trouble]:
    """Magic, key, tag, times, headers, body."""
    try:
        key, at = _counted(data, 4)
        _, at = _counted(data, at)
        when = int.from_bytes(data[at + 8 : at + 16], "little") if data.startswith(VOLLEY[0]) else 0
        at += 32 if data.startswith(VOLLEY[0]) else 24
        headers, at = int.from_bytes(data[at : at + 4], "little"), at + 4
        for _ in range(2 * headers):
            _, at = _counted(data, at)
    except ValueError as error:
        raise EvidenceError("broken_document", "the entry was cut off") from error
    if data[at:]:
        yield Piece(
            "cache", key.decode("utf-8", "replace") or "body", data[at:], times.utc(when / 1000) if when else None
        )


def _counted(data: bytes, at: int) -> tuple[bytes, int]:
    size = int.from_bytes(data[at : at + 8], "little")
    if at + 8 + size > len(data):
        raise ValueError
    return data[at + 8 : at + 8 + size], at + 8 + size


def _many(stream: BinaryIO, whole: int, settings: Settings) -> Iterator[Piece | Trouble]:
    """Each picture by where it begins, to its end; or as far as four bytes before it say (Android's .thumbdata)."""
    clock, at = Clock(settings), 0
    most = settings.limits.max_carved_bytes
    while at < whole:
        clock.check()
        stream.seek(at)
        block = stream.read(_SEARCHED_BYTES + _ROOM)
        match = BEGIN.search(block)
        if match is None:
            at += _SEARCHED_BYTES
            continue
        place = at + match.start()
        stream.seek(max(0, place - 4))
        before = int.from_bytes(stream.read(min(4, place)), "big")
        data = stream.read(most)
        size = length_of(data)
        if size <= before <= min(size + 4096 if size else most, len(data)):
            size = before
        if size:
            yield Piece("thumb", str(place), data[:size])
        else:
            says = "a picture begins here whose end is not found; not taken out"
            yield Trouble("thumb", str(place), "broken_document", says)
        at = place + max(size, 4)
