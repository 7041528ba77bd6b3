"""The catalogue's copy of the audit log's head, and entries that wait to be written to the log."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LogState:
    """What the audit log must be: the number and SHA-256 of its last entry, ``waiting`` ones included.

    ``settled_bytes`` is how long the log's file was when nothing waited; ``waiting`` are the lines (with their ends)
    that follow there. After a kill the file may hold none, a part or all of them, and nothing else.
    """

    entry: int
    sha256: str
    settled_bytes: int
    waiting: bytes = b""

    @property
    def waiting_lines(self) -> list[bytes]:
        """One entry each."""
        return self.waiting.splitlines(keepends=True)


def read(db: sqlite3.Connection) -> LogState | None:
    """What is kept; None in a case of an older format whose log nothing was added to since."""
    row = db.execute("SELECT entry, sha256, settled_bytes, waiting FROM audit_head").fetchone()
    return None if row is None else LogState(*row)


def write(db: sqlite3.Connection, state: LogState) -> None:
    """Put another state in its place."""
    db.execute(
        "INSERT OR REPLACE INTO audit_head VALUES (1, ?, ?, ?, ?)",
        (state.entry, state.sha256, state.settled_bytes, state.waiting),
    )
