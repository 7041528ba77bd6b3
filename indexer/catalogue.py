"""The catalogue of a case in SQLite: items, sightings, labels, issues, runs and which segment holds which vectors.

It is the one place that says what is committed. The only module that speaks SQL.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imgmatch.errors import CaseError
from imgmatch.locator import Locator
from imgmatch.types import Box, Digests, Evidence, Image, Issue, ModelSpec, Sighting
from indexer.filters import Filter

# One script a format version, applied in order; a script that has shipped never changes.
MIGRATIONS = (
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE models (
        model_id INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        weights_sha256 TEXT NOT NULL,
        dim INTEGER NOT NULL,
        spec_json TEXT NOT NULL,
        added_utc TEXT NOT NULL,
        UNIQUE (name, weights_sha256)
    ) STRICT;
    CREATE TABLE runs (
        run_id INTEGER PRIMARY KEY,
        command TEXT NOT NULL,
        version TEXT NOT NULL,
        runtime TEXT NOT NULL,
        arguments_json TEXT NOT NULL,
        started_utc TEXT NOT NULL,
        finished_utc TEXT,
        counts_json TEXT
    ) STRICT;
    CREATE TABLE items (
        item_id INTEGER PRIMARY KEY,
        sha256 BLOB NOT NULL UNIQUE,
        md5 BLOB NOT NULL,
        size_bytes INTEGER NOT NULL,
        format TEXT NOT NULL,
        width_px INTEGER NOT NULL,
        height_px INTEGER NOT NULL,
        orientation INTEGER NOT NULL,
        partial TEXT
    ) STRICT;
    CREATE TABLE sightings (
        sighting_id INTEGER PRIMARY KEY,
        item_id INTEGER NOT NULL REFERENCES items,
        locator TEXT NOT NULL,
        modified_utc TEXT,
        modified_ns INTEGER,
        changed_ns INTEGER,
        seen_utc TEXT NOT NULL,
        run_id INTEGER NOT NULL REFERENCES runs,
        UNIQUE (locator, item_id)
    ) STRICT;
    CREATE INDEX sightings_by_item ON sightings (item_id);
    CREATE TABLE labels (
        item_id INTEGER NOT NULL REFERENCES items,
        source TEXT NOT NULL,
        name TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (item_id, source, name)
    ) STRICT, WITHOUT ROWID;
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
    CREATE TABLE segments (
        segment_id INTEGER PRIMARY KEY,
        model_id INTEGER NOT NULL REFERENCES models,
        name TEXT NOT NULL UNIQUE,
        first_vector_id INTEGER NOT NULL UNIQUE,
        rows INTEGER NOT NULL,
        sha256 TEXT NOT NULL,
        written_utc TEXT NOT NULL
    ) STRICT;
    -- Row r of a segment is vector first_vector_id + r. A region is null for the whole picture.
    CREATE TABLE vectors (
        vector_id INTEGER PRIMARY KEY,
        item_id INTEGER NOT NULL REFERENCES items,
        model_id INTEGER NOT NULL REFERENCES models,
        x_px INTEGER, y_px INTEGER, width_px INTEGER, height_px INTEGER
    ) STRICT;
    CREATE INDEX vectors_by_item ON vectors (item_id, model_id);
    """,
    """
    -- Counters that only grow, so that no number is given twice: segments, generations, vectors, items; deletions.
    CREATE TABLE state (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    INSERT INTO state SELECT 'segments', count(*) FROM segments;
    INSERT INTO state VALUES ('generations', 0), ('deletions', 0), ('items', 0), ('vectors', 0);
    -- Little-endian int64 ids of a segment's rows, ascending; null where they are first_vector_id + row.
    ALTER TABLE segments ADD COLUMN ids BLOB;
    -- Rows of segments that belong to nothing any more: no search returns them, compact removes them.
    CREATE TABLE tombstones (
        vector_id INTEGER PRIMARY KEY,
        model_id INTEGER NOT NULL REFERENCES models
    ) STRICT;
    -- The index of each model that is in use: a folder below indexes/, and the hash of its manifest.
    CREATE TABLE generations (
        model_id INTEGER PRIMARY KEY REFERENCES models,
        name TEXT NOT NULL,
        manifest_sha256 TEXT NOT NULL,
        made_utc TEXT NOT NULL
    ) STRICT;
    -- Segment files whose hash was right when they had this size, these times and this place on the disk.
    CREATE TABLE verified (name TEXT PRIMARY KEY, stamp TEXT NOT NULL) STRICT, WITHOUT ROWID;
    -- How far another case has been merged: a run can go on where the last one stopped.
    CREATE TABLE merges (
        case_id TEXT PRIMARY KEY,
        run_id INTEGER NOT NULL REFERENCES runs,
        item_id INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    """,
    """
    -- How thoroughly a model has read an item. An item without a row has its whole picture's vector only.
    CREATE TABLE profiles (
        item_id INTEGER NOT NULL REFERENCES items,
        model_id INTEGER NOT NULL REFERENCES models,
        profile TEXT NOT NULL,
        PRIMARY KEY (item_id, model_id)
    ) STRICT, WITHOUT ROWID;
    """,
    """
    -- The scores of different pictures by a model: from which background, and how many items it was drawn from.
    CREATE TABLE calibrations (
        model_id INTEGER PRIMARY KEY REFERENCES models,
        background TEXT NOT NULL,
        items INTEGER NOT NULL,
        calibration_json TEXT NOT NULL,
        made_utc TEXT NOT NULL
    ) STRICT;
    -- What examiners said of pairs of contents; rows are only ever added, the newest of a pair stands.
    CREATE TABLE decisions (
        decision_id INTEGER PRIMARY KEY,
        query_sha256 BLOB NOT NULL,
        item_sha256 BLOB NOT NULL,
        verdict TEXT NOT NULL CHECK (verdict IN ('confirmed', 'rejected')),
        note TEXT NOT NULL,
        examiner TEXT NOT NULL,
        account TEXT NOT NULL,
        decided_utc TEXT NOT NULL
    ) STRICT;
    CREATE INDEX decisions_by_query ON decisions (query_sha256);
    CREATE INDEX decisions_by_item ON decisions (item_sha256);
    CREATE TRIGGER decisions_are_not_changed BEFORE UPDATE ON decisions
        BEGIN SELECT RAISE(ABORT, 'decisions are only added'); END;
    CREATE TRIGGER decisions_are_not_deleted BEFORE DELETE ON decisions
        BEGIN SELECT RAISE(ABORT, 'decisions are only added'); END;
    """,
    """
    -- Collections on a Milvus server that hold this case's vectors: the one in use ('current'), the one that a move
    -- fills ('coming'), and the one that it has left but not yet emptied ('leaving'). Never a token.
    CREATE TABLE remotes (
        role TEXT PRIMARY KEY CHECK (role IN ('current', 'coming', 'leaving')),
        uri TEXT NOT NULL,
        collection TEXT NOT NULL,
        namespace TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    -- Up to which vector id a model's rows have certainly been sent there.
    CREATE TABLE sent (
        namespace TEXT NOT NULL,
        model_id INTEGER NOT NULL REFERENCES models,
        vector_id INTEGER NOT NULL,
        PRIMARY KEY (namespace, model_id)
    ) STRICT, WITHOUT ROWID;
    """,
)
_BUSY_MS = 30_000
# A deleted item's id never comes back: reports and logs go on meaning what they meant.
_FREE_ITEM_ID = "max((SELECT coalesce(max(item_id), 0) FROM items), (SELECT value FROM state WHERE key = 'items')) + 1"


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """A committed segment: ``name`` is its path below ``segments/``; ``first_vector_id`` is the lowest of its ids."""

    model_id: int
    name: str
    first_vector_id: int
    rows: int
    sha256: str
    dim: int
    ids: bytes | None = None
    """Little-endian int64 vector ids of the rows, ascending; None: ``first_vector_id`` + row."""


