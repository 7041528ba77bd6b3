"""A mail store of Outlook, as small as one can be ([MS-PST]): messages with text and attachments."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from imgmatch.parsers.pst_pages import crc, cyclic, exchanged

_STORE, _ROOT, _INBOX, _TABLE, _FIRST_ATTACHMENT = 0x21, 0x122, 0x8022, 0x671, 0x8025
INT, STRING, OBJECT, TIME, BINARY = 0x03, 0x1F, 0x0D, 0x40, 0x102
Property = tuple[int, int, bytes]
"""Number, type and value."""


@dataclass
class Message:
    """``html``: its text; ``attached``: names and contents, which may be messages."""

    subject: str
    html: bytes = b""
    text: str = ""
    attached: Sequence[tuple[str, bytes | Message]] = ()
    deleted: bool = False
    """It lies in no folder any more."""


@dataclass(frozen=True)
class Form:
    """``version`` 15 is of 32 bits, 23 of 64, 36 with pages of 4 KiB and blocks that zlib packs."""

    version: int = 23
    hidden: int = 0

    @property
    def wide(self) -> bool:
        """Is it of 64 bits?"""
        return self.version >= 23

    @property
    def large(self) -> bool:
        """Are its pages of 4 KiB?"""
        return self.version >= 36

    @property
    def number(self) -> str:
        """How numbers and places are packed."""
        return "Q" if self.wide else "I"


def pst(messages: Iterable[Message], form: Form = Form()) -> bytes:
    """A file of these."""
    made = _Store(form)
    made.node(_STORE, made.properties([(0x3001, STRING, "store".encode("utf-16-le"))], {}), {}, 0)
    for number, parent in ((_ROOT, _ROOT), (_INBOX, _ROOT)):
        made.node(number, made.properties([(0x3001, STRING, "Inbox".encode("utf-16-le"))], {}), {}, parent)
    for number, message in enumerate(messages):
        inner: dict[int, tuple[int, int]] = {}
        data = made.message(message, inner)
        made.node(0x200024 + 32 * number, data, inner, 0 if message.deleted else _INBOX)
    return made.whole()


class _Store:
    def __init__(self, form: Form) -> None:
        self._form = form
        self._at = 0x4600
        self._bytes = bytearray(self._at)
        self._blocks: list[tuple[int, int, int]] = []
        self._nodes: list[tuple[int, int, int, int]] = []
        self._next = 4

    def block(self, data: bytes, inner: bool = False) -> int:
        """Store one block; its number."""
        number, form = self._next | 2 * inner, self._form
        self._next += 4
        if form.hidden and not inner:
            data = exchanged(data, back=False) if form.hidden == 1 else cyclic(data, number)
        whole = len(data)
        packed = zlib.compress(data) if form.large else data
        data = min(data, packed, key=len)
        trailer, step = (24, 512) if form.large else (16, 64) if form.wide else (12, 64)
        size = -(-(len(data) + trailer) // step) * step
        mark = ((self._at ^ number) >> 16 ^ (self._at ^ number)) & 0xFFFF
        how, said = ("<HHIQ", (crc(data), number)) if form.wide else ("<HHII", (number, crc(data)))
        end = struct.pack(how, len(data), mark, *said) + (struct.pack("<HHI", 0, whole, 0) if form.large else b"")
        self._bytes += data.ljust(size - trailer, b"\0") + end
        self._blocks.append((number, self._at, len(data)))
        self._at += size
        return number

    def data(self, data: bytes) -> int:
        """Store bytes of any length; the number by which they are found."""
        most = 8176 if self._form.wide else 8180
        if len(data) <= most:
            return self.block(data)
        parts = [self.block(data[at : at + most]) for at in range(0, len(data), most)]
        listed = struct.pack(f"<{len(parts)}{self._form.number}", *parts)
        return self.block(struct.pack("<BBHI", 1, 1, len(parts), len(data)) + listed, True)

    def inner(self, nodes: dict[int, tuple[int, int]]) -> int:
        """Store a list of nodes below a node; 0 where there are none."""
        if not nodes:
            return 0
        how = f"<3{self._form.number}"
        entries = b"".join(struct.pack(how, number, *places) for number, places in sorted(nodes.items()))
        return self.block(struct.pack("<BBH", 2, 0, len(nodes)) + bytes(4 * self._form.wide) + entries, True)

    def node(self, number: int, data: bytes, inner: dict[int, tuple[int, int]], parent: int) -> None:
        self._nodes.append((number, self.data(data), self.inner(inner), parent))

    def message(self, message: Message, inner: dict[int, tuple[int, int]]) -> bytes:
        """Its properties; what lies below it goes to ``inner``."""
        said: list[Property] = [
            (0x001A, STRING, "IPM.Note".encode("utf-16-le")),
            (0x0037, STRING, message.subject.encode("utf-16-le")),
            (0x0E06, TIME, struct.pack("<Q", 133_500_000_000_000_000)),
            (0x0E07, INT, struct.pack("<I", 0x10 * bool(message.attached))),
        ]
        said += [(0x1000, STRING, message.text.encode("utf-16-le"))] if message.text else []
        said += [(0x1013, BINARY, message.html)] if message.html else []
        for number, (name, content) in enumerate(message.attached):
            below: dict[int, tuple[int, int]] = {}
            about = [(0x3707, STRING, name.encode("utf-16-le")), (0x3704, STRING, name.encode("utf-16-le"))]
            if isinstance(content, bytes):
                about += [(0x3701, BINARY, content), (0x3705, INT, struct.pack("<I", 1))]
            else:
                deeper: dict[int, tuple[int, int]] = {}
                place = 0x200024
                below[place] = self.data(self.message(content, deeper)), self.inner(deeper)
                about += [(0x3701, OBJECT, struct.pack("<II", place, 0)), (0x3705, INT, struct.pack("<I", 5))]
            data = self.properties(about, below)
            inner[_FIRST_ATTACHMENT + 32 * number] = self.data(data), self.inner(below)
        if message.attached:
            inner[_TABLE] = self.data(_table([_FIRST_ATTACHMENT + 32 * n for n in range(len(message.attached))])), 0
        return self.properties(said, inner)

    def properties(self, said: list[Property], inner: dict[int, tuple[int, int]]) -> bytes:
        """A heap of properties; what is long goes to ``inner``."""
        heap, records = [b"", b""], b""
        for number, kind, value in sorted(said):
            if kind == INT:
                records += struct.pack("<HH", number, kind) + value
            elif len(value) > 1000:
                place = 0x1F + 32 * (0x400 + len(inner))
                inner[place] = self.data(value), 0
                records += struct.pack("<HHI", number, kind, place)
            else:
                heap.append(value)
                records += struct.pack("<HHI", number, kind, len(heap) << 5)
        heap[0] = struct.pack("<BBBBI", 0xB5, 2, 6, 0, 2 << 5)
        heap[1] = records
        return _heap(0xBC, heap)

    def whole(self) -> bytes:
        """The file."""
        form = self._form
        if form.wide:
            nodes = [struct.pack("<QQQII", *node, 0) for node in sorted(self._nodes)]
            blocks = [struct.pack("<QQHHI", *block, 2, 0) for block in sorted(self._blocks)]
        else:
            nodes = [struct.pack("<IIII", *node) for node in sorted(self._nodes)]
            blocks = [struct.pack("<IIHH", *block, 2) for block in sorted(self._blocks)]
        roots = [self._tree(0x81, nodes), self._tree(0x80, blocks)]
        root = struct.pack(f"<I4{form.number}", 0, len(self._bytes), 0x4400, 0, 0)
        root += b"".join(struct.pack(f"<2{form.number}", *place) for place in roots) + struct.pack("<BBH", 2, 0, 0)
        head = struct.pack("<2sHHBBII", b"SM", form.version, 19, 1, 1, 0, 0)
        head += struct.pack("<QQI", 0, self._next, 1) if form.wide else struct.pack("<III", self._next, self._next, 1)
        head += bytes(128 + 8 * form.wide) + root + bytes(4 * form.wide) + b"\xff" * 256
        head += struct.pack("<BBH", 0x80, form.hidden, 0) + struct.pack("<Q", self._next) * form.wide
        whole = struct.pack("<4sI", b"!BDN", crc(head.ljust(471, b"\0")[:471])) + head
        whole += struct.pack("<I", crc(head[:516])) + bytes(36) if form.wide else bytes(100)
        self._bytes[: len(whole)] = whole
        return bytes(self._bytes)

    def _tree(self, kind: int, entries: list[bytes]) -> tuple[int, int]:
        """Pages of entries, and of those; number and place of the topmost."""
        form, level = self._form, 0
        page, room = (4096, 4056) if form.large else (512, 488 if form.wide else 496)
        one = f"<{form.number}"
        while True:
            size = len(entries[0])
            most = room // size
            above = []
            for at in range(0, len(entries), most):
                some = entries[at : at + most]
                number = self._next
                self._next += 4
                counts = "<HHBB10x" if form.large else "<BBBB4x" if form.wide else "<BBBB"
                body = b"".join(some).ljust(room, b"\0") + struct.pack(counts, len(some), most, size, level)
                place = -(-len(self._bytes) // page) * page
                mark = ((place ^ number) >> 16 ^ (place ^ number)) & 0xFFFF
                self._bytes += bytes(place - len(self._bytes)) + body + struct.pack("<BBH", kind, kind, mark)
                how, said = ("<IQ", (crc(body), number)) if form.wide else ("<II", (number, crc(body)))
                self._bytes += struct.pack(how, *said) + bytes(8 * form.large)
                above.append(some[0][: struct.calcsize(one)] + struct.pack(f"<2{form.number}", number, place))
            if len(above) == 1:
                return number, place
            entries, level = above, level + 1


def _heap(kind: int, parts: list[bytes]) -> bytes:
    body, places = b"", []
    for part in parts:
        places.append(12 + len(body))
        body += part
    places.append(12 + len(body))
    body += bytes(len(body) % 2)
    head = struct.pack("<HBBI4x", 12 + len(body), 0xEC, kind, 1 << 5)
    return head + body + struct.pack(f"<HH{len(places)}H", len(parts), 0, *places)


def _table(rows: list[int]) -> bytes:
    """Of attachments: their numbers alone."""
    columns = struct.pack("<IHBB", 0x67F20003, 0, 4, 0) + struct.pack("<IHBB", 0x67F30003, 4, 4, 1)
    about = struct.pack("<BB4HIII", 0x7C, 2, 8, 8, 8, 9, 2 << 5, 4 << 5, 0) + columns
    index = b"".join(struct.pack("<II", row, number) for number, row in enumerate(rows))
    values = b"".join(struct.pack("<IIB", row, 0, 0xC0) for row in rows)
    return _heap(0x7C, [about, struct.pack("<BBBBI", 0xB5, 4, 4, 0, 3 << 5), index, values])
