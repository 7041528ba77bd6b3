"""Releases: files that were made to leave a case, for whom and what for, and by which bytes each is known again."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from indexer.catalogue.sql import Reads, Writes
from indexer.catalogue.table import Kept, Table

_OWN = Kept("what left another case is told by that one")

TABLES = (
    Table(
        "releases",
        {
            17: """
            CREATE TABLE releases (
                release_id INTEGER PRIMARY KEY,
                released_utc TEXT NOT NULL,
                account TEXT NOT NULL,
                what TEXT NOT NULL,
                clear INTEGER NOT NULL,
                recipient TEXT NOT NULL,
                purpose TEXT NOT NULL,
                target TEXT NOT NULL,
                entry INTEGER NOT NULL,
                told_json TEXT NOT NULL
            ) STRICT;
            """
        },
        delete=Kept("says what has left, which no deletion takes back"),
        merge=_OWN,
        compact=Kept(),
    ),
    Table(
        "release_files",
        {
            17: """
            CREATE TABLE release_files (
                release_id INTEGER NOT NULL REFERENCES releases,
                name TEXT NOT NULL,
                sha256 BLOB NOT NULL,
                size_bytes INTEGER NOT NULL,
                PRIMARY KEY (release_id, name)
            ) STRICT, WITHOUT ROWID;
            CREATE INDEX release_files_by_content ON release_files (sha256);
            """
        },
        delete=Kept("says what has left, which no deletion takes back"),
        merge=_OWN,
        compact=Kept(),
    ),
)


class ReleasedFile(NamedTuple):
    """A file that left: its name, below the folder that was written where there is one, and what it holds."""

    name: str
    sha256: str
    size_bytes: int


class ReleaseRow(NamedTuple):
    """What left at once. ``what`` is its format, ``clear`` whether pictures can be seen in it as they are, ``target``
    where it was written, ``entry`` the number of the audit log's entry that tells of it, ``told`` how it was asked for.
    """

    release_id: int
    released_utc: str
    account: str
    what: str
    clear: bool
    recipient: str
    purpose: str
    target: str
    entry: int
    told: dict[str, Any]


class ReleaseReads(Reads):
    """What has left."""

    def all(self, sha256: str | None = None) -> list[ReleaseRow]:
        """Every release, oldest first; with ``sha256`` those that such a file was part of."""
        columns = "release_id, released_utc, account, what, clear, recipient, purpose, target, entry, told_json"
        of = "" if sha256 is None else " WHERE release_id IN (SELECT release_id FROM release_files WHERE sha256 = ?)"
        values = () if sha256 is None else (bytes.fromhex(sha256),)
        rows = self._rows(f"SELECT {columns} FROM releases{of} ORDER BY release_id", values)
        made = (ReleaseRow(*row) for row in rows)
        return [row._replace(clear=bool(row.clear), told=json.loads(str(row.told))) for row in made]

    def files(self, release_id: int) -> list[ReleasedFile]:
        """The files of one, by their names."""
        sql = "SELECT name, sha256, size_bytes FROM release_files WHERE release_id = ? ORDER BY name"
        return [ReleasedFile(name, digest.hex(), size) for name, digest, size in self._rows(sql, (release_id,))]


class ReleaseWrites(Writes, ReleaseReads):
    """Noting what leaves."""

    def next_id(self) -> int:
        """The number that the next one gets."""
        return int(self._rows("SELECT coalesce(max(release_id), 0) + 1 FROM releases")[0][0])

    def add(self, row: ReleaseRow, files: Iterable[ReleasedFile]) -> None:
        """Note one with its files."""
        self._run(
            "INSERT INTO releases VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*row[:9], json.dumps(row.told, sort_keys=True)),
        )
        self._run_all(
            "INSERT INTO release_files VALUES (?, ?, ?, ?)",
            ((row.release_id, file.name, bytes.fromhex(file.sha256), file.size_bytes) for file in files),
        )
