"""Pictures beside the sound and the frames of a file: covers, attached files, thumbnails that cameras keep.

Found by what begins as a picture does in all that is no sound and no frame, by the structure of MP4 (ISO/IEC 14496-12),
Matroska (RFC 9559), ASF, RIFF and AIFF, and in tags: APEv2, ID3, and the comments of Ogg (RFC 3533, 7845), where they
are base64.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from collections.abc import Iterator
from typing import BinaryIO

from imgmatch.parsers.pieces import Clock, Piece, Settings
from imgmatch.picture.brands import coding_of
from imgmatch.picture.extents import BEGIN, length_of

Region = tuple[int, int]
"""Where what may hold pictures begins, and how long it is."""
KIND = "cover"
_MOST_BYTES = 64 << 20  # of a region; more than any cover has
_MOST_PIECES, _MOST_TRIED = 200_000, 1_000
_LEAST_BYTES = 64
_MATROSKA, _ASF, _OGG = b"\x1a\x45\xdf\xa3", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", b"OggS"
_SEGMENT, _CLUSTER = 0x18538067, 0x1F43B675
_BARE = {b"mdat", b"SSND", b"data", b"idx1", b"movi"}
"""Boxes and chunks of sound and frames."""
_COMMENTS = re.compile(rb"(?:METADATA_BLOCK_PICTURE|COVERART)=([A-Za-z0-9+/=\s]{88,})", re.IGNORECASE)
_APE, _APE_BYTES = b"APETAGEX", 32
_TAIL_BYTES = 512


def extract(stream: BinaryIO, settings: Settings, at: str | None = None) -> Iterator[Piece]:
    """Every picture, called by where it begins and how long it is; one in a comment by the number of that. Raises
    EvidenceError of kind ``limit``.
    """
    clock = Clock(settings)
    if _read(stream, 0, 4) == _OGG:
        yield from _in_comments(_first_packets(stream))
        return
    for start, size in _regions(stream):
        clock.check()
        data = _read(stream, start, min(size, _MOST_BYTES))
        place = 0
        for _ in range(_MOST_TRIED):
            match = BEGIN.search(data, place)
            if match is None:
                break
            clock.check()
            length = length_of(data[match.start() :])
            if length >= _LEAST_BYTES:
                yield Piece(KIND, f"{start + match.start()}+{length}", data[match.start() : match.start() + length])
            place = match.start() + max(length, 4)


def _regions(stream: BinaryIO) -> Iterator[Region]:
    head, whole = _read(stream, 0, 32), stream.seek(0, 2)
    if head.startswith(_MATROSKA):
        yield from _of_matroska(stream, whole)
    elif head.startswith(_ASF):
        yield 0, min(int.from_bytes(head[16:24], "little"), whole)
    elif head.startswith((b"RIFF", b"FORM")):
        yield from _chunks(stream, 12, whole, "little" if head.startswith(b"RIFF") else "big")
    elif head.startswith(b"DSD "):
        place = int.from_bytes(head[20:28], "little")
        yield place, max(0, whole - place)
    elif head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"pnot") and coding_of(head) is None:
        yield from _boxes(stream, whole)
    yield from _of_tag(stream, whole)


def _boxes(stream: BinaryIO, whole: int) -> Iterator[Region]:
    at = 0
    for _ in range(_MOST_PIECES):
        piece = _read(stream, at, 16)
        if len(piece) < 8:
            return
        size, name, longer = (*struct.unpack(">I4s", piece[:8]), piece[8:])
        size = int.from_bytes(longer, "big") if size == 1 else size or whole - at
        if size < 8 or not name.replace(b"\xa9", b"").strip().isalnum():
            return
        if name not in _BARE:
            yield at, min(size, whole - at)
        at += size


def _chunks(stream: BinaryIO, at: int, whole: int, order: str) -> Iterator[Region]:
    """Of RIFF, or of the FORM of AIFF."""
    for _ in range(_MOST_PIECES):
        piece = _read(stream, at, 12)
        if len(piece) < 8:
            return
        size = int.from_bytes(piece[4:8], "little" if order == "little" else "big")
        if piece[:4] not in _BARE and piece[8:12] not in _BARE:
            yield at + 8, min(size, whole - at - 8)
        at += 8 + size + size % 2


def _of_matroska(stream: BinaryIO, whole: int) -> Iterator[Region]:
    """Every element of the segment but clusters, which hold what is played."""
    at = 0
    for _ in range(_MOST_PIECES):
        piece = _read(stream, at, 12)
        number, used = _number(piece, keep=True)
        size, more = _number(piece[used:])
        if not used or not more:
            return
        at += used + more
        if number == _SEGMENT:
            continue
        if size + 1 == 1 << 7 * more:  # of no known length: it ends where the next cluster begins
            return
        if number != _CLUSTER:
            yield at, min(size, whole - at)
        at += size


def _number(piece: bytes, *, keep: bool = False) -> tuple[int, int]:
    """A number of EBML (RFC 8794, 4), with its mark where it is an element's, and how many bytes it takes; 0: none."""
    length = 9 - piece[0].bit_length() if piece and piece[0] else 0
    if not length or len(piece) < length or (keep and length > 4):
        return 0, 0
    value = int.from_bytes(piece[:length], "big")
    return (value if keep else value - (1 << 7 * length)), length


def _of_tag(stream: BinaryIO, whole: int) -> Iterator[Region]:
    """An APEv2 tag at the end, also before an ID3v1 tag."""
    start = max(0, whole - _TAIL_BYTES)
    tail = _read(stream, start, _TAIL_BYTES)
    at = tail.rfind(_APE)
    if at >= 0 and at + _APE_BYTES <= len(tail):
        size = int.from_bytes(tail[at + 12 : at + 16], "little")
        if size <= start + at + _APE_BYTES:
            yield start + at + _APE_BYTES - size, size


def _first_packets(stream: BinaryIO) -> bytes:
    """Of an Ogg the pages before any sound: those that end at time 0, or within a packet."""
    packets, at = bytearray(), 0
    while len(packets) < _MOST_BYTES:
        page = _read(stream, at, 27)
        if len(page) < 27 or not page.startswith(_OGG) or page[6:14] not in (bytes(8), b"\xff" * 8):
            break
        lengths = _read(stream, at + 27, page[26])
        packets += _read(stream, at + 27 + page[26], sum(lengths))
        at += 27 + page[26] + sum(lengths)
    return bytes(packets)


def _in_comments(packets: bytes) -> Iterator[Piece]:
    for number, match in enumerate(_COMMENTS.finditer(packets), start=1):
        text = match[1]
        said = int.from_bytes(packets[match.start() - 4 : match.start()], "little") - (match.start(1) - match.start())
        try:
            block = base64.b64decode(text[: said if 0 < said < len(text) else len(text)] + b"===")
        except binascii.Error:
            continue
        begin = BEGIN.search(block)
        if begin is not None:
            data = block[begin.start() :]
            yield Piece(KIND, f"comment-{number}", data[: length_of(data) or len(data)])


def _read(stream: BinaryIO, at: int, size: int) -> bytes:
    stream.seek(at)
    return stream.read(size)
