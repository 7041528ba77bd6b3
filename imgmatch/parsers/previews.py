"""Previews that cameras and programs put into a picture file (TIFF 6.0, EXIF 3.0): JPEG files inside a JPEG or a TIFF.

A preview can show what was cropped, blurred or painted over in the picture since: programs often leave it as it was.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from PIL import Image as Pillow

from imgmatch.errors import EvidenceError
from imgmatch.parsers.alike import LUMA_PX, is_plain, luma_of
from imgmatch.parsers.pieces import Piece, Settings

_SUB_IFDS, _EXIF_IFD = 0x014A, 0x8769
_STRIPS, _STRIP_BYTES = 0x0111, 0x0117
_JPEG_AT, _JPEG_BYTES = 0x0201, 0x0202
_MAX_IFDS = 64
_BLOCK = 4
_ALIKE = 32.0
"""Grey levels of 255 that a part of a preview may differ by on average: above what size, strong compression and
sharpening do to one, below what a crop of a twentieth does (docs/sources.md)."""


def extract(stream: BinaryIO, settings: Settings, at: str | None = None) -> Iterator[Piece]:
    """Previews in the EXIF data of a JPEG that show something else than the picture does, called START+LENGTH."""
    if at is not None:
        yield preview_at(stream, at)
        return
    data = stream.read()
    start = exif_start(data)
    found = [] if start is None else previews_in(data, start)
    if not found:
        return
    picture = Pillow.open(io.BytesIO(data), formats=("JPEG", "MPO"))
    picture.draft("L", (4 * LUMA_PX, 4 * LUMA_PX))
    yield from distinct_previews(data, found, picture)


def preview_at(stream: BinaryIO, at: str) -> Piece:
    """The bytes at START+LENGTH. Raises EvidenceError of kind ``gone`` when they are no JPEG any more."""
    start, _, length = at.partition("+")
    stream.seek(int(start))
    data = stream.read(int(length))
    if len(data) != int(length) or not data.startswith(b"\xff\xd8"):
        raise EvidenceError("gone", f"no preview is at {at} any more")
    return Piece("preview", at, data)


def distinct_previews(data: bytes, found: list[tuple[int, int]], picture: Pillow.Image | None = None) -> list[Piece]:
    """Previews that can be decoded, the largest first, less what looks like the picture or like one before."""
    opened = []
    for start, length in found:
        try:
            preview = Pillow.open(io.BytesIO(data[start : start + length]), formats=("JPEG", "MPO"))
            preview.draft("L", (4 * LUMA_PX, 4 * LUMA_PX))
            opened.append((start, length, preview.convert("L")))
        except (OSError, SyntaxError, ValueError):  # not a picture that could be shown
            continue
    opened.sort(key=lambda one: -one[1])
    shown, pieces = [] if picture is None else [picture], []
    for start, length, small in opened:
        if is_plain(luma_of(small)) or any(alike(one, small) for one in shown):
            continue
        shown.append(small)
        pieces.append(Piece("preview", f"{start}+{length}", data[start : start + length]))
    return pieces


def alike(picture: Pillow.Image, preview: Pillow.Image) -> bool:
    """Do both show the same, in every part? Bars that bring a preview to 4:3 are cut off first, and brightness and
    contrast are brought together; a plain preview shows nothing.
    """
    small = luma_of(_without_bars(preview, picture.width / picture.height))
    if is_plain(small):
        return True
    shown, seen = luma_of(picture).astype(np.float64), small.astype(np.float64)
    gain = ((shown - shown.mean()) * (seen - seen.mean())).mean() / seen.var()
    apart = np.abs(shown - shown.mean() - np.clip(gain, 0.5, 2.0) * (seen - seen.mean()))
    parts = LUMA_PX // _BLOCK
    return bool(apart.reshape(parts, _BLOCK, parts, _BLOCK).mean(axis=(1, 3)).max() <= _ALIKE)


def _without_bars(preview: Pillow.Image, ratio: float) -> Pillow.Image:
    width, height = preview.size
    wide, high = min(width, round(height * ratio)), min(height, round(width / ratio))
    box = ((width - wide) // 2, (height - high) // 2, (width + wide) // 2, (height + high) // 2)
    if wide < 1 or high < 1 or (wide, high) == (width, height):
        return preview
    outside = np.asarray(preview.convert("L")).astype(np.float32)
    inside = np.zeros(outside.shape, bool)
    # A line of the picture may show beside the cut, hence two pixels of room.
    inside[max(0, box[1] - 2) : box[3] + 2, max(0, box[0] - 2) : box[2] + 2] = True
    bars = outside[~inside]
    return preview.crop(box) if bars.size == 0 or bars.mean() < 24 else preview


def exif_start(data: bytes) -> int | None:
    """Where the TIFF structure of a JPEG's EXIF data begins."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] not in (0xDA, 0xD9):
        length = struct.unpack_from(">H", data, at + 2)[0]
        if data[at + 1] == 0xE1 and data[at + 4 : at + 10] == b"Exif\0\0":
            return at + 10
        at += 2 + length
    return None


def previews_in(data: bytes, start: int) -> list[tuple[int, int]]:
    """Place and length in ``data`` of every JPEG that the TIFF structure at ``start`` names."""
    order = {b"II": "<", b"MM": ">"}.get(data[start : start + 2])
    if order is None or len(data) < start + 8:
        return []
    found: dict[tuple[int, int], None] = {}
    waiting = [struct.unpack_from(order + "I", data, start + 4)[0]]
    seen: set[int] = set()
    while waiting and len(seen) < _MAX_IFDS:
        place = waiting.pop(0)
        if place == 0 or place in seen:
            continue
        seen.add(place)
        tags, following = _directory(data, start, place, order)
        waiting += [*following, *tags.get(_SUB_IFDS, []), *tags.get(_EXIF_IFD, [])]
        for where, size in ((_JPEG_AT, _JPEG_BYTES), (_STRIPS, _STRIP_BYTES)):
            if len(tags.get(where, [])) == 1 and len(tags.get(size, [])) == 1:
                first, length = start + tags[where][0], tags[size][0]
                if data[first : first + 3] == b"\xff\xd8\xff" and first + length <= len(data):
                    found[first, length] = None
    return list(found)


def _directory(data: bytes, start: int, place: int, order: str) -> tuple[dict[int, list[int]], list[int]]:
    """Tags of whole numbers in one directory, and where the next one is; of a broken one as far as it goes."""
    tags: dict[int, list[int]] = {}
    try:
        (count,) = struct.unpack_from(order + "H", data, start + place)
        for number in range(count):
            entry = start + place + 2 + 12 * number
            tag, kind, values = struct.unpack_from(order + "HHI", data, entry)
            size = {3: "H", 4: "I", 13: "I"}.get(kind)
            if size is None or values > _MAX_IFDS:
                continue
            wide = values * struct.calcsize(size)
            at = entry + 8 if wide <= 4 else start + struct.unpack_from(order + "I", data, entry + 8)[0]
            tags[tag] = list(struct.unpack_from(f"{order}{values}{size}", data, at))
        return tags, list(struct.unpack_from(order + "I", data, start + place + 2 + 12 * count))
    except struct.error:
        return tags, []
