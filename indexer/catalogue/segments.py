"""Segments: which files of vectors are committed, which of their rows are dead, and how verified files looked."""

from __future__ import annotations

from typing import NamedTuple

from indexer.catalogue.meta import MetaWrites
from indexer.catalogue.sql import Reads, Writes
from indexer.catalogue.table import Gone, Handled, Kept, Table

TABLES = (
    Table(
        "segments",
        {
            1: """
            CREATE TABLE segments (
                segment_id INTEGER PRIMARY KEY,
                model_id INTEGER NOT NULL REFERENCES models,
                name TEXT NOT NULL UNIQUE,
                first_vector_id INTEGER NOT NULL UNIQUE,
                rows INTEGER NOT NULL,
                sha256 TEXT NOT NULL,
                written_utc TEXT NOT NULL
            ) STRICT;
            """,
            # Little-endian int64 ids of a segment's rows, ascending; null where they are first_vector_id + row.
            2: "ALTER TABLE segments ADD COLUMN ids BLOB;",
        },
        delete=Kept("rows of files are only marked dead"),
        merge=Handled("live rows are written to segments of this case, with ids of its own"),
        compact=Gone("segment"),
    ),
    # Rows of segments that belong to nothing any more: no search returns them, compact removes them.
    Table(
        "tombstones",
        {
            2: """
            CREATE TABLE tombstones (
                vector_id INTEGER PRIMARY KEY,
                model_id INTEGER NOT NULL REFERENCES models
            ) STRICT;
            """
        },
        delete=Kept("rows of vectors that are deleted are added"),
        merge=Kept("only live rows come along"),
        compact=Gone("row"),
    ),
    # Segment files whose hash was right when they had this size, these times and this place on the disk.
    Table(
        "verified",
        {2: "CREATE TABLE verified (name TEXT PRIMARY KEY, stamp TEXT NOT NULL) STRICT, WITHOUT ROWID;"},
        delete=Kept(),
        merge=Handled("as segments are written"),
        compact=Gone("segment"),
    ),
)


class SegmentRow(NamedTuple):
    """A committed segment: ``name`` is its path below ``segments/``; ``first_vector_id`` is the lowest of its ids."""

    model_id: int
    name: str
    first_vector_id: int
    rows: int
    sha256: str
    dim: int
    ids: bytes | None = None
    """Little-endian int64 vector ids of the rows, ascending; None: ``first_vector_id`` + row."""


class SegmentReads(Reads):
    """Which segments there are."""

    def committed(self, model_id: int | None = None) -> list[SegmentRow]:
        """Committed segments, of one model or of all, in the order of their vector ids."""
        where, parameters = ("WHERE model_id = ?", (model_id,)) if model_id is not None else ("", ())
        rows = self._rows(
            "SELECT model_id, segments.name, first_vector_id, rows, sha256, dim, ids FROM segments"
            f" JOIN models USING (model_id) {where} ORDER BY first_vector_id",
            parameters,
        )
        return [SegmentRow(*row) for row in rows]

    def tombstones(self, model_id: int) -> list[int]:
        """Vector ids of a model's rows that were deleted and not yet compacted away, ascending."""
        sql = "SELECT vector_id FROM tombstones WHERE model_id = ? ORDER BY 1"
        return [row[0] for row in self._rows(sql, (model_id,))]

    def stamps(self) -> dict[str, str]:
        """Segment files that were verified, and how they looked then."""
        return dict(self._rows("SELECT name, stamp FROM verified"))


class SegmentWrites(Writes, SegmentReads):
    """Naming segments."""

    def next(self) -> tuple[int, int]:
        """The number of the next segment and the first vector id that was never given."""
        number = MetaWrites(self._transaction).next_number("segments")
        first = self._rows(
            "SELECT max((SELECT coalesce(max(vector_id), 0) FROM vectors),"
            " (SELECT value FROM state WHERE key = 'vectors')) + 1"
        )[0][0]
        return number, int(first)

    def add(self, segment: SegmentRow, now_utc: str) -> None:
        """Name a segment file that is on disk: from here on it exists."""
        self._run(
            "INSERT INTO segments (model_id, name, first_vector_id, rows, sha256, written_utc, ids)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*segment[:5], now_utc, segment.ids),
        )

    def rename(self, old: str, new: str, sha256: str) -> None:
        """A segment lies in another file now, with the same rows."""
        self._run("UPDATE segments SET name = ?, sha256 = ? WHERE name = ?", (new, sha256, old))

    def forget_stamps(self) -> None:
        """No file looks as it did."""
        self._run("DELETE FROM verified")

    def set_stamps(self, stamps: dict[str, str]) -> None:
        """Note how verified segment files look."""
        self._run_all("INSERT OR REPLACE INTO verified VALUES (?, ?)", stamps.items())
