"""Zero bytes where compressed pixels should be: what a lost sector leaves, and decoders of many formats pass over."""

from __future__ import annotations

from imgmatch.picture import directories as tags

_LEAST = 256
"""Zero bytes in a row that no encoder writes."""
_LEAST_BETWEEN = 2048  # where other things than pixels lie among them
_NO_INDEX_TWICE = 64  # QOI never writes one zero after the other
_CODESTREAM = b"\xff\x4f\xff\x51"
_PACKED_BY = {2, 3, 4, 6, 7, 32773}  # those whose decoders do not say that something is wrong: faxes, JPEG, PackBits


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
        return hole(data, max(0, data.find(b"mdat")), least=_LEAST_BETWEEN)
    if format == "QOI":
        return hole(data, 14, least=_NO_INDEX_TWICE)
    if format == "TIFF" and tags.first(data).tags.get(tags.COMPRESSION, (1,))[0] in _PACKED_BY:
        said = tags.first(data).tags
        places = said.get(tags.STRIPS, said.get(tags.TILES, ()))
        lengths = said.get(tags.STRIP_BYTES, said.get(tags.TILE_BYTES, ()))
        found = (hole(data, at, at + length) for at, length in zip(places, lengths, strict=False))
        return next((one for one in found if one is not None), None)
    return None
