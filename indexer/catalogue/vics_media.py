"""Known media from Project VIC files in the catalogue: what is read and written of them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from indexer.catalogue.sql import new_id

# A record is of an item when a hash agrees and none disagrees.
_SAME = (
    "(m.md5 = i.md5 AND (m.sha1 IS NULL OR i.sha1 IS NULL OR m.sha1 = i.sha1)) OR (m.md5 IS NULL AND m.sha1 = i.sha1)"
)


@dataclass(frozen=True, slots=True)
class VicsRow:
    """An imported file: its name, SHA-256, data model, how many media it held, and what stood beside them."""

    file_id: int
    name: str
    sha256: str
    version: str
    media: int
    header: dict[str, Any]
    imported_utc: str


class VicsReading:
    """Part of ``Catalogue``."""

    def _rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        raise NotImplementedError

    def _stream(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        raise NotImplementedError

    def vics_files(self) -> list[VicsRow]:
        """Every imported file, oldest first."""
        rows = self._rows(
            "SELECT file_id, name, lower(hex(sha256)), version, media, header_json, imported_utc FROM vics_files"
            " ORDER BY file_id"
        )
        return [
            VicsRow(file_id, name, sha256, version, media, json.loads(header), utc)
            for file_id, name, sha256, version, media, header, utc in rows
        ]

    def vics_records(self, item_ids: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
        """Records that imported files hold of items, in the order of import."""
        found: dict[int, list[dict[str, Any]]] = {}
        chosen = "item_id IN (SELECT value FROM json_each(?))"
        for item_id, record in self._rows(
            f"SELECT i.item_id, m.record_json FROM items i JOIN vics_media m ON {_SAME} WHERE i.{chosen}"
            " ORDER BY m.media_id",
            (json.dumps(list(item_ids)),),
        ):
            found.setdefault(item_id, []).append(json.loads(record))
        return found

    def vics_unseen(self) -> Iterator[dict[str, Any]]:
        """Records of which the case holds no item, streamed in the order of import."""
        sql = "SELECT m.record_json FROM vics_media m WHERE m.media_id NOT IN"
        sql += f" (SELECT m.media_id FROM items i JOIN vics_media m ON {_SAME}) ORDER BY m.media_id"
        for (record,) in self._stream(sql):
            yield json.loads(record)

    def vics_highest_id(self) -> int:
        """The highest MediaID of all records; 0 where there is none."""
        sql = "SELECT coalesce(max(json_extract(record_json, '$.MediaID')), 0) FROM vics_media"
        return int(self._rows(f"{sql} WHERE json_type(record_json, '$.MediaID') = 'integer'")[0][0])


class VicsWriting:
    """Part of ``Writer``."""

    _db: sqlite3.Connection

    def add_vics_file(self, name: str, version: str, run_id: int, now_utc: str) -> int:
        """Begin an imported file; ``finish_vics_file`` in the same transaction ends it. Returns its id."""
        # A stand-in until the last byte has been read: SHA-256 is never null.
        cursor = self._db.execute(
            "INSERT INTO vics_files (sha256, name, version, header_json, media, run_id, imported_utc)"
            " VALUES (x'', ?, ?, '{}', 0, ?, ?)",
            (name, version, run_id, now_utc),
        )
        return new_id(cursor)

    def add_vics_media(self, file_id: int, rows: Iterable[Sequence[Any]]) -> None:
        """Add records: number, MD5, SHA-1 (bytes or None), category, series, tags, the whole record as JSON."""
        self._db.executemany(
            "INSERT INTO vics_media (file_id, number, md5, sha1, category, series, tags, record_json)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            ((file_id, *row) for row in rows),
        )

    def finish_vics_file(self, file_id: int, sha256: str, header: dict[str, Any], media: int) -> int:
        """Complete a file, and label the items that it knows; returns how many those are.

        Items that come later are labelled as they come, by the schema.
        """
        content = bytes.fromhex(sha256)
        self._db.execute(
            "UPDATE vics_files SET sha256 = ?, header_json = ?, media = ? WHERE file_id = ?",
            (content, json.dumps(header), media, file_id),
        )
        for same in ("m.md5 = i.md5 AND (m.sha1 IS NULL OR i.sha1 IS NULL OR m.sha1 = i.sha1)",
                     "m.md5 IS NULL AND m.sha1 = i.sha1"):  # fmt: skip
            self._db.execute(
                "INSERT OR REPLACE INTO labels SELECT i.item_id, m.source, m.name, m.value"
                f" FROM items i JOIN vics_facts m ON {same} WHERE m.file_id = ? ORDER BY m.media_id",
                (file_id,),
            )
        sql = f"SELECT count(DISTINCT i.item_id) FROM items i JOIN vics_media m ON {_SAME} WHERE m.file_id = ?"
        return int(self._db.execute(sql, (file_id,)).fetchone()[0])

    def has_vics_file(self, sha256: str) -> bool:
        """Has this very file been imported?"""
        row = self._db.execute("SELECT 1 FROM vics_files WHERE sha256 = ?", (bytes.fromhex(sha256),)).fetchone()
        return row is not None
