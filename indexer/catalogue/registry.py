"""Every table of the catalogue, in a fixed order: a table comes after those that it points to."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from indexer.catalogue import (
    containers,
    custody,
    decisions,
    erasures,
    faces,
    facts,
    indexes,
    issues,
    items,
    labels,
    listed,
    lists,
    meta,
    models,
    releases,
    relocations,
    runs,
    segments,
    sightings,
    vectors,
    vics,
)
from indexer.catalogue.sql import Source
from indexer.catalogue.table import Table

_SUBJECTS = (
    meta, custody, models, runs, items, sightings, labels, issues, segments, vectors, indexes, facts, lists, listed,
    erasures, decisions, vics, containers, relocations, faces, releases,
)  # fmt: skip
TABLES: tuple[Table, ...] = tuple(table for subject in _SUBJECTS for table in subject.TABLES)
HEAD_KEPT = 10
"""From this format on each case has the head of its audit log in its catalogue, from its first moment or since it was
brought up.
"""
FORMAT = max(max(table.formats) for table in TABLES)
"""The newest format version."""


def bring_up(db: sqlite3.Connection, version: int, tables: Iterable[Table] = TABLES) -> None:
    """Bring a catalogue of an older format up to the newest, a version at a time; 0: an empty file."""
    tables = tuple(tables)
    for number in range(version + 1, FORMAT + 1):
        script = "\n".join(table.formats.get(number, "") for table in tables)
        db.executescript(f"BEGIN; {script} PRAGMA user_version = {number}; COMMIT;")


def undeclared(source: Source, tables: Iterable[Table] = TABLES) -> list[str]:
    """Tables that nobody has declared: nothing would know what deleting, merging and compacting do with them."""
    rows = source.rows("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")
    return sorted({row[0] for row in rows} - {table.name for table in tables})
