"""Disk images: what each says of itself, and what was found when all its bytes were read."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from imgmatch.locator import Locator
from imgmatch.types import Evidence
from indexer.catalogue.sql import Reads, Writes
from indexer.catalogue.table import Copied, Gone, Kept, Table

Texts = dict[str, str]
_SAID = "locator, kind, file_bytes, disk_bytes, facts_json, hashes_json, modified_ns, changed_ns, seen_utc, run_id"
_ALL = f"{_SAID}, made_json, made_utc, faults_json, checked_utc"
TABLES = (
    # ``hashes``: those that it stores of all bytes of the disk; ``made``: those that were made of them here.
    Table(
        "containers",
        {
            15: """
            CREATE TABLE containers (
                container_id INTEGER PRIMARY KEY,
                locator TEXT NOT NULL UNIQUE,
                kind TEXT NOT NULL,
                file_bytes INTEGER NOT NULL,
                disk_bytes INTEGER NOT NULL,
                facts_json TEXT NOT NULL,
                hashes_json TEXT NOT NULL,
                modified_ns INTEGER,
                changed_ns INTEGER,
                seen_utc TEXT NOT NULL,
                run_id INTEGER NOT NULL REFERENCES runs,
                made_json TEXT NOT NULL DEFAULT '{}',
                made_utc TEXT,
                faults_json TEXT NOT NULL DEFAULT '[]',
                checked_utc TEXT
            ) STRICT;
            """
        },
        delete=Gone("place"),
        merge=Copied(
            f"SELECT {_ALL} FROM containers ORDER BY container_id",
            f"INSERT INTO containers ({_ALL}) SELECT :{_ALL.replace(', ', ', :')} WHERE true ON CONFLICT DO NOTHING",
        ),
        compact=Kept(),
    ),
)


class ContainerRow(NamedTuple):
    """A disk image: what it says of itself when it was met, and what came of reading all of it: hashes that were made
    and kept (``made``), and, as of ``checked_utc``, what was wrong.
    """

    locator: Locator
    kind: str
    file_bytes: int
    disk_bytes: int
    facts: dict[str, str]
    hashes: dict[str, str]
    seen_utc: str
    run_id: int
    made: dict[str, str]
    made_utc: str | None
    faults: list[str]
    checked_utc: str | None

    @property
    def verified(self) -> str:
        """In words: what is known of all its bytes."""
        if self.checked_utc is None:
            return "never read whole" if self.hashes or self.made else "stores no hash, and none was made of it"
        if self.faults:
            return f"NOT as it says, {self.checked_utc}: {'; '.join(self.faults)}"
        return f"as it says, {self.checked_utc}" if self.hashes else f"as when it was hashed, {self.checked_utc}"

    def record(self) -> dict[str, Any]:
        """Ready for JSON."""
        record = self._asdict()
        place = {"path": self.locator.path, "place": self.locator.words, "locator": str(self.locator)}
        return {**place, **{name: record[name] for name in record if name != "locator"}, "verified": self.verified}


class ContainerReads(Reads):
    """What disk images say."""

    def all(self) -> list[ContainerRow]:
        """Every one, in the order in which they were met first."""
        return self._where("true", ())

    def holding(self, locator: Locator) -> list[ContainerRow]:
        """Those that a place lies in, the outermost first."""
        above = []
        place: Locator | None = locator
        while place is not None:
            above.append(str(place))
            place = place.parent
        return self._where("locator IN (SELECT value FROM json_each(?))", (json.dumps(above),))

    def of_run(self, run_id: int) -> list[ContainerRow]:
        """Those that a run has read what they say of."""
        return self._where("run_id = ?", (run_id,))

    def unchanged(self, image: Evidence) -> bool:
        """Is what this very file says of itself kept already?"""
        sql = "SELECT 1 FROM containers WHERE locator = ? AND file_bytes = ? AND modified_ns IS ? AND changed_ns IS ?"
        key = (str(image.locator), image.size_bytes, image.modified_ns, image.changed_ns)
        return self._one(sql, key) is not None

    def _where(self, condition: str, parameters: tuple[Any, ...]) -> list[ContainerRow]:
        columns = (
            "locator, kind, file_bytes, disk_bytes, facts_json, hashes_json, seen_utc, run_id, made_json, made_utc,"
            " faults_json, checked_utc"
        )
        found = []
        for row in self._named(f"SELECT {columns} FROM containers WHERE {condition} ORDER BY container_id", parameters):
            for name in ("facts", "hashes", "made", "faults"):
                row[name] = json.loads(row.pop(f"{name}_json"))
            found.append(ContainerRow(**{**row, "locator": Locator.parse(row["locator"])}))
        return found


class ContainerWrites(Writes, ContainerReads):
    """Keeping what disk images say."""

    def add(
        self, image: Evidence, kind: str, disk_bytes: int, said: tuple[Texts, Texts], seen: tuple[str, int]
    ) -> None:
        """Keep what an image says (facts, hashes), in the place of what it said when it was another file; what was
        made of its bytes stays, to be compared with. ``seen``: when, and by which run.
        """
        row = (str(image.locator), kind, image.size_bytes, disk_bytes, *map(_text, said), image.modified_ns,
               image.changed_ns, *seen)  # fmt: skip
        updates = ", ".join(f"{name} = excluded.{name}" for name in _SAID.split(", ")[1:])
        self._run(
            f"INSERT INTO containers ({_SAID}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            f" ON CONFLICT (locator) DO UPDATE SET {updates}",
            row,
        )

    def checked(self, locator: Locator, faults: list[str], now_utc: str, made: dict[str, str] | None = None) -> None:
        """Keep what reading all of an image came to, with hashes that were made of it to be kept."""
        sql = "UPDATE containers SET faults_json = ?, checked_utc = ? WHERE locator = ?"
        self._run(sql, (json.dumps(faults), now_utc, str(locator)))
        if made:
            sql = "UPDATE containers SET made_json = ?, made_utc = ? WHERE locator = ?"
            self._run(sql, (_text(made), now_utc, str(locator)))


def _text(value: dict[str, str]) -> str:
    return json.dumps(value, sort_keys=False)
