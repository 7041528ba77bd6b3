"""Vectors: which item, and which part of it, each is of; and how thoroughly items were read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from imgmatch.types import Box
from indexer.catalogue.filters import Filter, conditions
from indexer.catalogue.meta import MetaWrites
from indexer.catalogue.sql import Reads, Writes, parts_of
from indexer.catalogue.table import Gone, Handled, Kept, Table

TABLES = (
    # Row r of a segment is vector first_vector_id + r. A region is null for the whole picture.
    Table(
        "vectors",
        {
            1: """
            CREATE TABLE vectors (
                vector_id INTEGER PRIMARY KEY,
                item_id INTEGER NOT NULL REFERENCES items,
                model_id INTEGER NOT NULL REFERENCES models,
                x_px INTEGER, y_px INTEGER, width_px INTEGER, height_px INTEGER
            ) STRICT;
            CREATE INDEX vectors_by_item ON vectors (item_id, model_id);
            """
        },
        delete=Gone("item"),
        merge=Handled("with their segments' rows, where this case has none of the item by the model"),
        compact=Kept(),
    ),
    # How thoroughly a model has read an item. An item without a row has its whole picture's vector only.
    Table(
        "profiles",
        {
            3: """
            CREATE TABLE profiles (
                item_id INTEGER NOT NULL REFERENCES items,
                model_id INTEGER NOT NULL REFERENCES models,
                profile TEXT NOT NULL,
                PRIMARY KEY (item_id, model_id)
            ) STRICT, WITHOUT ROWID;
            """
        },
        delete=Gone("item"),
        merge=Handled("with the vectors"),
        compact=Kept(),
    ),
)


def read_as(profile: str | None) -> str:
    """A condition on vectors ``v``: of the whole picture, its item read so; with the profile as its parameter."""
    if profile is None:
        return " AND v.x_px IS NULL"
    return " AND v.x_px IS NULL AND (v.item_id, v.model_id, ?) IN (SELECT item_id, model_id, profile FROM profiles)"


class VectorReads(Reads):
    """Whose vectors there are."""

    def count(self, model_id: int, first: int = 0, last: int = 2**62) -> int:
        """How many live vectors of a model there are between two ids, both included."""
        sql = "SELECT coalesce(sum(model_id = ?), 0) FROM vectors WHERE vector_id BETWEEN ? AND ?"
        return int(self._rows(sql, (model_id, first, last))[0][0])

    def matching(self, model_id: int, wanted: Filter) -> Iterator[int]:
        """Ids of a model's vectors whose items pass a filter, ascending."""
        where, parameters = conditions(wanted)
        sql = "SELECT vector_id FROM vectors WHERE model_id = ?" + "".join(f" AND {part}" for part in where)
        for (vector_id,) in self._stream(f"{sql} ORDER BY vector_id", (model_id, *parameters)):
            yield vector_id

    def owners(self, vector_ids: Iterable[int]) -> dict[int, int]:
        """The item that owns each vector."""
        found: dict[int, int] = {}
        for marks, part in parts_of(map(int, vector_ids)):
            found.update(self._rows(f"SELECT vector_id, item_id FROM vectors WHERE vector_id IN ({marks})", part))
        return found

    def of(self, item_ids: Sequence[int], model_id: int) -> list[tuple[Any, ...]]:
        """Vectors of items by a model: item, id, region (x, y, width, height or four None)."""
        return self._rows(
            "SELECT item_id, vector_id, x_px, y_px, width_px, height_px FROM vectors"
            " WHERE model_id = ? AND item_id IN (SELECT value FROM json_each(?)) ORDER BY vector_id",
            (model_id, json.dumps(list(item_ids))),
        )

    def regions(self, vector_ids: Sequence[int]) -> dict[int, Box]:
        """The parts of pictures that some vectors are of; those of a whole picture are left out."""
        sql = (
            "SELECT vector_id, x_px, y_px, width_px, height_px FROM vectors"
            " WHERE x_px IS NOT NULL AND vector_id IN (SELECT value FROM json_each(?))"
        )
        return {row[0]: (row[1], row[2], row[3], row[4]) for row in self._rows(sql, (json.dumps(list(vector_ids)),))}

    def has(self, sha256: str, model_id: int, profile: str | None = None) -> bool:
        """Is this content already embedded by this model (with ``profile``: in this way)?"""
        sql = f"SELECT 1 FROM items JOIN vectors v USING (item_id) WHERE sha256 = ? AND model_id = ?{read_as(profile)}"
        key = (bytes.fromhex(sha256), model_id, *([profile] if profile else []))
        return self._one(f"{sql} LIMIT 1", key) is not None

    def has_item(self, item_id: int, model_id: int) -> bool:
        """Has this model embedded this item?"""
        sql = "SELECT 1 FROM vectors WHERE item_id = ? AND model_id = ? LIMIT 1"
        return self._one(sql, (item_id, model_id)) is not None

    def profiles(self) -> dict[str, int]:
        """How many items have been read in each way beyond the whole picture, by any model."""
        return dict(self._rows("SELECT profile, count(DISTINCT item_id) FROM profiles GROUP BY profile ORDER BY 1"))

    def profiles_of(self, item_ids: Sequence[int], model_id: int) -> list[tuple[int, str]]:
        """How a model has read items: item, profile; for another case."""
        sql = "SELECT item_id, profile FROM profiles WHERE model_id = ? AND item_id IN (SELECT value FROM json_each(?))"
        return [(row[0], row[1]) for row in self._rows(sql, (model_id, json.dumps(list(item_ids))))]


class VectorWrites(Writes, VectorReads):
    """Naming vectors, and burying them."""

    def add(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """Add vectors with their regions: id, item, model, x, y, width, height."""
        self._run_all("INSERT INTO vectors VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def set_profiles(self, rows: Iterable[tuple[int, int, str]]) -> None:
        """Note how items were read beyond the whole picture: item, model, profile."""
        self._run_all("INSERT OR REPLACE INTO profiles VALUES (?, ?, ?)", rows)

    def bury(self, within: str, chosen: str) -> int:
        """The rows of vectors within a condition, of which ``chosen`` is the parameter, become tombstones. Whoever
        calls removes the vectors. Returns how many there are.
        """
        counters = MetaWrites(self._transaction)
        counters.keep_highest()
        counters.next_number("deletions")
        return self._run(f"INSERT INTO tombstones SELECT vector_id, model_id FROM vectors WHERE {within}", (chosen,))

    def drop(self, vector_ids: Sequence[int]) -> None:
        """Vectors that are lost: their rows become tombstones, their items stay, to be read again when met."""
        chosen = json.dumps(list(vector_ids))
        within = "vector_id IN (SELECT value FROM json_each(?))"
        self.bury(within, chosen)
        lost = f"SELECT item_id, model_id FROM vectors WHERE {within}"
        self._run(f"DELETE FROM profiles WHERE (item_id, model_id) IN ({lost})", (chosen,))
        self._run(f"DELETE FROM vectors WHERE {within}", (chosen,))
        for table in ("people_faces", "faces"):
            self._run(f"DELETE FROM {table} WHERE {within}", (chosen,))
