"""Issues: evidence that could not be used. What is said at one place in one stage stands until that stage is done
there again; all that one run says of it stands side by side.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from imgmatch.locator import Locator
from imgmatch.types import Evidence, Issue
from indexer.catalogue.sql import Reads, Writes
from indexer.catalogue.table import Copied, Gone, Kept, Table

FILE_STAGES = ("read", "decode", "embed")
"""Stages of what becomes of a file itself, in their order; it is walked (``walk``) besides, for what lies in it."""
TABLE_STAGES = ("labels", "manifest", "import")
"""Stages of tables from outside: what is said of their rows is no issue of evidence, and counts as none."""
OF_EVIDENCE = f"stage NOT IN {TABLE_STAGES}"
NO_PICTURE = "not_a_picture"
"""The kind of issue of a file that holds nothing to decode."""
_CLAIMED = """
    3fr 3g2 3gp 7z aff arw asf avi avif avifs bmp cr2 cr3 crw dcm dds dib djvu dng e01 emf eps erf ex01 exr flif flv
    gif gz hdr heic heics heif heifs hif ico iso j2k jfif jif jls jp2 jpe jpeg jpf jpg jpm jpx jxl jxr kdc m2ts m4v
    mdf mef mkv mng mov mp4 mpeg mpg mpo mrw mts nef nrw orf pbm pcx pdf pef pgm pic pict pjpeg png pnm ppm psb psd
    qoi raf rar raw rw2 rwl s01 sr2 srf srw svg svgz tar tga tgz thm tif tiff ts vhd vhdx vmdk vob wbmp wdp webm
    webp wmf wmv x3f xcf zip
