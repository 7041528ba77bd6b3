"""Simple packings whose decoders pass over damage: that what is packed unpacks to as much as it should, and no more."""

from __future__ import annotations

import struct
import zlib

import simplejpeg

from imgmatch.picture import directories as tags

_JPEG, _PACKBITS, _DEFLATE, _YCBCR = 7, 32773, (8, 32946), 6
_BLOCK_BYTES = 1 << 20
_FEW = 16
"""So many bytes may be too many: programs round up."""
_COLOURS = {1: "GRAY", 3: "RGB", 4: "CMYK"}
_SAYS = "Corrupt JPEG data", "Unsupported marker type", "Not a JPEG file", "Bogus", "Invalid"
_END_OF_QOI = b"\0\0\0\0\0\0\0\1"


def of_qoi(data: bytes) -> str | None:
    """What is wrong with a QOI (qoiformat.org): its end does not follow its last pixel; None: nothing."""
    width, height = struct.unpack_from(">II", data, 4)
    left, at = width * height, 14
    lengths = [1] * 128 + [2] * 64 + [1] * 62 + [4, 5]
    pixels = [1] * 192 + list(range(1, 63)) + [1, 1]
    try:
        while left > 0:
            code = data[at]
            left -= pixels[code]
            at += lengths[code]
    except IndexError:
        return "cut off before its last pixel"
    return None if data[at : at + 8] == _END_OF_QOI and not left else "its pixels do not end where they should"


def of_tiff(data: bytes) -> str | None:
    """What is wrong with strips or tiles of a TIFF's first picture, packed by JPEG, deflate or PackBits; None: nothing
    that can be told.
    """
    said = tags.first(data).tags
    (packing,) = said.get(tags.COMPRESSION, (1,))[:1]
    places = said.get(tags.STRIPS, said.get(tags.TILES, ()))
    lengths = said.get(tags.STRIP_BYTES, said.get(tags.TILE_BYTES, ()))
    for number, (at, length) in enumerate(zip(places, lengths, strict=False)):
        part = data[at : at + length]
        if packing == _JPEG:
            wrong = _of_jpeg(part, said)
        elif packing in _DEFLATE:
            wrong = _of_zlib(part)
        elif packing == _PACKBITS:
            wrong = _of_packbits(part, _expected(said, number, len(places)))
        else:
            return None
        if wrong is not None:
            return f"part {number + 1} of its pixels is damaged: {wrong}"
    return None


def _of_jpeg(part: bytes, said: dict[int, tuple[int, ...]]) -> str | None:
    tables = bytes(said.get(tags.JPEG_TABLES, ()))
    whole = tables[:-2] + part[2:] if tables.startswith(b"\xff\xd8") else part
    colours = _COLOURS.get(said.get(tags.SAMPLES, (1,))[0] if said.get(tags.PLANES, (1,))[0] == 1 else 1)
    if colours is None:
        return None
    try:
        simplejpeg.decode_jpeg(whole, colorspace=colours, strict=True)
    except ValueError as error:
        return " ".join(str(error).split()) if any(says in str(error) for says in _SAYS) else None
    return None


def _of_zlib(part: bytes) -> str | None:
    """By the checksum behind (RFC 1950), where it is there."""
    inflate = zlib.decompressobj()
    try:
        while not inflate.eof and part:
            inflate.decompress(part, _BLOCK_BYTES)
            part = inflate.unconsumed_tail
    except zlib.error as error:
        return " ".join(str(error).split())
    return None


def _expected(said: dict[int, tuple[int, ...]], number: int, parts: int) -> int:
    """Bytes that a part unpacks to; 0 where that is not known."""
    bits = said.get(tags.BITS, (1,))
    samples = said.get(tags.SAMPLES, (1,))[0] if said.get(tags.PLANES, (1,))[0] == 1 else 1
    if len(set(bits)) != 1 or said.get(tags.PHOTOMETRIC, (0,))[0] == _YCBCR:
        return 0
    width, height = said.get(tags.WIDTH, (0,))[0], said.get(tags.HEIGHT, (0,))[0]
    if tags.TILES in said:
        width, rows = said.get(tags.TILE_WIDTH, (0,))[0], said.get(tags.TILE_HEIGHT, (0,))[0]
    else:
        rows = min(said.get(tags.ROWS, (height,))[0], height)
        strips = -(-height // rows) if rows else 0
        if strips and number % strips == strips - 1:
            rows = height - rows * (strips - 1)
    return (width * samples * bits[0] + 7) // 8 * rows


def _of_packbits(part: bytes, expected: int) -> str | None:
    """TIFF 6.0, section 9."""
    if not expected:
        return None
    left, at = expected, 0
    while left > 0 and at < len(part):
        code = part[at]
        if code < 128:
            left -= code + 1
            at += code + 2
        else:
            left -= 257 - code if code > 128 else 0
            at += 2 if code > 128 else 1
    if left > 0 or at > len(part):
        return "it unpacks to less than it should"
    if left < -_FEW or len(part) - at > _FEW:
        return "it unpacks to more than it should"
    return None
