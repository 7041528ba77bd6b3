"""Runs and what each of them read: for statements."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from typing import Any


def run(db: sqlite3.Connection, run_id: int) -> dict[str, Any] | None:
    """A run with its arguments and totals, or None."""
    row = db.execute(
        "SELECT run_id, command, version, runtime, arguments_json, started_utc, finished_utc, counts_json FROM runs"
        " WHERE run_id = ?",
        (run_id,),
    ).fetchone()
    if row is None:
        return None
    names = ("run_id", "command", "version", "runtime", "arguments", "started_utc", "finished_utc", "counts")
    found = dict(zip(names, row, strict=True))
    return {
        **found,
        "arguments": json.loads(found["arguments"]),
        "counts": None if found["counts"] is None else json.loads(found["counts"]),
    }


def limits(db: sqlite3.Connection) -> dict[str, int]:
    """The highest value of each limit that a run was given another one of, merged runs too."""
    rows = db.execute("SELECT key, max(value) FROM runs, json_each(arguments_json, '$.limits') GROUP BY key")
    return dict(rows.fetchall())


def found(db: sqlite3.Connection, run_id: int) -> Iterator[dict[str, Any]]:
    """Every sighting that a run made or read again, in the order they were made; ``times`` it was read by it."""
    rows = db.execute(
        "SELECT locator, item_id, lower(hex(sha256)), lower(hex(sha1)), lower(hex(md5)), size_bytes, modified_utc,"
        " first, times, read_utc FROM ("
        "  SELECT s.*, 1 AS first, 1 + coalesce(r.times, 0) AS times, coalesce(r.read_utc, s.seen_utc) AS read_utc"
        "  FROM sightings s LEFT JOIN rereads r ON r.sighting_id = s.sighting_id AND r.run_id = ?1 WHERE s.run_id = ?1"
        "  UNION ALL SELECT s.*, 0, r.times, r.read_utc FROM rereads r JOIN sightings s USING (sighting_id)"
        "  WHERE r.run_id = ?1 AND s.run_id <> ?1"
        ") JOIN items USING (item_id) ORDER BY sighting_id",
        (run_id,),
    )
    for locator, item_id, sha256, sha1, md5, size, modified, first, times, read in rows:
        yield {
            "locator": locator,
            "item_id": item_id,
            "sha256": sha256,
            "sha1": sha1 or None,
            "md5": md5,
            "size_bytes": size,
            "modified_utc": modified,
            "first_seen_by_this_run": bool(first),
            "times_read": times,
            "read_utc": read,
        }


def skipped(db: sqlite3.Connection, run_id: int) -> Iterator[dict[str, Any]]:
    """Every issue of a run, also those that a later reading has settled since."""
    rows = db.execute(
        "SELECT locator, stage, error, message, lower(hex(sha256)), size_bytes, seen_utc, settled FROM ("
        "  SELECT locator, stage, error, message, sha256, size_bytes, seen_utc, 0 AS settled, issue_id AS place"
        "  FROM issues WHERE run_id = ?1"
        "  UNION ALL SELECT locator, stage, error, message, sha256, size_bytes, seen_utc, 1, rowid FROM past_issues"
        "  WHERE run_id = ?1) ORDER BY seen_utc, settled DESC, place",
        (run_id,),
    )
    for locator, stage, error, message, sha256, size, seen, settled in rows:
        yield {
            "locator": locator,
            "stage": stage,
            "error": error,
            "message": message,
            "sha256": sha256 or None,
            "size_bytes": size,
            "read_utc": seen,
            "settled_since": bool(settled),
        }


def ignored(db: sqlite3.Connection, run_id: int) -> Iterator[dict[str, Any]]:
    """Every file that a run left out by hash lists, with their names."""
    rows = db.execute(
        "SELECT locator, lower(hex(sha256)), lower(hex(sha1)), lower(hex(md5)), size_bytes, modified_utc,"
        " json_group_array(list), min(seen_utc) FROM listed_files WHERE run_id = ? AND ignored"
        " GROUP BY locator, sha256 ORDER BY min(file_id)",
        (run_id,),
    )
    for locator, sha256, sha1, md5, size, modified, lists, seen in rows:
        yield {
            "locator": locator,
            "sha256": sha256,
            "sha1": sha1,
            "md5": md5,
            "size_bytes": size,
            "modified_utc": modified,
            "lists": sorted(json.loads(lists)),
            "read_utc": seen,
        }
