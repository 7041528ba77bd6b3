"""What was said of the case when it was made, and its counters."""

from __future__ import annotations

from collections.abc import Iterable

from indexer.catalogue.sql import Reads, Writes
from indexer.catalogue.table import Kept, Table

TABLES = (
    Table(
        "meta",
        {1: "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;"},
        delete=Kept(),
        merge=Kept("a case is called what it was called"),
        compact=Kept(),
    ),
    # Counters that only grow, so that no number is given twice: segments, generations, vectors, items; deletions.
    Table(
        "state",
        {
            2: """
            CREATE TABLE state (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
            INSERT INTO state SELECT 'segments', count(*) FROM segments;
            INSERT INTO state VALUES ('generations', 0), ('deletions', 0), ('items', 0), ('vectors', 0);
            """
        },
        delete=Kept("no number is given twice"),
        merge=Kept("numbers are this case's own"),
        compact=Kept(),
    ),
)

_OWN = "own:"


class MetaReads(Reads):
    """What is said of a case."""

    def all(self) -> dict[str, str]:
        """What was said of the case when it was made: handed on with reports and statements."""
        return dict(self._rows(f"SELECT key, value FROM meta WHERE key NOT LIKE '{_OWN}%'"))

    def own(self, key: str) -> str | None:
        """What the case keeps to itself: it stands in no report, statement or export."""
        row = self._one("SELECT value FROM meta WHERE key = ?", (_OWN + key,))
        return None if row is None else str(row[0])


class MetaWrites(Writes, MetaReads):
    """Saying something of a case, and counting."""

    def set(self, values: dict[str, str]) -> None:
        """Say something of the case."""
        self._run_all("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())

    def set_own(self, key: str, value: str) -> None:
        """Keep something that is told nobody."""
        self.set({_OWN + key: value})

    def remove(self, keys: Iterable[str]) -> None:
        """Say nothing of these any more."""
        self._run_all("DELETE FROM meta WHERE key = ?", ((key,) for key in keys))

    def next_number(self, counter: str) -> int:
        """Count one further: a number that was never given before, even if what bore it is gone."""
        return int(self._rows("UPDATE state SET value = value + 1 WHERE key = ? RETURNING value", (counter,))[0][0])

    def keep_highest(self) -> None:
        """Note the highest ids of items and vectors before some are deleted: none is ever given again."""
        for counter, column in (("vectors", "vector_id"), ("items", "item_id")):
            self._run(
                f"UPDATE state SET value = max(value, (SELECT coalesce(max({column}), 0) FROM {counter}))"
                " WHERE key = ?",
                (counter,),
            )
