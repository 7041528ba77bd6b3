"""What the catalogue keeps of items beside their content: metadata as found, and PDQ hashes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from imgmatch.picture.facts import Facts
from imgmatch.picture.metadata import Metadata, to_json
from imgmatch.picture.pdq import Pdq
from indexer.catalogue.sql import Reads, Writes
from indexer.catalogue.table import ITEMS, Copied, Gone, Kept, Table

_ADD_METADATA = "INSERT INTO metadata VALUES (:item_id, :fields_json) ON CONFLICT DO NOTHING"
_ADD_PDQ = "INSERT INTO pdqs (item_id, hash, quality) VALUES (:item_id, :hash, :quality) ON CONFLICT DO NOTHING"

TABLES = (
    # Metadata of an item's file as JSON: name of a field to value, source and what was found (picture.metadata).
    Table(
        "metadata",
        {7: "CREATE TABLE metadata (item_id INTEGER PRIMARY KEY REFERENCES items, fields_json TEXT NOT NULL) STRICT;"},
        delete=Gone("item"),
        merge=Copied(f"SELECT item_id, fields_json FROM metadata WHERE {ITEMS}", _ADD_METADATA),
        compact=Kept(),
    ),
    # PDQ hashes, numbered as they came in; no number is given twice.
    Table(
        "pdqs",
        {
            7: """
            CREATE TABLE pdqs (
                pdq_id INTEGER PRIMARY KEY AUTOINCREMENT,
                item_id INTEGER NOT NULL UNIQUE REFERENCES items,
                hash BLOB NOT NULL,
                quality INTEGER NOT NULL
            ) STRICT;
            """
        },
        delete=Gone("item"),
        merge=Copied(f"SELECT item_id, hash, quality FROM pdqs WHERE {ITEMS} ORDER BY item_id", _ADD_PDQ),
        compact=Kept(),
    ),
)

_AMONG = "item_id IN (SELECT value FROM json_each(?))"


class FactReads(Reads):
    """What files say of themselves."""

    def metadata(self, item_ids: Iterable[int]) -> dict[int, Metadata]:
        """The metadata of items; items of older formats that were not read again are left out."""
        rows = self._rows(f"SELECT item_id, fields_json FROM metadata WHERE {_AMONG}", (json.dumps(list(item_ids)),))
        return {item_id: json.loads(text) for item_id, text in rows}

    def positions(self) -> Iterator[tuple[int, float, float]]:
        """Where items say that they were taken: item, latitude, longitude in degrees; in the order of items."""
        value = "json_extract(fields_json, '$.{}.value')"
        sql = f"SELECT item_id, {value.format('latitude')} AS y, {value.format('longitude')} AS x FROM metadata"
        for item_id, latitude, longitude in self._stream(
            f"{sql} WHERE typeof(y) IN ('real', 'integer') AND typeof(x) IN ('real', 'integer')"
            " AND y BETWEEN -90 AND 90 AND x BETWEEN -180 AND 180 ORDER BY item_id"
        ):
            yield item_id, float(latitude), float(longitude)

    def metadata_text(self, item_ids: Iterable[int]) -> dict[int, str]:
        """The metadata of items as it is kept."""
        sql = f"SELECT item_id, fields_json FROM metadata WHERE {_AMONG}"
        return dict(self._rows(sql, (json.dumps(list(item_ids)),)))

    def pdqs(self, item_ids: Iterable[int]) -> dict[int, Pdq]:
        """The PDQ hashes of items that have one."""
        rows = self._rows(f"SELECT item_id, hash, quality FROM pdqs WHERE {_AMONG}", (json.dumps(list(item_ids)),))
        return {item_id: Pdq(hash, quality) for item_id, hash, quality in rows}

    def pdq_block(self, after: int, limit: int, least_quality: int) -> list[tuple[int, int, bytes]]:
        """PDQ hashes of items in the order in which they came in, beyond a number: number, item, hash."""
        sql = "SELECT pdq_id, item_id, hash FROM pdqs WHERE pdq_id > ? AND quality >= ? ORDER BY pdq_id LIMIT ?"
        return [(row[0], row[1], row[2]) for row in self._rows(sql, (after, least_quality, limit))]

    def pdq_table(self) -> Iterator[tuple[str, str, int]]:
        """Every PDQ hash: SHA-256 of the content, hash in hexadecimal, quality; in the order of items."""
        sql = (
            "SELECT lower(hex(sha256)), lower(hex(hash)), quality FROM pdqs JOIN items USING (item_id) ORDER BY item_id"
        )
        for row in self._stream(sql):
            yield row[0], row[1], row[2]

    def lacking(self, sha256: str) -> bool:
        """Is this content an item without metadata, or without a PDQ hash?"""
        lacking = " OR ".join(f"item_id NOT IN (SELECT item_id FROM {table})" for table in ("metadata", "pdqs"))
        return bool(self._rows(f"SELECT 1 FROM items WHERE sha256 = ? AND ({lacking})", (bytes.fromhex(sha256),)))


class FactWrites(Writes, FactReads):
    """Keeping what files say of themselves."""

    def add(self, sha256: str, facts: Facts) -> None:
        """Keep the facts of a content, where it is an item. What is there stands."""
        row = self._one("SELECT item_id FROM items WHERE sha256 = ?", (bytes.fromhex(sha256),))
        if row is None:
            return
        self._run(_ADD_METADATA, {"item_id": row[0], "fields_json": to_json(facts.metadata)})
        if facts.pdq is not None:
            self.restore(row[0], facts.pdq)

    def restore(self, item_id: int, pdq: Pdq) -> None:
        """Keep the PDQ hash of an item. What is there stands."""
        self._run(_ADD_PDQ, {"item_id": item_id, "hash": pdq.hash, "quality": pdq.quality})
