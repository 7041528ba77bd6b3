"""Whole tables of the catalogue, streamed, for programs that read tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any


class TableReading:
    """Part of ``Catalogue``."""

    def _rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        raise NotImplementedError

    def _stream(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        raise NotImplementedError

    def sighting_table(self) -> Iterator[tuple[Any, ...]]:
        """Id, item, its SHA-256, locator, modified, seen, run of every sighting, in the order they were made."""
        yield from self._stream(
            "SELECT sighting_id, item_id, lower(hex(sha256)), locator, modified_utc, seen_utc, run_id"
            " FROM sightings JOIN items USING (item_id) ORDER BY sighting_id"
        )

    def label_table(self) -> Iterator[tuple[Any, ...]]:
        """Item, its SHA-256, source, name and value of every label, in the order of items."""
        yield from self._stream(
            "SELECT item_id, lower(hex(sha256)), source, name, value FROM labels JOIN items USING (item_id)"
            " ORDER BY item_id, source, name"
        )

    def sighting_counts(self, item_ids: Sequence[int]) -> dict[int, int]:
        """How many sightings each of some items has."""
        sql = "SELECT item_id, count(*) FROM sightings WHERE item_id IN (SELECT value FROM json_each(?)) GROUP BY 1"
        return dict(self._rows(sql, (json.dumps(list(item_ids)),)))

    def sightings_of_run(self, run_id: int) -> Iterator[tuple[Any, ...]]:
        """SHA-256 and locator of what a run found, in the order in which it did."""
        yield from self._stream(
            "SELECT lower(hex(sha256)), locator FROM sightings JOIN items USING (item_id) WHERE run_id = ?"
            " ORDER BY sighting_id",
            (run_id,),
        )
