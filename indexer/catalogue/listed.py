"""Files that a list names and that are no items: left out because of it, or not to be read as pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from imgmatch.locator import Locator
from imgmatch.types import Digests, Evidence
from indexer.catalogue.issues import FILE_STAGES, settle
from indexer.catalogue.lists import ListHit
from indexer.catalogue.sql import Reads, Writes
from indexer.catalogue.table import Copied, Gone, Kept, Table

_COLUMNS = (
    "locator", "sha256", "sha1", "md5", "size_bytes", "modified_utc", "modified_ns", "changed_ns", "ignored", "list_id",
    "list", "kind", "category", "by", "seen_utc", "run_id",
)  # fmt: skip
_ADD = (
    f"INSERT INTO listed_files ({', '.join(_COLUMNS)}) VALUES ({', '.join(f':{name}' for name in _COLUMNS)})"
    " ON CONFLICT (locator, sha256, list_id) DO UPDATE SET modified_utc = excluded.modified_utc,"
    " modified_ns = excluded.modified_ns, changed_ns = excluded.changed_ns, ignored = excluded.ignored"
)

TABLES = (
    # The list may be gone.
    Table(
        "listed_files",
        {
            7: """
            CREATE TABLE listed_files (
                file_id INTEGER PRIMARY KEY,
                locator TEXT NOT NULL,
                sha256 BLOB NOT NULL,
                sha1 BLOB NOT NULL,
                md5 BLOB NOT NULL,
                size_bytes INTEGER NOT NULL,
                modified_utc TEXT,
                modified_ns INTEGER,
                changed_ns INTEGER,
                ignored INTEGER NOT NULL,
                list_id INTEGER NOT NULL,
                list TEXT NOT NULL,
                kind TEXT NOT NULL,
                category TEXT,
                by TEXT NOT NULL,
                seen_utc TEXT NOT NULL,
                run_id INTEGER NOT NULL REFERENCES runs,
                UNIQUE (locator, sha256, list_id)
            ) STRICT;
            """
        },
        delete=Gone("place", "content"),
        # Their lists are not here, hence list 0.
        merge=Copied(
            f"SELECT {', '.join(_COLUMNS).replace('list_id', '0 AS list_id')} FROM listed_files ORDER BY file_id", _ADD
        ),
        compact=Kept(),
    ),
)


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


class ListedReads(Reads):
    """Which files these are."""

    def all(self, kind: str | None = None, name: str | None = None) -> Iterator[ListedFile]:
        """Files that a list names and that are no items, oldest first."""
        wanted = {"kind": kind, "list": name}
        where = " AND ".join(f"{column} = ?" for column, value in wanted.items() if value) or "1"
        for locator, sha256, size, ignored, seen, run_id, *hit in self._stream(
            "SELECT locator, lower(hex(sha256)), size_bytes, ignored, seen_utc, run_id, list_id, list, kind, category,"
            f" by FROM listed_files WHERE {where} ORDER BY file_id",
            [value for value in wanted.values() if value],
        ):
            yield ListedFile(Locator.parse(locator), sha256, size, bool(ignored), ListHit(*hit), seen, run_id)

    def lists_of(self, locator: Locator, sha256: str) -> set[int]:
        """The lists that this content at this place was noted for as a file that is no item."""
        sql = "SELECT list_id FROM listed_files WHERE locator = ? AND sha256 = ?"
        return {row[0] for row in self._rows(sql, (str(locator), bytes.fromhex(sha256)))}

    def is_ignored(self, evidence: Evidence) -> bool:
        """Was this very file (place, size, both times) left out by an ignore list that still stands?"""
        key = (str(evidence.locator), evidence.size_bytes, evidence.modified_ns, evidence.changed_ns)
        return bool(
            self._rows(
                "SELECT 1 FROM listed_files f JOIN hash_lists l USING (list_id) WHERE locator = ? AND size_bytes = ?"
                " AND modified_ns = ? AND changed_ns = ? AND ignored AND l.kind = 'ignore' LIMIT 1",
                key,
            )
        )


class ListedWrites(Writes, ListedReads):
    """Noting such files."""

    def add(
        self, digests: Digests, evidence: Evidence, hits: Sequence[ListHit], ignored: bool, now_utc: str, run_id: int
    ) -> None:
        """Note a file that is no item and the lists that name it. ``ignored``: it was left out because of that."""
        locator = str(evidence.locator)
        if ignored:
            settle(self._db, locator, ("walk", *FILE_STAGES), run_id)
        else:  # by a list that is gone, or that an alert overrules now
            self._run("DELETE FROM listed_files WHERE locator = ? AND ignored", (locator,))
        contents = [bytes.fromhex(digest) for digest in (digests.sha256, digests.sha1, digests.md5)]
        times = (evidence.modified_utc, evidence.modified_ns, evidence.changed_ns)
        for hit in hits:
            listed = (hit.list_id, hit.name, hit.kind, hit.category, hit.by, now_utc, run_id)
            row = (locator, *contents, digests.size_bytes, *times, ignored, *listed)
            self._run(_ADD, dict(zip(_COLUMNS, row, strict=True)))