@dataclass(frozen=True, slots=True)
class GenerationRow:
    """The index of a model that is in use: its folder below ``indexes/`` and the hash of its manifest."""

    name: str
    manifest_sha256: str


@dataclass(frozen=True, slots=True)
class RemoteRow:
    """Where a Milvus server keeps this case's vectors; ``namespace`` begins each of their keys."""

    uri: str
    collection: str
    namespace: str


@dataclass(frozen=True, slots=True)
class ItemRow:
    """Unique content as the catalogue holds it."""

    item_id: int
    sha256: str
    md5: str
    size_bytes: int
    format: str
    width_px: int
    height_px: int
    partial: str | None


@dataclass(frozen=True, slots=True)
class SightingRow:
    """A sighting together with what its item's content was."""

    locator: Locator
    item_id: int
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class CalibrationRow:
    """A stored calibration: path of the background case ("" for the case itself), items there when it was made."""

    background: str
    items: int
    record: dict[str, Any]
    made_utc: str


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """What an examiner said of a pair of contents (SHA-256), who and when."""

    decision_id: int
    query_sha256: str
    item_sha256: str
    verdict: str
    note: str
    examiner: str
    account: str
    decided_utc: str


@dataclass(frozen=True, slots=True)
class IssueRow:
    """A recorded issue, with when it was seen and by which run."""

    issue: Issue
    sha256: str | None
    seen_utc: str
    run_id: int


