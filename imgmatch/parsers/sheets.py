"""Tables in an Excel workbook (Office Open XML, ECMA-376), as CSV."""

from __future__ import annotations

import csv
import datetime
import io
import zipfile
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from imgmatch.errors import EvidenceError
from imgmatch.optional import require
from imgmatch.parsers.pieces import Clock, Piece, Settings, Trouble

_MOST_BYTES = 256 << 20
_MOST_MEMBERS = 10_000
_MOST_COLUMNS = 1_000
_MOST_CSV = 64 << 20
_BLANK_ROWS = 100_000
_CHECK_EVERY = 1_000


def extract(stream: BinaryIO, settings: Settings, at: str | None = None) -> Iterator[Piece | Trouble]:
    """Each worksheet that holds something, hidden ones last: UTF-8, a line a row, rows numbered as Excel numbers them.

    Of formulas their last values. Raises EvidenceError where it is no workbook, or one that no program writes.
    """
    openpyxl = require("openpyxl", "exchange", "Excel workbook")
    clock = Clock(settings)
    try:
        with zipfile.ZipFile(stream) as archive:
            members = archive.infolist()
        if len(members) > _MOST_MEMBERS or sum(member.file_size for member in members) > _MOST_BYTES:
            raise EvidenceError("limit", f"unpacks to more than {_MOST_BYTES >> 20} MiB or {_MOST_MEMBERS:,} parts")
        stream.seek(0)
        book = openpyxl.load_workbook(stream, read_only=True, data_only=True, keep_links=False)
        sheets = [sheet for sheet in book.worksheets if hasattr(sheet, "iter_rows")]
        for sheet in sorted(sheets, key=lambda sheet: sheet.sheet_state != "visible"):
            sheet.reset_dimensions()  # what it says of its size may be anything
            if text := _csv(sheet.iter_rows(values_only=True), clock):
                yield Piece("sheet", sheet.title, text)
    except (EvidenceError, MemoryError):
        raise
    except Exception as error:
        raise EvidenceError(
            "broken_document", f"no Excel workbook that can be read ({type(error).__name__})"
        ) from error


def _csv(rows: Iterable[tuple[Any, ...]], clock: Clock) -> bytes:
    """Rows as CSV, up to the last that holds something."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    blank = 0
    for number, row in enumerate(rows):
        if number % _CHECK_EVERY == 0:
            clock.check()
        if len(row) > _MOST_COLUMNS:
            raise EvidenceError("limit", f"row {number + 1} has more than {_MOST_COLUMNS:,} cells")
        cells = [_text(value) for value in row]
        if not any(cells):
            blank += 1
            if blank > _BLANK_ROWS:
                raise EvidenceError("limit", f"more than {_BLANK_ROWS:,} empty rows follow each other")
            continue
        text.write("\n" * blank)
        blank = 0
        writer.writerow(cells)
        if text.tell() > _MOST_CSV:
            raise EvidenceError("limit", f"holds more than {_MOST_CSV >> 20} MiB of text")
    return text.getvalue().encode("utf-8", "replace")


def _text(value: Any) -> str:
    """A cell as a person reads it, on one line."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).upper()
        case float() if value.is_integer() and abs(value) < 1e15:
            return str(int(value))
        case datetime.datetime() if value.time() == datetime.time():
            return value.date().isoformat()
        case datetime.datetime():
            return value.isoformat(" ")
    return " ".join(str(value).split()) if not str(value).isprintable() else str(value)
