"""CSV that a spreadsheet takes for what it is: no cell is a formula, no character is out of sight."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any

# A spreadsheet takes a cell that begins so for a formula (OWASP, "CSV Injection").
_FORMULA_START = ("=", "+", "-", "@", "\t", "\r")


_LIST_SEPARATOR = re.compile(r"([;\t][ \"']*)")


def write_csv(file: IO[str], records: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> int:
    """Write a header and a row a record; returns how many records. A cell that would be a formula begins with '."""
    writer = csv.writer(file)
    writer.writerow(columns)
    count = 0
    for record in records:
        cells = [cell(record.get(column)) for column in columns]
        writer.writerow(map(_plain, cells))
        count += 1
    return count


def cell(value: Any) -> str:
    """A value as one printable line: parts of lists and objects are joined by semicolons, None is empty."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {cell(part)}" for name, part in value.items())
    if isinstance(value, list | tuple):
        return "; ".join(cell(part) for part in value)
    return printable(str(value))


def printable(text: str) -> str:
    """No control or direction-changing character reaches a terminal or a spreadsheet, whatever a file is called."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode("ascii") for char in text
    )


def _plain(text: str) -> str:
    """A cell that no program takes for a formula, nor any part of it that one takes for a cell of its own, as some do
    where there is a semicolon or a tab.
    """
    parts = _LIST_SEPARATOR.split(text)
    return "".join(f"'{part}" if number % 2 == 0 and _is_formula(part) else part for number, part in enumerate(parts))


def _is_formula(text: str) -> bool:
    if not text.startswith(_FORMULA_START):
        return False
    try:
        float(text)
    except ValueError:
        return True
    return False
