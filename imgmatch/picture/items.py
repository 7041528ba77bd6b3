"""Items of an HEIF or AVIF file (ISO/IEC 23008-12): which of them are pictures, and a file in which one comes first."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

_META_BOXES = (b"iinf", b"iref", b"pitm", b"iloc", b"iprp", b"idat")
_MOST = 10_000
_METADATA = {b"Exif", b"uri ", b"mime"}
_MADE_OF = {b"grid", b"iovl", b"iden", b"tmap"}

_ALPHA_OF_MPEG = (
    b"urn:mpeg:hevc:2015:auxid:1",
    b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha",
    b"urn:mpeg:avc:2015:auxid:1",
)
"""Types of alpha, which is part of the picture that it belongs to."""
_MAPS = (
    b"urn:mpeg:hevc:2015:auxid:2",
    b"urn:mpeg:mpegB:cicp:systems:auxiliary:depth",
    b"urn:com:apple:photo:",
    b"urn:com:samsung:",
    b"urn:com:photo:",
    b"urn:iso:std:iso:ts:21496",
)
"""Beginnings of the types of what a camera computes of its picture: depth, brightness, who stands in front."""


@dataclass(slots=True)
class Item:
    """``at``: where its entry (infe) begins, ``kind_at``: where its type, ``kind``, stands in it; ``content``: of kind
    mime, the type of that.
    """

    number: int
    at: int
    kind_at: int
    kind: bytes
    hidden: bool
    content: bytes = b""
    extents: list[tuple[int, int]] = field(default_factory=list)
    auxiliary: bytes = b""
    size: tuple[int, int] | None = None

    @property
    def is_picture(self) -> bool:
        """May it show anything?"""
        return self.kind not in _METADATA or self.content.startswith(b"image/")

    @property
    def is_map(self) -> bool:
        """Does it say that it is computed of a picture?"""
        return self.auxiliary.startswith(_MAPS)


class Items:
    """What the meta box of a file says of its items. ``listed`` are those that libheif gives one after the other,
    ``refers`` (kind, from, to all of these) in the order of the file.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.items: dict[int, Item] = {}
        self.refers: list[tuple[bytes, int, tuple[int, ...], int]] = []
        self.primary: int | None = None
        self._primary_at, self._wide = 0, False
        self._idat = 0
        self._made_of: dict[int, list[int]] = {}
        """By item, first those that it is made of, then its auxiliary ones."""
        self._properties: list[tuple[bytes, int, int]] = []
        meta = next((place for name, *place in boxes(data, 0, len(data)) if name == b"meta"), None)
        if meta is None:
            return
        found = {name: (start, end) for name, start, end in boxes(data, meta[0] + 4, meta[1]) if name in _META_BOXES}
        self._idat = found.get(b"idat", (0, 0))[0]
        reads = {b"iinf": self._infos, b"pitm": self._first, b"iref": self._references, b"iloc": self._places}
        for name, read in {**reads, b"iprp": self._described}.items():
            with contextlib.suppress(IndexError, struct.error):  # cut off: what came before stands
                if name in found:
                    read(*found[name])

        for wanted in (b"dimg", b"auxl"):
            for kind, from_, to, _ in self.refers:
                if kind == wanted == b"dimg":
                    self._made_of.setdefault(from_, []).extend(to)
                elif kind == wanted:
                    for one in to:
                        self._made_of.setdefault(one, []).append(from_)

    @property
    def listed(self) -> list[int]:
        """Neither hidden nor another form of one that is listed."""
        leaning = {from_ for kind, from_, _, _ in self.refers if kind in (b"thmb", b"auxl")}
        return sorted(
            n for n, one in self.items.items() if one.kind not in _METADATA and not one.hidden and n not in leaning
        )

    def others(self, given: set[int], *, tiles: bool) -> Iterator[Item]:
        """Pictures that are not ``given``; no alpha, and no ``tiles`` that are seen in their grid, unless asked for."""
        seen = given if tiles else {*given, *self._tiles()}
        for number, item in sorted(self.items.items()):
            if (
                item.is_picture
                and number not in seen
                and item.kind != b"tmap"
                and not item.auxiliary.startswith(_ALPHA_OF_MPEG)
            ):
                yield item

    def coded_as(self, number: int) -> bytes:
        """The type of what an item is made of in the end."""
        for _ in range(8):
            item = self.items.get(number)
            if item is None or item.kind not in _MADE_OF:
                break
            number = next(iter(self._made_of.get(number, ())), -1)
        return b"" if item is None else item.kind

    def needed(self, number: int) -> set[int]:
        """An item, all that it is made of, and their auxiliary ones."""
        needed, waiting = set[int](), [number]
        while waiting:
            needed.add(one := waiting.pop())
            waiting += [to for to in self._made_of.get(one, ()) if to not in needed]
        return needed

    def bytes_of(self, item: Item) -> bytes:
        """What is stored of it, no more than the file is long."""
        kept, left = [], len(self.data)
        for at, length in item.extents:
            kept.append(self.data[at : at + min(length, left)])
            left -= len(kept[-1])
        return b"".join(kept)

    def with_first(self, number: int, brand: bytes) -> bytes:
        """The file as a still picture of this brand, with another item in the place of the first, not hidden and part
        of nothing."""
        made = bytearray(self.data)
        wide = 4 if self._wide else 2
        made[self._primary_at : self._primary_at + wide] = (number % (1 << 8 * wide)).to_bytes(wide, "big")
        flags = self.items[number].at + 11
        made[flags] &= 0xFE
        needed = self.needed(number)
        for kind, from_, _, at in self.refers:
            if (from_ == number and kind in (b"auxl", b"thmb")) or (kind == b"dimg" and from_ not in needed):
                made[at : at + 4] = b"skip"
        for item in self.items.values():  # decoders look into what else is made of others, and refuse all for one
            if item.kind in _MADE_OF and item.number not in needed:
                made[item.kind_at : item.kind_at + 4] = b"skip"
        for name, start, end in boxes(self.data, 0, len(self.data)):
            if name == b"moov":
                made[start - 4 : start] = b"free"
            elif name == b"ftyp":
                made[start:end] = brand + made[start + 4 : end].replace(b"avis", b"mif1").replace(b"msf1", b"mif1")
        return bytes(made)

    def _infos(self, start: int, end: int) -> None:
        version = self.data[start]
        for name, at, stop in boxes(self.data, start + (8 if version else 6), end):
            if name != b"infe" or len(self.items) >= _MOST:
                continue
            form, hidden = self.data[at], bool(self.data[at + 3] & 1)
            if form < 2 or stop - at < 12:
                continue
            wide = 4 if form > 2 else 2
            number = int.from_bytes(self.data[at + 4 : at + 4 + wide], "big")
            begin = at + 6 + wide
            kind = self.data[begin : begin + 4]
            words = self.data[begin + 4 : stop].split(b"\0")
            content = words[1] if kind == b"mime" and len(words) > 1 else b""
            self.items.setdefault(number, Item(number, at - 8, begin, kind, hidden, content))

    def _first(self, start: int, _: int) -> None:
        self._primary_at, self._wide = start + 4, self.data[start] > 0
        self.primary = int.from_bytes(self.data[start + 4 : start + (8 if self._wide else 6)], "big")

    def _references(self, start: int, end: int) -> None:
        wide = "I" if self.data[start] else "H"
        for name, at, stop in boxes(self.data, start + 4, end):
            try:
                from_, count = struct.unpack_from(f">{wide}H", self.data, at)
                to = struct.unpack_from(f">{count}{wide}", self.data, at + struct.calcsize(f">{wide}H"))
            except struct.error:
                continue
            if stop - at >= 4 and len(self.refers) < _MOST:
                self.refers.append((name, from_, to, at - 4))

    def _places(self, start: int, end: int) -> None:
        data, version = self.data, self.data[start]
        sizes = int.from_bytes(data[start + 4 : start + 6], "big")
        of_offset, of_length, of_base = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
        of_index = sizes & 15 if version else 0
        at = start + 6

        def take(size: int) -> int:
            nonlocal at
            at += size
            return int.from_bytes(data[at - size : at], "big")

        for _ in range(min(take(4 if version > 1 else 2), _MOST)):
            item = self.items.get(take(4 if version > 1 else 2))
            method = take(2) & 15 if version else 0
            take(2)
            base = take(of_base)
            for _ in range(min(take(2), _MOST if of_offset or of_length else 1)):
                take(of_index)
                place, length = base + take(of_offset), take(of_length)
                if item is not None and method < 2:
                    place += self._idat if method else 0
                    item.extents.append((place, length or len(data) - place))
                if at > end:
                    return

    def _described(self, start: int, end: int) -> None:
        inside = list(boxes(self.data, start, end))
        properties = [each for name, at, stop in inside if name == b"ipco" for each in boxes(self.data, at, stop)]
        for name, at, stop in inside:
            if name != b"ipma":
                continue
            wide, large = 4 if self.data[at] else 2, bool(self.data[at + 3] & 1)
            place = at + 8
            for _ in range(min(int.from_bytes(self.data[at + 4 : place], "big"), _MOST)):
                item = self.items.get(int.from_bytes(self.data[place : place + wide], "big"))
                count = self.data[place + wide] if place + wide < stop else 0
                place += wide + 1
                for _ in range(count):
                    index = int.from_bytes(self.data[place : place + (2 if large else 1)], "big") & (
                        0x7FFF if large else 0x7F
                    )
                    place += 2 if large else 1
                    if item is not None and 0 < index <= len(properties):
                        self._describe(item, *properties[index - 1])

    def _describe(self, item: Item, name: bytes, start: int, end: int) -> None:
        if name == b"auxC":
            item.auxiliary = self.data[start + 4 : end].partition(b"\0")[0]
        elif name == b"ispe" and end - start >= 12:
            item.size = struct.unpack_from(">II", self.data, start + 4)

    def _tiles(self) -> Iterator[int]:
        """Items that are seen as parts of a grid, all of which is to be seen."""
        for kind, from_, to, _ in self.refers:
            grid = self.items.get(from_)
            if kind != b"dimg" or grid is None or grid.kind != b"grid":
                continue
            said = self.bytes_of(grid)
            if len(said) < 8:
                continue
            rows, columns = said[2] + 1, said[3] + 1
            width, height = struct.unpack_from(">II" if said[1] & 1 and len(said) >= 12 else ">HH", said, 4)
            if len(to) != rows * columns:
                continue  # then decoders refuse it
            for place, number in enumerate(to):
                tile = self.items.get(number)
                wide, high = (tile.size if tile is not None else None) or (1, 1)
                if place % columns * wide < width and place // columns * high < height:
                    yield number


def boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, beginning and end of what each box holds (ISO/IEC 14496-12)."""
    end = min(end, len(data))
    while at + 8 <= end:
        length, name = struct.unpack_from(">I4s", data, at)
        start = at + 8
        if length == 1 and at + 16 <= end:
            (length,), start = struct.unpack_from(">Q", data, at + 8), at + 16
        stop = end if length == 0 else at + length
        if stop < start:
            return
        yield name, start, min(stop, end)
        at = stop
