"""What the catalogue keeps of items beside their content: metadata as found, and PDQ hashes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from imgmatch.picture.facts import Facts
from imgmatch.picture.metadata import Metadata, to_json
from imgmatch.picture.pdq import Pdq
from indexer.catalogue.sql import Reads

_AMONG = "item_id IN (SELECT value FROM json_each(?))"


class FactsReader:
    """Reading of facts, for the Catalogue."""

    def metadata(self: Reads, item_ids: Iterable[int]) -> dict[int, Metadata]:
        """The metadata of items; items of older formats that were not read again are left out."""
        rows = self._rows(f"SELECT item_id, fields_json FROM metadata WHERE {_AMONG}", (json.dumps(list(item_ids)),))
        return {item_id: json.loads(text) for item_id, text in rows}

    def pdqs(self: Reads, item_ids: Iterable[int]) -> dict[int, Pdq]:
        """The PDQ hashes of items that have one."""
        rows = self._rows(f"SELECT item_id, hash, quality FROM pdqs WHERE {_AMONG}", (json.dumps(list(item_ids)),))
        return {item_id: Pdq(hash, quality) for item_id, hash, quality in rows}

    def pdq_block(self: Reads, after: int, limit: int, least_quality: int) -> list[tuple[int, int, bytes]]:
        """PDQ hashes of items in the order in which they came in, beyond a number: number, item, hash."""
        sql = "SELECT pdq_id, item_id, hash FROM pdqs WHERE pdq_id > ? AND quality >= ? ORDER BY pdq_id LIMIT ?"
        return [(row[0], row[1], row[2]) for row in self._rows(sql, (after, least_quality, limit))]

    def pdq_table(self: Reads) -> Iterator[tuple[str, str, int]]:
        """Every PDQ hash: SHA-256 of the content, hash in hexadecimal, quality; in the order of items."""
        sql = (
            "SELECT lower(hex(sha256)), lower(hex(hash)), quality FROM pdqs JOIN items USING (item_id) ORDER BY item_id"
        )
        for row in self._stream(sql):
            yield row[0], row[1], row[2]

    def lacks_facts(self: Reads, sha256: str, pdq: bool) -> bool:
        """Is this content an item without metadata (with ``pdq``: or without a PDQ hash)?"""
        lacking = "item_id NOT IN (SELECT item_id FROM metadata)"
        if pdq:
            lacking = f"({lacking} OR item_id NOT IN (SELECT item_id FROM pdqs))"
        return bool(self._rows(f"SELECT 1 FROM items WHERE sha256 = ? AND {lacking}", (bytes.fromhex(sha256),)))

    def fact_rows(self: Reads, item_ids: Sequence[int]) -> Iterator[tuple[int, str | None, bytes | None, int | None]]:
        """Facts of items, for another case: item, metadata, PDQ hash, quality."""
        for row in self._stream(
            "SELECT item_id, fields_json, hash, quality FROM items LEFT JOIN metadata USING (item_id)"
            f" LEFT JOIN pdqs USING (item_id) WHERE {_AMONG}",
            (json.dumps(list(item_ids)),),
        ):
            yield (row[0], row[1], row[2], row[3])


class FactsWriter:
    """Writing of facts, for the Writer."""

    _db: sqlite3.Connection

    def set_facts(self, sha256: str, facts: Facts) -> None:
        """Keep the facts of a content, where it is an item."""
        row = self._db.execute("SELECT item_id FROM items WHERE sha256 = ?", (bytes.fromhex(sha256),)).fetchone()
        if row is None:
            return
        hash, quality = (facts.pdq.hash, facts.pdq.quality) if facts.pdq else (None, None)
        self.merge_facts([(row[0], to_json(facts.metadata), hash, quality)])

    def merge_facts(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """Add facts of items: item, metadata, PDQ hash, quality (None: not known). What is there stands."""
        for item_id, fields, hash, quality in rows:
            if fields is not None:
                self._db.execute("INSERT INTO metadata VALUES (?, ?) ON CONFLICT DO NOTHING", (item_id, fields))
            if hash is not None:
                self._db.execute(
                    "INSERT INTO pdqs (item_id, hash, quality) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                    (item_id, hash, quality),
                )
