"""Pictures in SQLite databases, their write-ahead logs and rollback journals (sqlite.org/fileformat2.html).

Pages are read as they lie there, none is changed and no SQL is run: so pages that the database has let go of, and all
that a log still holds of earlier states, are read as those in use are.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO

from imgmatch.errors import EvidenceError
from imgmatch.locator import Names
from imgmatch.parsers import carried
from imgmatch.parsers.pieces import Clock, Piece, Settings, Trouble
from imgmatch.parsers.sqlite_rows import (
    INTERIOR,
    KEY_INTERIOR,
    KEY_LEAF,
    LEAF,
    BrokenError,
    PageReader,
    Rows,
    Table,
    children,
    columns_of,
    flows_over,
    text_of,
)

MAGIC = b"SQLite format 3\0"
WAL_MAGIC = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
_SECTOR = 512
JOURNAL_MAGIC = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
ZEROED_BYTES = 28
"""So many bytes of a rollback journal that is kept and done with are made zeros (PRAGMA journal_mode=PERSIST)."""
_MOST_PAGES = 1 << 31
_PAGE_SIZES = tuple(512 << shift for shift in range(8))


def extract(stream: BinaryIO, settings: Settings, at: str | None = None) -> Iterator[Piece | Trouble]:
    """Every picture that a value of a row holds, called ``TABLE/ROWID/COLUMN``; of pages that belong to no table any
    more (kind ``deleted``), and in logs, ``page-N/ROWID/column-N``.

    Raises EvidenceError of kind ``broken_document`` or ``limit``.
    """
    head = stream.read(100)
    clock = Clock(settings)
    if head.startswith(MAGIC):
        yield from _database(stream, head, clock)
    elif head.startswith(WAL_MAGIC):
        yield from _log(stream, head, clock)
    else:
        yield from _journal(stream, head, clock)


def _database(stream: BinaryIO, head: bytes, clock: Clock) -> Iterator[Piece | Trouble]:
    page_bytes = _page_bytes(int.from_bytes(head[16:18], "big"))
    usable = page_bytes - head[20]
    whole = stream.seek(0, 2)
    count = min(-(-whole // page_bytes), _MOST_PAGES)

    page = _pages(stream, page_bytes, count)
    rows = Rows(page, usable, clock)
    free = _free_pages(page, head, usable, count)
    above, wanted = _looked_through(page, head, usable, count, free, clock)
    tables = _tables(rows, page, head[56:60])
    place_of = Names()
    for number in wanted:
        clock.check()
        data = page(number)
        kind = data[100 if number == 1 else 0]
        table = None if number in free else _table_of(number, above, tables)
        if table is not None and (kind != LEAF) == table.keyed:
            yield from rows.on(number, data, table, "sqlite", place_of, head[56:60])
        elif kind == LEAF and (number in free or (table is None and number not in above)):
            yield from rows.on(number, data, None, "deleted", place_of, head[56:60])
    if whole % page_bytes:
        says = f"ends within page {count:,}: it was cut off"
        yield Trouble("sqlite", f"page-{count}", "broken_document", says)


def _pages(stream: BinaryIO, page_bytes: int, count: int) -> Callable[[int], bytes]:
    """What gives a page by its number."""

    def page(number: int) -> bytes:
        if not 1 <= number <= count:
            raise BrokenError(f"page {number:,} is not there")
        stream.seek((number - 1) * page_bytes)
        return stream.read(page_bytes)

    return page


def rows_of(stream: BinaryIO, table: str, columns: int) -> Iterator[list[bytes]]:
    """So many columns of every row of a table, numbers and all else as the bytes that stand there.

    Raises ValueError where a page makes no sense.
    """
    stream.seek(0)
    head = stream.read(100)
    page_bytes = _page_bytes(int.from_bytes(head[16:18], "big"))
    count = -(-stream.seek(0, 2) // page_bytes)

    page = _pages(stream, page_bytes, count)
    rows = Rows(page, page_bytes - head[20], None)
    waiting = [root for root, told in _tables(rows, page, head[56:60]).items() if told.name == table]
    seen: set[int] = set()
    while waiting:
        number = waiting.pop()
        if number in seen:
            continue
        seen.add(number)
        data = page(number)
        if data[0] == INTERIOR:
            waiting += reversed(list(children(data, 0)))
        for cell in rows.cells(data, 0) if data[0] == LEAF else ():
            yield ([value for _, value in rows.values(cell, lambda _: True)] + [b""] * columns)[:columns]


def _page_bytes(stated: int) -> int:
    size = 65_536 if stated == 1 else stated
    if size < 512 or size & (size - 1):
        raise EvidenceError("broken_document", f"states pages of {size:,} bytes, which no database has")
    return size


def _free_pages(page: PageReader, head: bytes, usable: int, count: int) -> set[int]:
    """Pages that the database has let go of, as its list of them says."""
    free: set[int] = set()
    trunk = int.from_bytes(head[32:36], "big")
    while 1 < trunk <= count and trunk not in free:
        free.add(trunk)
        data = page(trunk)
        if len(data) < 8:
            break
        following, leaves = struct.unpack_from(">II", data)
        leaves = min(leaves, usable // 4 - 2)
        free.update(one for one in struct.unpack_from(f">{leaves}I", data.ljust(usable, b"\0"), 8) if 1 < one <= count)
        trunk = following
    return free


def _looked_through(
    page: PageReader, head: bytes, usable: int, count: int, free: set[int], clock: Clock
) -> tuple[dict[int, int], list[int]]:
    """What stands above each page, and the pages on which a row may hold a picture: one way through the file."""
    above: dict[int, int] = {}
    wanted: list[int] = []
    maps = usable // 5 + 1 if head[52:56] != bytes(4) else 0
    for number in range(1, count + 1):
        if number % 1024 == 0:
            clock.check()
        if maps and (number - 2) % maps == 0:
            continue
        data = page(number)
        start = 100 if number == 1 else 0
        kind = data[start] if len(data) > start + 8 else 0
        if kind in (INTERIOR, KEY_INTERIOR) and number not in free:
            for child in children(data, start):
                above.setdefault(child, number)
        if kind in (LEAF, KEY_LEAF, KEY_INTERIOR) and (carried.looks_like(data) or flows_over(data, start, usable)):
            wanted.append(number)
    return above, wanted


def _tables(rows: Rows, page: PageReader, encoding: bytes) -> dict[int, Table]:
    """Tables by the page at which they begin."""
    found: dict[int, Table] = {}
    waiting, seen = [1], set()
    while waiting:
        number = waiting.pop()
        if number in seen:
            continue
        seen.add(number)
        try:
            data = page(number)
            start = 100 if number == 1 else 0
            if data[start] == INTERIOR:
                waiting += children(data, start)
            for cell in rows.cells(data, start) if data[start] == LEAF else ():
                values = [value for _, value in rows.values(cell, lambda _: True)]
                kind, name, _, root, sql = (*values, *(b"",) * 5)[:5]
                if text_of(kind, encoding) == "table" and root:
                    says = text_of(sql, encoding)
                    keyed = re.search(r"\)[^)]*without\s+rowid", says, re.IGNORECASE) is not None
                    found[int.from_bytes(root, "big")] = Table(text_of(name, encoding), columns_of(says), keyed)
        except (BrokenError, IndexError, struct.error):
            continue
    found[1] = Table("sqlite_schema", ["type", "name", "tbl_name", "rootpage", "sql"], False)
    return found


def _table_of(number: int, above: dict[int, int], tables: dict[int, Table]) -> Table | None:
    for _ in range(64):  # no tree is so high
        if number in tables:
            return tables[number]
        if number not in above:
            return None
        number = above[number]
    return None


def _log(stream: BinaryIO, head: bytes, clock: Clock) -> Iterator[Piece | Trouble]:
    """Of a write-ahead log, every state of every page: a row goes on on pages of the same transaction or before."""
    page_bytes = _page_bytes(int.from_bytes(head[8:12], "big") & 0xFFFF or 1)
    frames = (stream.seek(0, 2) - 32) // (24 + page_bytes)
    states: dict[int, list[int]] = {}
    for frame in range(frames):
        stream.seek(32 + frame * (24 + page_bytes))
        states.setdefault(int.from_bytes(stream.read(4), "big"), []).append(frame)

    def read(frame: int) -> bytes:
        stream.seek(32 + frame * (24 + page_bytes) + 24)
        return stream.read(page_bytes)

    yield from _loose_pages(states, read, frames, page_bytes, clock)


def _journal(stream: BinaryIO, head: bytes, clock: Clock) -> Iterator[Piece | Trouble]:
    """Of a rollback journal, pages as they were before a transaction."""
    sector, page_bytes = struct.unpack_from(">II", head, 20)
    if not any(head[:ZEROED_BYTES]):
        sector, page_bytes = _SECTOR, _guessed(stream)
    page_bytes = _page_bytes(page_bytes & 0xFFFF or 1)
    if not 512 <= sector <= 1 << 16:
        raise EvidenceError("broken_document", "its header is damaged")
    records = (stream.seek(0, 2) - sector) // (8 + page_bytes)
    states: dict[int, list[int]] = {}
    for record in range(records):
        stream.seek(sector + record * (8 + page_bytes))
        states.setdefault(int.from_bytes(stream.read(4), "big"), []).append(record)

    def read(record: int) -> bytes:
        stream.seek(sector + record * (8 + page_bytes) + 4)
        return stream.read(page_bytes)

    yield from _loose_pages(states, read, records, page_bytes, clock)


def page_bytes_of(at: Callable[[int, int], bytes]) -> int | None:
    """Bytes of a page of a journal whose header is gone; ``at`` gives so many bytes from a place on. Checksums, less
    the sums of their pages, are the same number, as they are made (sqlite.org/fileformat2.html, 3). None: it is no
    journal of more than one page.
    """
    if not 0 < int.from_bytes(at(_SECTOR, 4), "big") < 1 << 24:  # the number of a page
        return None
    for size in _PAGE_SIZES:
        one, other = (at(_SECTOR + number * (size + 8) + 4, size + 4) for number in range(2))
        if len(other) == size + 4 and one != other and _nonce(one) == _nonce(other) != 0:
            return size
    return None


def _nonce(page: bytes) -> int:
    """What the checksum behind a page of a journal has besides the sum of its bytes: the same for all pages."""
    size = len(page) - 4
    return (int.from_bytes(page[-4:], "big") - sum(page[at] for at in range(size - 200, 0, -200))) & 0xFFFFFFFF


def _guessed(stream: BinaryIO) -> int:
    """As ``page_bytes_of``, also of a journal of one page. Raises EvidenceError."""
    alone = stream.seek(0, 2) - _SECTOR - 8

    def at(place: int, size: int) -> bytes:
        stream.seek(place)
        return stream.read(size)

    if not any(at(_SECTOR, _PAGE_SIZES[0])):
        return _PAGE_SIZES[0]  # it holds none
    size = page_bytes_of(at) or (alone if alone in _PAGE_SIZES else None)
    if size is None:
        raise EvidenceError("broken_document", "its header is zeros, and no page of it was told")
    return size


def _loose_pages(
    states: dict[int, list[int]], read: PageReader, count: int, page_bytes: int, clock: Clock
) -> Iterator[Piece | Trouble]:
    number_of = {state: number for number, every in states.items() for state in every}
    now = 0

    def page(number: int) -> bytes:
        """Where a page was written more than once, that which was written around the same time."""
        every = states.get(number)
        if not every:
            raise BrokenError(f"page {number:,} is not in it")
        return read(min(every, key=lambda state: abs(state - now)))

    rows, place_of = Rows(page, page_bytes, clock, once=True), Names()
    for now in range(count):
        clock.check()
        data, number = read(now), number_of[now]
        start = 100 if number == 1 else 0
        if len(data) == page_bytes and data[start] in (LEAF, KEY_LEAF):
            yield from rows.on(number, data, None, "sqlite", place_of, b"")
