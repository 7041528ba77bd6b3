"""Rows of SQLite databases as they lie on their pages (sqlite.org/fileformat2.html)."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256

from imgmatch.locator import Names
from imgmatch.parsers import carried
from imgmatch.parsers.pieces import Clock, Piece, Trouble
from imgmatch.picture.extents import BEGIN, length_of

_MOST_PAYLOAD = 512 << 20
_MOST_COLUMNS = 32_767
LEAF, INTERIOR, KEY_LEAF, KEY_INTERIOR = 0x0D, 0x05, 0x0A, 0x02
"""Kinds of pages: of a table by row numbers, and by keys."""
_COLUMN = re.compile(r"\s*(?:\"((?:[^\"]|\"\")+)\"|\[([^\]]+)\]|`([^`]+)`|'([^']+)'|([^\s(),]+))")
_NO_COLUMN = ("constraint", "primary", "unique", "check", "foreign")
_WIDE = {b"\0\0\0\2": "utf-16-le", b"\0\0\0\3": "utf-16-be"}
PageReader = Callable[[int], bytes]


@dataclass(slots=True)
class Table:
    """What the statement that made a table says of it; ``keyed``: it has no row numbers."""

    name: str
    columns: list[str]
    keyed: bool


@dataclass(frozen=True, slots=True)
class Cell:
    """A row on a page: its number, its whole size, the bytes that lie here, and the page where it goes on, or 0."""

    row: int | None
    size: int
    local: bytes
    overflow: int


class BrokenError(ValueError):
    """A row that can't be read whole."""


def children(data: bytes, start: int) -> Iterator[int]:
    """Pages below an inner one."""
    cells = int.from_bytes(data[start + 3 : start + 5], "big")
    for at in struct.unpack_from(f">{max(0, min(cells, (len(data) - start - 12) // 2))}H", data, start + 12):
        yield int.from_bytes(data[at : at + 4], "big")
    yield int.from_bytes(data[start + 8 : start + 12], "big")


def places(data: bytes, start: int) -> tuple[int, ...]:
    """Where the cells of a page begin."""
    wide = 12 if data[start] in (INTERIOR, KEY_INTERIOR) else 8
    cells = int.from_bytes(data[start + 3 : start + 5], "big")
    return struct.unpack_from(f">{max(0, min(cells, (len(data) - start - wide) // 2))}H", data, start + wide)


def flows_over(data: bytes, start: int, usable: int) -> bool:
    """Does a row begin here that goes on elsewhere? Then what it holds does not show on this page."""
    skip = 4 if data[start] == KEY_INTERIOR else 0
    most = usable - 35 if data[start] == LEAF else (usable - 12) * 64 // 255 - 23
    return any(varint(data, at + skip)[0] > most for at in places(data, start))


def varint(data: bytes, at: int) -> tuple[int, int]:
    """A number, and where it ends."""
    value = 0
    for place in range(at, min(at + 8, len(data))):
        value = value << 7 | data[place] & 0x7F
        if data[place] < 0x80:
            return value, place + 1
    if at + 8 < len(data):
        return value << 8 | data[at + 8], at + 9
    return 0, len(data)


def text_of(value: bytes, encoding: bytes) -> str:
    """A value that is text, in the encoding that the head of a database states."""
    letters = _WIDE.get(encoding, "utf-8")
    return value.decode(letters, "replace")


def _narrow(value: bytes) -> bytes:
    """Text of two bytes a letter as one of one, as far as base64 goes."""
    return value.replace(b"\0", b"") if value.count(0) * 2 == len(value) else value


def columns_of(sql: str) -> list[str]:
    """Names of columns, as the statement that made the table has them."""
    names: list[str] = []
    depth, fresh = 0, False
    inside = sql[sql.find("(") :]
    at = 0
    while at < len(inside):
        letter = inside[at]
        if letter in "\"'`[" and not (depth == 1 and fresh):
            end = inside.find("]" if letter == "[" else letter, at + 1)
            at = len(inside) if end < 0 else end + 1
            continue
        if depth == 1 and fresh and (match := _COLUMN.match(inside, at)) is not None:
            name = next(filter(None, match.groups()))
            if name.lower() not in _NO_COLUMN:
                names.append(name.replace('""', '"'))
            at, fresh = match.end(), False
            continue
        depth += (letter == "(") - (letter == ")")
        fresh = (letter == "(" and depth == 1) or (letter == "," and depth == 1) or (fresh and letter.isspace())
        at += 1
    return names


