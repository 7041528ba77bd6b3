"""Manifests: tables that say of each picture where it comes from (advertisement, address, telephone, place, date).

What they say is kept as labels of the items that they name. An address of the web is text: nothing is ever fetched.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from imgmatch.errors import UsageError
from imgmatch.given import legible, loads
from indexer.intake.labels import KEY_COLUMNS, LabelRow, UnusedRow
from indexer.intake.places import on_disk
from indexer.intake.tablefile import MOST_NONE, NOTHING_FURTHER, open_table, records

_URL_SCHEMES = ("http://", "https://", "ftp://", "data:", "//")
_MOST_LINE = 1 << 20
_MOST_TEXT = 4096
_MOST_COLUMNS = 200


def read_manifest(path: Path) -> Iterator[LabelRow | UnusedRow]:
    """Rows of a manifest: a table with a header (CSV or an Excel workbook), or one JSON object a line (``.jsonl``,
    ``.ndjson``).

    The picture is named by the first of KEY_COLUMNS that is there; every other column that is not empty is kept under
    its name, at most 4096 characters of it. A row that names no picture (only an address), or can't be read, is an
    UnusedRow. Raises UsageError when the whole is no manifest.
    """
    times: Counter[str] = Counter()
    for number, row in _rows(path):
        if isinstance(row, str):
            yield UnusedRow(number, "malformed_row", row)
            continue
        named = [name for name in KEY_COLUMNS if row.get(name)]
        key = row[named[0]] if named else ""
        if not key or key.lower().startswith(_URL_SCHEMES):
            told = "an address, which is never fetched" if key or any(map(_is_url, row.values())) else "no picture"
            yield UnusedRow(number, "no_file", f"names {told}; give a path or a SHA-256")
            continue
        times[key] += 1
        # One picture may be in many advertisements: each row that names it speaks for itself.
        spoken = key if times[key] == 1 else f"{key} #{times[key]}"
        columns = {name: legible(value) for name, value in row.items() if name != named[0] and value}
        yield LabelRow(number, key, columns, spoken)


def manifest_files(path: Path) -> Iterator[str]:
    """The files that a manifest names and that are there, each once, in its order; relative to its folder."""
    seen: set[bytes] = set()
    for row in read_manifest(path):
        if isinstance(row, LabelRow) and (place := on_disk(str(path.parent), row.key)) is not None:
            short = hashlib.blake2b(os.fsencode(place), digest_size=16).digest()  # memory stays small
            if short not in seen:
                seen.add(short)
                yield place


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str] | str]]:
    """Numbered rows by column, or what is wrong with them."""
    match path.suffix.lower():
        case ".jsonl" | ".ndjson":
            yield from _json_rows(path)
        case ".csv" | ".tsv" | ".xlsx":
            names = ", ".join(KEY_COLUMNS)
            yield from records(
                path, KEY_COLUMNS, f"the first line must name its columns, each once, one of them {names}"
            )
        case _:
            raise UsageError(f"{path}: a manifest is a .csv or a .jsonl file, or an .xlsx; give one of these")


def _json_rows(path: Path) -> Iterator[tuple[int, dict[str, str] | str]]:
    with open_table(path) as (file, _):
        number = none = 0
        while line := file.readline(_MOST_LINE):
            number, none = number + 1, none + 1
            if none > MOST_NONE:
                yield number, NOTHING_FURTHER
                return
            if not line.endswith(("\n", "\r")) and len(line) == _MOST_LINE:
                while (rest := file.readline(_MOST_LINE)) and not rest.endswith("\n"):
                    pass
                yield number, f"longer than {_MOST_LINE:,} characters"
                continue
            if not line.strip():
                continue
            try:
                row = loads(line)
            except ValueError as error:
                yield number, f"no JSON: {error}"
                continue
            if not isinstance(row, dict) or len(row) > _MOST_COLUMNS:
                yield number, f"no JSON object of at most {_MOST_COLUMNS} fields"
                continue
            none = 0
            yield number, {_column(name): _text(value)[:_MOST_TEXT] for name, value in row.items() if name.strip()}


def _column(name: str) -> str:
    name = name.strip()
    return name.lower() if name.lower() in KEY_COLUMNS else name[:_MOST_TEXT]


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return "; ".join(_text(part) for part in value)
    return value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _is_url(value: str) -> bool:
    return value.lower().startswith(_URL_SCHEMES)
