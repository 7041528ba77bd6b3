"""Runs, and what each of them read: for statements."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from indexer.catalogue.sql import Reads, Row, Writes
from indexer.catalogue.table import Handled, Kept, Table

TABLES = (
    Table(
        "runs",
        {
            1: """
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
            """,
            # What became of it (running, finished, interrupted, failed), why, and which process it was. Of runs of
            # older formats nothing but their end is known.
            11: """
            ALTER TABLE runs ADD COLUMN state TEXT;
            ALTER TABLE runs ADD COLUMN why TEXT NOT NULL DEFAULT '';
            ALTER TABLE runs ADD COLUMN process_json TEXT NOT NULL DEFAULT '{}';
            """,
        },
        delete=Kept("what was done stays known"),
        merge=Handled("come first, so that everything else goes on saying what read it, and when"),
        compact=Kept(),
    ),
    # How far another case has been merged: a run can go on where the last one stopped.
    Table(
        "merges",
        {
            2: """
            CREATE TABLE merges (
                case_id TEXT PRIMARY KEY,
                run_id INTEGER NOT NULL REFERENCES runs,
                item_id INTEGER NOT NULL
            ) STRICT, WITHOUT ROWID;
            """
        },
        delete=Kept(),
        merge=Kept("what that case has half merged is its own to finish"),
        compact=Kept(),
    ),
)

_COLUMNS = "command, version, runtime, arguments_json, started_utc, finished_utc, counts_json, state, why, process_json"
_RUN = f"run_id, {_COLUMNS}"
_HEX = "lower(hex(sha256)) AS sha256, nullif(lower(hex(sha1)), '') AS sha1, lower(hex(md5)) AS md5"


class RunReads(Reads):
    """What was run, and what it read."""

    def all(self) -> list[tuple[Any, ...]]:
        """Runs, every column (id, command, version, runtime, arguments, started, finished, counts, state, why, process
        as JSON), oldest first.
        """
        return self._rows(f"SELECT {_RUN} FROM runs ORDER BY run_id")

    def by_id(self, run_id: int) -> Row | None:
        """A run with its arguments and totals (None: not finished), or None."""
        return self._run_of(f"SELECT {_RUN} FROM runs WHERE run_id = ?", run_id)

    def last(self, command: str) -> Row | None:
        """The latest run of a command, without its arguments, or None."""
        columns = "run_id, version, runtime, started_utc, finished_utc, counts_json, state, why, process_json"
        return self._run_of(f"SELECT {columns} FROM runs WHERE command = ? ORDER BY run_id DESC LIMIT 1", command)

    def _run_of(self, sql: str, which: int | str) -> Row | None:
        row = next(self._named(sql, (which,)), None)
        if row is not None:
            for column in [name for name in row if name.endswith("_json")]:
                text = row.pop(column)
                row[column.removesuffix("_json")] = None if text is None else json.loads(text)
        return row

    def merged_from(self, case_id: str) -> dict[int, int]:
        """Another case's run ids to those which they have here."""
        sql = "SELECT json_extract(arguments_json, '$.merged_run'), run_id FROM runs WHERE command LIKE 'merged %'"
        return dict(self._rows(f"{sql} AND json_extract(arguments_json, '$.merged_case') = ?", (case_id,)))

    def merged_to(self, case_id: str) -> tuple[int, int] | None:
        """How far another case has been merged: the run that does it and the last of its items."""
        row = self._one("SELECT run_id, item_id FROM merges WHERE case_id = ?", (case_id,))
        return None if row is None else (int(row[0]), int(row[1]))

    def limits(self) -> dict[str, int]:
        """The highest value of each limit that a run, also of a case that was merged, was given another one of."""
        return dict(self._rows("SELECT key, max(value) FROM runs, json_each(arguments_json, '$.limits') GROUP BY key"))

    def found(self, run_id: int) -> Iterator[Row]:
        """Every sighting that a run made or read again, in the order they were made; ``times_read`` by it."""
        for row in self._named(
            f"SELECT item_id, locator, {_HEX}, size_bytes, modified_utc, first AS first_seen_by_this_run,"
            " times AS times_read, read_utc FROM ("
            "  SELECT s.*, 1 AS first, 1 + coalesce(r.times, 0) AS times, coalesce(r.read_utc, s.seen_utc) AS read_utc"
            "  FROM sightings s LEFT JOIN rereads r ON r.sighting_id = s.sighting_id AND r.run_id = ?1"
            "  WHERE s.run_id = ?1"
            "  UNION ALL SELECT s.*, 0, r.times, r.read_utc FROM rereads r JOIN sightings s USING (sighting_id)"
            "  WHERE r.run_id = ?1 AND s.run_id <> ?1"
            ") JOIN items USING (item_id) ORDER BY sighting_id",
            (run_id,),
        ):
            yield {**row, "first_seen_by_this_run": bool(row["first_seen_by_this_run"])}

    def skipped(self, run_id: int) -> Iterator[Row]:
        """Every issue of a run, also those that a later reading has settled since; ``beside``: the place counts as a
        file by something else.
        """
        told = "locator, stage, error, message, what, sha256, size_bytes, seen_utc, beside"
        for row in self._named(
            "SELECT locator, stage, error, message, what, nullif(lower(hex(sha256)), '') AS sha256, size_bytes,"
            " seen_utc AS read_utc, beside, settled_since FROM ("
            f"  SELECT {told}, 0 AS settled_since, issue_id AS place FROM issues WHERE run_id = ?1"
            f"  UNION ALL SELECT {told}, 1, rowid FROM past_issues WHERE run_id = ?1"
            ") ORDER BY read_utc, settled_since DESC, place",
            (run_id,),
        ):
            yield {**row, "beside": bool(row["beside"]), "settled_since": bool(row["settled_since"])}

    def ignored(self, run_id: int) -> Iterator[Row]:
        """Every file that a run left out by hash lists, with their names."""
        for row in self._named(
            f"SELECT locator, {_HEX}, size_bytes, modified_utc, json_group_array(list) AS lists,"
            " min(seen_utc) AS read_utc FROM listed_files WHERE run_id = ? AND ignored"
            " GROUP BY locator, sha256 ORDER BY min(file_id)",
            (run_id,),
        ):
            yield {**row, "lists": sorted(json.loads(row["lists"]))}


