"""Issues: evidence that could not be used."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

from imgmatch.locator import Locator
from imgmatch.types import Evidence, Issue
from indexer.catalogue.sql import Reads, Writes
from indexer.catalogue.table import Copied, Gone, Kept, Table

_PAST = "run_id, locator, stage, error, message, sha256, size_bytes, seen_utc"

TABLES = (
    Table(
        "issues",
        {
            1: """
            CREATE TABLE issues (
                issue_id INTEGER PRIMARY KEY,
                locator TEXT NOT NULL UNIQUE,
                stage TEXT NOT NULL,
                error TEXT NOT NULL,
                message TEXT NOT NULL,
                sha256 BLOB,
                size_bytes INTEGER,
                modified_ns INTEGER,
                changed_ns INTEGER,
                seen_utc TEXT NOT NULL,
                run_id INTEGER NOT NULL REFERENCES runs
            ) STRICT;
            """,
            9: "CREATE INDEX issues_by_run ON issues (run_id);",
        },
        delete=Gone("place"),
        # Not where this case knows the place: what it says of it stands.
        merge=Copied(
            "SELECT locator, stage, error, message, sha256, size_bytes, modified_ns, changed_ns, seen_utc, run_id"
            " FROM issues ORDER BY issue_id",
            "INSERT INTO issues (locator, stage, error, message, sha256, size_bytes, modified_ns, changed_ns, seen_utc,"
            " run_id) SELECT :locator, :stage, :error, :message, :sha256, :size_bytes, :modified_ns, :changed_ns,"
            " :seen_utc, :run_id WHERE NOT EXISTS (SELECT 1 FROM sightings WHERE locator = :locator)"
            " ON CONFLICT DO NOTHING",
        ),
        compact=Kept(),
    ),
    # Issues that a later reading has settled or replaced: what a run could not use stays known.
    Table(
        "past_issues",
        {
            9: """
            CREATE TABLE past_issues (
                run_id INTEGER NOT NULL REFERENCES runs,
                locator TEXT NOT NULL,
                stage TEXT NOT NULL,
                error TEXT NOT NULL,
                message TEXT NOT NULL,
                sha256 BLOB,
                size_bytes INTEGER,
                seen_utc TEXT NOT NULL
            ) STRICT;
            CREATE INDEX past_issues_by_run ON past_issues (run_id);
            CREATE INDEX past_issues_by_place ON past_issues (locator);
            """
        },
        delete=Gone("place"),
        # Those that stand there and not here are past here: their run goes on saying so. Comes after ``issues``.
        merge=Copied(
            f"SELECT {_PAST} FROM past_issues UNION ALL SELECT {_PAST} FROM issues",
            "INSERT INTO past_issues SELECT :run_id, :locator, :stage, :error, :message, :sha256, :size_bytes,"
            " :seen_utc WHERE NOT EXISTS (SELECT 1 FROM past_issues WHERE locator = :locator AND run_id = :run_id"
            " AND error = :error AND seen_utc = :seen_utc)"
            " AND NOT EXISTS (SELECT 1 FROM issues WHERE locator = :locator AND run_id = :run_id"
            " AND error = :error AND seen_utc = :seen_utc)",
        ),
        compact=Kept(),
    ),
)


class IssueRow(NamedTuple):
    """A recorded issue, with when it was seen and by which run."""

    issue: Issue
    sha256: str | None
    seen_utc: str
    run_id: int


class IssueReads(Reads):
    """What could not be used."""

    def all(self) -> Iterator[IssueRow]:
        """Every issue that stands, streamed, oldest first."""
        for locator, stage, error, message, sha256, seen, run_id in self._stream(
            "SELECT locator, stage, error, message, lower(hex(sha256)), seen_utc, run_id FROM issues ORDER BY issue_id"
        ):
            yield IssueRow(Issue(Locator.parse(locator), stage, error, message), sha256 or None, seen, run_id)

    def kinds(self) -> dict[str, int]:
        """How many issues of each kind, most frequent first."""
        return dict(self._rows("SELECT error, count(*) FROM issues GROUP BY error ORDER BY count(*) DESC, error"))


class IssueWrites(Writes, IssueReads):
    """Recording what could not be used."""

    def add(
        self, issue: Issue, now_utc: str, run_id: int, sha256: str | None = None, evidence: Evidence | None = None
    ) -> bool:
        """Record an issue; the newest at a place stands. False when one stood there already."""
        locator = str(issue.locator)
        replaced = settle(self._db, locator)
        content = bytes.fromhex(sha256) if sha256 else None
        times = (evidence.size_bytes, evidence.modified_ns, evidence.changed_ns) if evidence else (None, None, None)
        self._run(
            "INSERT INTO issues (locator, stage, error, message, sha256, size_bytes, modified_ns, changed_ns, seen_utc,"
            " run_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (locator, issue.stage, issue.error, issue.message, content, *times, now_utc, run_id),
        )
        return not replaced

    def clear(self, stem: str) -> None:
        """Forget the issues at places that begin so."""
        self._run("DELETE FROM issues WHERE locator >= ? AND locator < ?", (stem, f"{stem}\U0010ffff"))


def settle(db: sqlite3.Connection, locator: str) -> int:
    """Take an issue out of those that stand; it stays known as its run's. Returns how many there were."""
    db.execute(f"INSERT INTO past_issues SELECT {_PAST} FROM issues WHERE locator = ?", (locator,))
    return db.execute("DELETE FROM issues WHERE locator = ?", (locator,)).rowcount
