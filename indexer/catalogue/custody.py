"""The catalogue's copy of the audit log's head, and entries that wait to be written to the log."""

from __future__ import annotations

from dataclasses import dataclass

from indexer.catalogue.sql import Reads, Writes
from indexer.catalogue.table import Kept, Table

TABLES = (
    # The audit log's last entry, kept here too, so that a cut at the log's end shows; and entries that are decided on
    # but perhaps not yet in its file. One row.
    Table(
        "audit_head",
        {
            9: """
            CREATE TABLE audit_head (
                only INTEGER PRIMARY KEY CHECK (only = 1),
                entry INTEGER NOT NULL,
                sha256 TEXT NOT NULL,
                settled_bytes INTEGER NOT NULL,
                waiting BLOB NOT NULL
            ) STRICT;
            """
        },
        delete=Kept(),
        merge=Kept("another case's log stays with it; its head is noted in the entry of the merge"),
        compact=Kept(),
    ),
)


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


class CustodyReads(Reads):
    """What the log must be."""

    def log_state(self) -> LogState | None:
        """What is kept; None where somebody took it away, or a case of an older format is just brought up."""
        row = self._one("SELECT entry, sha256, settled_bytes, waiting FROM audit_head")
        return None if row is None else LogState(*row)


class CustodyWrites(Writes, CustodyReads):
    """Saying what the log must be."""

    def set_log_state(self, state: LogState) -> None:
        """Put another state in the place of the one before."""
        self._run(
            "INSERT OR REPLACE INTO audit_head VALUES (1, ?, ?, ?, ?)",
            (state.entry, state.sha256, state.settled_bytes, state.waiting),
        )
