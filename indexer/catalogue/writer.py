"""What may be written inside a transaction of the catalogue: a subject each, and what goes through all of them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence

from indexer.catalogue.containers import ContainerWrites
from indexer.catalogue.custody import CustodyWrites
from indexer.catalogue.decisions import DecisionWrites
from indexer.catalogue.erasures import OF, ErasureWrites
from indexer.catalogue.faces import FaceWrites
from indexer.catalogue.facts import FactWrites
from indexer.catalogue.indexes import IndexWrites
from indexer.catalogue.issues import IssueWrites
from indexer.catalogue.items import ItemWrites
from indexer.catalogue.labels import LabelWrites
from indexer.catalogue.listed import ListedWrites
from indexer.catalogue.lists import ListWrites
from indexer.catalogue.meta import MetaWrites
from indexer.catalogue.models import ModelWrites
from indexer.catalogue.registry import TABLES
from indexer.catalogue.releases import ReleaseWrites
from indexer.catalogue.relocations import RelocationWrites
from indexer.catalogue.runs import RunWrites
from indexer.catalogue.segments import SegmentRow, SegmentWrites
from indexer.catalogue.sightings import SightingWrites
from indexer.catalogue.sql import Row, Source, Transaction, below
from indexer.catalogue.table import Copied, Gone
from indexer.catalogue.vectors import VectorWrites
from indexer.catalogue.vics import VicsWrites


class Writer:
    """What may be written inside ``Catalogue.transaction()``."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        by = Transaction(db)
        self.meta = MetaWrites(by)
        self.custody = CustodyWrites(by)
        self.models = ModelWrites(by)
        self.runs = RunWrites(by)
        self.items = ItemWrites(by)
        self.sightings = SightingWrites(by)
        self.labels = LabelWrites(by)
        self.issues = IssueWrites(by)
        self.segments = SegmentWrites(by)
        self.vectors = VectorWrites(by)
        self.indexes = IndexWrites(by)
        self.facts = FactWrites(by)
        self.lists = ListWrites(by)
        self.listed = ListedWrites(by)
        self.decisions = DecisionWrites(by)
        self.erasures = ErasureWrites(by)
        self.vics = VicsWrites(by)
        self.containers = ContainerWrites(by)
        self.faces = FaceWrites(by)
        self.relocations = RelocationWrites(by)
        self.releases = ReleaseWrites(by)

    def delete_items(self, item_ids: Sequence[int]) -> int:
        """Remove items with everything that hangs on them; the rows of their vectors become tombstones. Returns how
        many vectors that were.
        """
        chosen = json.dumps(list(item_ids))
        within = "item_id IN (SELECT value FROM json_each(?))"
        count = self.vectors.bury(within, chosen)
        seen = f"sighting_id IN (SELECT sighting_id FROM sightings WHERE {within})"
        self._remove({"item": within, "sighting": seen}, [chosen])
        return count

    def delete_source(self, source: str) -> dict[str, int]:
        """Remove what was seen at a source; returns how many rows of each table. Items without a sighting must be
        removed in the same transaction.
        """
        inside, parameters = below(source)
        seen = f"sighting_id IN (SELECT sighting_id FROM sightings WHERE {inside})"
        return self._remove({"place": inside, "sighting": seen}, parameters)

    def forget_contents(self) -> dict[str, int]:
        """Remove what speaks of erased contents, items or not; returns how many rows of each table."""
        return {
            table.name: self._db.execute(
                f"DELETE FROM {table.name} WHERE {' OR '.join(f'{column} {OF}' for column in table.delete.columns)}"
            ).rowcount
            for table in reversed(TABLES)
            if isinstance(table.delete, Gone) and "content" in table.delete.of
        }

    def replace_segments(
        self, names: Sequence[str], made: SegmentRow | None, gone: Sequence[int], now_utc: str
    ) -> None:
        """Put one segment in the place of others; the tombstones of ``gone`` rows, which it leaves out, end."""
        self.meta.next_number("deletions")
        for table in TABLES:
            if isinstance(table.compact, Gone):
                column, which = ("vector_id", gone) if "row" in table.compact.of else ("name", names)
                sql = f"DELETE FROM {table.name} WHERE {column} = ?"
                self._db.executemany(sql, ((value,) for value in which))
        if made is not None:
            self.segments.add(made, now_utc)

    def copy(
        self,
        theirs: Source,
        items: Mapping[int, int] | None,
        runs: Mapping[int, int],
        unwanted: Callable[[Row], bool] = lambda row: False,
    ) -> dict[str, int]:
        """Add another case's rows that are to be copied: those of some of its items, or (None) what is of no item; not
        those that are ``unwanted``.

        Its ids of items and runs come with those which they have here. Returns how many rows of each table were new.
        """
        ids = {"item_id": items or {}, "run_id": runs}
        of = {"items": json.dumps(list(items))} if items is not None else {}
        new = {}
        for table in TABLES:
            if isinstance(table.merge, Copied) and (":items" in table.merge.read) == (items is not None):
                wanted = (row for row in theirs.named(table.merge.read, of) if not unwanted(row))
                rows = _with_ids(wanted, ids)
                new[table.name] = self._db.executemany(table.merge.write, rows).rowcount
        return new

    def _remove(self, where: Mapping[str, str], parameters: Sequence[str]) -> dict[str, int]:
        """Remove rows that hang on something, those that point to others first."""
        return {
            table.name: self._db.execute(f"DELETE FROM {table.name} WHERE {where[kind]}", parameters).rowcount
            for table in reversed(TABLES)
            if isinstance(table.delete, Gone)
            for kind in table.delete.of
            if kind in where
        }


def _with_ids(rows: Iterator[Row], ids: Mapping[str, Mapping[int, int]]) -> Iterator[Row]:
    for row in rows:
        for column, known in ids.items():
            if column in row:
                row[column] = known[row[column]]
        yield row
