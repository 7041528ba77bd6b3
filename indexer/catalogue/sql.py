"""What reading and writing share: pieces of SQL."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from indexer.filters import Filter


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
    if wanted.exclude_labels:
        where.append(f"item_id NOT IN ({labelled(wanted.exclude_labels)})")
    if wanted.exclude_sources:
        where.append(f"item_id NOT IN (SELECT item_id FROM sightings WHERE {seen(wanted.exclude_sources)})")
    if wanted.exclude_items:
        where.append("item_id NOT IN (SELECT value FROM json_each(?))")
        parameters.append(json.dumps(wanted.exclude_items))
    return where, parameters
