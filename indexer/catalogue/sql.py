"""What reading and writing share: pieces of SQL."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from imgmatch.picture.metadata import FIELDS
from indexer.search.filters import Filter


class Reads(Protocol):
    """What a part of the Catalogue reads with."""

    def _rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]: ...

    def _stream(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]: ...


def read_as(profile: str | None) -> str:
    """A condition on vectors ``v``: of the whole picture, its item read so; with the profile as its parameter."""
    if profile is None:
        return " AND v.x_px IS NULL"
    return " AND v.x_px IS NULL AND (v.item_id, v.model_id, ?) IN (SELECT item_id, model_id, profile FROM profiles)"


def new_id(cursor: sqlite3.Cursor) -> int:
    """The id that an INSERT has just given."""
    assert cursor.lastrowid is not None  # every INSERT into a rowid table sets it
    return cursor.lastrowid


def parts_of(ids: list[int], size: int = 500) -> Iterator[list[int]]:
    """SQLite bounds how many values a statement may hold."""
    for start in range(0, len(ids), size):
        yield ids[start : start + size]


def below(source: str, column: str = "locator") -> tuple[str, list[str]]:
    """A condition for a locator and what lies in it: folders go on with a slash, containers with a bar."""
    stem = source.rstrip("/")
    # Ranges, so that the index over locators serves: 0 and } are what follows / and | in the order of bytes.
    condition = f"({column} = ? OR ({column} >= ? AND {column} < ?) OR ({column} >= ? AND {column} < ?))"
    return condition, [stem, f"{stem}/", f"{stem}0", f"{stem}|", f"{stem}}}"]


LISTED = (
    "SELECT i.item_id FROM items i CROSS JOIN hash_lists CROSS JOIN list_hashes USING (list_id)"
    " WHERE name IN (SELECT value FROM json_each(?)) AND digest IN (i.sha256, i.sha1, i.md5)"
    " UNION ALL SELECT item_id FROM pdq_matches JOIN hash_lists USING (list_id)"
    " WHERE name IN (SELECT value FROM json_each(?))"
)
"""Items that one of some lists names: a JSON list of names is its parameter, twice."""


def _field(name: str, values: Sequence[str | None], parameters: list[Any]) -> str:
    """A condition on metadata: the field has one of these values."""
    assert name in FIELDS
    field = f"json_extract(fields_json, '$.{name}.value')"
    parts = []
    for value in values:
        if value is None:
            parts.append(f"{field} IS NOT NULL")
        elif value.endswith("*"):
            parts.append(f"substr({field}, 1, ?) = ? COLLATE NOCASE")
            parameters += [len(value) - 1, value[:-1]]
        else:
            parts.append(f"CAST({field} AS TEXT) = ? COLLATE NOCASE")
            parameters.append(value)
    return " OR ".join(parts)


def conditions(wanted: Filter) -> tuple[list[str], list[Any]]:
    """A filter as conditions on items, to be joined by AND, and their parameters."""
    where: list[str] = []
    parameters: list[Any] = []

    def labelled(pairs: Sequence[tuple[str, str]]) -> str:
        parameters.extend(text for pair in pairs for text in pair)
        return "SELECT item_id FROM labels WHERE " + " OR ".join(["(name = ? AND value = ?)"] * len(pairs))

    def seen(sources: Sequence[str]) -> str:
        parts = []
        for source in sources:
            condition, values = below(source)
            parts.append(condition)
            parameters.extend(values)
        return "(" + " OR ".join(parts) + ")"

    if wanted.labels:
        where.append(f"item_id IN ({labelled(wanted.labels)})")
    if wanted.since or wanted.until or wanted.sources:
        parts = []
        if wanted.sources:
            parts.append(seen(wanted.sources))
        if wanted.since:
            parts.append("modified_utc >= ?")
            parameters.append(wanted.since)
        if wanted.until:
            parts.append("substr(modified_utc, 1, ?) <= ?")
            parameters += [len(wanted.until), wanted.until]
        where.append(f"item_id IN (SELECT item_id FROM sightings WHERE {' AND '.join(parts)})")
    if wanted.items:
        where.append("item_id IN (SELECT value FROM json_each(?))")
        parameters.append(json.dumps(wanted.items))
    for name in dict.fromkeys(name for name, _ in wanted.metadata):
        values = [value for other, value in wanted.metadata if other == name]
        where.append(f"item_id IN (SELECT item_id FROM metadata WHERE {_field(name, values, parameters)})")
    if wanted.lists:
        where.append(f"item_id IN ({LISTED})")
        parameters += [json.dumps(wanted.lists)] * 2
    if wanted.exclude_lists:
        where.append(f"item_id NOT IN ({LISTED})")
        parameters += [json.dumps(wanted.exclude_lists)] * 2
    if wanted.exclude_labels:
        where.append(f"item_id NOT IN ({labelled(wanted.exclude_labels)})")
    if wanted.exclude_sources:
        where.append(f"item_id NOT IN (SELECT item_id FROM sightings WHERE {seen(wanted.exclude_sources)})")
    if wanted.exclude_items:
        where.append("item_id NOT IN (SELECT value FROM json_each(?))")
        parameters.append(json.dumps(wanted.exclude_items))
    return where, parameters
