"""Looking through a catalogue a page at a time: what a person chooses from. Part of ``Catalogue``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from indexer.catalogue.rows import DecisionRow
from indexer.catalogue.sql import conditions
from indexer.search.filters import Filter

_DECISION = (
    "decision_id, lower(hex(query_sha256)), lower(hex(item_sha256)), verdict, note, examiner, account, decided_utc"
)


class Browsing:
    """Bounded lists; none reads a whole table."""

    def _rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        raise NotImplementedError

    def item_page(self, after: int, limit: int, wanted: Filter | None = None) -> list[int]:
        """Ids above ``after`` of items that pass a filter, ascending, at most ``limit``."""
        where, parameters = conditions(wanted) if wanted else ([], [])
        sql = "SELECT item_id FROM items WHERE item_id > ?" + "".join(f" AND {part}" for part in where)
        return [row[0] for row in self._rows(f"{sql} ORDER BY item_id LIMIT ?", (after, *parameters, limit))]

    def items_by_prefix(self, prefix: str, limit: int) -> list[int]:
        """Items whose SHA-256 begins with these hexadecimal digits, at most ``limit``."""
        low, high = prefix.ljust(64, "0"), prefix.ljust(64, "f")
        sql = "SELECT item_id FROM items WHERE sha256 BETWEEN ? AND ? ORDER BY sha256 LIMIT ?"
        return [row[0] for row in self._rows(sql, (bytes.fromhex(low), bytes.fromhex(high), limit))]

    def label_columns(self) -> list[str]:
        """Names of the columns that labels have."""
        # Hops from name to name along the index of an item's labels would need one by name; labels are few.
        return [row[0] for row in self._rows("SELECT DISTINCT name FROM labels ORDER BY name LIMIT 100")]

    def label_values(self, limit: int) -> list[tuple[str, str]]:
        """Columns and values of labels, at most ``limit``."""
        sql = "SELECT DISTINCT name, value FROM labels ORDER BY name, value LIMIT ?"
        return [(row[0], row[1]) for row in self._rows(sql, (limit,))]

    def decisions_between(self, sha256: str, other: str | None = None) -> list[DecisionRow]:
        """Every decision on a content (with ``other``: on these two, either way round), oldest first."""
        one = bytes.fromhex(sha256)
        if other is None:
            where, parameters = "query_sha256 = ?1 OR item_sha256 = ?1", [one]
        else:
            where = "(query_sha256 = ?1 AND item_sha256 = ?2) OR (query_sha256 = ?2 AND item_sha256 = ?1)"
            parameters = [one, bytes.fromhex(other)]
        rows = self._rows(
            f"SELECT {_DECISION} FROM decisions WHERE {where} ORDER BY decided_utc, decision_id", parameters
        )
        return [DecisionRow(*row) for row in rows]
