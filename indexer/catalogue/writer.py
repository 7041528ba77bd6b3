"""What may be written inside a transaction of the catalogue."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from imgmatch.types import Digests, Evidence, Image, Issue, ModelSpec
from indexer.catalogue import custody
from indexer.catalogue.custody import LogState
from indexer.catalogue.facts import FactsWriter
from indexer.catalogue.known import KnownWriter
from indexer.catalogue.rows import (
    CalibrationRow,
    DecisionRow,
    RemoteRow,
    SegmentRow,
)
from indexer.catalogue.sql import below, new_id
from indexer.catalogue.vics_media import VicsWriting

# A deleted item's id never comes back: reports and logs go on meaning what they meant.
_FREE_ITEM_ID = "max((SELECT coalesce(max(item_id), 0) FROM items), (SELECT value FROM state WHERE key = 'items')) + 1"


class Writer(KnownWriter, FactsWriter, VicsWriting):
    """What may be written inside ``Catalogue.transaction()``."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def log_state(self) -> LogState | None:
        """What the audit log must be."""
        return custody.read(self._db)

    def set_log_state(self, state: LogState) -> None:
        """Say what the audit log must be from now on."""
        custody.write(self._db, state)

    def set_meta(self, values: dict[str, str]) -> None:
        """Say something of the case."""
        self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())

    def add_model(self, spec: ModelSpec, spec_json: str, now_utc: str) -> int:
        """Note a model; returns its id."""
        cursor = self._db.execute(
            "INSERT INTO models (name, weights_sha256, dim, spec_json, added_utc) VALUES (?, ?, ?, ?, ?)",
            (spec.name, spec.weights_sha256, spec.dim, spec_json, now_utc),
        )
        return new_id(cursor)

    def start_run(self, command: str, version: str, runtime: str, arguments: dict[str, Any], now_utc: str) -> int:
        """Open a run; returns its id."""
        cursor = self._db.execute(
            "INSERT INTO runs (command, version, runtime, arguments_json, started_utc) VALUES (?, ?, ?, ?, ?)",
            (command, version, runtime, json.dumps(arguments, sort_keys=True), now_utc),
        )
        return new_id(cursor)

    def finish_run(self, run_id: int, counts: dict[str, int], now_utc: str) -> None:
        """Close a run with what it did."""
        self._db.execute(
            "UPDATE runs SET finished_utc = ?, counts_json = ? WHERE run_id = ?",
            (now_utc, json.dumps(counts, sort_keys=True), run_id),
        )

    def add_item(self, digests: Digests, image: Image) -> int:
        """Add new content, or find it where another model has added it; returns its id."""
        hashes = (bytes.fromhex(digest) for digest in (digests.sha256, digests.md5, digests.sha1))
        about = (image.format, *image.stored_size_px, image.orientation, image.partial)
        return self.merge_item((*hashes, digests.size_bytes, *about))

    def add_sighting(self, sha256: str, evidence: Evidence, now_utc: str, run_id: int) -> bool:
        """Note where known content was found; clears an issue at that place, and the note that a list had it left out.
        False when it stood there already.
        """
        locator = str(evidence.locator)
        self._settle_issue(locator)
        self._db.execute("DELETE FROM listed_files WHERE locator = ? AND sha256 = ?", (locator, bytes.fromhex(sha256)))
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
        self._db.execute(
            "INSERT INTO rereads SELECT ?, sighting_id, 1, ? FROM sightings JOIN items USING (item_id)"
            " WHERE locator = ? AND sha256 = ?"
            " ON CONFLICT DO UPDATE SET times = times + 1, read_utc = excluded.read_utc",
            (run_id, now_utc, locator, bytes.fromhex(sha256)),
        )
        return False

    def _settle_issue(self, locator: str) -> int:
        """Take an issue out of those that stand; it stays known as its run's. Returns how many there were."""
        self._db.execute(
            "INSERT INTO past_issues SELECT run_id, locator, stage, error, message, sha256, size_bytes, seen_utc"
            " FROM issues WHERE locator = ?",
            (locator,),
        )
        return self._db.execute("DELETE FROM issues WHERE locator = ?", (locator,)).rowcount

    def add_issue(
        self, issue: Issue, now_utc: str, run_id: int, sha256: str | None = None, evidence: Evidence | None = None
    ) -> bool:
        """Record an issue; the newest at a place stands. False when one stood there already."""
        locator = str(issue.locator)
        replaced = self._settle_issue(locator)
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

    def clear_issues(self, stem: str) -> None:
        """Forget the issues at places that begin so."""
        self._db.execute("DELETE FROM issues WHERE locator >= ? AND locator < ?", (stem, f"{stem}\U0010ffff"))

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
        seen = f"SELECT sighting_id FROM sightings WHERE {within}"
        self._db.execute(f"DELETE FROM rereads WHERE sighting_id IN ({seen})", (chosen,))
        for table in ("profiles", "vectors", "sightings", "labels", "metadata", "pdq_matches", "pdqs", "items"):
            self._db.execute(f"DELETE FROM {table} WHERE {within}", (chosen,))
        return count

    def delete_source(self, source: str) -> tuple[int, int, int]:
        """Remove sightings, issues and listed files at a source; returns how many of each. Items without a sighting
        must be removed in the same transaction.
        """
        inside, parameters = below(source)
        seen = f"SELECT sighting_id FROM sightings WHERE {inside}"
        self._db.execute(f"DELETE FROM rereads WHERE sighting_id IN ({seen})", parameters)
        self._db.execute(f"DELETE FROM past_issues WHERE {inside}", parameters)
        return (
            self._db.execute(f"DELETE FROM sightings WHERE {inside}", parameters).rowcount,
            self._db.execute(f"DELETE FROM issues WHERE {inside}", parameters).rowcount,
            self.delete_listed_files(source),
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
            "INSERT INTO items (item_id, sha256, md5, sha1, size_bytes, format, width_px, height_px, orientation,"
            f" partial) VALUES ({_FREE_ITEM_ID}, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            row,
        )
        return new_id(cursor)

    def restore_item(self, row: Sequence[Any]) -> None:
        """Add an item as ``Catalogue.item_rows`` gives it, with the id that it has there."""
        self._db.execute(
            "INSERT INTO items (item_id, sha256, md5, sha1, size_bytes, format, width_px, height_px, orientation,"
            " partial) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            row,
        )

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
        return new_id(cursor)

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
        return new_id(cursor)

    def merge_decisions(self, decisions: Iterable[DecisionRow]) -> int:
        """Add another case's decisions that are not here yet; returns how many. The newest of a pair stands."""
        known = set(
            self._db.execute(
                "SELECT hex(query_sha256), hex(item_sha256), verdict, examiner, decided_utc FROM decisions"
            )
        )
        new = [
            row
            for row in decisions
            if (row.query_sha256.upper(), row.item_sha256.upper(), row.verdict, row.examiner, row.decided_utc)
            not in known
        ]
        for row in new:
            self.add_decision(row)
        return len(new)

    def set_labels(self, item_id: int, source: str, labels: dict[str, str]) -> None:
        """Set what one source says of an item; what it said before is replaced."""
        self._db.execute("DELETE FROM labels WHERE item_id = ? AND source = ?", (item_id, source))
        self._db.executemany(
            "INSERT INTO labels (item_id, source, name, value) VALUES (?, ?, ?, ?)",
            ((item_id, source, name, value) for name, value in labels.items()),
        )
