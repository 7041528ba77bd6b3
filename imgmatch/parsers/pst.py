"""Attachments of messages in Outlook's mail stores (PST, OST), and what the text of messages carries ([MS-PST])."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from imgmatch import times
from imgmatch.errors import UNPROVEN, EvidenceError
from imgmatch.locator import Names
from imgmatch.parsers import embedded, mapi
from imgmatch.parsers.pieces import Clock, Piece, Settings, Trouble
from imgmatch.parsers.pst_pages import Node, Pages

FOUND, DELETED = "pst", "deleted"
_MESSAGE, _ATTACHMENT, _FOLDERS = 0x04, 0x05, (0x02, 0x03)
_KIND_MASK, _VALUE_BELOW = 0x1F, 0x1F
_DISPLAY_NAME, _METHOD = 0x3001, 0x3705
_FIXED = {0x02, 0x03, 0x04, 0x0A, 0x0B}
_PROPERTIES, _HEAP, _TREE = 0xBC, 0xEC, 0xB5
_MOST_DEPTH, _MOST_LEVELS, _MOST_PROPERTIES = 16, 6, 100_000
_DAMAGED = "its checksum fails, or a part of it is missing: what is given of it is cut off, or may be wrong"
_BY_WINDOWS = 0x10

Values = dict[int, tuple[int, bytes]]
"""Type and value of each property by its number."""


@dataclass(slots=True)
class _Reading:
    pages: Pages
    clock: Clock
    place_of: Names
    names: dict[int, str]


def extract(stream: BinaryIO, settings: Settings, at: str | None = None) -> Iterator[Piece | Trouble]:
    """Attachments, called by their folder, the number of their message, in attached messages those of these too, and
    their name; ``deleted`` where their message lies in no folder any more. Their time is that of the message.

    Raises EvidenceError of kind ``broken_document``, ``unsupported`` or ``limit``.
    """
    pages = Pages(stream)
    if pages.hidden == _BY_WINDOWS:
        raise EvidenceError("unsupported", "is encrypted by Windows; it is not read", what="mail store (encrypted)")
    reading = _Reading(pages, Clock(settings), Names(), {})
    for node in pages.nodes.values():
        if node.number & _KIND_MASK == _MESSAGE:
            reading.clock.check()
            kind = FOUND if node.parent in pages.nodes else DELETED
            folder = _folder(reading, node.parent)
            yield from _message(reading, node, kind, f"{folder}{node.number:x}", _MOST_DEPTH)
    if pages.damaged or not pages.nodes:
        says = f"{pages.damaged:,} pages of its index are damaged: what they lead to is not found; the rest is kept"
        raise EvidenceError("broken_document", says)


def _folder(reading: _Reading, number: int) -> str:
    """``Inbox/2024/``, as far as folders say their names."""
    parts: list[str] = []
    while number in reading.pages.nodes and len(parts) < _MOST_DEPTH:
        node = reading.pages.nodes[number]
        if number not in reading.names:
            values, _ = _values(reading, node, {})
            reading.names[number] = _text(values, _DISPLAY_NAME).replace("/", "_")
        parts += filter(None, [reading.names[number]])
        if node.parent == number:
            break
        number = node.parent
    return "".join(f"{part}/" for part in reversed(parts))


def _message(reading: _Reading, node: Node, kind: str, at: str, depth: int) -> Iterator[Piece | Trouble]:
    below = {inner.number: inner for inner in reading.pages.below(node.inner)}
    values, sound = _values(reading, node, below)
    stamp = values.get(mapi.SUBMITTED) or values.get(mapi.DELIVERED)
    when = times.filetime(int.from_bytes(stamp[1][:8], "little")) if stamp else None
    if not sound:
        says = "the message is damaged: what is found of it is kept, more of it may be missing"
        yield Trouble(kind, f"{at};damaged", "broken_document", says)
    for number in (mapi.BODY, mapi.HTML):
        coding, text = values.get(number, (0, b""))
        text = text.decode("utf-16-le", "replace").encode("utf-8", "replace") if coding == mapi.TEXT16 else text
        found = embedded.in_text(text) if number == mapi.BODY else embedded.in_html(text)
        for name, data in found:
            place = reading.place_of(f"{at}/{name if number == mapi.BODY else f'data.{name}'}")
            yield Piece(kind, place, data, when)
            if not sound:
                yield Trouble(kind, place, UNPROVEN, _DAMAGED)
    attached = [inner for inner in below.values() if inner.number & _KIND_MASK == _ATTACHMENT]
    for number, inner in enumerate(attached, start=1):
        reading.clock.check()
        yield from _attachment(reading, inner, kind, at, number, when, depth)


def _attachment(
    reading: _Reading, node: Node, kind: str, at: str, number: int, when: str | None, depth: int
) -> Iterator[Piece | Trouble]:
    below = {inner.number: inner for inner in reading.pages.below(node.inner)}
    values, sound = _values(reading, node, below)
    coding, data = values.get(mapi.ATTACHED, (0, b""))
    name = _text(values, mapi.LONG_NAME) or _text(values, mapi.SHORT_NAME) or "attachment"
    if coding == mapi.OBJECT and len(data) >= 4:
        inner = below.get(int.from_bytes(data[:4], "little"))
        if inner is not None and inner.number & _KIND_MASK == _MESSAGE:
            if not depth:
                yield Trouble(kind, f"{at}/{number}", "limit", "lies deeper than messages do; not opened", "max_depth")
                return
            yield from _message(reading, inner, kind, f"{at}/{number}", depth - 1)
            return
        if inner is not None:
            data, whole = reading.pages.data(inner.data)
            sound = sound and whole
    place = reading.place_of(f"{at}/{name.replace('/', '_')}")
    if data:
        yield Piece(kind, place, data, when)
        if not sound:
            yield Trouble(kind, place, UNPROVEN, _DAMAGED)
    elif not sound or mapi.ATTACHED in values:
        yield Trouble(kind, place, "broken_document", "nothing of the attachment is there")


def _text(values: Values, number: int) -> str:
    kind, value = values.get(number, (0, b""))
    return mapi.text_of(kind, value)


def _values(reading: _Reading, node: Node, below: dict[int, Node]) -> tuple[Values, bool]:
    """Properties of a node, and whether all of them could be read as they were."""
    blocks, sound = reading.pages.blocks(node.data)
    heap = _Heap(blocks, reading.pages.large)
    found: Values = {}
    try:
        if heap.kind != _PROPERTIES:
            raise ValueError("no heap of properties")
        for key, entry in heap.tree():
            number, kind, value = int.from_bytes(key[:2], "little"), *struct.unpack("<HI", entry[:6])
            if kind in _FIXED:
                found[number] = kind, entry[2:6]
            elif value & _KIND_MASK == 0:
                found[number] = kind, heap.item(value) if value else b""
            elif value in below:
                data, whole = reading.pages.data(below[value].data)
                found[number], sound = (kind, data), sound and whole
            else:
                sound = False
    except (ValueError, IndexError, struct.error):
        sound = False
    return found, sound


class _Heap:
    """A heap on a node, in its blocks. Raises ValueError, IndexError and struct.error where it is none."""

    def __init__(self, blocks: list[bytes], large: bool) -> None:
        self._blocks = blocks
        self._left = _MOST_PROPERTIES
        self._bits = 14 if large else 11
        head = blocks[0] if blocks else b""
        self.kind = head[3] if len(head) >= 12 and head[2] == _HEAP else 0

    def item(self, place: int) -> bytes:
        """What lies at a place of it."""
        block = self._blocks[place >> (5 + self._bits)]
        number = place >> 5 & (1 << self._bits) - 1
        (table,) = struct.unpack_from("<H", block)
        (count,) = struct.unpack_from("<H", block, table)
        if not 1 <= number <= count:
            raise ValueError("no such item")
        start, end = struct.unpack_from("<HH", block, table + 4 + 2 * (number - 1))
        return block[start:end]

    def tree(self) -> Iterator[tuple[bytes, bytes]]:
        """Keys and entries of the tree that its first bytes name."""
        head = self.item(int.from_bytes(self._blocks[0][4:8], "little"))
        kind, key, entry, levels, root = struct.unpack_from("<BBBBI", head)
        if kind != _TREE or not key or levels > _MOST_LEVELS:
            raise ValueError("no tree")
        yield from self._leaves(root, key, entry, levels) if root else ()

    def _leaves(self, place: int, key: int, entry: int, levels: int) -> Iterator[tuple[bytes, bytes]]:
        data = self.item(place)
        size = key + (4 if levels else entry)
        for at in range(0, len(data) - size + 1, size):
            self._left -= 1
            if self._left < 0:
                raise ValueError("more properties than there are")
            if levels:
                below = int.from_bytes(data[at + key : at + size], "little")
                yield from self._leaves(below, key, entry, levels - 1)
            else:
                yield data[at : at + key], data[at + key : at + size]