class RunWrites(Writes, RunReads):
    """Opening and closing runs."""

    def start(self, command: str, version: str, runtime: str, arguments: dict[str, Any], now_utc: str) -> int:
        """Open a run; returns its id."""
        return self._insert(
            "INSERT INTO runs (command, version, runtime, arguments_json, started_utc) VALUES (?, ?, ?, ?, ?)",
            (command, version, runtime, json.dumps(arguments, sort_keys=True), now_utc),
        )

    def set_running(self, run_id: int, process: dict[str, Any]) -> None:
        """Say that a run goes on, in which process. Any other that never came to its end has been cut off."""
        gone = "its process was gone when the next run began: killed, or this machine went down"
        cut_off = "UPDATE runs SET state = 'interrupted', why = ? WHERE state = 'running' AND run_id <> ?"
        self._run(cut_off, (gone, run_id))
        self._run(
            "UPDATE runs SET state = 'running', why = '', finished_utc = NULL, process_json = ? WHERE run_id = ?",
            (json.dumps(process, sort_keys=True), run_id),
        )

    def finish(self, run_id: int, counts: dict[str, int], now_utc: str, state: str = "finished", why: str = "") -> None:
        """Close a run with what it did: finished, interrupted or failed, and why."""
        self._run(
            "UPDATE runs SET finished_utc = ?, counts_json = ?, state = ?, why = ? WHERE run_id = ?",
            (now_utc, json.dumps(counts, sort_keys=True), state, why, run_id),
        )

    def merge(self, case_id: str, row: Sequence[Any]) -> int:
        """Add another case's run, as merged from it; returns its id here."""
        run_id, command, version, runtime, arguments, *rest = row
        told = {**json.loads(arguments), "merged_case": case_id, "merged_run": run_id}
        return self._insert(
            f"INSERT INTO runs ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (f"merged {command}", version, runtime, json.dumps(told, sort_keys=True), *rest),
        )

    def set_merged(self, case_id: str, run_id: int, item_id: int | None) -> None:
        """Note how far another case has been merged; None: all of it is."""
        if item_id is None:
            self._run("DELETE FROM merges WHERE case_id = ?", (case_id,))
        else:
            self._run("INSERT OR REPLACE INTO merges VALUES (?, ?, ?)", (case_id, run_id, item_id))
