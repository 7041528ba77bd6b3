"""Lists of known files in the catalogue: which there are, what they hold, and which items and files they name."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from imgmatch.locator import Locator
from imgmatch.types import Digests, Evidence
from indexer.catalogue.sql import Reads, below, new_id

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


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file that a list names and that is no item: ignored, or not to be read as a picture."""

    locator: Locator
    sha256: str
    size_bytes: int
    ignored: bool
    hit: ListHit
    seen_utc: str
    run_id: int


class KnownReader:
    """Reading of hash lists, for the Catalogue."""

    def hash_lists(self: Reads) -> list[ListRow]:
        """Every list, in the order of names."""
        rows = self._rows(
            "SELECT list_id, name, kind, format, hashes, malformed, source, lower(hex(sha256)), imported_utc, distance,"
            " matched_to FROM hash_lists ORDER BY name"
        )
        return [ListRow(*row) for row in rows]

    def list_hits(self: Reads, digests: Digests) -> tuple[ListHit, ...]:
        """The lists that name a content, alert lists first."""
        rows = self._rows(
            f"SELECT {_HIT} FROM hash_lists CROSS JOIN list_hashes USING (list_id) WHERE digest IN (?, ?, ?)"
            f" ORDER BY {_ORDER}",
            [bytes.fromhex(digest) for digest in (digests.sha256, digests.sha1, digests.md5)],
        )
        return tuple(ListHit(*row) for row in rows)

    def item_list_hits(
        self: Reads, item_ids: Iterable[int] | None = None, name: str | None = None
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

    def list_pdqs(self: Reads, list_id: int, least_quality: int) -> list[tuple[bytes, str | None]]:
        """The hashes of a PDQ list with their categories, in the order of hashes; not those of a lower quality."""
        sql = "SELECT hash, category FROM list_pdqs WHERE list_id = ? AND coalesce(quality, 100) >= ? ORDER BY hash"
        return [(row[0], row[1]) for row in self._rows(sql, (list_id, least_quality))]

    def listed_files(self: Reads, kind: str | None = None, name: str | None = None) -> Iterator[ListedFile]:
        """Files that a list names and that are no items, oldest first."""
        wanted = {"kind": kind, "list": name}
        where = " AND ".join(f"{column} = ?" for column, value in wanted.items() if value) or "1"
        for locator, sha256, size, ignored, seen, run_id, *hit in self._stream(
            "SELECT locator, lower(hex(sha256)), size_bytes, ignored, seen_utc, run_id, list_id, list, kind, category,"
            f" by FROM listed_files WHERE {where} ORDER BY file_id",
            [value for value in wanted.values() if value],
        ):
            yield ListedFile(Locator.parse(locator), sha256, size, bool(ignored), ListHit(*hit), seen, run_id)

    def listed_rows(self: Reads) -> Iterator[tuple[Any, ...]]:
        """Listed files, every column but the id, for another case."""
        yield from self._stream(f"SELECT {', '.join(_FILE_COLUMNS)} FROM listed_files ORDER BY file_id")

    def noted_lists(self: Reads, locator: Locator, sha256: str) -> set[int]:
        """The lists that this content at this place was noted for as a file that is no item."""
        sql = "SELECT list_id FROM listed_files WHERE locator = ? AND sha256 = ?"
        return {row[0] for row in self._rows(sql, (str(locator), bytes.fromhex(sha256)))}

    def container_hits(self: Reads, places: Iterable[Locator]) -> dict[Locator, list[ListHit]]:
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

    def is_ignored(self: Reads, evidence: Evidence) -> bool:
        """Was this very file (place, size, both times) left out by an ignore list that still stands?"""
        key = (str(evidence.locator), evidence.size_bytes, evidence.modified_ns, evidence.changed_ns)
        return bool(
            self._rows(
                "SELECT 1 FROM listed_files f JOIN hash_lists l USING (list_id) WHERE locator = ? AND size_bytes = ?"
                " AND modified_ns = ? AND changed_ns = ? AND ignored AND l.kind = 'ignore' LIMIT 1",
                key,
            )
        )


_FILE_COLUMNS = (
    "locator", "sha256", "sha1", "md5", "size_bytes", "modified_utc", "modified_ns", "changed_ns", "ignored", "list_id",
    "list", "kind", "category", "by", "seen_utc", "run_id",
)  # fmt: skip
_ADD_FILE = (
    f"INSERT INTO listed_files ({', '.join(_FILE_COLUMNS)}) VALUES ({', '.join('?' * len(_FILE_COLUMNS))})"
    " ON CONFLICT (locator, sha256, list_id) DO UPDATE SET modified_utc = excluded.modified_utc,"
    " modified_ns = excluded.modified_ns, changed_ns = excluded.changed_ns, ignored = excluded.ignored"
)


class KnownWriter:
    """Writing of hash lists, for the Writer."""

    _db: sqlite3.Connection

    def add_list(
        self, name: str, kind: str, source: tuple[str, str, str], now_utc: str, distance: int | None = None
    ) -> int:
        """Name a list; ``source`` is the path, SHA-256 and format of its file, ``distance`` that of a PDQ list. Returns
        its id, never given twice.
        """
        path, sha256, format = source
        cursor = self._db.execute(
            "INSERT INTO hash_lists (name, kind, source, sha256, format, imported_utc, distance)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (name, kind, path, bytes.fromhex(sha256), format, now_utc, distance),
        )
        return new_id(cursor)

    def fill_list(self, list_id: int, rows: Iterable[tuple[bytes, str | None]]) -> int:
        """Give a list its hashes with their categories; returns how many distinct ones.

        They are sorted first, on disk where they are many: so the table grows at its end, its pages stay full, and
        memory does not grow with the list.
        """
        self._db.execute("CREATE TEMP TABLE staged (digest BLOB NOT NULL, category TEXT)")
        self._db.executemany("INSERT INTO temp.staged VALUES (?, ?)", rows)
        count = self._db.execute(
            "INSERT INTO list_hashes SELECT ?, digest, group_concat(DISTINCT category) FROM temp.staged GROUP BY digest"
            " ORDER BY digest",
            (list_id,),
        ).rowcount
        self._db.execute("DROP TABLE temp.staged")
        return count

    def fill_pdq_list(self, list_id: int, rows: Iterable[tuple[bytes, int | None, str | None]]) -> int:
        """Give a PDQ list its hashes with their qualities and categories; returns how many distinct ones."""
        sql = "INSERT INTO list_pdqs VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
        return self._db.executemany(sql, ((list_id, *row) for row in rows)).rowcount

    def add_pdq_matches(self, found: Iterable[tuple[int, ListHit]]) -> None:
        """Keep which items are near an entry of a PDQ list."""
        self._db.executemany(
            "INSERT OR REPLACE INTO pdq_matches VALUES (?, ?, ?, ?)",
            ((item_id, hit.list_id, hit.distance, hit.category) for item_id, hit in found),
        )

    def set_matched_to(self, list_id: int, pdq_id: int) -> None:
        """Note up to which number of a PDQ hash a list has been compared."""
        self._db.execute("UPDATE hash_lists SET matched_to = ? WHERE list_id = ?", (pdq_id, list_id))

    def close_list(self, list_id: int, hashes: int, malformed: int) -> None:
        """Say what a list holds."""
        sql = "UPDATE hash_lists SET hashes = ?, malformed = ? WHERE list_id = ?"
        self._db.execute(sql, (hashes, malformed, list_id))

    def remove_list(self, list_id: int) -> None:
        """Forget a list and its hashes. The record of files that it named stays."""
        for table in ("list_hashes", "list_pdqs", "pdq_matches", "hash_lists"):
            self._db.execute(f"DELETE FROM {table} WHERE list_id = ?", (list_id,))

    def add_listed_file(
        self, digests: Digests, evidence: Evidence, hits: Sequence[ListHit], ignored: bool, now_utc: str, run_id: int
    ) -> None:
        """Note a file that is no item and the lists that name it. ``ignored``: it was left out because of that."""
        locator = str(evidence.locator)
        if ignored:
            self._db.execute("DELETE FROM issues WHERE locator = ?", (locator,))
        else:  # by a list that is gone, or that an alert overrules now
            self._db.execute("DELETE FROM listed_files WHERE locator = ? AND ignored", (locator,))
        contents = [bytes.fromhex(digest) for digest in (digests.sha256, digests.sha1, digests.md5)]
        times = (evidence.modified_utc, evidence.modified_ns, evidence.changed_ns)
        for hit in hits:
            listed = (hit.list_id, hit.name, hit.kind, hit.category, hit.by, now_utc, run_id)
            self._db.execute(_ADD_FILE, (locator, *contents, digests.size_bytes, *times, ignored, *listed))

    def merge_listed_files(self, rows: Iterable[Sequence[Any]]) -> None:
        """Add another case's listed files; their lists are not here, hence list 0."""
        at = _FILE_COLUMNS.index("list_id")
        self._db.executemany(_ADD_FILE, ((*row[:at], 0, *row[at + 1 :]) for row in rows))

    def delete_listed_files(self, source: str) -> int:
        """Forget listed files at a source; returns how many."""
        inside, parameters = below(source)
        return self._db.execute(f"DELETE FROM listed_files WHERE {inside}", parameters).rowcount