class Catalogue:
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
            # Closed by whichever thread closes the case, hence check_same_thread.
            db = sqlite3.connect(
                self.path, timeout=_BUSY_MS / 1000, isolation_level=None, check_same_thread=False, cached_statements=256
            )
            db.execute("PRAGMA foreign_keys = ON")
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten, not only let go of
            db.execute("PRAGMA synchronous = FULL")  # a committed batch outlives a pulled plug
            self._local.db = db
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
            raise CaseError(f"{self.path}: {error}; {hint}") from error
        except sqlite3.DatabaseError as error:
            raise CaseError(f"{self.path}: damaged catalogue ({error}); restore it from a copy of the case") from error

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
            db = self._db
            db.execute("BEGIN IMMEDIATE")
            try:
                yield Writer(db)
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")

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

    # --- reading

    def meta(self) -> dict[str, str]:
        """What was said of the case when it was made."""
        return dict(self._rows("SELECT key, value FROM meta"))

    def counts(self) -> dict[str, int]:
        """How many items, sightings, issues, vectors, segments, labels and partial items there are."""
        row = self._rows(
            "SELECT (SELECT count(*) FROM items), (SELECT count(*) FROM sightings), (SELECT count(*) FROM issues),"
            " (SELECT coalesce(sum(rows), 0) FROM segments) - (SELECT count(*) FROM tombstones),"
            " (SELECT count(*) FROM segments),"
            " (SELECT count(DISTINCT item_id) FROM labels), (SELECT count(*) FROM items WHERE partial IS NOT NULL)"
        )[0]
        names = ("items", "sightings", "issues", "vectors", "segments", "labelled_items", "partial_items")
        return dict(zip(names, row, strict=True))

    def issue_kinds(self) -> dict[str, int]:
        """How many issues of each kind, most frequent first."""
        return dict(self._rows("SELECT error, count(*) FROM issues GROUP BY error ORDER BY count(*) DESC, error"))

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
        """Changes whenever this or another process has committed anything."""
        return int(self._rows("PRAGMA data_version")[0][0]), self._db.total_changes

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
        where, parameters = _conditions(wanted)
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
            "SELECT item_id, sha256, md5, size_bytes, format, width_px, height_px, orientation, partial FROM items"
            " WHERE item_id > ? ORDER BY item_id LIMIT ?",
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
        sql = f"SELECT 1 FROM items JOIN vectors v USING (item_id) WHERE sha256 = ? AND model_id = ?{_read_as(profile)}"
        key = (bytes.fromhex(sha256), model_id, *([profile] if profile else []))
        return self._one(f"{sql} LIMIT 1", key) is not None

    def unchanged(self, evidence: Evidence, model_id: int, version: str, profile: str | None = None) -> str | None:
        """Was this very file (place, size, both times) read before (with ``profile``: in this way)? "sighting",
        "issue" (same version) or None.
        """
        key = (str(evidence.locator), evidence.size_bytes, evidence.modified_ns, evidence.changed_ns)
        seen = self._one(
            "SELECT 1 FROM sightings JOIN items i USING (item_id) JOIN vectors v USING (item_id)"
            " WHERE locator = ? AND i.size_bytes = ? AND modified_ns = ? AND changed_ns = ? AND model_id = ?"
            f"{_read_as(profile)} LIMIT 1",
            (*key, model_id, *([profile] if profile else [])),
        )
        if seen is not None:
            return "sighting"
        seen = self._one(
            "SELECT 1 FROM issues JOIN runs USING (run_id)"
            " WHERE locator = ? AND size_bytes = ? AND modified_ns = ? AND changed_ns = ? AND version = ?",
            (*key, version),
        )
        return "issue" if seen is not None else None

    def item_ids(self, vector_ids: Iterable[int]) -> dict[int, int]:
        """The item that owns each vector."""
        ids = list(dict.fromkeys(int(v) for v in vector_ids))
        found: dict[int, int] = {}
        for part in _parts(ids):
            marks = ",".join("?" * len(part))
            found.update(self._rows(f"SELECT vector_id, item_id FROM vectors WHERE vector_id IN ({marks})", part))
        return found

    def items(self, item_ids: Iterable[int]) -> dict[int, ItemRow]:
        """Items by id."""
        ids = list(dict.fromkeys(item_ids))
        found: dict[int, ItemRow] = {}
        for part in _parts(ids):
            marks = ",".join("?" * len(part))
            for row in self._rows(
                "SELECT item_id, hex(sha256), hex(md5), size_bytes, format, width_px, height_px, partial FROM items"
                f" WHERE item_id IN ({marks})",
                part,
            ):
                found[row[0]] = ItemRow(row[0], row[1].lower(), row[2].lower(), *row[3:])
        return found

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
        for part in _parts(ids):
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
        for part in _parts(ids):
            marks = ",".join("?" * len(part))
            for item_id, name, value in self._rows(
                f"SELECT DISTINCT item_id, name, value FROM labels WHERE item_id IN ({marks}) ORDER BY name, value",
                part,
            ):
                found[item_id][name] = (*found[item_id].get(name, ()), value)
        return found

    def item_count(self, model_id: int, wanted: Filter | None = None) -> int:
        """How many items a model has embedded, of those that pass a filter."""
        where, parameters = _conditions(wanted) if wanted else ([], [])
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
            " decided_utc FROM decisions ORDER BY decision_id"
        ):
            yield DecisionRow(*row)

    def verdicts(self, sha256: str) -> dict[str, str]:
        """What stands of a content with each other one (SHA-256, either way round): confirmed or rejected."""
        content = bytes.fromhex(sha256)
        return dict(
            self._rows(
                "SELECT lower(hex(other)), verdict FROM (SELECT decision_id, item_sha256 AS other, verdict"
                " FROM decisions WHERE query_sha256 = ?1 UNION ALL SELECT decision_id, query_sha256, verdict"
                " FROM decisions WHERE item_sha256 = ?1) ORDER BY decision_id",
                (content,),
            )
        )

    def issues(self) -> Iterator[IssueRow]:
        """Every recorded issue, streamed, oldest first."""
        for locator, stage, error, message, sha256, seen, run_id in self._stream(
            "SELECT locator, stage, error, message, lower(hex(sha256)), seen_utc, run_id FROM issues ORDER BY issue_id"
        ):
            yield IssueRow(Issue(Locator.parse(locator), stage, error, message), sha256 or None, seen, run_id)


