"""Brands of ISO base media files (ISO/IEC 14496-12, 23008-12): which are pictures, and whose decoder they need."""

from __future__ import annotations

from typing import Literal

_HEVC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_AV1 = {b"avif", b"avis", b"MA1A", b"MA1B"}
# They say that it is a picture, or several, and nothing of how these are coded: the compatible brands do.
_ANY = {b"mif1", b"mif2", b"msf1", b"miaf"}
_MOST = 64


def coding_of(head: bytes) -> Literal["HEIF", "AVIF"] | None:
    """The decoder that a file which begins so needs; None where it is neither."""
    if head[4:8] != b"ftyp":
        return None
    major = head[8:12]
    end = min(int.from_bytes(head[:4], "big"), len(head), 16 + 4 * _MOST)
    for brand in (major, *(head[at : at + 4] for at in range(16, end, 4))):
        if brand in _HEVC:
            return "HEIF"
        if brand in _AV1:
            return "AVIF"
        if major not in _ANY:
            return None
    return "HEIF"
