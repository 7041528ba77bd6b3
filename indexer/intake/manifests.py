"""Manifests: tables that say of each picture where it comes from (advertisement, address, telephone, place, date).

What they say is kept as labels of the items that they name. An address of the web is text: nothing is ever fetched.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from imgmatch.errors import UsageError
from imgmatch.given import Rows, loads
from imgmatch.locator import Locator
from imgmatch.types import Issue
from indexer.intake.labels import LabelRow

# Columns that name the picture, in the order of trust.
_KEY_COLUMNS = ("sha256", "path", "file", "filename", "local_path", "image")
_URL_SCHEMES = ("http://", "https://", "ftp://", "data:", "//")
_MOST_LINE = 1 << 20
_MOST_TEXT = 4096
_MOST_COLUMNS = 200
_MOST_MALFORMED = 10_000


def read_manifest(path: Path) -> Iterator[LabelRow | Issue]:
    """Rows of a manifest: CSV with a header (``.csv``), or one JSON object a line (``.jsonl``, ``.ndjson``).

    The picture is named by the first of the columns sha256, path, file, filename, local_path and image that is there;
    every other column that is not empty is kept under its name, at most 4096 characters of it. A row that names no
    picture (only an address), or can't be read, is an Issue. Raises UsageError when the whole is no manifest.
    """
    source = Locator.file(path)
    times: Counter[str] = Counter()
    malformed = 0
    for number, row in _rows(path):
        if isinstance(row, str):
            malformed += 1
            if malformed > _MOST_MALFORMED:
                raise UsageError(f"{path}: more than {_MOST_MALFORMED:,} rows are none; give a manifest")
            yield _issue(source, number, "malformed_row", row)
            continue
        named = [name for name in _KEY_COLUMNS if row.get(name)]
        key = row[named[0]] if named else ""
        if not key or key.lower().startswith(_URL_SCHEMES):
            told = "an address, which is never fetched" if key or any(map(_is_url, row.values())) else "no picture"
            yield _issue(source, number, "no_file", f"names {told}; give a path or a SHA-256")
            continue
        times[key] += 1
        # One picture may be in many advertisements: each row that names it speaks for itself.
        spoken = key if times[key] == 1 else f"{key} #{times[key]}"
        columns = {name: value for name, value in row.items() if name != named[0] and value}
        yield LabelRow(number, key, columns, spoken)


def manifest_files(path: Path) -> Iterator[str]:
    """The files that a manifest names and that are there, each once, in its order; relative to its folder."""
    seen: set[bytes] = set()
    for row in read_manifest(path):
        if isinstance(row, LabelRow):
            place = os.path.join(path.parent, row.key)
            short = hashlib.blake2b(os.fsencode(place), digest_size=16).digest()  # memory stays small
            if short not in seen and os.path.isfile(place):
                seen.add(short)
                yield place


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str] | str]]:
    """Numbered rows by column, or what is wrong with them."""
    reader = {".csv": _csv_rows, ".jsonl": _json_rows, ".ndjson": _json_rows}.get(path.suffix.lower())
    if reader is None:
        raise UsageError(f"{path}: a manifest is a .csv or a .jsonl file; give one of these")
    try:
        yield from reader(path)
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({error.strerror}); give an existing manifest") from error


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, str] | str]]:
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        rows = Rows(file)
        try:
            header = [name.strip() for name in next(rows, [])]
        except csv.Error as error:
            raise UsageError(f"{path}: the first line is none of a manifest: {error}") from error
        columns = [name if name.lower() not in _KEY_COLUMNS else name.lower() for name in header]
        if not set(columns) & {*_KEY_COLUMNS, "url", "URL"} or len(set(columns)) != len(columns):
            raise UsageError(
                f"{path}: the first line must name its columns, each once, and one of them {', '.join(_KEY_COLUMNS)}; "
                f"it reads {','.join(header)[:120] or '(nothing)'!r}"
            )
        while True:
            try:
                cells = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                yield rows.line_num, f"no row of a CSV: {error}"
                continue
            if not cells:
                continue
            if len(cells) != len(columns):
                yield rows.line_num, f"{len(cells)} cells, the first line has {len(columns)}"
                continue
            named = zip(columns, cells, strict=True)
            yield rows.line_num, {name: cell.strip()[:_MOST_TEXT] for name, cell in named if name}


def _json_rows(path: Path) -> Iterator[tuple[int, dict[str, str] | str]]:
    with path.open(encoding="utf-8-sig", errors="surrogateescape") as file:
        number = 0
        while line := file.readline(_MOST_LINE):
            number += 1
            if not line.endswith("\n") and len(line) == _MOST_LINE:
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
            yield number, {_column(name): _text(value)[:_MOST_TEXT] for name, value in row.items() if name.strip()}


def _column(name: str) -> str:
    name = name.strip()
    return name.lower() if name.lower() in _KEY_COLUMNS else name[:_MOST_TEXT]


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return "; ".join(_text(part) for part in value)
    return value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _is_url(value: str) -> bool:
    return value.lower().startswith(_URL_SCHEMES)


def _issue(source: Locator, number: int, error: str, message: str) -> Issue:
    return Issue(Locator("row", str(number), source), "manifest", error, f"row {number}: {message}")