class Writer:
    """What may be written inside ``Catalogue.transaction()``."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def set_meta(self, values: dict[str, str]) -> None:
        """Say something of the case."""
        self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())

    def add_model(self, spec: ModelSpec, spec_json: str, now_utc: str) -> int:
        """Note a model; returns its id."""
        cursor = self._db.execute(
            "INSERT INTO models (name, weights_sha256, dim, spec_json, added_utc) VALUES (?, ?, ?, ?, ?)",
            (spec.name, spec.weights_sha256, spec.dim, spec_json, now_utc),
        )
        return _id(cursor)

    def start_run(self, command: str, version: str, runtime: str, arguments: dict[str, Any], now_utc: str) -> int:
        """Open a run; returns its id."""
        cursor = self._db.execute(
            "INSERT INTO runs (command, version, runtime, arguments_json, started_utc) VALUES (?, ?, ?, ?, ?)",
            (command, version, runtime, json.dumps(arguments, sort_keys=True), now_utc),
        )
        return _id(cursor)

    def finish_run(self, run_id: int, counts: dict[str, int], now_utc: str) -> None:
        """Close a run with what it did."""
        self._db.execute(
            "UPDATE runs SET finished_utc = ?, counts_json = ? WHERE run_id = ?",
            (now_utc, json.dumps(counts, sort_keys=True), run_id),
        )

    def add_item(self, digests: Digests, image: Image) -> int:
        """Add new content, or find it where another model has added it; returns its id."""
        sha256 = bytes.fromhex(digests.sha256)
        row = self._db.execute("SELECT item_id FROM items WHERE sha256 = ?", (sha256,)).fetchone()
        if row is not None:
            return int(row[0])
        cursor = self._db.execute(
            "INSERT INTO items (item_id, sha256, md5, size_bytes, format, width_px, height_px, orientation, partial)"
            f" VALUES ({_FREE_ITEM_ID}, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                sha256,
                bytes.fromhex(digests.md5),
                digests.size_bytes,
                image.format,
                *image.stored_size_px,
                image.orientation,
                image.partial,
            ),
        )
        return _id(cursor)

    def add_sighting(self, sha256: str, evidence: Evidence, now_utc: str, run_id: int) -> bool:
        """Note where known content was found; clears an issue at that place. False when it stood there already."""
        locator = str(evidence.locator)
        self._db.execute("DELETE FROM issues WHERE locator = ?", (locator,))
        times = (evidence.modified_utc, evidence.modified_ns, evidence.changed_ns)
        cursor = self._db.execute(
            "INSERT INTO sightings (item_id, locator, modified_utc, modified_ns, changed_ns, seen_utc, run_id)"
            " SELECT item_id, ?, ?, ?, ?, ?, ? FROM items WHERE sha256 = ? ON CONFLICT DO NOTHING",
            (locator, *times, now_utc, run_id, bytes.fromhex(sha256)),
        )
        if cursor.rowcount:
            return True
        # The same content at the same place with other times (touched, copied back): later runs can skip it again.
        self._db.execute(
            "UPDATE sightings SET modified_utc = ?, modified_ns = ?, changed_ns = ? WHERE locator = ?"
            " AND item_id = (SELECT item_id FROM items WHERE sha256 = ?)",
            (*times, locator, bytes.fromhex(sha256)),
        )
        return False

    def add_issue(
        self, issue: Issue, now_utc: str, run_id: int, sha256: str | None = None, evidence: Evidence | None = None
    ) -> bool:
        """Record an issue; the newest at a place stands. False when one stood there already."""
        locator = str(issue.locator)
        replaced = self._db.execute("DELETE FROM issues WHERE locator = ?", (locator,)).rowcount
        times = (evidence.size_bytes, evidence.modified_ns, evidence.changed_ns) if evidence else (None, None, None)
        self._db.execute(
            "INSERT INTO issues (locator, stage, error, message, sha256, size_bytes, modified_ns, changed_ns, seen_utc,"
            " run_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                locator,
                issue.stage,
                issue.error,
                issue.message,
                bytes.fromhex(sha256) if sha256 else None,
                *times,
                now_utc,
                run_id,
            ),
        )
        return not replaced

    def next_number(self, counter: str) -> int:
        """Count one further: a number that was never given before, even if what bore it is gone."""
        row = self._db.execute(
            "UPDATE state SET value = value + 1 WHERE key = ? RETURNING value", (counter,)
        ).fetchone()
        return int(row[0])

    def next_segment(self) -> tuple[int, int]:
        """The number of the next segment and the first vector id that was never given."""
        number = self.next_number("segments")
        first = self._db.execute(
            "SELECT max((SELECT coalesce(max(vector_id), 0) FROM vectors),"
            " (SELECT value FROM state WHERE key = 'vectors')) + 1"
        ).fetchone()[0]
        return number, int(first)

    def add_segment(self, segment: SegmentRow, now_utc: str) -> None:
        """Name a segment file that is on disk: from here on it exists."""
        self._db.execute(
            "INSERT INTO segments (model_id, name, first_vector_id, rows, sha256, written_utc, ids)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                segment.model_id,
                segment.name,
                segment.first_vector_id,
                segment.rows,
                segment.sha256,
                now_utc,
                segment.ids,
            ),
        )

    def delete_items(self, item_ids: Sequence[int]) -> int:
        """Remove items with their sightings and labels; the rows of their vectors become tombstones. Returns how many
        vectors that were.
        """
        chosen = json.dumps(list(item_ids))
        within = "item_id IN (SELECT value FROM json_each(?))"
        self._raise_to("vectors", "SELECT coalesce(max(vector_id), 0) FROM vectors")
        self._raise_to("items", "SELECT coalesce(max(item_id), 0) FROM items")
        self.next_number("deletions")
        count = self._db.execute(
            f"INSERT INTO tombstones SELECT vector_id, model_id FROM vectors WHERE {within}", (chosen,)
        ).rowcount
        for table in ("profiles", "vectors", "sightings", "labels", "items"):
            self._db.execute(f"DELETE FROM {table} WHERE {within}", (chosen,))
        return count

    def delete_source(self, source: str) -> tuple[int, int]:
        """Remove sightings and issues at a source; returns how many of each. Items without a sighting must be removed
        in the same transaction.
        """
        below, parameters = _below(source)
        return (
            self._db.execute(f"DELETE FROM sightings WHERE {below}", parameters).rowcount,
            self._db.execute(f"DELETE FROM issues WHERE {below}", parameters).rowcount,
        )

    def replace_segments(
        self, names: Sequence[str], made: SegmentRow | None, gone: Sequence[int], now_utc: str
    ) -> None:
        """Put one segment in the place of others; the tombstones of ``gone`` rows, which it leaves out, end."""
        self.next_number("deletions")
        self._db.executemany("DELETE FROM segments WHERE name = ?", ((name,) for name in names))
        self._db.executemany("DELETE FROM verified WHERE name = ?", ((name,) for name in names))
        self._db.executemany("DELETE FROM tombstones WHERE vector_id = ?", ((vector_id,) for vector_id in gone))
        if made is not None:
            self.add_segment(made, now_utc)

    def drop_vectors(self, vector_ids: Sequence[int]) -> None:
        """Vectors that are lost: their rows become tombstones, their items stay, to be read again when met."""
        self._raise_to("vectors", "SELECT coalesce(max(vector_id), 0) FROM vectors")
        self.next_number("deletions")
        chosen = json.dumps(list(vector_ids))
        within = "vector_id IN (SELECT value FROM json_each(?))"
        self._db.execute(f"INSERT INTO tombstones SELECT vector_id, model_id FROM vectors WHERE {within}", (chosen,))
        lost = f"SELECT item_id, model_id FROM vectors WHERE {within}"
        self._db.execute(f"DELETE FROM profiles WHERE (item_id, model_id) IN ({lost})", (chosen,))
        self._db.execute(f"DELETE FROM vectors WHERE {within}", (chosen,))

    def _raise_to(self, counter: str, sql: str) -> None:
        self._db.execute(f"UPDATE state SET value = max(value, ({sql})) WHERE key = ?", (counter,))

    def merge_item(self, row: Sequence[Any]) -> int:
        """Add another case's item (sha256 first), or find it; returns its id here."""
        found = self._db.execute("SELECT item_id FROM items WHERE sha256 = ?", (row[0],)).fetchone()
        if found is not None:
            return int(found[0])
        cursor = self._db.execute(
            "INSERT INTO items (item_id, sha256, md5, size_bytes, format, width_px, height_px, orientation, partial)"
            f" VALUES ({_FREE_ITEM_ID}, ?, ?, ?, ?, ?, ?, ?, ?)",
            row,
        )
        return _id(cursor)

    def has_vector_of(self, item_id: int, model_id: int) -> bool:
        """Has this model embedded this item?"""
        sql = "SELECT 1 FROM vectors WHERE item_id = ? AND model_id = ? LIMIT 1"
        return self._db.execute(sql, (item_id, model_id)).fetchone() is not None

    def merge_run(self, case_id: str, row: Sequence[Any]) -> int:
        """Add another case's run, as merged from it; returns its id here."""
        run_id, command, version, runtime, arguments, *rest = row
        told = {**json.loads(arguments), "merged_case": case_id, "merged_run": run_id}
        cursor = self._db.execute(
            "INSERT INTO runs (command, version, runtime, arguments_json, started_utc, finished_utc, counts_json)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (f"merged {command}", version, runtime, json.dumps(told, sort_keys=True), *rest),
        )
        return _id(cursor)

    def merge_sighting(self, item_id: int, row: Sequence[Any]) -> bool:
        """Add another case's sighting (the run's id as it is here); False when it is known."""
        return bool(
            self._db.execute(
                "INSERT INTO sightings (item_id, locator, modified_utc, modified_ns, changed_ns, seen_utc, run_id)"
                " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (item_id, *row),
            ).rowcount
        )

    def merge_labels(self, rows: Iterable[tuple[int, str, str, str]]) -> None:
        """Add another case's labels; what this case says stands."""
        self._db.executemany("INSERT INTO labels VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", rows)

    def merge_issues(self, rows: Iterable[Sequence[Any]]) -> int:
        """Add another case's issues, but where this case knows the place; returns how many were new."""
        return sum(
            self._db.execute(
                "INSERT INTO issues (locator, stage, error, message, sha256, size_bytes, modified_ns, changed_ns,"
                " seen_utc, run_id) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10"
                " WHERE NOT EXISTS (SELECT 1 FROM sightings WHERE locator = ?1) ON CONFLICT DO NOTHING",
                row,
            ).rowcount
            for row in rows
        )

    def add_vectors(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """Add vectors with their regions: id, item, model, x, y, width, height."""
        self._db.executemany("INSERT INTO vectors VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def set_merged(self, case_id: str, run_id: int, item_id: int | None) -> None:
        """Note how far another case has been merged; None: all of it is."""
        if item_id is None:
            self._db.execute("DELETE FROM merges WHERE case_id = ?", (case_id,))
        else:
            self._db.execute("INSERT OR REPLACE INTO merges VALUES (?, ?, ?)", (case_id, run_id, item_id))

    def set_stamps(self, stamps: dict[str, str]) -> None:
        """Note how verified segment files look."""
        self._db.executemany("INSERT OR REPLACE INTO verified VALUES (?, ?)", stamps.items())

    def set_generation(self, model_id: int, name: str | None, manifest_sha256: str, now_utc: str) -> None:
        """Put an index to use instead of the one before; None: none."""
        self.next_number("generations")
        self._db.execute("DELETE FROM generations WHERE model_id = ?", (model_id,))
        if name is not None:
            self._db.execute("INSERT INTO generations VALUES (?, ?, ?, ?)", (model_id, name, manifest_sha256, now_utc))

    def set_remote(self, role: str, remote: RemoteRow | None) -> None:
        """Say which Milvus collection is in use, or part of a move; None: none."""
        self.next_number("generations")  # what is open notices
        self._db.execute("DELETE FROM remotes WHERE role = ?", (role,))
        if remote is not None:
            values = (role, remote.uri, remote.collection, remote.namespace)
            self._db.execute("INSERT INTO remotes VALUES (?, ?, ?, ?)", values)

    def set_sent(self, namespace: str, model_id: int, vector_id: int) -> None:
        """Note that a model's rows have been sent up to this one."""
        self._db.execute("INSERT OR REPLACE INTO sent VALUES (?, ?, ?)", (namespace, model_id, vector_id))

    def forget_sent(self, namespace: str) -> None:
        """Nothing of this case is in that collection any more."""
        self._db.execute("DELETE FROM sent WHERE namespace = ?", (namespace,))

    def set_profiles(self, rows: Iterable[tuple[int, int, str]]) -> None:
        """Note how items were read beyond the whole picture: item, model, profile."""
        self._db.executemany("INSERT OR REPLACE INTO profiles VALUES (?, ?, ?)", rows)

    def set_calibration(self, model_id: int, row: CalibrationRow) -> None:
        """Store a model's calibration in the place of the one before."""
        self._db.execute(
            "INSERT OR REPLACE INTO calibrations VALUES (?, ?, ?, ?, ?)",
            (model_id, row.background, row.items, json.dumps(row.record), row.made_utc),
        )

    def add_decision(self, decision: DecisionRow) -> int:
        """Add to the history of decisions; returns its id."""
        cursor = self._db.execute(
            "INSERT INTO decisions (query_sha256, item_sha256, verdict, note, examiner, account, decided_utc)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                bytes.fromhex(decision.query_sha256),
                bytes.fromhex(decision.item_sha256),
                decision.verdict,
                decision.note,
                decision.examiner,
                decision.account,
                decision.decided_utc,
            ),
        )
        return _id(cursor)

    def set_labels(self, item_id: int, source: str, labels: dict[str, str]) -> None:
        """Set what one source says of an item; what it said before is replaced."""
        self._db.execute("DELETE FROM labels WHERE item_id = ? AND source = ?", (item_id, source))
        self._db.executemany(
            "INSERT INTO labels (item_id, source, name, value) VALUES (?, ?, ?, ?)",
            ((item_id, source, name, value) for name, value in labels.items()),
        )


def _read_as(profile: str | None) -> str:
    """A condition on vectors ``v``: of the whole picture, its item read so; with the profile as its parameter."""
    if profile is None:
        return " AND v.x_px IS NULL"
    return " AND v.x_px IS NULL AND (v.item_id, v.model_id, ?) IN (SELECT item_id, model_id, profile FROM profiles)"


def _id(cursor: sqlite3.Cursor) -> int:
    assert cursor.lastrowid is not None  # every INSERT into a rowid table sets it
    return cursor.lastrowid


def _parts(ids: list[int], size: int = 500) -> Iterator[list[int]]:
    """SQLite bounds how many values a statement may hold."""
    for start in range(0, len(ids), size):
        yield ids[start : start + size]


def _below(source: str, column: str = "locator") -> tuple[str, list[str]]:
    """A condition for a locator and what lies in it: folders go on with a slash, containers with a bar."""
    stem = source.rstrip("/")
    # Ranges, so that the index over locators serves: 0 and } are what follows / and | in the order of bytes.
    condition = f"({column} = ? OR ({column} >= ? AND {column} < ?) OR ({column} >= ? AND {column} < ?))"
    return condition, [stem, f"{stem}/", f"{stem}0", f"{stem}|", f"{stem}}}"]


def _conditions(wanted: Filter) -> tuple[list[str], list[Any]]:
    where: list[str] = []
    parameters: list[Any] = []

    def labelled(pairs: Sequence[tuple[str, str]]) -> str:
        parameters.extend(text for pair in pairs for text in pair)
        return "SELECT item_id FROM labels WHERE " + " OR ".join(["(name = ? AND value = ?)"] * len(pairs))

    def seen(sources: Sequence[str]) -> str:
        parts = []
        for source in sources:
            condition, values = _below(source)
            parts.append(condition)
            parameters.extend(values)
        return "(" + " OR ".join(parts) + ")"

    if wanted.labels:
        where.append(f"item_id IN ({labelled(wanted.labels)})")
    if wanted.since or wanted.until or wanted.sources:
        parts = []
        if wanted.sources:
            parts.append(seen(wanted.sources))
        if wanted.since:
            parts.append("modified_utc >= ?")
            parameters.append(wanted.since)
        if wanted.until:
            parts.append("substr(modified_utc, 1, ?) <= ?")
            parameters += [len(wanted.until), wanted.until]
        where.append(f"item_id IN (SELECT item_id FROM sightings WHERE {' AND '.join(parts)})")
    if wanted.items:
        where.append("item_id IN (SELECT value FROM json_each(?))")
        parameters.append(json.dumps(wanted.items))
    if wanted.exclude_labels:
        where.append(f"item_id NOT IN ({labelled(wanted.exclude_labels)})")
    if wanted.exclude_sources:
        where.append(f"item_id NOT IN (SELECT item_id FROM sightings WHERE {seen(wanted.exclude_sources)})")
    if wanted.exclude_items:
        where.append("item_id NOT IN (SELECT value FROM json_each(?))")
        parameters.append(json.dumps(wanted.exclude_items))
    return where, parameters
