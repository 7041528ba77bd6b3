"""Erasures: contents that were taken out of a case to stay out, and marks by which their traces would be known."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from imgmatch.types import Digests
from indexer.catalogue.sql import Reads, Row, Writes, below
from indexer.catalogue.table import Kept, Table

_OWN = Kept("an order is for the case that it was given for; what that case has erased does not come along")

TABLES = (
    # One a deletion: why, who, when, whether the disk has been cleared of it since, and its numbers.
    Table(
        "erasures",
        {
            16: """
            CREATE TABLE erasures (
                erasure_id INTEGER PRIMARY KEY,
                reason TEXT NOT NULL,
                account TEXT NOT NULL,
                erased_utc TEXT NOT NULL,
                finished_utc TEXT,
                told_json TEXT NOT NULL
            ) STRICT;
            """
        },
        delete=Kept("says what was erased"),
        merge=_OWN,
        compact=Kept(),
    ),
    # The contents, by their hashes alone. One that was readmitted may come in again.
    Table(
        "erased",
        {
            16: """
            CREATE TABLE erased (
                sha256 BLOB NOT NULL,
                erasure_id INTEGER NOT NULL REFERENCES erasures,
                sha1 BLOB,
                md5 BLOB,
                readmitted_utc TEXT,
                PRIMARY KEY (sha256, erasure_id)
            ) STRICT, WITHOUT ROWID;
            """
        },
        delete=Kept("says what was erased"),
        merge=_OWN,
        compact=Kept(),
    ),
    # What was known of them (a place, a vector, a note), as digests (indexer.case.traces): nothing of it can be read
    # here, and each would be known again wherever it is met.
    Table(
        "traces",
        {
            16: """
            CREATE TABLE traces (
                digest BLOB NOT NULL,
                sha256 BLOB NOT NULL,
                erasure_id INTEGER NOT NULL REFERENCES erasures,
                kind TEXT NOT NULL,
                length INTEGER NOT NULL,
                tail INTEGER NOT NULL,
                PRIMARY KEY (digest, sha256)
            ) STRICT, WITHOUT ROWID;
            """
        },
        delete=Kept("says what was erased"),
        merge=_OWN,
        compact=Kept(),
    ),
)

_STANDS = "readmitted_utc IS NULL"
_ROW = "erasure_id, reason, account, erased_utc, finished_utc, told_json"
OF = "IN (SELECT sha256 FROM erased WHERE readmitted_utc IS NULL)"
"""A condition: of a content that is erased."""


class ErasureRow(NamedTuple):
    """A deletion that lasts. ``told`` are its numbers; ``finished_utc`` is None until nothing of it is on the disk."""

    erasure_id: int
    reason: str
    account: str
    erased_utc: str
    finished_utc: str | None
    told: dict[str, Any]


class TraceRow(NamedTuple):
    """By what something that was known of an erased content would be known again: its SHA-256 with the case's own salt,
    its length in bytes, and 32 bits mixed from its last 8 bytes.
    """

    digest: bytes
    sha256: bytes
    kind: str
    length: int
    tail: int


class ErasureReads(Reads):
    """What has been erased."""

    def all(self) -> list[ErasureRow]:
        """Every erasure, oldest first."""
        rows = self._rows(f"SELECT {_ROW} FROM erasures ORDER BY erasure_id")
        return [ErasureRow(row[0], row[1], row[2], row[3], row[4], json.loads(row[5])) for row in rows]

    def contents(self, erasure_id: int) -> list[Row]:
        """The hashes of what an erasure took out, with when it was readmitted, in the order of SHA-256."""
        return list(
            self._named(
                "SELECT lower(hex(sha256)) AS sha256, nullif(lower(hex(sha1)), '') AS sha1,"
                " nullif(lower(hex(md5)), '') AS md5, readmitted_utc FROM erased WHERE erasure_id = ? ORDER BY 1",
                (erasure_id,),
            )
        )

    def any(self) -> bool:
        """Is anything kept out?"""
        return self._one(f"SELECT 1 FROM erased WHERE {_STANDS} LIMIT 1") is not None

    def keeps_out(self, sha256: str) -> bool:
        """Is this content erased, and not readmitted?"""
        sql = f"SELECT 1 FROM erased WHERE sha256 = ? AND {_STANDS} LIMIT 1"
        return self._one(sql, (bytes.fromhex(sha256),)) is not None

    def hashes_kept_out(self) -> tuple[set[bytes], set[bytes]]:
        """MD5 and SHA-1 of everything that is kept out, but those that an item of the case has too."""
        if not self.any():
            return set(), set()
        md5s, sha1s = (
            {row[0] for row in self._rows(f"SELECT {name} FROM erased WHERE {_STANDS} AND {name} IS NOT NULL"
                                          f" EXCEPT SELECT {name} FROM items")}
            for name in ("md5", "sha1")
        )  # fmt: skip
        return md5s, sha1s

    def contents_kept_out(self) -> set[bytes]:
        """SHA-256 of everything that is kept out."""
        return {row[0] for row in self._rows(f"SELECT sha256 FROM erased WHERE {_STANDS}")}

    def traces(self, erasure_id: int | None = None) -> list[TraceRow]:
        """Marks of all erasures, or of one."""
        of, values = ("", ()) if erasure_id is None else (" WHERE erasure_id = ?", (erasure_id,))
        sql = f"SELECT digest, sha256, kind, length, tail FROM traces{of}"
        return [TraceRow(*row) for row in self._rows(sql, values)]

    def has_trace(self, digest: bytes) -> bool:
        """Is this something that was known of an erased content?"""
        return self._one("SELECT 1 FROM traces WHERE digest = ? LIMIT 1", (digest,)) is not None

    def left(self) -> list[str]:
        """What the tables still say of erased contents: nothing, when all is well."""
        asked = {
            "items": f"sha256 {OF}",
            "decisions": f"query_sha256 {OF} OR item_sha256 {OF}",
            "face_decisions": f"query_sha256 {OF} OR item_sha256 {OF}",
            "issues": f"sha256 {OF}",
            "past_issues": f"sha256 {OF}",
            "listed_files": f"sha256 {OF}",
        }
        found = []
        for table, where in asked.items():
            count = self._rows(f"SELECT count(*) FROM {table} WHERE {where}")[0][0]
            if count:
                found.append(f"{count} rows of {table}")
        return found

    def people_of(self, item_ids: Iterable[int]) -> list[int]:
        """The people whose faces some items show."""
        sql = "SELECT DISTINCT person_id FROM people_faces WHERE item_id IN (SELECT value FROM json_each(?))"
        return [row[0] for row in self._rows(sql, (json.dumps(list(item_ids)),))]

    def is_live(self, kind: str, data: bytes) -> bool:
        """Is something that would be a trace of an erased content known of another one too, that is in the case?"""
        if kind in ("vector", "hash"):
            return False
        if kind == "pdq":
            return self._one("SELECT 1 FROM pdqs WHERE hash = ? LIMIT 1", (data,)) is not None
        text = data.decode("utf-8", "surrogateescape")
        with contextlib.suppress(ValueError):
            text = json.loads(f'"{text}"')  # as JSON has it
        if kind != "place":
            found = "SELECT 1 FROM metadata WHERE fields_json = ?1 UNION ALL SELECT 1 FROM decisions WHERE note = ?1"
            return self._one(f"{found} LIMIT 1", (text,)) is not None
        # A place may be taken by another file since, and another place may begin as this one does.
        for table in ("sightings", "issues", "past_issues", "listed_files"):
            for stem in (text, f"file:{text}"):
                sql = f"SELECT 1 FROM {table} WHERE locator >= ? AND locator < ? LIMIT 1"
                if self._one(sql, (stem, f"{stem}\U0010ffff")) is not None:
                    return True
        return False


class ErasureWrites(Writes, ErasureReads):
    """Erasing, and readmitting."""

    def begin(self, reason: str, account: str, now_utc: str) -> int:
        """Note an erasure; returns its number."""
        return self._insert(
            "INSERT INTO erasures (reason, account, erased_utc, told_json) VALUES (?, ?, ?, '{}')",
            (reason, account, now_utc),
        )

    def add(self, erasure_id: int, contents: Iterable[Digests]) -> None:
        """Contents stay out from now on; hashes that are not known are empty."""
        self._run_all(
            "INSERT INTO erased (sha256, erasure_id, sha1, md5) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            ((bytes.fromhex(c.sha256), erasure_id, bytes.fromhex(c.sha1) or None, bytes.fromhex(c.md5) or None)
             for c in contents),
        )  # fmt: skip

    def add_unread(self, erasure_id: int, source: str) -> None:
        """The same for what was met at a source and is no item."""
        inside, values = below(source)
        for table in ("issues", "past_issues", "listed_files"):
            sha1, md5 = ("sha1", "md5") if table == "listed_files" else ("NULL", "NULL")
            self._run(
                f"INSERT INTO erased (sha256, erasure_id, sha1, md5) SELECT DISTINCT sha256, ?, {sha1}, {md5}"
                f" FROM {table} WHERE sha256 IS NOT NULL AND {inside}"
                " AND sha256 NOT IN (SELECT sha256 FROM items) ON CONFLICT DO NOTHING",
                (erasure_id, *values),
            )

    def mark(self, erasure_id: int, traces: Iterable[TraceRow]) -> None:
        """Keep marks of what was known."""
        self._run_all(
            "INSERT INTO traces (digest, sha256, erasure_id, kind, length, tail) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            ((t.digest, t.sha256, erasure_id, t.kind, t.length, t.tail) for t in traces),
        )

    def forget_arguments(self, paths: set[str], sources: Sequence[str]) -> None:
        """The names of erased files among the arguments of runs and in what was moved, and of sources of which nothing
        is left.
        """
        for run_id, text in self._rows("SELECT run_id, arguments_json FROM runs"):
            arguments = json.loads(text)
            told = arguments.get("paths")
            if not isinstance(told, list):
                continue
            kept = ["(erased)" if _names(str(path), paths, sources) else path for path in told]
            if kept != told:
                arguments = json.dumps({**arguments, "paths": kept}, sort_keys=True)
                self._run("UPDATE runs SET arguments_json = ? WHERE run_id = ?", (arguments, run_id))

        for number, old, new in self._rows("SELECT relocation_id, old, new FROM relocations"):
            if _names(new, paths, sources) or _names(old, paths, sources):
                gone = "UPDATE relocations SET old = '(erased)', new = '(erased)' WHERE relocation_id = ?"
                self._run(gone, (number,))

    def forget_people(self, people: Iterable[int]) -> None:
        """Those of these people of whom no face is left."""
        gone = (
            "DELETE FROM people WHERE person_id = ?1 AND NOT EXISTS (SELECT 1 FROM people_faces WHERE person_id = ?1)"
        )
        self._run_all(gone, ((person,) for person in people))

    def tell(self, erasure_id: int, told: dict[str, Any], finished_utc: str | None) -> None:
        """Say its numbers, and that nothing of it is left."""
        sql = "UPDATE erasures SET told_json = ?, finished_utc = ? WHERE erasure_id = ?"
        self._run(sql, (json.dumps(told, sort_keys=True), finished_utc, erasure_id))

    def readmit(self, sha256: str, now_utc: str) -> bool:
        """A content may come in again. False where it is not kept out."""
        content = bytes.fromhex(sha256)
        self._run("DELETE FROM traces WHERE sha256 = ?", (content,))
        return bool(
            self._run(f"UPDATE erased SET readmitted_utc = ? WHERE sha256 = ? AND {_STANDS}", (now_utc, content))
        )


def _names(path: str, files: set[str], sources: Sequence[str]) -> bool:
    end = "/" + path.removeprefix("./").rstrip("/")
    return any(f == path or f.endswith(end) for f in (*files, *sources))