"""
_CLAIMS = tuple(_CLAIMED.split())
"""Endings of the names of pictures, videos, documents, archives and disk images: a file that is called so, and whose
content is none, was one and is damaged, is locked, or is not what it says.
"""
PLAINLY_NONE = f"error = '{NO_PICTURE}' AND what NOT IN {_CLAIMS}"


def plainly_no_picture(issue: Issue) -> bool:
    """Whether a file is simply something else than a picture (a text, a program), by its content and by its name."""
    return issue.error == NO_PICTURE and issue.what not in _CLAIMS


_ALL = "locator, stage, error, message, sha256, size_bytes, modified_ns, changed_ns, seen_utc, run_id, what, beside"
_PAST = "run_id, locator, stage, error, message, sha256, size_bytes, seen_utc, what, beside"
_SAME = (
    "locator = :locator AND stage = :stage AND run_id = :run_id AND error = :error AND message = :message"
    " AND seen_utc = :seen_utc"
)
_FILES = "count(DISTINCT locator)"

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
            # Up to then a place had one issue. ``what``: as of an Issue; ``beside``: the place counts as a file by
            # something else too, which is an item, ignored, unchanged or another issue.
            10: """
            CREATE TABLE issues_of_stages (
                issue_id INTEGER PRIMARY KEY,
                locator TEXT NOT NULL,
                stage TEXT NOT NULL,
                error TEXT NOT NULL,
                message TEXT NOT NULL,
                sha256 BLOB,
                size_bytes INTEGER,
                modified_ns INTEGER,
                changed_ns INTEGER,
                seen_utc TEXT NOT NULL,
                run_id INTEGER NOT NULL REFERENCES runs,
                what TEXT NOT NULL DEFAULT '',
                beside INTEGER NOT NULL DEFAULT 0,
                UNIQUE (locator, stage, error, message)
            ) STRICT;
            INSERT INTO issues_of_stages SELECT issue_id, locator, stage, error, message, sha256, size_bytes,
                modified_ns, changed_ns, seen_utc, run_id, '', 0 FROM issues;
            DROP TABLE issues;
            ALTER TABLE issues_of_stages RENAME TO issues;
            CREATE INDEX issues_by_run ON issues (run_id);
            """,
        },
        delete=Gone("place", "content"),
        # Not where this case has said something of that stage at the place, or found an item there: that stands.
        merge=Copied(
            f"SELECT {_ALL} FROM issues ORDER BY issue_id",
            f"INSERT INTO issues ({_ALL}) SELECT :{_ALL.replace(', ', ', :')}"
            " WHERE NOT EXISTS (SELECT 1 FROM issues WHERE locator = :locator AND stage = :stage AND run_id <> :run_id)"
            " AND NOT EXISTS (SELECT 1 FROM past_issues WHERE locator = :locator AND stage = :stage"
            " AND run_id <> :run_id)"
            " AND (:stage = 'walk' OR NOT EXISTS (SELECT 1 FROM sightings WHERE locator = :locator))"
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
            """,
            10: """
            ALTER TABLE past_issues ADD COLUMN what TEXT NOT NULL DEFAULT '';
            ALTER TABLE past_issues ADD COLUMN beside INTEGER NOT NULL DEFAULT 0;
            """,
        },
        delete=Gone("place", "content"),
        # Those that stand there and not here are past here: their run goes on saying so. Comes after ``issues``.
        merge=Copied(
            f"SELECT {_PAST} FROM past_issues UNION ALL SELECT {_PAST} FROM issues",
            f"INSERT INTO past_issues ({_PAST}) SELECT :{_PAST.replace(', ', ', :')}"
            f" WHERE NOT EXISTS (SELECT 1 FROM past_issues WHERE {_SAME})"
            f" AND NOT EXISTS (SELECT 1 FROM issues WHERE {_SAME})",
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
    beside: bool
    """Its place counts as a file by something else: an item, say, of which a further page can't be read."""


class KindRow(NamedTuple):
    """How many files have an issue of a kind, of one thing: a format, a limit, a package ("": no more is known)."""

    error: str
    what: str
    files: int


class IssueReads(Reads):
    """What could not be used."""

    def all(self) -> Iterator[IssueRow]:
        """Every issue that stands, streamed, oldest first."""
        for locator, stage, error, message, what, sha256, seen, run_id, beside in self._stream(
            "SELECT locator, stage, error, message, what, lower(hex(sha256)), seen_utc, run_id, beside FROM issues"
            " ORDER BY issue_id"
        ):
            issue = Issue(Locator.parse(locator), stage, error, message, what)
            yield IssueRow(issue, sha256 or None, seen, run_id, bool(beside))

    def kinds(self, run_id: int | None = None) -> dict[str, int]:
        """How many files have issues of each kind, most frequent first; of those that stand, all or a run's. Rows of
        tables are no files.
        """
        of, parameters = _of(run_id)
        return dict(
            self._rows(f"SELECT error, {_FILES} FROM issues WHERE {of} GROUP BY 1 ORDER BY 2 DESC, 1", parameters)
        )

    def unsupported(self, run_id: int | None = None) -> dict[str, int]:
        """How many files of each format that is not supported, as ``kinds``."""
        return {row.what: row.files for row in self.by_kind(run_id) if row.error == "unsupported"}

    def by_kind(self, run_id: int | None = None) -> list[KindRow]:
        """How many files have issues of each kind and thing, as ``kinds``."""
        of, parameters = _of(run_id)
        sql = f"SELECT error, what, {_FILES} FROM issues WHERE {of} GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2"
        return [KindRow(*row) for row in self._rows(sql, parameters)]

    def any(self) -> bool:
        """Does any stand?"""
        return self._one("SELECT 1 FROM issues LIMIT 1") is not None

    def stand_at(self, locator: Locator) -> bool:
        """Do some stand at a place?"""
        return self._one("SELECT 1 FROM issues WHERE locator = ? LIMIT 1", (str(locator),)) is not None


class IssueWrites(Writes, IssueReads):
    """Recording what could not be used."""

    def add(
        self,
        issue: Issue,
        now_utc: str,
        run_id: int,
        sha256: str | None = None,
        evidence: Evidence | None = None,
        beside: bool = False,
    ) -> bool:
        """Record an issue beside all that this run said of its place; what earlier runs said of its stage, or of one
        that a file got past to come here, is settled. False when the place had an issue already.
        """
        locator = str(issue.locator)
        known = self.stand_at(issue.locator)
        at = FILE_STAGES.index(issue.stage) if issue.stage in FILE_STAGES else None
        settle(self._db, locator, (issue.stage,) if at is None else FILE_STAGES[: at + 1], run_id)
        told = (locator, issue.stage, issue.error, issue.message)
        _move(self._db, "locator = ? AND stage = ? AND error = ? AND message = ?", told)  # where it is met twice
        content = bytes.fromhex(sha256) if sha256 else None
        times = (evidence.size_bytes, evidence.modified_ns, evidence.changed_ns) if evidence else (None, None, None)
        marks = ", ".join("?" * (_ALL.count(",") + 1))
        row = (*told, content, *times, now_utc, run_id, issue.what, beside)
        self._run(f"INSERT INTO issues ({_ALL}) VALUES ({marks})", row)
        return not known

    def walked(self, locator: Locator, run_id: int, *, itself: bool, left_closed: Sequence[str] = ()) -> None:
        """Settle what earlier runs said of a place that a run has walked without a fault, but for what they said of it
        as containers that this one has ``left_closed``; also what became of it as a file, where it is none of its own
        (``itself``).
        """
        settle(self._db, str(locator), ("walk",) if itself else ("walk", *FILE_STAGES), run_id, left_closed)

    def clear(self, stem: str) -> None:
        """Settle the issues at places that begin so."""
        _move(self._db, "locator >= ? AND locator < ?", (stem, f"{stem}\U0010ffff"))


def _of(run_id: int | None) -> tuple[str, tuple[int, ...]]:
    return (OF_EVIDENCE, ()) if run_id is None else (f"{OF_EVIDENCE} AND run_id = ?", (run_id,))


def settle(db: sqlite3.Connection, locator: str, stages: Sequence[str], run_id: int, but: Sequence[str] = ()) -> None:
    """Take what earlier runs said of a place in some stages, but not of some things, out of what stands; it stays known
    as theirs.
    """
    among, of = (", ".join("?" * len(each)) for each in (stages, but))
    where = f"locator = ? AND stage IN ({among}) AND run_id <> ? AND what NOT IN ({of})"
    _move(db, where, (locator, *stages, run_id, *but))


def _move(db: sqlite3.Connection, where: str, parameters: Sequence[Any]) -> None:
    if db.execute(f"SELECT 1 FROM issues WHERE {where} LIMIT 1", parameters).fetchone():
        db.execute(f"INSERT INTO past_issues ({_PAST}) SELECT {_PAST} FROM issues WHERE {where}", parameters)
        db.execute(f"DELETE FROM issues WHERE {where}", parameters)
