"""Sightings: where an item was found, and what read it there again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from imgmatch.locator import Locator
from imgmatch.types import Evidence, Sighting
from indexer.catalogue.issues import FILE_STAGES, settle
from indexer.catalogue.listed import ListedReads
from indexer.catalogue.sql import Reads, Writes, below, parts_of
from indexer.catalogue.table import ITEMS, Copied, Gone, Kept, Table
from indexer.catalogue.vectors import read_as

TABLES = (
    Table(
        "sightings",
        {
            1: """
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
            """,
            9: "CREATE INDEX sightings_by_run ON sightings (run_id);",
        },
        delete=Gone("item", "place"),
        merge=Copied(
            "SELECT item_id, locator, modified_utc, modified_ns, changed_ns, seen_utc, run_id FROM sightings"
            f" WHERE {ITEMS} ORDER BY sighting_id",
            "INSERT INTO sightings (item_id, locator, modified_utc, modified_ns, changed_ns, seen_utc, run_id) VALUES"
            " (:item_id, :locator, :modified_utc, :modified_ns, :changed_ns, :seen_utc, :run_id)"
            " ON CONFLICT DO NOTHING",
        ),
        compact=Kept(),
    ),
    # Known content that a later run has read again at the same place: how often, and when last.
    Table(
        "rereads",
        {
            9: """
            CREATE TABLE rereads (
                run_id INTEGER NOT NULL REFERENCES runs,
                sighting_id INTEGER NOT NULL REFERENCES sightings,
                times INTEGER NOT NULL,
                read_utc TEXT NOT NULL,
                PRIMARY KEY (run_id, sighting_id)
            ) STRICT, WITHOUT ROWID;
            CREATE INDEX rereads_by_sighting ON rereads (sighting_id);
            """
        },
        delete=Gone("sighting"),
        merge=Copied(
            "SELECT r.run_id, item_id, locator, times, read_utc FROM rereads r JOIN sightings USING (sighting_id)"
            f" WHERE {ITEMS}",
            "INSERT INTO rereads SELECT :run_id, sighting_id, :times, :read_utc FROM sightings"
            " WHERE item_id = :item_id AND locator = :locator ON CONFLICT DO NOTHING",
        ),
        compact=Kept(),
    ),
)


class SightingRow(NamedTuple):
    """A sighting together with what its item's content was."""

    locator: Locator
    item_id: int
    sha256: str
    size_bytes: int


