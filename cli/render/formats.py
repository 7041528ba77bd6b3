"""Results to standard output or a file: tables for people, JSON, JSON Lines and CSV for programs."""

from __future__ import annotations

import enum
import io
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from cli.render.table import record_table, text_table
from indexer.intake.csvfile import cell, write_csv
from indexer.out.atomic import whole_file
from indexer.out.jsontext import json_text

Record = Mapping[str, Any]
_IN_WORDS = {"path": "place", "other_path": "other_place"}


class Format(enum.StrEnum):
    """How results are written."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"


def emit(records: Iterable[Record], columns: Sequence[str], format: Format, output: Path | None) -> None:
    """Write records. ``columns`` are those of the table and the CSV, in order; JSON has every field. Where records have
    places in words, a table has those in the place of paths.
    """
    with target(output) as file:
        if format is Format.table:
            records = list(records)
            words = {name: place for name, place in _IN_WORDS.items() if records and place in records[0]}
            columns = [words.get(name, name) for name in columns]
            file.write(text_table([[cell(record.get(c)) for c in columns] for record in records], columns))
        elif format is Format.csv:
            write_csv(file, records, columns)
        elif format is Format.jsonl:
            for record in records:
                file.write(json_text(record) + "\n")
        else:
            file.write(json_text(list(records), 2) + "\n")


def emit_one(record: Record, format: Format, output: Path | None) -> None:
    """Write one record: its fields and their values, one JSON object, or a CSV of one row."""
    if format is Format.table:
        with target(output) as file:
            file.write(record_table([(name, cell(_rounded(value))) for name, value in record.items()]))
    elif format is Format.csv:
        emit([record], list(record), format, output)
    else:
        with target(output) as file:
            file.write(json_text(record, 2 if format is Format.json else None) + "\n")


def _rounded(value: object) -> object:
    """The parts of a value, as exact as a reader needs them; programs get them whole."""
    if not isinstance(value, Mapping):
        return value
    return {name: float(f"{part:.4g}") if isinstance(part, float) else part for name, part in value.items()}


@contextmanager
def target(output: Path | None) -> Iterator[IO[str]]:
    """Standard output, or a file that appears under its name only when it is complete."""
    if output is None:
        yield sys.stdout
        sys.stdout.flush()
        return
    with whole_file(output) as raw:
        file = io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", newline="")
        yield file
        file.detach()  # flushed, and left to whole_file to close


def size_text(count: int) -> str:
    """A length in bytes, rounded for a reader."""
    value = float(count)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:,.0f} {unit}" if unit == "bytes" else f"{value:,.1f} {unit}"
        value /= 1024
    return f"{value:,.1f} TiB"
