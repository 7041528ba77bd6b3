"""Previews that cameras and programs put into a picture file (TIFF 6.0, EXIF 3.0): JPEG files inside a JPEG or a TIFF.

They say nothing of how they are turned: the file that they lie in does, so they are given what it says.
A preview can show what was cropped, blurred or painted over in the picture since: programs often leave it as it was.
"""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import numpy as np
from PIL import Image as Pillow

from imgmatch.errors import EvidenceError
from imgmatch.parsers.alike import LUMA_PX, is_plain, luma_of
from imgmatch.parsers.pieces import Piece, Settings
from imgmatch.picture import directories as tags

# An APP1 segment of one tag, up to the last byte of its value.
_EXIF = b"\xff\xe1\0\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0"
_MAX_IFDS = 64
_BLOCK = 4
_ALIKE = 32.0
"""Grey levels of 255 that a part of a preview may differ by on average: above what size, strong compression and
sharpening do to one, below what a crop of a twentieth does (docs/sources.md)."""


def extract(stream: BinaryIO, settings: Settings, at: str | None = None) -> Iterator[Piece]:
    """Previews in the EXIF data of a JPEG that show something else than the picture does, called START+LENGTH."""
    data = stream.read()
    if at is not None:
        yield preview_at(data, at)
        return
    start = exif_start(data)
    found = opened(data, () if start is None else previews_in(data, start))
    if found:
        yield from distinct_previews(data, found, small(data))


def preview_at(data: bytes, at: str) -> Piece:
    """The JPEG at START+LENGTH. Raises EvidenceError of kind ``gone`` when none is there any more."""
    start, _, length = at.partition("+")
    found = data[int(start) : int(start) + int(length)]
    if len(found) != int(length) or not found.startswith(b"\xff\xd8"):
        raise EvidenceError("gone", f"no preview is at {at} any more")
    return Piece("preview", at, turned_as(found, stated_orientation(data)))


def small(data: bytes) -> Pillow.Image:
    """A JPEG in grey, not much larger than it takes to compare it. Raises what Pillow raises."""
    picture = Pillow.open(io.BytesIO(data), formats=("JPEG",))  # which brings MPO
    picture.draft("L", (4 * LUMA_PX, 4 * LUMA_PX))
    return picture.convert("L")


def opened(data: bytes, found: Iterable[tuple[int, int]]) -> dict[tuple[int, int], Pillow.Image]:
    """Those previews that can be decoded, small."""
    shown = {}
    for start, length in found:
        with contextlib.suppress(OSError, SyntaxError, ValueError):  # not a picture that could be shown
            shown[start, length] = small(data[start : start + length])
    return shown


def distinct_previews(
    data: bytes, found: dict[tuple[int, int], Pillow.Image], picture: Pillow.Image | None = None
) -> Iterator[Piece]:
    """Previews, the largest first, less what looks like the picture or like one before."""
    shown = [] if picture is None else [picture]
    for (start, length), preview in sorted(found.items(), key=lambda one: -one[0][1]):
        if is_plain(luma_of(preview)) or any(alike(one, preview) for one in shown):
            continue
        shown.append(preview)
        yield preview_at(data, f"{start}+{length}")


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
    return next((at + 6 for marker, at in segments(data) if marker == 0xE1 and data[at : at + 6] == b"Exif\0\0"), None)


def segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Marker and place of what it holds, of every segment before the pixels of a JPEG (ITU-T T.81)."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] not in (0xDA, 0xD9):
        yield data[at + 1], at + 4
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")


def stated_orientation(data: bytes) -> int | None:
    """The orientation, 1 to 8, that a JPEG or TIFF states, or None."""
    start = 0 if tags.order_of(data) else exif_start(data)
    with contextlib.suppress(struct.error):
        return None if start is None else tags.first(data, start).orientation
    return None


def turned_as(jpeg: bytes, orientation: int | None) -> bytes:
    """A JPEG that lies in a file, with the orientation of that file where it states none of its own: as EXIF data that
    says just this, before all else.
    """
    if orientation in (None, 1) or stated_orientation(jpeg) is not None:
        return jpeg
    return jpeg[:2] + _EXIF + bytes([orientation or 1]) + bytes(6) + jpeg[2:]


def previews_in(data: bytes, start: int) -> dict[tuple[int, int], int]:
    """Place and length in ``data`` of every JPEG that the TIFF structure at ``start`` names, with the place of the
    directory that names it.
    """
    found: dict[tuple[int, int], int] = {}
    try:
        waiting = [tags.first(data, start).at]
    except struct.error:
        return found
    seen: set[int] = set()
    while waiting and len(seen) < _MAX_IFDS:
        place = waiting.pop(0)
        if place == 0 or place in seen:
            continue
        seen.add(place)
        directory = tags.directory(data, place, start)
        said = directory.tags
        waiting += [directory.after, *said.get(tags.SUB_IFDS, ()), *said.get(tags.EXIF_IFD, ())]
        for where, size in ((tags.JPEG_AT, tags.JPEG_BYTES), (tags.STRIPS, tags.STRIP_BYTES)):
            if len(said.get(where, ())) == 1 and len(said.get(size, ())) == 1:
                first, length = start + said[where][0], said[size][0]
                if data[first : first + 3] == b"\xff\xd8\xff" and first + length <= len(data):
                    found.setdefault((first, length), place)
    return found
