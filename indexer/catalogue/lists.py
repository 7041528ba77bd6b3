"""Lists of known files: which there are, what they hold, and which items they name."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from imgmatch.locator import Locator
from imgmatch.types import Digests
from indexer.catalogue.sql import Reads, Writes
from indexer.catalogue.table import Gone, Kept, Table

_NOT_MERGED = Kept("lists are imported; that of another case may not be meant for this one")

TABLES = (
    # Imported lists of known files: 'ignore', 'known' or 'alert'. An id is never given twice.
    Table(
        "hash_lists",
        {
            7: """
            CREATE TABLE hash_lists (
                list_id INTEGER PRIMARY KEY AUTOINCREMENT,
                name TEXT NOT NULL UNIQUE,
                kind TEXT NOT NULL CHECK (kind IN ('ignore', 'known', 'alert')),
                format TEXT NOT NULL,
                hashes INTEGER NOT NULL DEFAULT 0,
                malformed INTEGER NOT NULL DEFAULT 0,
                source TEXT NOT NULL,
                sha256 BLOB NOT NULL,
                imported_utc TEXT NOT NULL,
                -- Of PDQ lists: within how many bits they match; up to which number of pdqs they have been compared.
                distance INTEGER,
                matched_to INTEGER NOT NULL DEFAULT 0
            ) STRICT;
            """
        },
        delete=Kept(),
        merge=_NOT_MERGED,
        compact=Kept(),
    ),
    Table(
        "list_pdqs",
        {
            7: """
            CREATE TABLE list_pdqs (
                list_id INTEGER NOT NULL REFERENCES hash_lists,
                hash BLOB NOT NULL,
                quality INTEGER,
                category TEXT,
                PRIMARY KEY (list_id, hash)
            ) STRICT, WITHOUT ROWID;
            """
        },
        delete=Kept(),
        merge=_NOT_MERGED,
        compact=Kept(),
    ),
    # Of each entry the strongest digest that its list gives: 16 bytes MD5, 20 SHA-1, 32 SHA-256.
    Table(
        "list_hashes",
        {
            7: """
            CREATE TABLE list_hashes (
                list_id INTEGER NOT NULL REFERENCES hash_lists,
                digest BLOB NOT NULL,
                category TEXT,
                PRIMARY KEY (list_id, digest)
            ) STRICT, WITHOUT ROWID;
            """
        },
        delete=Kept(),
        merge=_NOT_MERGED,
        compact=Kept(),
    ),
    # Items within the distance of a PDQ list: how far its nearest entry is.
    Table(
        "pdq_matches",
        {
            7: """
            CREATE TABLE pdq_matches (
                item_id INTEGER NOT NULL REFERENCES items,
                list_id INTEGER NOT NULL REFERENCES hash_lists,
                distance INTEGER NOT NULL,
                category TEXT,
                PRIMARY KEY (item_id, list_id)
            ) STRICT, WITHOUT ROWID;
            """
        },
        delete=Gone("item"),
        merge=Kept("items that come along are compared with the lists of this case"),
        compact=Kept(),
    ),
)

_HIT = "list_id, name, kind, category, CASE length(digest) WHEN 32 THEN 'sha256' WHEN 20 THEN 'sha1' ELSE 'md5' END"
# What matters most first: an alert is never hidden behind another list.
_ORDER = "CASE kind WHEN 'alert' THEN 0 WHEN 'known' THEN 1 ELSE 2 END, name"


@dataclass(frozen=True, slots=True)
class ListRow:
    """An imported hash list. ``hashes`` are its distinct entries, ``malformed`` the parts that held no hash."""

    list_id: int
    name: str
    kind: str
    format: str
    hashes: int
    malformed: int
    source: str
    sha256: str
    imported_utc: str
    distance: int | None
    """Of PDQ lists: within how many bits they match."""
    matched_to: int
    """Of PDQ lists: up to which number of a PDQ hash the items have been compared."""


@dataclass(frozen=True, slots=True)
class ListHit:
    """A list names a content: by which hash (sha256, sha1, md5, or pdq with how many bits differ), and in which of the
    list's categories.
    """

    list_id: int
    name: str
    kind: str
    category: str | None
    by: str
    distance: int | None = None

    @property
    def reason(self) -> str:
        """For a person, as a reason of a match."""
        category = f", category {self.category}" if self.category else ""
        return (
            f"on {self.kind} list {self.name}{category} ({_HASHES.get(self.by) or f'PDQ, {self.distance} bits differ'})"
        )


_HASHES = {"sha256": "SHA-256", "sha1": "SHA-1", "md5": "MD5"}


class ListReads(Reads):
    """Lists, and what they name."""

    def all(self) -> list[ListRow]:
        """Every list, in the order of names."""
        rows = self._rows(
            "SELECT list_id, name, kind, format, hashes, malformed, source, lower(hex(sha256)), imported_utc, distance,"
            " matched_to FROM hash_lists ORDER BY name"
        )
        return [ListRow(*row) for row in rows]

    def hits(self, digests: Digests) -> tuple[ListHit, ...]:
        """The lists that name a content, alert lists first."""
        rows = self._rows(
            f"SELECT {_HIT} FROM hash_lists CROSS JOIN list_hashes USING (list_id) WHERE digest IN (?, ?, ?)"
            f" ORDER BY {_ORDER}",
            [bytes.fromhex(digest) for digest in (digests.sha256, digests.sha1, digests.md5)],
        )
        return tuple(ListHit(*row) for row in rows)

    def item_hits(
        self, item_ids: Iterable[int] | None = None, name: str | None = None
    ) -> Iterator[tuple[int, ListHit]]:
        """Items with each list that names them, in the order of items; of some items (None: all), by one list."""
        where, parameters = "", [] if item_ids is None else [json.dumps(list(item_ids))]
        if item_ids is not None:
            where = " AND item_id IN (SELECT value FROM json_each(?))"
        if name is not None:
            where += " AND name = ?"
            parameters.append(name)
        for item_id, *hit in self._stream(
            f"SELECT * FROM (SELECT item_id, {_HIT} AS by, NULL AS distance"
            f" FROM items CROSS JOIN hash_lists CROSS JOIN list_hashes USING (list_id)"
            f" WHERE digest IN (items.sha256, items.sha1, items.md5){where}"
            " UNION ALL SELECT item_id, list_id, name, kind, category, 'pdq', pdq_matches.distance FROM pdq_matches"
            f" JOIN hash_lists USING (list_id) WHERE 1{where}) ORDER BY item_id, {_ORDER}, distance",
            parameters * 2,
        ):
            yield item_id, ListHit(*hit)

    def pdqs(self, list_id: int, least_quality: int) -> list[tuple[bytes, str | None]]:
        """The hashes of a PDQ list with their categories, in the order of hashes; not those of a lower quality."""
        sql = "SELECT hash, category FROM list_pdqs WHERE list_id = ? AND coalesce(quality, 100) >= ? ORDER BY hash"
        return [(row[0], row[1]) for row in self._rows(sql, (list_id, least_quality))]

    def container_hits(self, places: Iterable[Locator]) -> dict[Locator, list[ListHit]]:
        """Of places that lie in others: the lists that name the files they lie in, by that file, alert lists first."""
        outer: dict[str, Locator] = {}
        for place in places:
            inner = place.parent
            while inner is not None:
                outer[str(inner)] = inner
                inner = inner.parent
        found: dict[Locator, list[ListHit]] = {}
        if outer:
            for locator, *hit in self._rows(
                "SELECT * FROM (SELECT locator, list_id, name, l.kind, category, by FROM listed_files JOIN hash_lists l"
                f" USING (list_id) WHERE locator IN (SELECT value FROM json_each(?))) ORDER BY {_ORDER}",
                [json.dumps(list(outer))],
            ):
                found.setdefault(outer[locator], []).append(ListHit(*hit))
        return found


class ListWrites(Writes, ListReads):
    """Importing and forgetting lists."""

    def add(self, name: str, kind: str, source: tuple[str, str, str], now_utc: str, distance: int | None = None) -> int:
        """Name a list; ``source`` is the path, SHA-256 and format of its file, ``distance`` that of a PDQ list. Returns
        its id, never given twice.
        """
        path, sha256, format = source
        return self._insert(
            "INSERT INTO hash_lists (name, kind, source, sha256, format, imported_utc, distance)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (name, kind, path, bytes.fromhex(sha256), format, now_utc, distance),
        )

    def fill(self, list_id: int, rows: Iterable[tuple[bytes, str | None]]) -> int:
        """Give a list its hashes with their categories; returns how many distinct ones.

        They are sorted first, on disk where they are many: so the table grows at its end, its pages stay full, and
        memory does not grow with the list.
        """
        self._run("CREATE TEMP TABLE staged (digest BLOB NOT NULL, category TEXT)")
        self._run_all("INSERT INTO temp.staged VALUES (?, ?)", rows)
        count = self._run(
            "INSERT INTO list_hashes SELECT ?, digest, group_concat(DISTINCT category) FROM temp.staged GROUP BY digest"
            " ORDER BY digest",
            (list_id,),
        )
        self._run("DROP TABLE temp.staged")
        return count

    def fill_pdqs(self, list_id: int, rows: Iterable[tuple[bytes, int | None, str | None]]) -> int:
        """Give a PDQ list its hashes with their qualities and categories; returns how many distinct ones."""
        sql = "INSERT INTO list_pdqs VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
        return self._run_all(sql, ((list_id, *row) for row in rows))

    def add_matches(self, found: Iterable[tuple[int, ListHit]]) -> None:
        """Keep which items are near an entry of a PDQ list."""
        self._run_all(
            "INSERT OR REPLACE INTO pdq_matches VALUES (?, ?, ?, ?)",
            ((item_id, hit.list_id, hit.distance, hit.category) for item_id, hit in found),
        )

    def set_matched_to(self, list_id: int, pdq_id: int) -> None:
        """Note up to which number of a PDQ hash a list has been compared."""
        self._run("UPDATE hash_lists SET matched_to = ? WHERE list_id = ?", (pdq_id, list_id))

    def close(self, list_id: int, hashes: int, malformed: int) -> None:
        """Say what a list holds."""
        sql = "UPDATE hash_lists SET hashes = ?, malformed = ? WHERE list_id = ?"
        self._run(sql, (hashes, malformed, list_id))

    def remove(self, list_id: int) -> None:
        """Forget a list and its hashes. The record of files that it named stays."""
        for table in ("list_hashes", "list_pdqs", "pdq_matches", "hash_lists"):
            self._run(f"DELETE FROM {table} WHERE list_id = ?", (list_id,))
