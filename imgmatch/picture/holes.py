"""Damage that decoders of many formats pass over: zero bytes, as a lost sector leaves, where compressed pixels should
be, and whatever says by its length or its end that other things stood there.
"""

from __future__ import annotations

import re

from imgmatch.picture import directories as tags
from imgmatch.picture import packings
from imgmatch.picture.items import Items

_LEAST = 256
"""Zero bytes in a row that no encoder writes."""
_NO_INDEX_TWICE = 64  # QOI never writes one zero after the other
_NEVER_IN_HEVC = re.compile(rb"\0\0[\0-\2]")  # emulation prevention (ITU-T H.265, 7.4.2.1)
_CODESTREAM = b"\xff\x4f\xff\x51"
_PACKED_BY = {2, 3, 4, 6, 7, 8, 32773, 32946}
"""Those whose decoders do not say that something is wrong: faxes, JPEG, deflate, PackBits."""


def hole(data: bytes, start: int = 0, end: int | None = None, least: int = _LEAST) -> str | None:
    """Where so many zero bytes lie between two places, other than at their end."""
    end = len(data) if end is None else min(end, len(data))
    at = data.find(bytes(least), start, end)
    if at < 0 or not data[at:end].strip(b"\0"):
        return None
    return f"zero bytes from {at:,} on, where its pixels should be"


def hole_in(data: bytes, format: str) -> str | None:
    """What is missing in a picture that was decoded without a word, by the name of its format; None: nothing."""
    if format == "WEBP":
        at = max(data.find(b"VP8 "), data.find(b"VP8L"))
        return None if at < 0 else hole(data, at, at + 8 + int.from_bytes(data[at + 4 : at + 8], "little"))
    if format == "JPEG2000":
        return hole(data, max(0, data.find(_CODESTREAM)), least=4 * _LEAST)
    if format in ("HEIF", "AVIF"):
        return _in_items(data)
    if format == "QOI":
        return hole(data, 14, least=_NO_INDEX_TWICE) or packings.of_qoi(data)
    if format == "TIFF" and tags.first(data).tags.get(tags.COMPRESSION, (1,))[0] in _PACKED_BY:
        said = tags.first(data).tags
        places = said.get(tags.STRIPS, said.get(tags.TILES, ()))
        lengths = said.get(tags.STRIP_BYTES, said.get(tags.TILE_BYTES, ()))
        found = (hole(data, at, at + length) for at, length in zip(places, lengths, strict=False))
        return next((one for one in found if one is not None), None) or packings.of_tiff(data)
    return None


def _in_items(data: bytes) -> str | None:
    """In what the first picture is made of: other items, and what lies between, may hold anything."""
    items = Items(data)
    for number in sorted(items.needed(items.primary)) if items.primary is not None else ():
        item = items.items.get(number)
        if item is None or item.kind not in (b"hvc1", b"av01"):
            continue
        stored = items.bytes_of(item)
        found = hole(stored) if item.kind == b"av01" else _in_units(stored) if _has_long_lengths(data) else None
        if found is not None:
            return f"item {number}: {found}"
    return None


def _has_long_lengths(data: bytes) -> bool:
    """Is the length of each NAL unit four bytes, as all write it (hvcC)?"""
    at = data.find(b"hvcC")
    return at >= 0 and len(data) > at + 25 and data[at + 25] & 3 == 3


def _in_units(stored: bytes) -> str | None:
    """In NAL units, each behind its length, up to one that is empty or goes beyond the end."""
    at = 0
    while at + 4 <= len(stored):
        length = int.from_bytes(stored[at : at + 4], "big")
        unit = stored[at + 4 : at + 4 + length].rstrip(b"\0")
        is_slice = unit and unit[0] >> 1 & 63 < 32  # what is none may hold anything
        found = _NEVER_IN_HEVC.search(unit) if is_slice else None
        if found is not None:
            return f"bytes that no encoder writes from {at + 4 + found.start():,} on of its pixels"
        if not length:
            break
        at += 4 + length
    return None
