"""Labels: what a source says of an item."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from indexer.catalogue.sql import Reads, Writes, parts_of
from indexer.catalogue.table import ITEMS, Copied, Gone, Kept, Table

TABLES = (
    Table(
        "labels",
        {
            1: """
            CREATE TABLE labels (
                item_id INTEGER NOT NULL REFERENCES items,
                source TEXT NOT NULL,
                name TEXT NOT NULL,
                value TEXT NOT NULL,
                PRIMARY KEY (item_id, source, name)
            ) STRICT, WITHOUT ROWID;
            """
        },
        delete=Gone("item"),
        # What this case says stands.
        merge=Copied(
            f"SELECT item_id, source, name, value FROM labels WHERE {ITEMS}",
            "INSERT INTO labels VALUES (:item_id, :source, :name, :value) ON CONFLICT DO NOTHING",
        ),
        compact=Kept(),
    ),
)


class LabelReads(Reads):
    """What is said of items."""

    def of(self, item_ids: Iterable[int]) -> dict[int, dict[str, tuple[str, ...]]]:
        """Labels of each item: column name to the values its sources gave, sorted."""
        found: dict[int, dict[str, tuple[str, ...]]] = {}
        for marks, part in parts_of(item_ids):
            found.update((item_id, {}) for item_id in part)
            for item_id, name, value in self._rows(
                f"SELECT DISTINCT item_id, name, value FROM labels WHERE item_id IN ({marks}) ORDER BY name, value",
                part,
            ):
                found[item_id][name] = (*found[item_id].get(name, ()), value)
        return found

    def by_source(self, item_ids: Sequence[int]) -> list[tuple[Any, ...]]:
        """Labels of items with who says so: item, source, name, value."""
        return self._rows(
            "SELECT item_id, source, name, value FROM labels WHERE item_id IN (SELECT value FROM json_each(?))",
            (json.dumps(list(item_ids)),),
        )

    def values(self, limit: int) -> list[tuple[str, str]]:
        """Columns and values of labels, at most ``limit``."""
        sql = "SELECT DISTINCT name, value FROM labels ORDER BY name, value LIMIT ?"
        return [(row[0], row[1]) for row in self._rows(sql, (limit,))]

    def columns(self) -> list[str]:
        """The columns of labels."""
        return [row[0] for row in self._rows("SELECT DISTINCT name FROM labels ORDER BY name")]

    def has(self, name: str, value: str) -> bool:
        """Has any item this label?"""
        return self._one("SELECT 1 FROM labels WHERE name = ? AND value = ? LIMIT 1", (name, value)) is not None

    def table(self) -> Iterator[tuple[Any, ...]]:
        """Item, its SHA-256, source, name and value of every label, in the order of items."""
        return self._stream(
            "SELECT item_id, lower(hex(sha256)), source, name, value FROM labels JOIN items USING (item_id)"
            " ORDER BY item_id, source, name"
        )


class LabelWrites(Writes, LabelReads):
    """Saying something of items."""

    def set(self, item_id: int, source: str, labels: dict[str, str]) -> None:
        """Set what one source says of an item; what it said before is replaced."""
        self._run("DELETE FROM labels WHERE item_id = ? AND source = ?", (item_id, source))
        self._run_all(
            "INSERT INTO labels (item_id, source, name, value) VALUES (?, ?, ?, ?)",
            ((item_id, source, name, value) for name, value in labels.items()),
        )
