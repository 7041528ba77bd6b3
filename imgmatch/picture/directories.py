"""Directories of a TIFF structure (TIFF 6.0, BigTIFF, EXIF 3.0): whole numbers in the tags that are asked for here."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

CLASSIC, BIG = (b"II*\0", b"MM\0*"), (b"II+\0", b"MM\0+")
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL = 256, 257, 258, 259, 262, 266
STRIPS, ORIENTATION, SAMPLES, ROWS, STRIP_BYTES, PLANES, PREDICTOR = 273, 274, 277, 278, 279, 284, 317
TILE_WIDTH, TILE_HEIGHT, TILES, TILE_BYTES, EXTRA, FORMAT, PROFILE = 322, 323, 324, 325, 338, 339, 34675
SUBFILE, SUB_IFDS, EXIF_IFD, JPEG_AT, JPEG_BYTES, JPEG_TABLES, MP_ENTRIES = 254, 330, 34665, 513, 514, 347, 0xB002
_ASKED = {WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL, STRIPS, ORIENTATION, SAMPLES, ROWS, STRIP_BYTES, PLANES}
_ASKED |= {PREDICTOR, TILE_WIDTH, TILE_HEIGHT, TILES, TILE_BYTES, EXTRA, FORMAT, PROFILE, SUBFILE, SUB_IFDS, EXIF_IFD}
_ASKED |= {JPEG_AT, JPEG_BYTES, MP_ENTRIES, JPEG_TABLES}
_TYPES = {1: "B", 3: "H", 4: "I", 7: "B", 13: "I", 16: "Q", 18: "Q"}
_REDUCED = 1


@dataclass(frozen=True, slots=True)
class Directory:
    """``at``: its place, from the beginning of the structure; ``after``: that of the next, 0 where it is the last."""

    at: int
    tags: dict[int, tuple[int, ...]]
    after: int

    @property
    def orientation(self) -> int | None:
        """1 to 8, or None where it says nothing."""
        (value,) = self.tags.get(ORIENTATION, (0,))[:1] or (0,)
        return value if 1 <= value <= 8 else None


@dataclass(frozen=True, slots=True)
class Page:
    """A directory by its ``name``: "0", "1", ... in the order of the file, "0.1" for the first below the first."""

    name: str
    directory: Directory

    @property
    def is_picture(self) -> bool:
        """Should it describe a picture, rather than name a JPEG file? So does one that is lost."""
        said = self.directory.tags
        return not said or (WIDTH in said and (STRIPS in said or TILES in said))

    @property
    def leans_on_another(self) -> bool:
        """Is it another form of a picture, which then says how it is turned?"""
        return "." in self.name or bool(self.directory.tags.get(SUBFILE, (0,))[0] & _REDUCED)


def order_of(data: bytes, start: int = 0) -> str | None:
    """How numbers are written in the structure at ``start``, "<" or ">"; None where there is none."""
    head = data[start : start + 4]
    return None if head not in CLASSIC + BIG else "<" if head.startswith(b"II") else ">"


def first(data: bytes, start: int = 0) -> Directory:
    """The first directory of the structure at ``start``. struct.error where it is none, or cut off before it."""
    order = order_of(data, start)
    if order is None:
        raise struct.error("no TIFF structure")
    place, at = ("Q", 8) if data[start : start + 4] in BIG else ("I", 4)
    return directory(data, struct.unpack_from(order + place, data, start + at)[0], start)


def directory(data: bytes, at: int, start: int = 0) -> Directory:
    """The directory at a place of the structure at ``start``; of one that is cut off, as far as it goes."""
    order, big = order_of(data, start) or "<", data[start : start + 4] in BIG
    place, count_is, each, wide = ("Q", "Q", 20, 8) if big else ("I", "H", 12, 4)
    tags: dict[int, tuple[int, ...]] = {}
    try:
        (entries,) = struct.unpack_from(order + count_is, data, start + at)
        entry = start + at + struct.calcsize(count_is)
        for _ in range(entries):
            tag, kind, count = struct.unpack_from(order + "HH" + place, data, entry)
            one = _TYPES.get(kind)
            if one is not None and tag in _ASKED:
                size, where = count * struct.calcsize(one), entry + each - wide
                if size > wide:
                    where = start + struct.unpack_from(order + place, data, where)[0]
                if where + size <= len(data):
                    tags[tag] = struct.unpack_from(f"{order}{count}{one}", data, where)
            entry += each
        (after,) = struct.unpack_from(order + place, data, entry)
    except (struct.error, OverflowError):
        after = 0
    return Directory(at, {tag: values for tag, values in tags.items() if values}, after)


def pages(data: bytes) -> Iterator[Page]:
    """Every directory of a TIFF that its chain names, each before those below it; of one that lies beyond the end
    nothing is known.
    """
    try:
        waiting = [("", 0, first(data).at)]
    except struct.error:
        return
    seen: set[int] = set()
    while waiting:
        above, number, at = waiting.pop()
        if at in seen or at == 0:
            continue
        seen.add(at)
        found = directory(data, at)
        name = f"{above}{number}"
        yield Page(name, found)
        waiting.append((above, number + 1, found.after))
        below = enumerate(found.tags.get(SUB_IFDS, ()), start=1)
        waiting += reversed([(f"{name}.", place, at) for place, at in below])


def as_first(data: bytes, at: int) -> bytes:
    """A TIFF whose first directory is the one at ``at``."""
    order = order_of(data) or "<"
    if data.startswith(BIG):
        return data[:8] + struct.pack(order + "Q", at) + data[16:]
    return data[:4] + struct.pack(order + "I", at) + data[8:]
