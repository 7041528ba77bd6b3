"""A catalogue's file: its connections, transactions and format; what is in it is read by subjects."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from imgmatch.errors import CaseError
from imgmatch.vault.keys import Keys, Seal
from indexer.catalogue import cipher
from indexer.catalogue.containers import ContainerReads
from indexer.catalogue.custody import CustodyReads
from indexer.catalogue.decisions import DecisionReads
from indexer.catalogue.erasures import ErasureReads
from indexer.catalogue.faces import FaceReads
from indexer.catalogue.facts import FactReads
from indexer.catalogue.indexes import IndexReads
from indexer.catalogue.issues import OF_EVIDENCE, PLAINLY_NONE, IssueReads
from indexer.catalogue.items import ItemReads
from indexer.catalogue.labels import LabelReads
from indexer.catalogue.listed import ListedReads
from indexer.catalogue.lists import ListReads
from indexer.catalogue.meta import MetaReads
from indexer.catalogue.models import ModelReads
from indexer.catalogue.registry import FORMAT, bring_up, undeclared
from indexer.catalogue.releases import ReleaseReads
from indexer.catalogue.relocations import RelocationReads
from indexer.catalogue.runs import RunReads
from indexer.catalogue.segments import SegmentReads
from indexer.catalogue.sightings import SightingReads
from indexer.catalogue.sql import Parameters, Row, named
from indexer.catalogue.vectors import VectorReads
from indexer.catalogue.vics import VicsReads
from indexer.catalogue.writer import Writer

_BUSY_MS = 30_000


class Catalogue:
    """Connections to ``catalogue.sqlite``, one a thread. Raises CaseError, naming the file, when it is damaged."""

    def __init__(
        self,
        path: Path,
        *,
        read_only: bool = False,
        copy_of: Path | None = None,
        keys: Keys | None = None,
        require_current: Callable[[], None] = lambda: None,
    ) -> None:
        """``read_only``: of a file that nobody writes to meanwhile, and that has nothing in a write-ahead log; nothing
        is made or changed beside it. ``copy_of``: what errors name, where this is a copy of it. ``keys``: of an
        encrypted case. ``require_current`` raises CaseError where this file is the case's no more; asked before each
        transaction.
        """
        self.keys = keys
        self._module = cipher.module(keys)
        self._require_current = require_current
        self.path = path
        self.called = copy_of or path
        self._read_only = read_only
        self._local = threading.local()
        self._open: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self.meta = MetaReads(self)
        self.custody = CustodyReads(self)
        self.models = ModelReads(self)
        self.runs = RunReads(self)
        self.items = ItemReads(self)
        self.sightings = SightingReads(self)
        self.labels = LabelReads(self)
        self.issues = IssueReads(self)
        self.segments = SegmentReads(self)
        self.vectors = VectorReads(self)
        self.indexes = IndexReads(self)
        self.facts = FactReads(self)
        self.lists = ListReads(self)
        self.listed = ListedReads(self)
        self.decisions = DecisionReads(self)
        self.erasures = ErasureReads(self)
        self.vics = VicsReads(self)
        self.containers = ContainerReads(self)
        self.faces = FaceReads(self)
        self.relocations = RelocationReads(self)
        self.releases = ReleaseReads(self)

    def seal(self, purpose: str) -> Seal | None:
        """What seals the case's files for a purpose; None where it is not encrypted."""
        return None if self.keys is None else self.keys.of(purpose)

    @property
    def _db(self) -> sqlite3.Connection:
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None:
            db = self._local.db = self._connect()
        return db

    @property
    def _writing(self) -> sqlite3.Connection:
        """What this thread writes by: inside a snapshot another connection than it reads by."""
        db: sqlite3.Connection = getattr(self._local, "writing", None) or self._db
        return db

    def _connect(self) -> sqlite3.Connection:
        # Closed by whichever thread closes the case, hence check_same_thread.
        name = f"{self.path.absolute().as_uri()}{'?immutable=1' if self._read_only else ''}"
        db: sqlite3.Connection = self._module.connect(
            name,
            timeout=_BUSY_MS / 1000,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
            uri=True,
        )
        cipher.unlock(db, self.keys)
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA trusted_schema = OFF")  # a case may be somebody else's
        if self._read_only:
            with self._lock:
                self._open.append(db)
            return db
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten, not only let go of
        db.execute("PRAGMA synchronous = FULL")  # a committed batch outlives a pulled plug
        with self._lock:
            self._open.append(db)
        return db

    def close(self) -> None:
        """Close every thread's connection."""
        with self._lock:
            for db in self._open:
                db.close()
            self._open.clear()
        self._local = threading.local()

    @contextmanager
    def _naming(self) -> Iterator[None]:
        """Errors of SQLite name the file and what to do."""
        try:
            yield
        except self._module.OperationalError as error:
            self._require_current()
            hint = "wait for the other program" if "locked" in str(error) else "check disk space and rights"
            raise CaseError(f"{self.called}: {_one_line(error)}; {hint}") from error
        except (self._module.DatabaseError, UnicodeDecodeError) as error:  # its messages quote what may be no text
            self._require_current()
            what = f"damaged catalogue ({_one_line(error)})"
            raise CaseError(f"{self.called}: {what}; restore it from a copy of the case") from error

    def rows(self, sql: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        """Every row of a statement."""
        with self._naming():
            return self._db.execute(sql, parameters).fetchall()

    def stream(self, sql: str, parameters: Parameters = ()) -> Iterator[tuple[Any, ...]]:
        """Rows as they are asked for."""
        with self._naming():
            for row in self._db.execute(sql, parameters):  # noqa: UP028 (it would close a cursor of a closed database)
                yield row

    def named(self, sql: str, parameters: Parameters = ()) -> Iterator[Row]:
        """Rows as they are asked for, their values by the names of the columns."""
        with self._naming():
            yield from named(self._db.execute(sql, parameters))

    @contextmanager
    def transaction(self) -> Iterator[Writer]:
        """All or nothing: what is written inside is committed together, on disk, when the block ends without error."""
        with self._naming():
            db = self._writing
            db.execute("BEGIN IMMEDIATE")
            try:
                self._require_current()
                yield Writer(db)
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:  # SQLite itself rolls back on a full disk
                    db.execute("ROLLBACK")
                raise

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Everything that this thread reads inside is of one moment, whatever is committed meanwhile, by itself too."""
        writing = self._db
        with self._naming():
            reading = self._connect()
            reading.execute("BEGIN")
        self._local.db, self._local.writing = reading, writing
        try:
            yield
        finally:
            self._local.db, self._local.writing = writing, None
            reading.execute("ROLLBACK")
            with self._lock:
                self._open.remove(reading)
            reading.close()

    @contextmanager
    def log_transaction(self, *, durable: bool = True) -> Iterator[Writer]:
        """A transaction for the audit log's head alone: ``data_version`` does not count it.

        Not ``durable``: a pulled plug (never a kill) may undo it, for what can be found out again.
        """
        with self._naming():
            db = self._writing
            before = db.total_changes
            db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            try:
                with self.transaction() as writer:
                    yield writer
            finally:
                self._local.log_changes = self._log_changes + db.total_changes - before
                db.execute("PRAGMA synchronous = FULL")

    @property
    def _log_changes(self) -> int:
        return int(getattr(self._local, "log_changes", 0))

    def state(self) -> dict[str, int]:
        """Counters that change whenever vectors are added, deleted, compacted or indexed."""
        return dict(self.rows("SELECT key, value FROM state"))

    def data_version(self) -> tuple[int, int]:
        """Changes whenever this or another process has committed anything, but for this one's audit entries."""
        return int(self.rows("PRAGMA data_version")[0][0]), self._db.total_changes - self._log_changes

    # --- format

    def create(self) -> None:
        """Make the tables of the newest format in an empty file."""
        self.migrate()

    def migrate(self) -> int:
        """Bring an older format up to this version's; returns the one that it had. Raises CaseError on a newer one."""
        with self._naming():
            version = self.format_version()
            if version > FORMAT:
                raise CaseError(
                    f"{self.called}: written by a newer imgmatch (format {version}, this one knows {FORMAT}); "
                    "update imgmatch"
                )
            bring_up(self._db, version)
            return version

    def format_version(self) -> int:
        """The format the file has; 0 for an empty one."""
        return int(self.rows("PRAGMA user_version")[0][0])

    def integrity(self) -> list[str]:
        """What SQLite's own check finds wrong, and rows that point nowhere; empty when all is well."""
        faults = [str(row[0]) for row in self.rows("PRAGMA integrity_check(20)") if row[0] != "ok"]
        if self.keys is not None:  # pages that hold nothing now, too
            faults += [str(row[0]) for row in self.rows("PRAGMA cipher_integrity_check")]
        faults += [
            f"table {row[0]}, row {row[1]}: points to a missing row of {row[2]}"
            for row in self.rows("PRAGMA foreign_key_check")
        ]
        faults += [f"table {name}: is none of this format" for name in undeclared(self)]
        bare = self.rows("SELECT count(*) FROM items WHERE item_id NOT IN (SELECT item_id FROM sightings)")[0][0]
        if bare:
            faults.append(f"{bare} items without a sighting")
        return faults

    def bound(self, most_bytes: int) -> None:
        """Values and rows longer than this are an error where this thread reads them: no memory is made for them."""
        if hasattr(self._db, "setlimit"):  # SQLCipher has none, and lets in only who was given a key
            self._db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, most_bytes)

    def require_sound(self) -> None:
        """Raises CaseError where SQLite's own check finds a fault."""
        faults = self.integrity()
        if faults:
            what = " ".join(faults[0].split())
            raise CaseError(f"{self.called}: damaged catalogue ({what}); restore it from a copy of the case")

    def rewrite(self) -> bool:
        """Write the whole file anew, so that no page holds anything but what its rows say, and empty the write-ahead
        log; False where it can't be emptied because somebody reads.
        """
        self.rows("VACUUM")
        return not self.rows("PRAGMA wal_checkpoint(TRUNCATE)")[0][0]

    def checkpoint(self) -> None:
        """Bring everything from the write-ahead log into the file, and empty the log, unless somebody reads."""
        self.rows("PRAGMA wal_checkpoint(TRUNCATE)")

    def counts(self) -> dict[str, int]:
        """How many items, sightings, places with issues, vectors, segments, labels, partial items and ignored files
        there are; ``not_pictures`` of the places with issues are simply something else.
        """
        row = self.rows(
            "SELECT (SELECT count(*) FROM items), (SELECT count(*) FROM sightings),"
            f" (SELECT count(DISTINCT locator) FROM issues WHERE {OF_EVIDENCE}),"
            " (SELECT coalesce(sum(rows), 0) FROM segments) - (SELECT count(*) FROM tombstones),"
            " (SELECT count(*) FROM segments),"
            " (SELECT count(DISTINCT item_id) FROM labels), (SELECT count(*) FROM items WHERE partial IS NOT NULL),"
            " (SELECT count(DISTINCT locator) FROM listed_files WHERE ignored),"
            f" (SELECT count(DISTINCT locator) FROM issues WHERE {PLAINLY_NONE})"
        )[0]
        names = (
            "items", "sightings", "issues", "vectors", "segments", "labelled_items", "partial_items", "ignored_files",
            "not_pictures",
        )  # fmt: skip
        return dict(zip(names, row, strict=True))


def _one_line(error: Exception) -> str:
    """SQLite quotes a damaged schema with its line ends."""
    return " ".join(str(error).split())
