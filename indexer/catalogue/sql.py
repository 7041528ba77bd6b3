"""What reading and writing share: what statements go through, and pieces of SQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

Parameters = Sequence[Any] | dict[str, Any]


Row = dict[str, Any]


class Source(Protocol):
    """What statements go through: a thread's connection, or an open transaction."""

    def rows(self, sql: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        """Every row of a statement."""

    def stream(self, sql: str, parameters: Parameters = ()) -> Iterator[tuple[Any, ...]]:
        """Rows as they are asked for."""

    def named(self, sql: str, parameters: Parameters = ()) -> Iterator[Row]:
        """Rows as they are asked for, their values by the names of the columns."""


class Transaction:
    """An open transaction; errors of SQLite pass through it, for whoever opened it to name."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db

    def rows(self, sql: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        """Every row of a statement."""
        return self.db.execute(sql, parameters).fetchall()

    def stream(self, sql: str, parameters: Parameters = ()) -> Iterator[tuple[Any, ...]]:
        """Rows as they are asked for."""
        return self.db.execute(sql, parameters)

    def named(self, sql: str, parameters: Parameters = ()) -> Iterator[Row]:
        """Rows as they are asked for, their values by the names of the columns."""
        return named(self.db.execute(sql, parameters))


def named(cursor: sqlite3.Cursor) -> Iterator[Row]:
    """The rows of a statement, their values by the names of the columns."""
    names = [column[0] for column in cursor.description]
    for row in cursor:
        yield dict(zip(names, row, strict=True))


class Reads:
    """The reading half of a subject."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def _rows(self, sql: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        return self._source.rows(sql, parameters)

    def _stream(self, sql: str, parameters: Parameters = ()) -> Iterator[tuple[Any, ...]]:
        return self._source.stream(sql, parameters)

    def _named(self, sql: str, parameters: Parameters = ()) -> Iterator[Row]:
        return self._source.named(sql, parameters)

    def _one(self, sql: str, parameters: Parameters = ()) -> tuple[Any, ...] | None:
        rows = self._source.rows(sql, parameters)
        return rows[0] if rows else None


class Writes(Reads):
    """The writing half of a subject: a subject's ``Writes`` can also do what its ``Reads`` can, in the transaction."""

    def __init__(self, transaction: Transaction) -> None:
        super().__init__(transaction)
        self._transaction = transaction
        self._db = transaction.db

    def _run(self, sql: str, parameters: Parameters = ()) -> int:
        """How many rows it changed."""
        return self._db.execute(sql, parameters).rowcount

    def _run_all(self, sql: str, parameters: Iterable[Parameters]) -> int:
        return self._db.executemany(sql, parameters).rowcount

    def _insert(self, sql: str, parameters: Parameters = ()) -> int:
        """The id that it gave."""
        given = self._db.execute(sql, parameters).lastrowid
        assert given is not None  # every INSERT into a rowid table sets it
        return given


def parts_of(ids: Iterable[int], size: int = 500) -> Iterator[tuple[str, list[int]]]:
    """Distinct ids, some at a time, with the marks that stand for them: SQLite bounds the values of a statement."""
    distinct = list(dict.fromkeys(ids))
    for start in range(0, len(distinct), size):
        part = distinct[start : start + size]
        yield ",".join("?" * len(part)), part


def below(source: str, column: str = "locator") -> tuple[str, list[str]]:
    """A condition for a locator and what lies in it: folders go on with a slash, containers with a bar."""
    stem = source.rstrip("/")
    # Ranges, so that the index over locators serves: 0 and } are what follows / and | in the order of bytes.
    condition = f"({column} = ? OR ({column} >= ? AND {column} < ?) OR ({column} >= ? AND {column} < ?))"
    return condition, [stem, f"{stem}/", f"{stem}0", f"{stem}|", f"{stem}}}"]
