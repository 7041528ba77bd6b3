"""Reading the catalogue, and the transactions it is written in."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from imgmatch.errors import CaseError
from imgmatch.locator import Locator
from imgmatch.types import Box, Evidence, Issue, ModelSpec, Sighting
from indexer.catalogue import custody, runs
from indexer.catalogue.browse import Browsing
from indexer.catalogue.custody import LogState
from indexer.catalogue.facts import FactsReader
from indexer.catalogue.known import KnownReader
from indexer.catalogue.rows import (
    CalibrationRow,
    DecisionRow,
    GenerationRow,
    IssueRow,
    ItemRow,
    RemoteRow,
    SegmentRow,
    SightingRow,
)
from indexer.catalogue.schema import MIGRATIONS
from indexer.catalogue.sql import conditions, parts_of, read_as
from indexer.catalogue.tables import TableReading
from indexer.catalogue.vics_media import VicsReading
from indexer.catalogue.writer import Writer
from indexer.search.filters import Filter

_BUSY_MS = 30_000


class Catalogue(Browsing, KnownReader, FactsReader, TableReading, VicsReading):
    """Connections to ``catalogue.sqlite``, one a thread. Raises CaseError, naming the file, when it is damaged."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        self._open: list[sqlite3.Connection] = []
        self._lock = threading.Lock()

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
        db = sqlite3.connect(
            self.path, timeout=_BUSY_MS / 1000, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        db.execute("PRAGMA foreign_keys = ON")
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
        except sqlite3.OperationalError as error:
            hint = "wait for the other program" if "locked" in str(error) else "check disk space and rights"
            raise CaseError(f"{self.path}: {_one_line(error)}; {hint}") from error
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # its messages quote what may be no text
            what = f"damaged catalogue ({_one_line(error)})"
            raise CaseError(f"{self.path}: {what}; restore it from a copy of the case") from error

    def _rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._naming():
            return self._db.execute(sql, parameters).fetchall()

    def _stream(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        with self._naming():
            yield from self._db.execute(sql, parameters)

    def _one(self, sql: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        rows = self._rows(sql, parameters)
        return rows[0] if rows else None

    @contextmanager
    def transaction(self) -> Iterator[Writer]:
        """All or nothing: what is written inside is committed together, on disk, when the block ends without error."""
        with self._naming():
            db = self._writing
            db.execute("BEGIN IMMEDIATE")
            try:
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

    # --- format

    def create(self) -> None:
        """Make the tables of the newest format in an empty file."""
        self.migrate()

    def migrate(self) -> None:
        """Bring an older format up to this version's. Raises CaseError on a newer one."""
        with self._naming():
            version = self.format_version()
            if version > len(MIGRATIONS):
                raise CaseError(
                    f"{self.path}: written by a newer imgmatch (format {version}, this one knows {len(MIGRATIONS)}); "
                    "update imgmatch"
                )
            for number in range(version, len(MIGRATIONS)):
                self._db.executescript(f"BEGIN; {MIGRATIONS[number]} PRAGMA user_version = {number + 1}; COMMIT;")

    def format_version(self) -> int:
        """The format the file has; 0 for an empty one."""
        return int(self._rows("PRAGMA user_version")[0][0])

    def integrity(self) -> list[str]:
        """What SQLite's own check finds wrong, and rows that point nowhere; empty when all is well."""
        faults = [str(row[0]) for row in self._rows("PRAGMA integrity_check(20)") if row[0] != "ok"]
        faults += [
            f"table {row[0]}, row {row[1]}: points to a missing row of {row[2]}"
            for row in self._rows("PRAGMA foreign_key_check")
        ]
        bare = self._rows("SELECT count(*) FROM items WHERE item_id NOT IN (SELECT item_id FROM sightings)")[0][0]
        if bare:
            faults.append(f"{bare} items without a sighting")
        return faults

    def require_sound(self) -> None:
        """Raises CaseError where SQLite's own check finds a fault."""
        faults = self.integrity()
        if faults:
            what = " ".join(faults[0].split())
            raise CaseError(f"{self.path}: damaged catalogue ({what}); restore it from a copy of the case")

    # --- reading

    def meta(self) -> dict[str, str]:
        """What was said of the case when it was made."""
        return dict(self._rows("SELECT key, value FROM meta"))

    def counts(self) -> dict[str, int]:
        """How many items, sightings, issues, vectors, segments, labels, partial items and ignored files
        there are.
        """
        row = self._rows(
            "SELECT (SELECT count(*) FROM items), (SELECT count(*) FROM sightings), (SELECT count(*) FROM issues),"
            " (SELECT coalesce(sum(rows), 0) FROM segments) - (SELECT count(*) FROM tombstones),"
            " (SELECT count(*) FROM segments),"
            " (SELECT count(DISTINCT item_id) FROM labels), (SELECT count(*) FROM items WHERE partial IS NOT NULL),"
            " (SELECT count(DISTINCT locator) FROM listed_files WHERE ignored)"
        )[0]
        names = (
            "items", "sightings", "issues", "vectors", "segments", "labelled_items", "partial_items", "ignored_files",
        )  # fmt: skip
        return dict(zip(names, row, strict=True))

    def issue_kinds(self) -> dict[str, int]:
        """How many issues of each kind, most frequent first."""
        return dict(self._rows("SELECT error, count(*) FROM issues GROUP BY error ORDER BY count(*) DESC, error"))

    def run(self, run_id: int) -> dict[str, Any] | None:
        """A run with its arguments and totals (None: not finished), or None."""
        with self._naming():
            return runs.run(self._db, run_id)

    def found_by(self, run_id: int) -> Iterator[dict[str, Any]]:
        """Every sighting that a run made or read again, streamed."""
        with self._naming():
            yield from runs.found(self._db, run_id)

    def skipped_by(self, run_id: int) -> Iterator[dict[str, Any]]:
        """Every issue of a run, settled ones too, streamed."""
        with self._naming():
            yield from runs.skipped(self._db, run_id)

    def ignored_by(self, run_id: int) -> Iterator[dict[str, Any]]:
        """Every file that a run left out by hash lists, streamed."""
        with self._naming():
            yield from runs.ignored(self._db, run_id)

    def last_run(self, command: str) -> dict[str, Any] | None:
        """The latest run of a command, or None."""
        row = self._one(
            "SELECT run_id, version, runtime, started_utc, finished_utc, counts_json FROM runs WHERE command = ?"
            " ORDER BY run_id DESC LIMIT 1",
            (command,),
        )
        if row is None:
            return None
        return {
            "run_id": row[0],
            "version": row[1],
            "runtime": row[2],
            "started_utc": row[3],
            "finished_utc": row[4],
            "counts": json.loads(row[5]) if row[5] else None,
        }

    def models(self) -> list[tuple[int, ModelSpec]]:
        """Every model that has made vectors here, with its id."""
        rows = self._rows("SELECT model_id, spec_json FROM models ORDER BY model_id")
        return [(model_id, ModelSpec(**json.loads(spec))) for model_id, spec in rows]

    def model_id(self, spec: ModelSpec) -> int | None:
        """The id of exactly this model (same name, same weights), or None."""
        row = self._one(
            "SELECT model_id FROM models WHERE name = ? AND weights_sha256 = ?", (spec.name, spec.weights_sha256)
        )
        return None if row is None else int(row[0])

    def segments(self, model_id: int | None = None) -> list[SegmentRow]:
        """Committed segments, of one model or of all, in the order of their vector ids."""
        where, parameters = ("WHERE model_id = ?", (model_id,)) if model_id is not None else ("", ())
        rows = self._rows(
            "SELECT model_id, segments.name, first_vector_id, rows, sha256, dim, ids FROM segments"
            f" JOIN models USING (model_id) {where} ORDER BY first_vector_id",
            parameters,
        )
        return [SegmentRow(*row) for row in rows]

    def state(self) -> dict[str, int]:
        """Counters that change whenever vectors are added, deleted, compacted or indexed."""
        return dict(self._rows("SELECT key, value FROM state"))

    def data_version(self) -> tuple[int, int]:
        """Changes whenever this or another process has committed anything, but for this one's audit entries."""
        return int(self._rows("PRAGMA data_version")[0][0]), self._db.total_changes - self._log_changes

    def log_state(self) -> LogState | None:
        """What the audit log must be; None in a case of an older format whose log nothing was added to since."""
        with self._naming():
            return custody.read(self._db)

    def tombstones(self, model_id: int) -> list[int]:
        """Vector ids of a model's rows that were deleted and not yet compacted away, ascending."""
        return [
            row[0] for row in self._rows("SELECT vector_id FROM tombstones WHERE model_id = ? ORDER BY 1", (model_id,))
        ]

    def generation(self, model_id: int) -> GenerationRow | None:
        """The index of a model that is in use."""
        row = self._one("SELECT name, manifest_sha256 FROM generations WHERE model_id = ?", (model_id,))
        return None if row is None else GenerationRow(*row)

    def remote(self, role: str = "current") -> RemoteRow | None:
        """The Milvus collection in use; or the one that a move is filling ("coming"), or emptying ("leaving")."""
        row = self._one("SELECT uri, collection, namespace FROM remotes WHERE role = ?", (role,))
        return None if row is None else RemoteRow(*row)

    def sent(self, namespace: str, model_id: int) -> int:
        """Up to which vector id a model's rows have been sent to a collection; 0: none."""
        row = self._one("SELECT vector_id FROM sent WHERE namespace = ? AND model_id = ?", (namespace, model_id))
        return 0 if row is None else int(row[0])

    def generation_names(self) -> set[str]:
        """Folders of all indexes in use."""
        return {row[0] for row in self._rows("SELECT name FROM generations")}

    def vector_count(self, model_id: int, first: int = 0, last: int = 2**62) -> int:
        """How many live vectors of a model there are between two ids, both included."""
        return int(
            self._rows(
                "SELECT coalesce(sum(model_id = ?), 0) FROM vectors WHERE vector_id BETWEEN ? AND ?",
                (model_id, first, last),
            )[0][0]
        )

    def matching(self, model_id: int, wanted: Filter) -> Iterator[int]:
        """Ids of a model's vectors whose items pass a filter, ascending."""
        where, parameters = conditions(wanted)
        sql = "SELECT vector_id FROM vectors WHERE model_id = ?" + "".join(f" AND {part}" for part in where)
        for (vector_id,) in self._stream(f"{sql} ORDER BY vector_id", (model_id, *parameters)):
            yield vector_id

    def items_unseen(self) -> list[int]:
        """Items without a sighting."""
        sql = "SELECT item_id FROM items WHERE item_id NOT IN (SELECT item_id FROM sightings)"
        return [row[0] for row in self._rows(sql)]

    def checkpoint(self) -> None:
        """Bring everything from the write-ahead log into the file, and empty the log, unless somebody reads."""
        self._rows("PRAGMA wal_checkpoint(TRUNCATE)")

    def item_rows(self, after: int, limit: int) -> list[tuple[Any, ...]]:
        """Items with ids above ``after``, every column, for another case."""
        return self._rows(
            "SELECT item_id, sha256, md5, sha1, size_bytes, format, width_px, height_px, orientation, partial"
            " FROM items WHERE item_id > ? ORDER BY item_id LIMIT ?",
            (after, limit),
        )

    def sighting_rows(self, item_ids: Sequence[int]) -> list[tuple[Any, ...]]:
        """Sightings of items, every column but the id, for another case."""
        return self._rows(
            "SELECT item_id, locator, modified_utc, modified_ns, changed_ns, seen_utc, run_id FROM sightings"
            " WHERE item_id IN (SELECT value FROM json_each(?)) ORDER BY sighting_id",
            (json.dumps(list(item_ids)),),
        )

    def label_rows(self, item_ids: Sequence[int]) -> list[tuple[Any, ...]]:
        """Labels of items, for another case."""
        return self._rows(
            "SELECT item_id, source, name, value FROM labels WHERE item_id IN (SELECT value FROM json_each(?))",
            (json.dumps(list(item_ids)),),
        )

    def vector_rows(self, item_ids: Sequence[int], model_id: int) -> list[tuple[Any, ...]]:
        """Vectors of items by a model: item, id, region."""
        return self._rows(
            "SELECT item_id, vector_id, x_px, y_px, width_px, height_px FROM vectors"
            " WHERE model_id = ? AND item_id IN (SELECT value FROM json_each(?)) ORDER BY vector_id",
            (model_id, json.dumps(list(item_ids))),
        )

    def limits(self) -> dict[str, int]:
        """The widest limits that runs were given, by name; one that none was given is not among them."""
        return runs.limits(self._db)

    def run_rows(self) -> list[tuple[Any, ...]]:
        """Runs, every column, oldest first, for another case."""
        return self._rows(
            "SELECT run_id, command, version, runtime, arguments_json, started_utc, finished_utc, counts_json FROM runs"
            " ORDER BY run_id"
        )

    def merged_runs(self, case_id: str) -> dict[int, int]:
        """Another case's run ids to those which they have here."""
        sql = "SELECT json_extract(arguments_json, '$.merged_run'), run_id FROM runs WHERE command LIKE 'merged %'"
        return dict(self._rows(f"{sql} AND json_extract(arguments_json, '$.merged_case') = ?", (case_id,)))

    def issue_rows(self) -> Iterator[tuple[Any, ...]]:
        """Issues, every column but the id, for another case."""
        yield from self._stream(
            "SELECT locator, stage, error, message, sha256, size_bytes, modified_ns, changed_ns, seen_utc, run_id"
            " FROM issues ORDER BY issue_id"
        )

    def merged_to(self, case_id: str) -> tuple[int, int] | None:
        """How far another case has been merged: the run that does it and the last of its items."""
        row = self._one("SELECT run_id, item_id FROM merges WHERE case_id = ?", (case_id,))
        return None if row is None else (int(row[0]), int(row[1]))

    def regions(self, vector_ids: Sequence[int]) -> dict[int, Box]:
        """The parts of pictures that some vectors are of; those of a whole picture are left out."""
        sql = (
            "SELECT vector_id, x_px, y_px, width_px, height_px FROM vectors"
            " WHERE x_px IS NOT NULL AND vector_id IN (SELECT value FROM json_each(?))"
        )
        return {row[0]: (row[1], row[2], row[3], row[4]) for row in self._rows(sql, (json.dumps(list(vector_ids)),))}

    def profiles(self) -> dict[str, int]:
        """How many items have been read in each way beyond the whole picture, by any model."""
        return dict(self._rows("SELECT profile, count(DISTINCT item_id) FROM profiles GROUP BY profile ORDER BY 1"))

    def profile_rows(self, item_ids: Sequence[int], model_id: int) -> list[tuple[int, str]]:
        """How a model has read items: item, profile; for another case."""
        sql = "SELECT item_id, profile FROM profiles WHERE model_id = ? AND item_id IN (SELECT value FROM json_each(?))"
        return [(row[0], row[1]) for row in self._rows(sql, (model_id, json.dumps(list(item_ids))))]

    def stamps(self) -> dict[str, str]:
        """Segment files that were verified, and how they looked then."""
        return dict(self._rows("SELECT name, stamp FROM verified"))

    def has_vectors(self, sha256: str, model_id: int, profile: str | None = None) -> bool:
        """Is this content already embedded by this model (with ``profile``: in this way)?"""
        sql = f"SELECT 1 FROM items JOIN vectors v USING (item_id) WHERE sha256 = ? AND model_id = ?{read_as(profile)}"
        key = (bytes.fromhex(sha256), model_id, *([profile] if profile else []))
        return self._one(f"{sql} LIMIT 1", key) is not None

    def unchanged(self, evidence: Evidence, model_id: int, version: str, profile: str | None = None) -> str | None:
        """Was this very file (place, size, both times) read before (with ``profile``: in this way)? "sighting",
        "issue" (same version), "ignored" (by a list that still stands) or None.
        """
        key = (str(evidence.locator), evidence.size_bytes, evidence.modified_ns, evidence.changed_ns)
        seen = self._one(
            "SELECT 1 FROM sightings JOIN items i USING (item_id) JOIN vectors v USING (item_id)"
            " WHERE locator = ? AND i.size_bytes = ? AND modified_ns = ? AND changed_ns = ? AND model_id = ?"
            f"{read_as(profile)} LIMIT 1",
            (*key, model_id, *([profile] if profile else [])),
        )
        if seen is not None:
            return "sighting"
        seen = self._one(
            "SELECT 1 FROM issues JOIN runs USING (run_id)"
            " WHERE locator = ? AND size_bytes = ? AND modified_ns = ? AND changed_ns = ? AND version = ?",
            (*key, version),
        )
        if seen is not None:
            return "issue"
        return "ignored" if self.is_ignored(evidence) else None

    def item_ids(self, vector_ids: Iterable[int]) -> dict[int, int]:
        """The item that owns each vector."""
        ids = list(dict.fromkeys(int(v) for v in vector_ids))
        found: dict[int, int] = {}
        for part in parts_of(ids):
            marks = ",".join("?" * len(part))
            found.update(self._rows(f"SELECT vector_id, item_id FROM vectors WHERE vector_id IN ({marks})", part))
        return found

    def items(self, item_ids: Iterable[int]) -> dict[int, ItemRow]:
        """Items by id."""
        ids = list(dict.fromkeys(item_ids))
        found: dict[int, ItemRow] = {}
        for part in parts_of(ids):
            marks = ",".join("?" * len(part))
            for row in self._rows(
                "SELECT item_id, lower(hex(sha256)), lower(hex(md5)), lower(hex(sha1)), size_bytes, format, width_px,"
                " height_px, partial FROM items"
                f" WHERE item_id IN ({marks})",
                part,
            ):
                found[row[0]] = ItemRow(row[0], row[1], row[2], row[3] or None, *row[4:])
        return found

    def item_ids_after(self, after: int, limit: int) -> list[int]:
        """Ids of items above ``after``, ascending."""
        sql = "SELECT item_id FROM items WHERE item_id > ? ORDER BY item_id LIMIT ?"
        return [row[0] for row in self._rows(sql, (after, limit))]

    def item_by_sha256(self, sha256: str) -> int | None:
        """The item with this content, or None."""
        row = self._one("SELECT item_id FROM items WHERE sha256 = ?", (bytes.fromhex(sha256),))
        return None if row is None else int(row[0])

    def item_at(self, locator: Locator) -> int | None:
        """The item last seen at a place, or None."""
        row = self._one(
            "SELECT item_id FROM sightings WHERE locator = ? ORDER BY sighting_id DESC LIMIT 1", (str(locator),)
        )
        return None if row is None else int(row[0])

    def sightings(self, item_ids: Iterable[int]) -> dict[int, list[Sighting]]:
        """Every sighting of each item, in the order they were made."""
        ids = list(dict.fromkeys(item_ids))
        found: dict[int, list[Sighting]] = {item_id: [] for item_id in ids}
        for part in parts_of(ids):
            marks = ",".join("?" * len(part))
            for item_id, locator, modified in self._rows(
                f"SELECT item_id, locator, modified_utc FROM sightings WHERE item_id IN ({marks}) ORDER BY sighting_id",
                part,
            ):
                found[item_id].append(Sighting(Locator.parse(locator), modified))
        return found

    def all_sightings(self) -> Iterator[SightingRow]:
        """Every sighting with its item's content, streamed in the order they were made."""
        for locator, item_id, sha256, size in self._stream(
            "SELECT locator, item_id, hex(sha256), size_bytes FROM sightings JOIN items USING (item_id)"
            " ORDER BY sighting_id"
        ):
            yield SightingRow(Locator.parse(locator), item_id, sha256.lower(), size)

    def labels(self, item_ids: Iterable[int]) -> dict[int, dict[str, tuple[str, ...]]]:
        """Labels of each item: column name to the values its sources gave, sorted."""
        ids = list(dict.fromkeys(item_ids))
        found: dict[int, dict[str, tuple[str, ...]]] = {item_id: {} for item_id in ids}
        for part in parts_of(ids):
            marks = ",".join("?" * len(part))
            for item_id, name, value in self._rows(
                f"SELECT DISTINCT item_id, name, value FROM labels WHERE item_id IN ({marks}) ORDER BY name, value",
                part,
            ):
                found[item_id][name] = (*found[item_id].get(name, ()), value)
        return found

    def item_count(self, model_id: int, wanted: Filter | None = None) -> int:
        """How many items a model has embedded, of those that pass a filter."""
        where, parameters = conditions(wanted) if wanted else ([], [])
        sql = "SELECT count(DISTINCT item_id) FROM vectors WHERE model_id = ?" + "".join(f" AND {p}" for p in where)
        return int(self._rows(sql, (model_id, *parameters))[0][0])

    def sample(self, model_id: int, count: int) -> list[tuple[int, str]]:
        """The first items, with a vector by this model, in the order of their SHA-256: a sample that is the same
        whatever order they came in. Item id and SHA-256.
        """
        rows = self._rows(
            "SELECT item_id, lower(hex(sha256)) FROM items WHERE EXISTS (SELECT 1 FROM vectors"
            " WHERE vectors.item_id = items.item_id AND model_id = ?) ORDER BY sha256 LIMIT ?",
            (model_id, count),
        )
        return [(row[0], row[1]) for row in rows]

    def calibration(self, model_id: int) -> CalibrationRow | None:
        """The stored calibration of a model."""
        row = self._one(
            "SELECT background, items, calibration_json, made_utc FROM calibrations WHERE model_id = ?", (model_id,)
        )
        return None if row is None else CalibrationRow(row[0], row[1], json.loads(row[2]), row[3])

    def decisions(self) -> Iterator[DecisionRow]:
        """Every decision, also those that later ones replaced, oldest first."""
        for row in self._stream(
            "SELECT decision_id, lower(hex(query_sha256)), lower(hex(item_sha256)), verdict, note, examiner, account,"
            " decided_utc FROM decisions ORDER BY decided_utc, decision_id"
        ):
            yield DecisionRow(*row)

    def verdicts(self, sha256: str) -> dict[str, str]:
        """What stands of a content with each other one (SHA-256, either way round): confirmed or rejected."""
        content = bytes.fromhex(sha256)
        return dict(
            self._rows(
                "SELECT lower(hex(other)), verdict FROM (SELECT decision_id, decided_utc, item_sha256 AS other, verdict"
                " FROM decisions WHERE query_sha256 = ?1"
                " UNION ALL SELECT decision_id, decided_utc, query_sha256, verdict FROM decisions"
                " WHERE item_sha256 = ?1) ORDER BY decided_utc, decision_id",
                (content,),
            )
        )

    def issues(self) -> Iterator[IssueRow]:
        """Every recorded issue, streamed, oldest first."""
        for locator, stage, error, message, sha256, seen, run_id in self._stream(
            "SELECT locator, stage, error, message, lower(hex(sha256)), seen_utc, run_id FROM issues ORDER BY issue_id"
        ):
            yield IssueRow(Issue(Locator.parse(locator), stage, error, message), sha256 or None, seen, run_id)


def _one_line(error: Exception) -> str:
    """SQLite quotes a damaged schema with its line ends."""
    return " ".join(str(error).split())
