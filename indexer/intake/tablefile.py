"""Tables of others, opened as text: CSV in whatever letters, and Excel workbooks, which a confined worker reads."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TextIO

from imgmatch.errors import ImgmatchError, MachineError, UsageError
from imgmatch.given import Rows, legible, letters
from imgmatch.limits import SourceLimits
from imgmatch.parsers.pieces import Settings, Trouble
from imgmatch.streams import Shared
from imgmatch.workers.parse import extract

_ZIP, _OLD_EXCEL = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_LIMITS = SourceLimits()
_MOST_TEXT = 4096
MOST_NONE = 100_000
"""So many rows on end that have a single cell, where the first line has several, are no table any more."""
NOTHING_FURTHER = f"{MOST_NONE:,} rows before it, one after the other, are none; from here on nothing is read"


class Table(NamedTuple):
    """The text of a table, its ends of lines as they are; of a workbook the sheets besides that hold something."""

    text: TextIO
    unread: tuple[str, ...] = ()


@contextmanager
def open_table(path: Path) -> Iterator[Table]:
    """A table: bytes that are no UTF-8 are surrogates in it (``given.legible``). Of an Excel workbook it is the first
    sheet that holds something, as CSV. Raises UsageError, naming the file, where it can't be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(len(_OLD_EXCEL))
        if head == _OLD_EXCEL:
            raise UsageError(f"{path}: an Excel workbook of the old kind (.xls); save it as .xlsx or CSV")
        if head.startswith(_ZIP):
            text, unread = _sheets(path)
            yield Table(io.TextIOWrapper(io.BytesIO(text), encoding="utf-8", newline=""), unread)
            return
        encoding, errors = letters(head)
        with path.open(encoding=encoding, errors=errors, newline="") as lines:
            yield Table(lines)
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({error.strerror}); give an existing file") from error


def _sheets(path: Path) -> tuple[bytes, tuple[str, ...]]:
    try:
        with path.open("rb") as file:
            found = list(extract("sheets", Shared(file), Settings(1, _LIMITS)))
    except MachineError:
        raise
    except ImgmatchError as error:
        raise UsageError(f"{path}: {error}; or save the table as CSV") from error
    sheets = [sheet for sheet in found if not isinstance(sheet, Trouble)]
    if not sheets:
        raise UsageError(f"{path}: a workbook without a table; give one whose first sheet holds it")
    sheets[0].content.seek(0)
    text = sheets[0].content.read()
    for sheet in sheets:
        sheet.content.close()
    return text, tuple(sheet.at for sheet in sheets[1:])


def records(
    path: Path, keys: tuple[str, ...], needed: str, also: tuple[str, ...] = ()
) -> Iterator[tuple[int, dict[str, str] | str]]:
    """The numbered rows of a table with a header, by its columns, or what is wrong with them.

    ``keys`` name what a row is of: these columns, and ``label``, may be in upper or lower case; their cells are as they
    stand. A column without a name is called by its number. Empty rows are left out. Raises UsageError, saying what is
    ``needed``, where the header names none of the keys, or not those that there must be ``also``.
    What comes behind very many rows on end that are none is left, which the last of them says.
    """
    with open_table(path) as table:
        rows = Rows(table.text)
        try:
            header = _header(rows, keys)
        except csv.Error as error:
            raise UsageError(f"{path}: {needed}; its first line is no row of a CSV: {error}") from error
        if not {*header} & {*keys} or not {*also} <= {*header} or len({*header}) != len(header):
            told = ",".join(header)[:120] or "(nothing)"
            twice = next((name for name in header if header.count(name) > 1), None)
            why = f"two columns have the same name, {twice!r}" if twice else f"it reads {told!r}"
            raise UsageError(f"{path}: {needed}; {why}")
        for sheet in table.unread:
            yield 0, f"the sheet {sheet!r} was not read: only the first that holds something is"
        none = 0
        while none < MOST_NONE:
            none += 1
            try:
                cells = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                yield rows.line_num, f"no row of a CSV: {error}"
                continue
            if len(cells) > 1 or len(header) == 1:
                none = 0
            while len(cells) > len(header) and not cells[-1].strip():
                cells.pop()
            if len(cells) > len(header):
                yield rows.line_num, f"{len(cells)} cells, the first line has {len(header)}"
            elif any(cell.strip() for cell in cells):
                named = zip(header, cells, strict=False)
                yield rows.line_num, {name: _cell(cell, name in keys) for name, cell in named}
        yield rows.line_num, NOTHING_FURTHER


def _cell(text: str, as_it_stands: bool) -> str:
    return (text if as_it_stands else legible(text)).strip()[:_MOST_TEXT]


def _header(rows: Rows, keys: tuple[str, ...]) -> list[str]:
    cells = [legible(name).strip()[:_MOST_TEXT] for name in next(rows, [])]
    while cells and not cells[-1]:
        cells.pop()
    own = {*keys, "label"}
    return [
        (name.lower() if name.lower() in own else name) or f"column {number}" for number, name in enumerate(cells, 1)
    ]
