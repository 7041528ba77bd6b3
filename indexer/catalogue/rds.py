"""Hash lists that are SQLite databases: the Reference Data Set of NSRL, version 3."""

from __future__ import annotations

import sqlite3
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from imgmatch.errors import UsageError

_MAGIC = b"SQLite format 3\0"
_PREFERRED = ("metadata", "file", "distinct_hash")
_DIGESTS = ("sha256", "sha1", "md5")


def is_database(head: bytes) -> bool:
    """Does a file that begins so hold an SQLite database?"""
    return head.startswith(_MAGIC)


def rds_hashes(path: Path) -> Iterator[tuple[dict[str, Any], str | None]]:
    """Digests of each row by name, and its category where the table has one.

    Of the table METADATA (that which the views of an RDS show), else of FILE, else of any with a column sha256, sha1 or
    md5. The file is only read, and nothing beside it is written. Views are not: they may hold any SQL.

    Raises UsageError when there is no such table, or the database is damaged.
    """
    location = f"file:{urllib.parse.quote(str(path.absolute()))}?mode=ro&immutable=1"
    try:
        db = sqlite3.connect(location, uri=True)
        try:
            db.execute("PRAGMA trusted_schema = OFF")
            table, columns = _table(db, path)
            digests = [name for name in _DIGESTS if name in columns]
            more = ["category"] if "category" in columns else []
            for row in db.execute(f"SELECT {', '.join(_quoted(columns[n]) for n in digests + more)} FROM {table}"):
                yield dict(zip(digests, row, strict=False)), row[-1] if more else None
        finally:
            db.close()
    except sqlite3.DatabaseError as error:
        raise UsageError(f"{path}: damaged database ({error}); get the list again") from error


def _table(db: sqlite3.Connection, path: Path) -> tuple[str, dict[str, str]]:
    rows = db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'")
    names = sorted((row[0] for row in rows), key=_order)
    for name in names:
        columns = {row[0].lower(): row[0] for row in db.execute("SELECT name FROM pragma_table_info(?)", (name,))}
        if columns.keys() & set(_DIGESTS):
            return _quoted(name), columns
    raise UsageError(f"{path}: no table of it has a column sha256, sha1 or md5; give an NSRL RDS (version 3)")


def _order(name: str) -> tuple[int, str]:
    lower = name.lower()
    return (_PREFERRED.index(lower) if lower in _PREFERRED else len(_PREFERRED)), lower


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