class SightingReads(Reads):
    """Where items were found."""

    def of(self, item_ids: Iterable[int]) -> dict[int, list[Sighting]]:
        """Every sighting of each item, in the order they were made."""
        found: dict[int, list[Sighting]] = {}
        for marks, part in parts_of(item_ids):
            found.update((item_id, []) for item_id in part)
            for item_id, locator, modified in self._rows(
                f"SELECT item_id, locator, modified_utc FROM sightings WHERE item_id IN ({marks}) ORDER BY sighting_id",
                part,
            ):
                found[item_id].append(Sighting(Locator.parse(locator), modified))
        return found

    def item_at(self, locator: Locator) -> int | None:
        """The item last seen at a place, or None."""
        row = self._one(
            "SELECT item_id FROM sightings WHERE locator = ? ORDER BY sighting_id DESC LIMIT 1", (str(locator),)
        )
        return None if row is None else int(row[0])

    def any_below(self, source: str) -> bool:
        """Was anything seen at a place, or in it?"""
        condition, values = below(source)
        return self._one(f"SELECT 1 FROM sightings WHERE {condition} LIMIT 1", values) is not None

    def items_below(self, source: str) -> set[int]:
        """Items that were seen at a place, or in it."""
        condition, values = below(source)
        return {row[0] for row in self._rows(f"SELECT DISTINCT item_id FROM sightings WHERE {condition}", values)}

    def places_below(self, source: str) -> list[str]:
        """Every place of a sighting at a place, or in it."""
        condition, values = below(source)
        return [row[0] for row in self._rows(f"SELECT DISTINCT locator FROM sightings WHERE {condition}", values)]

    def only_below(self, sources: Sequence[str], item_ids: Iterable[int]) -> list[int]:
        """Those of some items that were seen nowhere but at these places, or in them."""
        conditions, values = zip(*map(below, sources), strict=True) if sources else (("0",), ([],))
        elsewhere = f"SELECT 1 FROM sightings WHERE item_id = ? AND NOT ({' OR '.join(conditions)}) LIMIT 1"
        own = [value for each in values for value in each]
        return [item for item in item_ids if self._one(elsewhere, (item, *own)) is None]

    def inside(self, item_ids: Iterable[int]) -> set[int]:
        """Further items that were seen only in files that some items are: a preview, a frame. Not where another content
        was seen at such a file's place too.
        """
        chosen = set(item_ids)
        found: set[int] = set()
        waiting = list(chosen)
        while waiting:
            ((_, seen),) = self.of([waiting.pop()]).items()
            for place in (str(each.locator) for each in seen):
                others = {row[0] for row in self._rows("SELECT item_id FROM sightings WHERE locator = ?", (place,))}
                if others - chosen - found:
                    continue
                lie_in = "SELECT DISTINCT item_id FROM sightings WHERE locator >= ? AND locator < ?"
                within = {row[0] for row in self._rows(lie_in, (f"{place}|", f"{place}}}"))} - chosen - found
                new = set(self.only_below([place], within))
                found |= new
                waiting += new
        return found

    def all(self) -> Iterator[SightingRow]:
        """Every sighting with its item's content, streamed in the order they were made."""
        for locator, item_id, sha256, size in self._stream(
            "SELECT locator, item_id, hex(sha256), size_bytes FROM sightings JOIN items USING (item_id)"
            " ORDER BY sighting_id"
        ):
            yield SightingRow(Locator.parse(locator), item_id, sha256.lower(), size)

    def table(self) -> Iterator[tuple[Any, ...]]:
        """Id, item, its SHA-256, locator, modified, seen, run of every sighting, in the order they were made."""
        return self._stream(
            "SELECT sighting_id, item_id, lower(hex(sha256)), locator, modified_utc, seen_utc, run_id"
            " FROM sightings JOIN items USING (item_id) ORDER BY sighting_id"
        )

    def of_run(self, run_id: int) -> Iterator[tuple[Any, ...]]:
        """SHA-256 and locator of what a run found, in the order in which it did."""
        return self._stream(
            "SELECT lower(hex(sha256)), locator FROM sightings JOIN items USING (item_id) WHERE run_id = ?"
            " ORDER BY sighting_id",
            (run_id,),
        )

    def counts(self, item_ids: Sequence[int]) -> dict[int, int]:
        """How many sightings each of some items has."""
        sql = "SELECT item_id, count(*) FROM sightings WHERE item_id IN (SELECT value FROM json_each(?)) GROUP BY 1"
        return dict(self._rows(sql, (json.dumps(list(item_ids)),)))

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
        return "ignored" if ListedReads(self._source).is_ignored(evidence) else None


class SightingWrites(Writes, SightingReads):
    """Noting where items were found."""

    def add(self, sha256: str, evidence: Evidence, now_utc: str, run_id: int) -> bool:
        """Note where known content was found; settles what earlier runs said of that file, and the note that a list had
        it left out. False when it stood there already.
        """
        locator, content = str(evidence.locator), bytes.fromhex(sha256)
        settle(self._db, locator, FILE_STAGES, run_id)
        self._run("DELETE FROM listed_files WHERE locator = ? AND sha256 = ?", (locator, content))
        times = (evidence.modified_utc, evidence.modified_ns, evidence.changed_ns)
        if self._run(
            "INSERT INTO sightings (item_id, locator, modified_utc, modified_ns, changed_ns, seen_utc, run_id)"
            " SELECT item_id, ?, ?, ?, ?, ?, ? FROM items WHERE sha256 = ? ON CONFLICT DO NOTHING",
            (locator, *times, now_utc, run_id, content),
        ):
            return True
        # The same content at the same place with other times (touched, copied back): later runs can skip it again.
        self._run(
            "UPDATE sightings SET modified_utc = ?, modified_ns = ?, changed_ns = ? WHERE locator = ?"
            " AND item_id = (SELECT item_id FROM items WHERE sha256 = ?)",
            (*times, locator, content),
        )
        self._run(
            "INSERT INTO rereads SELECT ?, sighting_id, 1, ? FROM sightings JOIN items USING (item_id)"
            " WHERE locator = ? AND sha256 = ?"
            " ON CONFLICT DO UPDATE SET times = times + 1, read_utc = excluded.read_utc",
            (run_id, now_utc, locator, content),
        )
        return False

    def restore(self, item_id: int, locator: str, modified_utc: str | None, now_utc: str, run_id: int) -> None:
        """Note what somebody else saw, of whose file times no more than this is known."""
        self._run(
            "INSERT INTO sightings (item_id, locator, modified_utc, seen_utc, run_id) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            (item_id, locator, modified_utc, now_utc, run_id),
        )
