"""Sources that were moved: which rows went from where to where, so that it can be undone."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

from imgmatch.locator import Locator
from indexer.catalogue.sql import Reads, Writes, below
from indexer.catalogue.table import Gone, Kept, Table

TABLES = (
    Table(
        "relocations",
        {
            13: """
            CREATE TABLE relocations (
                relocation_id INTEGER PRIMARY KEY,
                old TEXT NOT NULL,
                new TEXT NOT NULL,
                moved_utc TEXT NOT NULL,
                undone_utc TEXT
            ) STRICT;
            """
        },
        delete=Kept("where sources lay is said by runs too"),
        merge=Kept("places come as they are"),
        compact=Kept(),
    ),
    Table(
        "relocated",
        {
            13: """
            CREATE TABLE relocated (
                relocation_id INTEGER NOT NULL REFERENCES relocations,
                of TEXT NOT NULL,
                row INTEGER NOT NULL,
                PRIMARY KEY (relocation_id, of, row)
            ) STRICT, WITHOUT ROWID;
            """
        },
        delete=Kept("numbers alone"),
        merge=Kept("places come as they are"),
        compact=Kept(),
    ),
    # Sightings that stood at the new place already and gave way to the same ones from the old place.
    Table(
        "displaced",
        {
            13: """
            CREATE TABLE displaced (
                relocation_id INTEGER NOT NULL REFERENCES relocations,
                sighting_id INTEGER NOT NULL,
                item_id INTEGER NOT NULL REFERENCES items,
                locator TEXT NOT NULL,
                modified_utc TEXT,
                modified_ns INTEGER,
                changed_ns INTEGER,
                seen_utc TEXT NOT NULL,
                run_id INTEGER NOT NULL REFERENCES runs
            ) STRICT;
            CREATE INDEX displaced_by_item ON displaced (item_id);
            """
        },
        delete=Gone("item", "place"),
        merge=Kept("places come as they are"),
        compact=Kept(),
    ),
)
_SIGHTING = "sighting_id, item_id, locator, modified_utc, modified_ns, changed_ns, seen_utc, run_id"
_IDS = {
    "sightings": "sighting_id",
    "issues": "issue_id",
    "past_issues": "rowid",
    "listed_files": "file_id",
    "containers": "container_id",
}
_WINDOWS = re.compile(r"[A-Za-z]:(?:[\\/]|\Z)|\\\\")


class Relocation(NamedTuple):
    """A move of sources."""

    relocation_id: int
    old: str
    new: str
    moved_utc: str
    undone_utc: str | None


def moved(place: str, old: str, new: str) -> str | None:
    """Where a file lies now that a folder (or the file itself) moved, with the separators of the system that it moved
    to; None where it does not lie there.
    """
    there, here = ("\\" if _WINDOWS.match(each) else "/" for each in (old, new))
    stem = old.rstrip(there)
    if place != stem and not place.startswith(stem + there):
        return None
    rest = place[len(stem) :]
    return (new.rstrip(here) + (rest if here == there else rest.replace(there, here))) or here


def _under(old: str) -> tuple[str, list[str]]:
    """A condition for all that lay at or below a place, of whatever system."""
    stem = str(Locator("file", old))
    condition, values = below(stem)
    if _WINDOWS.match(old):
        bare = stem.rstrip("\\")
        condition = f"({condition} OR (locator >= ? AND locator < ?))"
        values += [f"{bare}\\", f"{bare}]"]
    return condition, values


class RelocationReads(Reads):
    """What was moved."""

    def all(self) -> list[Relocation]:
        """Every move, the oldest first."""
        sql = "SELECT relocation_id, old, new, moved_utc, undone_utc FROM relocations ORDER BY 1"
        return [
            Relocation(number, Locator.parse(old).at, Locator.parse(new).at, *times)
            for number, old, new, *times in self._rows(sql)
        ]

    def seen_below(self, old: str) -> Iterator[tuple[Locator, str, int]]:
        """What was seen at or below a place, with its SHA-256 and length, in the order it was."""
        condition, values = _under(old)
        for locator, sha256, size in self._stream(
            "SELECT locator, lower(hex(sha256)), size_bytes FROM sightings JOIN items USING (item_id)"
            f" WHERE {condition} ORDER BY sighting_id",
            values,
        ):
            yield Locator.parse(locator), sha256, size

    def any_below(self, old: str) -> bool:
        """Was anything seen there, or is an issue of it?"""
        condition, values = _under(old)
        return any(self._one(f"SELECT 1 FROM {table} WHERE {condition} LIMIT 1", values) for table in _IDS)


class RelocationWrites(Writes, RelocationReads):
    """Moving places."""

    def move(self, old: str, new: str, now_utc: str, leave: Collection[str] = ()) -> int:
        """Say that all that lay below ``old`` lies below ``new``, but for some outermost files; returns how many
        sightings that were. One that stands there already gives way, and is kept beside.
        """
        sql = "INSERT INTO relocations (old, new, moved_utc) VALUES (?, ?, ?)"
        # As locators, which hold names of any bytes.
        number = self._insert(sql, (str(Locator("file", old)), str(Locator("file", new)), now_utc))

        def place(at: str) -> str | None:
            return None if at in leave else moved(at, old, new)

        condition, values = _under(old)
        counts = {}
        for table, key in _IDS.items():
            rows = self._rows(f"SELECT {key}, locator FROM {table} WHERE {condition}", values)
            counts[table] = self._replace(table, rows, place, number)
        return counts["sightings"]

    def _replace(
        self, table: str, rows: list[tuple[int, str]], place: Callable[[str], str | None], number: int | None
    ) -> int:
        done = 0
        for row, locator in rows:
            outer, bar, rest = locator.partition("|")
            at = place(Locator.parse(outer).at)
            if at is None:
                continue
            to = f"{Locator('file', at)}{bar}{rest}"
            if table == "sightings" and number is not None:
                self._displace(row, to, number)
            if not self._run(f"UPDATE OR IGNORE {table} SET locator = ? WHERE {_IDS[table]} = ?", (to, row)):
                if table == "sightings":
                    continue
                self._run(f"DELETE FROM {table} WHERE {_IDS[table]} = ?", (row,))  # the same stands there
            done += 1
            if number is not None:
                self._run("INSERT OR IGNORE INTO relocated VALUES (?, ?, ?)", (number, table, row))
        return done

    def _displace(self, row: int, to: str, number: int) -> None:
        """Let the same content at the new place give way; what read it there goes on saying so."""
        own = "item_id = (SELECT item_id FROM sightings WHERE sighting_id = ?)"
        there = self._one(f"SELECT {_SIGHTING} FROM sightings WHERE locator = ? AND {own}", (to, row))
        if there is None or there[0] == row:
            return
        self._run(f"INSERT INTO displaced (relocation_id, {_SIGHTING}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                  (number, *there))  # fmt: skip
        again = "ON CONFLICT DO UPDATE SET times = times + excluded.times"
        sql = f"INSERT INTO rereads SELECT run_id, ?, times, read_utc FROM rereads WHERE sighting_id = ? {again}"
        self._run(sql, (row, there[0]))
        self._run(f"INSERT INTO rereads VALUES (?, ?, 1, ?) {again}", (there[7], row, there[6]))
        self._run("DELETE FROM rereads WHERE sighting_id = ?", (there[0],))
        self._run("DELETE FROM sightings WHERE sighting_id = ?", (there[0],))
        sql = "UPDATE sightings SET modified_utc = ?, modified_ns = ?, changed_ns = ? WHERE sighting_id = ?"
        self._run(sql, (*there[3:6], row))

    def undo(self, made: Relocation, now_utc: str) -> int:
        """Take a move back, of what is still there; returns how many sightings that were."""
        done = 0
        self._run(
            "UPDATE rereads SET times = times - 1 WHERE EXISTS (SELECT 1 FROM displaced d JOIN sightings s"
            " USING (item_id, locator) WHERE relocation_id = ? AND d.run_id = rereads.run_id"
            " AND s.sighting_id = rereads.sighting_id)",
            (made.relocation_id,),
        )
        self._run("DELETE FROM rereads WHERE times < 1")
        for table, key in _IDS.items():
            # A row that came after the move may have the number of one that is gone.
            rows = self._rows(
                f"SELECT {key}, locator FROM {table} JOIN relocated ON row = {table}.{key} AND of = ?"
                " WHERE relocation_id = ? AND seen_utc <= ?",
                (table, made.relocation_id, made.moved_utc),
            )
            count = self._replace(table, rows, lambda at: moved(at, made.new, made.old), None)
            done = count if table == "sightings" else done
        self._run(
            f"INSERT OR IGNORE INTO sightings ({_SIGHTING}) SELECT {_SIGHTING} FROM displaced WHERE relocation_id = ?",
            (made.relocation_id,),
        )
        for table in ("displaced", "relocated"):
            self._run(f"DELETE FROM {table} WHERE relocation_id = ?", (made.relocation_id,))
        self._run("UPDATE relocations SET undone_utc = ? WHERE relocation_id = ?", (now_utc, made.relocation_id))
        return done
