"""Is the catalogue of another case what this program writes? Asked of all of it before anything in it is believed."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import fields
from datetime import datetime
from typing import Annotated, Any, TypedDict

import numpy as np

from imgmatch import given
from imgmatch.errors import CaseError, UsageError
from imgmatch.locator import Locator
from imgmatch.types import ModelSpec
from imgmatch.workers.wire import WireError, checked
from indexer.catalogue.catalogue import Catalogue
from indexer.catalogue.registry import TABLES, bring_up
from indexer.catalogue.table import Kept

MOST_BYTES = 256 << 20
"""Of one value, or of one row, of another case."""
_MOST_SAID = 300
_MOST_SIDE_PX = 1 << 31
_MOST_ID = 1 << 62
_CASE_ID = re.compile(r"[\w.:-]{1,100}", re.ASCII)
_SEGMENT = re.compile(r"(?!\.\.?/)[^/\\:\0]{1,255}/([0-9]{1,18}\.npy|[0-9a-f]{32})")

Check = Callable[[Any], object]
"""Raises ValueError, UsageError or WireError for a value that is none of a kind, or gives False."""


class _Field(TypedDict, total=False):
    value: str | int | float | bool | None
    source: str
    found: str | int | float | bool | None


def _json(kind: Any) -> Check:
    return lambda text: checked(kind, given.loads(text)) is not None


def _arguments(text: str) -> object:
    told = checked(dict[str, Any], given.loads(text))
    return checked(dict[str, Annotated[int, range(_MOST_ID)]], told.get("limits", {})) is not None


def _spec(text: str) -> object:
    told = checked(dict[str, str | int], given.loads(text))
    numbers = {field.name for field in fields(ModelSpec) if field.type == "int"}
    named = all((type(value) is int) == (name in numbers) for name, value in told.items())
    return told.keys() <= {field.name for field in fields(ModelSpec)} and named and ModelSpec(**told)


def _time(text: str) -> object:
    return len(text) <= 40 and datetime.fromisoformat(text)


def _digest(length: int) -> Check:
    """Bytes, or as hexadecimal digits."""
    return lambda value: len(bytes.fromhex(value) if isinstance(value, str) else value) == length


def _from(least: int, most: int = _MOST_ID) -> Check:
    return lambda value: least <= value < most


# What a column holds, by its name.
_BY_NAME: dict[str, Check] = {
    "locator": Locator.parse,
    "arguments_json": _arguments,
    "counts_json": _json(dict[str, int | float]),
    "process_json": _json(dict[str, Any]),
    "spec_json": _spec,
    "fields_json": _json(dict[str, _Field]),
    "facts_json": _json(dict[str, str]),
    "hashes_json": _json(dict[str, str]),
    "made_json": _json(dict[str, str]),
    "faults_json": _json(list[str]),
    "header_json": _json(dict[str, Any]),
    "record_json": _json(dict[str, Any]),
    **dict.fromkeys(("sha256", "query_sha256", "item_sha256", "weights_sha256", "hash"), _digest(32)),
    "sha1": _digest(20),
    "md5": _digest(16),
    "width_px": _from(1, _MOST_SIDE_PX),
    "height_px": _from(1, _MOST_SIDE_PX),
    "x_px": _from(0, _MOST_SIDE_PX),
    "y_px": _from(0, _MOST_SIDE_PX),
    "orientation": _from(1, 9),
    "quality": _from(0, 101),
    **dict.fromkeys(("size_bytes", "file_bytes", "disk_bytes", "media", "times", "number", "dim"), _from(0)),
    **dict.fromkeys(("run_id", "item_id", "vector_id", "first_vector_id", "rows"), _from(1)),
    "version": lambda text: len(text) <= _MOST_SAID,
}


def require_believable(catalogue: Catalogue) -> None:
    """Raises CaseError, in a line that names the table and the column, where a catalogue of the newest format is not
    one of this program: other tables, rows that point nowhere, values that are none of their kind, JSON of depths and
    sizes that no program writes. Reads all of it, a row at a time.
    """
    with closing(sqlite3.connect(":memory:")) as ours:
        bring_up(ours, 0)
        catalogue.bound(MOST_BYTES)
        kinds = {row[1]: row[2] for row in catalogue.rows("PRAGMA table_list") if row[0] == "main"}
        for table in TABLES:
            columns = f"PRAGMA table_xinfo({table.name})"
            told = [row[:4] + row[5:] for row in catalogue.rows(columns)]
            made = [row[:4] + row[5:] for row in ours.execute(columns)]
            if kinds.get(table.name) != "table" or told != made:
                raise _no_catalogue(catalogue, f"table {table.name} is another one")
    catalogue.require_sound()
    if not _CASE_ID.fullmatch(catalogue.meta.all().get("case_id", "")):
        raise _no_catalogue(catalogue, "its case_id is none")
    for table in TABLES:
        if not isinstance(table.merge, Kept):
            _require_rows(catalogue, table.name)
    for name, rows, ids in catalogue.rows("SELECT name, rows, ids FROM segments"):
        if not _SEGMENT.fullmatch(name) or not _ascending(ids, rows):
            raise _no_catalogue(catalogue, f"table segments does not say what {name[:_MOST_SAID]!r} holds")
    part = "(x_px IS NULL) + (y_px IS NULL) + (width_px IS NULL) + (height_px IS NULL)"
    if catalogue.rows(f"SELECT 1 FROM vectors WHERE {part} NOT IN (0, 4) LIMIT 1"):
        raise _no_catalogue(catalogue, "table vectors holds a part of a picture that is none")


def _require_rows(catalogue: Catalogue, table: str) -> None:
    there = [row[1] for row in catalogue.rows(f"PRAGMA table_info({table})")]
    checks = [(name, _BY_NAME.get(name, _time)) for name in there
              if name in _BY_NAME or name.endswith("_utc")]  # fmt: skip
    for row in catalogue.stream(f"SELECT {', '.join(name for name, _ in checks) or 'NULL'} FROM {table}"):
        for value, (name, check) in zip(row, checks, strict=False):
            try:
                good, why = value is None or check(value), "it is not of its kind"
            except (ValueError, TypeError, AttributeError, RecursionError, UsageError, WireError) as error:
                good, why = False, str(error)
            if not good:
                what = "a place that is none" if name == "locator" else f"what is none in {name}"
                raise _no_catalogue(catalogue, f"table {table} holds {what} ({why[:_MOST_SAID]})")


def _ascending(ids: bytes | None, rows: int) -> bool:
    if ids is None:
        return True
    if len(ids) != 8 * rows:
        return False
    numbers = np.frombuffer(ids, dtype="<i8")
    return bool((numbers[0] > 0) and (numbers[1:] > numbers[:-1]).all())


def _no_catalogue(catalogue: Catalogue, what: str) -> CaseError:
    return CaseError(f"{catalogue.called}: {' '.join(what.split())}; restore it from a copy of the case")