class Rows:
    """Reads rows; ``page`` gives the pages on which long ones go on. ``once``: what was given is not given again."""

    def __init__(self, page: PageReader, usable: int, clock: Clock | None, *, once: bool = False) -> None:
        self._page, self._usable, self._clock = page, usable, clock
        self._given: set[bytes] | None = set() if once else None

    def on(
        self, number: int, data: bytes, table: Table | None, kind: str, place_of: Names, encoding: bytes
    ) -> Iterator[Piece | Trouble]:
        """What rows on a page hold, as pieces of a kind: where that is ``deleted``, only what is a whole picture."""
        start = 100 if number == 1 else 0
        name = f"page-{number}" if table is None else table.name.replace("/", "_")
        for count, cell in enumerate(self.cells(data, start), start=1):
            row = f"{name}/" + (f"page-{number}.{count}" if data[start] != LEAF else f"{cell.row}")
            try:
                for column, value in self.values(cell, lambda size: size >= carried.LEAST_BYTES):
                    columns = table.columns if table is not None else []
                    at = f"{row}/{columns[column] if column < len(columns) else f'column-{column + 1}'}"
                    for found in carried.in_value(_narrow(value) if encoding in _WIDE else value):
                        if self._clock is not None:
                            self._clock.check()
                        place = place_of(f"{at}/{found.at}" if found.at else at)
                        if (
                            kind == "deleted"
                            and cell.overflow
                            and BEGIN.match(found.data)
                            and not length_of(found.data)
                        ):
                            says = "its pages were partly written over; what is left is not taken for a picture"
                            yield Trouble(kind, place, "broken_document", says)
                        elif self._is_new(found.data):
                            yield Piece(kind, place, found.data)
            except BrokenError as error:
                if kind == "sqlite" and self._given is None:
                    yield Trouble(kind, place_of(row), "broken_document", f"the row can't be read: {error}")

    def _is_new(self, data: bytes) -> bool:
        if self._given is None:
            return True
        own = sha256(data).digest()
        known = own in self._given
        self._given.add(own)
        return not known

    def cells(self, data: bytes, start: int) -> Iterator[Cell]:
        """Rows that begin on a page; what makes no sense is passed over."""
        kind = data[start]
        for at in places(data, start):
            size, after = varint(data, at + (4 if kind == KEY_INTERIOR else 0))
            row = None
            most = self._usable - 35
            if kind == LEAF:
                row, after = varint(data, after)
                row -= (row >= 1 << 63) << 64
            else:
                most = (self._usable - 12) * 64 // 255 - 23
            if size <= most:
                if after + size <= len(data):
                    yield Cell(row, size, data[after : after + size], 0)
                continue
            least = (self._usable - 12) * 32 // 255 - 23
            local = least + (size - least) % (self._usable - 4)
            local = local if local <= most else least
            if after + local + 4 <= len(data):
                following = int.from_bytes(data[after + local : after + local + 4], "big")
                yield Cell(row, size, data[after : after + local], following)

    def values(self, cell: Cell, wants: Callable[[int], bool]) -> Iterator[tuple[int, bytes]]:
        """Columns of a row whose size in bytes is wanted, each by its number."""
        if cell.size > _MOST_PAYLOAD:
            raise BrokenError(f"it is longer than {_MOST_PAYLOAD:,} bytes")
        payload = cell.local
        header, at = varint(payload, 0)
        if header > len(payload):
            payload = self._whole(cell)
        types: list[int] = []
        while at < min(header, len(payload)) and len(types) < _MOST_COLUMNS:
            one, at = varint(payload, at)
            types.append(one)
        sizes = [(0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0)[one] if one < 12 else (one - 12) // 2 for one in types]
        if not any(one >= 12 and wants(size) for one, size in zip(types, sizes, strict=True)) and not wants(0):
            return
        if cell.overflow and len(payload) < cell.size:
            payload = self._whole(cell)
        at = header
        for column, size in enumerate(sizes):
            if (types[column] >= 12 or wants(0)) and wants(size) and at + size <= len(payload):
                yield column, payload[at : at + size]
            elif wants(0):
                yield column, b""
            at += size

    def _whole(self, cell: Cell) -> bytes:
        parts, missing, following = [cell.local], cell.size - len(cell.local), cell.overflow
        seen: set[int] = set()
        while missing > 0:
            if following in seen or not following:
                raise BrokenError("its pages lead nowhere")
            seen.add(following)
            data = self._page(following)
            if len(data) < 4:
                raise BrokenError(f"page {following:,} is not there")
            part = data[4 : min(self._usable, 4 + missing)]
            following = int.from_bytes(data[:4], "big")
            parts.append(part)
            missing -= len(part)
            if not part:
                raise BrokenError("its pages lead nowhere")
        return b"".join(parts)
