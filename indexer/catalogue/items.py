"""Items: unique content."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from imgmatch.locator import Locator
from imgmatch.types import Digests, Image
from indexer.catalogue.filters import Filter, conditions
from indexer.catalogue.sql import Reads, Writes, parts_of
from indexer.catalogue.table import Gone, Handled, Kept, Table

TABLES = (
    Table(
        "items",
        {
            1: """
            CREATE TABLE items (
                item_id INTEGER PRIMARY KEY,
                sha256 BLOB NOT NULL UNIQUE,
                md5 BLOB NOT NULL,
                size_bytes INTEGER NOT NULL,
                format TEXT NOT NULL,
                width_px INTEGER NOT NULL,
                height_px INTEGER NOT NULL,
                orientation INTEGER NOT NULL,
                partial TEXT
            ) STRICT;
            """,
            # For hash lists that know nothing newer; null for items of older formats.
            6: "ALTER TABLE items ADD COLUMN sha1 BLOB;",
        },
        delete=Gone("item"),
        merge=Handled("content that both have is one item, by SHA-256"),
        compact=Kept(),
    ),
)

_COLUMNS = "item_id, sha256, md5, sha1, size_bytes, format, width_px, height_px, orientation, partial"
# A deleted item's id never comes back: reports and logs go on meaning what they meant.
_FREE_ID = "max((SELECT coalesce(max(item_id), 0) FROM items), (SELECT value FROM state WHERE key = 'items')) + 1"


class ItemRow(NamedTuple):
    """Unique content as the catalogue holds it."""

    item_id: int
    sha256: str
    md5: str
    sha1: str | None
    """None in cases that were made before it was kept, until the file is read again."""
    size_bytes: int
    format: str
    width_px: int
    height_px: int
    partial: str | None


class ItemReads(Reads):
    """Finding items."""

    def by_id(self, item_ids: Iterable[int]) -> dict[int, ItemRow]:
        """Items by id."""
        found: dict[int, ItemRow] = {}
        for marks, part in parts_of(item_ids):
            for row in self._rows(
                "SELECT item_id, lower(hex(sha256)), lower(hex(md5)), lower(hex(sha1)), size_bytes, format, width_px,"
                f" height_px, partial FROM items WHERE item_id IN ({marks})",
                part,
            ):
                found[row[0]] = ItemRow(row[0], row[1], row[2], row[3] or None, *row[4:])
        return found

    def id_of(self, sha256: str) -> int | None:
        """The item with this content, or None."""
        row = self._one("SELECT item_id FROM items WHERE sha256 = ?", (bytes.fromhex(sha256),))
        return None if row is None else int(row[0])

    def by_prefix(self, prefix: str, limit: int) -> list[int]:
        """Items whose SHA-256 begins with these hexadecimal digits, at most ``limit``."""
        low, high = prefix.ljust(64, "0"), prefix.ljust(64, "f")
        sql = "SELECT item_id FROM items WHERE sha256 BETWEEN ? AND ? ORDER BY sha256 LIMIT ?"
        return [row[0] for row in self._rows(sql, (bytes.fromhex(low), bytes.fromhex(high), limit))]

    def page(self, after: int, limit: int, wanted: Filter | None = None) -> list[int]:
        """Ids above ``after`` of items that pass a filter, ascending, at most ``limit``."""
        where, parameters = conditions(wanted) if wanted else ([], [])
        sql = "SELECT item_id FROM items WHERE item_id > ?" + "".join(f" AND {part}" for part in where)
        return [row[0] for row in self._rows(f"{sql} ORDER BY item_id LIMIT ?", (after, *parameters, limit))]

    def whole_rows(self, after: int, limit: int, wanted: Filter | None = None) -> list[tuple[Any, ...]]:
        """Items with ids above ``after`` that pass a filter, every column, for another case."""
        where, parameters = conditions(wanted) if wanted else ([], [])
        sql = f"SELECT {_COLUMNS} FROM items WHERE item_id > ?" + "".join(f" AND {part}" for part in where)
        return self._rows(f"{sql} ORDER BY item_id LIMIT ?", (after, *parameters, limit))

    def unseen(self) -> list[int]:
        """Items without a sighting."""
        sql = "SELECT item_id FROM items WHERE item_id NOT IN (SELECT item_id FROM sightings)"
        return [row[0] for row in self._rows(sql)]

    def count(self, model_id: int, wanted: Filter | None = None) -> int:
        """How many items a model has embedded, of those that pass a filter."""
        where, parameters = conditions(wanted) if wanted else ([], [])
        sql = "SELECT count(DISTINCT item_id) FROM vectors WHERE model_id = ?" + "".join(f" AND {p}" for p in where)
        return int(self._rows(sql, (model_id, *parameters))[0][0])

    def sample(self, model_id: int, count: int) -> list[tuple[int, str]]:
        """The first items, with a vector by this model, in the order of their SHA-256: a sample that is the same
        whatever order they came in. Item id and SHA-256.
        """
        rows = self._rows(
            "SELECT item_id, lower(hex(sha256)) FROM items WHERE EXISTS (SELECT 1 FROM vectors"
            " WHERE vectors.item_id = items.item_id AND model_id = ?) ORDER BY sha256 LIMIT ?",
            (model_id, count),
        )
        return [(row[0], row[1]) for row in rows]


class ItemWrites(Writes, ItemReads):
    """Adding items."""

    def add(self, digests: Digests, image: Image) -> int:
        """Add new content, or find it where another model has added it; returns its id."""
        hashes = (bytes.fromhex(digest) for digest in (digests.sha256, digests.md5, digests.sha1))
        about = (image.format, *image.stored_size_px, image.orientation, image.partial)
        return self.merge((*hashes, digests.size_bytes, *about))

    def merge(self, row: Sequence[Any]) -> int:
        """Add another case's item (``whole_rows`` without the id), or find it; returns its id here."""
        found = self._one("SELECT item_id FROM items WHERE sha256 = ?", (row[0],))
        if found is not None:
            return int(found[0])
        return self._insert(f"INSERT INTO items ({_COLUMNS}) VALUES ({_FREE_ID}, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)

    def doubt(self, place: Locator, why: str) -> int:
        """Call the items partial that were found nowhere but at or within a place; returns how many."""
        within = "(locator = :place OR (locator > :first AND locator < :last))"
        return self._run(
            "UPDATE items SET partial = :why WHERE partial IS NULL"
            f" AND item_id IN (SELECT item_id FROM sightings WHERE {within})"
            f" AND NOT EXISTS (SELECT 1 FROM sightings WHERE item_id = items.item_id AND NOT ({within}))",
            {"why": why, "place": str(place), "first": f"{place}|", "last": f"{place}}}"},
        )

    def restore(self, row: Sequence[Any]) -> None:
        """Add an item as ``whole_rows`` gives it, with the id that it has there."""
        self._run(f"INSERT INTO items ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
