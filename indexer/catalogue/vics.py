"""Known media from Project VIC files in the catalogue: what is read and written of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from indexer.catalogue.erasures import ErasureReads
from indexer.catalogue.sql import Reads, Writes
from indexer.catalogue.table import Handled, Kept, Table

_CONTENTS = Kept("what a file says of contents, whether they are items or not")
_ONCE = Handled("a file that this case has not imported comes along with its records, and labels the items it knows")

TABLES = (
    # Project VIC files that were imported, and their media records: typed what is searched by, and whole as JSON.
    Table(
        "vics_files",
        {
            8: """
            CREATE TABLE vics_files (
                file_id INTEGER PRIMARY KEY,
                sha256 BLOB NOT NULL UNIQUE,
                name TEXT NOT NULL,
                version TEXT NOT NULL,
                header_json TEXT NOT NULL,
                media INTEGER NOT NULL,
                run_id INTEGER NOT NULL REFERENCES runs,
                imported_utc TEXT NOT NULL
            ) STRICT;
            """
        },
        delete=_CONTENTS,
        merge=_ONCE,
        compact=Kept(),
    ),
    Table(
        "vics_media",
        {
            8: """
            CREATE TABLE vics_media (
                media_id INTEGER PRIMARY KEY,
                file_id INTEGER NOT NULL REFERENCES vics_files,
                number INTEGER NOT NULL,
                md5 BLOB,
                sha1 BLOB,
                category INTEGER,
                series TEXT,
                tags TEXT,
                record_json TEXT NOT NULL
            ) STRICT;
            CREATE INDEX vics_media_by_md5 ON vics_media (md5);
            CREATE INDEX vics_media_by_sha1 ON vics_media (sha1);
            -- What they say, as labels of a source of its own.
            CREATE VIEW vics_facts AS
                SELECT media_id, file_id, md5, sha1, 'vics:' || substr(lower(hex(f.sha256)), 1, 16) AS source,
                    'vics_category' AS name, CAST(category AS TEXT) AS value
                    FROM vics_media JOIN vics_files f USING (file_id) WHERE category IS NOT NULL
                UNION ALL
                SELECT media_id, file_id, md5, sha1, 'vics:' || substr(lower(hex(f.sha256)), 1, 16),
                    'vics_series', series FROM vics_media JOIN vics_files f USING (file_id) WHERE series IS NOT NULL
                UNION ALL
                SELECT media_id, file_id, md5, sha1, 'vics:' || substr(lower(hex(f.sha256)), 1, 16),
                    'vics_tags', tags FROM vics_media JOIN vics_files f USING (file_id) WHERE tags IS NOT NULL;
            -- Pictures that come after the file get its labels as they come, whichever way they come.
            CREATE TRIGGER vics_labels_new_items AFTER INSERT ON items BEGIN
                INSERT OR REPLACE INTO labels SELECT NEW.item_id, source, name, value FROM vics_facts
                    WHERE md5 = NEW.md5 AND (sha1 IS NULL OR NEW.sha1 IS NULL OR sha1 = NEW.sha1) ORDER BY media_id;
                INSERT OR REPLACE INTO labels SELECT NEW.item_id, source, name, value FROM vics_facts
                    WHERE md5 IS NULL AND sha1 = NEW.sha1 ORDER BY media_id;
            END;
            """
        },
        delete=_CONTENTS,
        merge=_ONCE,
        compact=Kept(),
    ),
)

# A record is of an item when a hash agrees and none disagrees: by MD5, or where it has none by SHA-1.
_BY_MD5 = "m.md5 = i.md5 AND (m.sha1 IS NULL OR i.sha1 IS NULL OR m.sha1 = i.sha1)"
_BY_SHA1 = "m.md5 IS NULL AND m.sha1 = i.sha1"
_SAME = f"({_BY_MD5}) OR ({_BY_SHA1})"
_FILE = "sha256, name, version, header_json, media, imported_utc, run_id"
_MEDIA = "number, md5, sha1, category, series, tags, record_json"


class VicsRow(NamedTuple):
    """An imported file: its name, SHA-256, data model, how many media it held, and what stood beside them."""

    file_id: int
    name: str
    sha256: str
    version: str
    media: int
    header: dict[str, Any]
    imported_utc: str


class VicsReads(Reads):
    """Imported files, and what they say."""

    def files(self) -> list[VicsRow]:
        """Every imported file, oldest first."""
        rows = self._rows(
            "SELECT file_id, name, lower(hex(sha256)), version, media, header_json, imported_utc FROM vics_files"
            " ORDER BY file_id"
        )
        return [
            VicsRow(file_id, name, sha256, version, media, json.loads(header), utc)
            for file_id, name, sha256, version, media, header, utc in rows
        ]

    def records(self, item_ids: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
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

    def unseen(self) -> Iterator[dict[str, Any]]:
        """Records of which the case holds no item, streamed in the order of import."""
        sql = "SELECT m.record_json FROM vics_media m WHERE m.media_id NOT IN"
        sql += f" (SELECT m.media_id FROM items i JOIN vics_media m ON {_SAME}) ORDER BY m.media_id"
        for (record,) in self._stream(sql):
            yield json.loads(record)

    def highest_id(self) -> int:
        """The highest MediaID of all records; 0 where there is none."""
        sql = "SELECT coalesce(max(json_extract(record_json, '$.MediaID')), 0) FROM vics_media"
        return int(self._rows(f"{sql} WHERE json_type(record_json, '$.MediaID') = 'integer'")[0][0])

    def has_file(self, sha256: str) -> bool:
        """Has this very file been imported?"""
        return self._one("SELECT 1 FROM vics_files WHERE sha256 = ?", (bytes.fromhex(sha256),)) is not None

    def whole_files(self) -> list[tuple[Any, ...]]:
        """Imported files for another case, oldest first: id, SHA-256, and what stands beside it, the run last."""
        return self._rows(f"SELECT file_id, {_FILE} FROM vics_files ORDER BY file_id")

    def whole_media(self, file_id: int) -> Iterator[tuple[Any, ...]]:
        """Records of a file as ``VicsWrites.add_media`` takes them, in the order of import."""
        return self._stream(f"SELECT {_MEDIA} FROM vics_media WHERE file_id = ? ORDER BY media_id", (file_id,))


class VicsWrites(Writes, VicsReads):
    """Importing files."""

    def add_file(self, name: str, version: str, run_id: int, now_utc: str) -> int:
        """Begin an imported file; ``finish_file`` in the same transaction ends it. Returns its id."""
        # A stand-in until the last byte has been read: SHA-256 is never null.
        return self._insert(
            f"INSERT INTO vics_files ({_FILE}) VALUES (x'', ?, ?, '{{}}', 0, ?, ?)", (name, version, now_utc, run_id)
        )

    def add_media(self, file_id: int, rows: Iterable[Sequence[Any]]) -> None:
        """Add records: number, MD5, SHA-1 (bytes or None), category, series, tags, the whole record as JSON. Those of
        contents that were erased from the case stay out.
        """
        sql = f"INSERT INTO vics_media (file_id, {_MEDIA}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        md5s, sha1s = ErasureReads(self._source).hashes_kept_out()
        wanted = (row for row in rows if row[1] not in md5s and row[2] not in sha1s)
        self._run_all(sql, ((file_id, *row) for row in wanted))

    def forget_erased(self) -> int:
        """Remove the records of contents that were erased; returns how many."""
        hashes = (
            "(SELECT {0} FROM erased WHERE readmitted_utc IS NULL AND {0} IS NOT NULL EXCEPT SELECT {0} FROM items)"
        )
        sql = f"DELETE FROM vics_media WHERE md5 IN {hashes.format('md5')} OR sha1 IN {hashes.format('sha1')}"
        return self._run(sql)

    def finish_file(self, file_id: int, sha256: str, header: dict[str, Any], media: int) -> int:
        """Complete a file, and label the items that it knows; returns how many those are.

        Items that come later are labelled as they come, by the schema.
        """
        self._run(
            "UPDATE vics_files SET sha256 = ?, header_json = ?, media = ? WHERE file_id = ?",
            (bytes.fromhex(sha256), json.dumps(header), media, file_id),
        )
        self._label(file_id)
        sql = f"SELECT count(DISTINCT i.item_id) FROM items i JOIN vics_media m ON {_SAME} WHERE m.file_id = ?"
        return int(self._rows(sql, (file_id,))[0][0])

    def merge(self, theirs: VicsReads, runs: Mapping[int, int]) -> int:
        """Add files that another case has imported and this one has not; ``runs``: its run ids to ours. Returns how
        many those are.
        """
        new = 0
        for file_id, sha256, *file, run_id in theirs.whole_files():
            if not self.has_file(sha256.hex()):
                sql = f"INSERT INTO vics_files ({_FILE}) VALUES (?, ?, ?, ?, ?, ?, ?)"
                ours = self._insert(sql, (sha256, *file, runs[run_id]))
                self.add_media(ours, theirs.whole_media(file_id))
                self._label(ours)
                new += 1
        return new

    def _label(self, file_id: int) -> None:
        for same in (_BY_MD5, _BY_SHA1):
            self._run(
                "INSERT OR REPLACE INTO labels SELECT i.item_id, m.source, m.name, m.value"
                f" FROM items i JOIN vics_facts m ON {same} WHERE m.file_id = ? ORDER BY m.media_id",
                (file_id,),
            )
