"""HEIF and AVIF files of many items (ISO/IEC 23008-12), put together from files of one picture each."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from imgmatch.picture.items import Items, boxes

HIDDEN = 1
_OF_A_PICTURE = (b"hvcC", b"av1C", b"ispe", b"pixi", b"colr")


@dataclass(frozen=True)
class Made:
    """An item to be written: its number, type, flags, properties (whole boxes) and what is stored of it."""

    number: int
    kind: bytes
    flags: int = 0
    properties: tuple[bytes, ...] = ()
    data: bytes = b""

    def called(self, number: int, flags: int = 0, *more: bytes) -> Made:
        """The same under another number, with these flags and more properties."""
        return Made(number, self.kind, flags, (*self.properties, *more), self.data)


def box(name: bytes, *parts: bytes) -> bytes:
    """A box."""
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), name) + body


def full(name: bytes, version: int, *parts: bytes, flags: int = 0) -> bytes:
    """A box with a version."""
    return box(name, bytes([version]) + flags.to_bytes(3, "big"), *parts)


def size(width: int, height: int) -> bytes:
    """The property that says how large an item is."""
    return full(b"ispe", 0, struct.pack(">II", width, height))


def auxiliary(kind: bytes) -> bytes:
    """The property that says what an auxiliary picture is."""
    return full(b"auxC", 0, kind + b"\0")


def picture_of(file: bytes) -> Made:
    """The picture of a file of one."""
    items = Items(file)
    assert items.primary is not None
    inside = list(_inside(file, (b"meta", b"iprp", b"ipco")))
    properties = tuple(file[start - 8 : end] for name, start, end in inside if name in _OF_A_PICTURE)
    item = items.items[items.primary]
    return Made(1, item.kind, 0, properties, items.bytes_of(item))


def _inside(file: bytes, names: Sequence[bytes]) -> Iterable[tuple[bytes, int, int]]:
    start, end = 0, len(file)
    for name in names:
        start, end = next((at, stop) for each, at, stop in boxes(file, start, end) if each == name)
        start += 4 if name == b"meta" else 0
    return boxes(file, start, end)


def written(
    items: Sequence[Made], first: int, refers: Iterable[tuple[bytes, int, Sequence[int]]] = (), brand: bytes = b"heic"
) -> bytes:
    """A file of these items, ``refers``: kind of a reference, from, to all of these."""
    properties: list[bytes] = []
    entries = associations = b""
    for item in items:
        entries += full(b"infe", 2, struct.pack(">HH", item.number, 0), item.kind, b"\0", flags=item.flags)
        associations += struct.pack(">HB", item.number, len(item.properties))
        for one in item.properties:
            properties.append(one)
            associations += bytes([len(properties)])
    told = [box(kind, struct.pack(f">HH{len(to)}H", from_, len(to), *to)) for kind, from_, to in refers]
    ftyp = box(b"ftyp", brand, bytes(4), b"mif1", brand)

    def meta(start: int) -> bytes:
        places = b""
        for item in items:
            places += struct.pack(">HHHII", item.number, 0, 1, start, len(item.data))
            start += len(item.data)
        return full(
            b"meta",
            0,
            full(b"hdlr", 0, bytes(4), b"pict", bytes(12), b"\0"),
            full(b"pitm", 0, struct.pack(">H", first)),
            full(b"iloc", 0, b"\x44\0", struct.pack(">H", len(items)), places),
            full(b"iinf", 0, struct.pack(">H", len(items)), entries),
            full(b"iref", 0, *told) if told else b"",
            box(
                b"iprp",
                box(b"ipco", *properties),
                full(b"ipma", 0, struct.pack(">I", len(items)), associations),
            ),
        )

    length = len(ftyp) + len(meta(0)) + 8
    return ftyp + meta(length) + box(b"mdat", *(item.data for item in items))
