"""Decisions: what examiners said of pairs of contents."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from imgmatch.types import Decision
from indexer.catalogue.sql import Reads, Writes
from indexer.catalogue.table import Copied, Kept, Table

_COLUMNS = ("query_sha256", "item_sha256", "verdict", "note", "examiner", "account", "decided_utc")

TABLES = (
    # Rows are only ever added, the newest of a pair stands.
    Table(
        "decisions",
        {
            4: """
            CREATE TABLE decisions (
                decision_id INTEGER PRIMARY KEY,
                query_sha256 BLOB NOT NULL,
                item_sha256 BLOB NOT NULL,
                verdict TEXT NOT NULL CHECK (verdict IN ('confirmed', 'rejected')),
                note TEXT NOT NULL,
                examiner TEXT NOT NULL,
                account TEXT NOT NULL,
                decided_utc TEXT NOT NULL
            ) STRICT;
            CREATE INDEX decisions_by_query ON decisions (query_sha256);
            CREATE INDEX decisions_by_item ON decisions (item_sha256);
            CREATE TRIGGER decisions_are_not_changed BEFORE UPDATE ON decisions
                BEGIN SELECT RAISE(ABORT, 'decisions are only added'); END;
            CREATE TRIGGER decisions_are_not_deleted BEFORE DELETE ON decisions
                BEGIN SELECT RAISE(ABORT, 'decisions are only added'); END;
            """
        },
        delete=Kept("said of contents, whether they are items or not; only added to"),
        merge=Copied(
            f"SELECT {', '.join(_COLUMNS)} FROM decisions ORDER BY decided_utc, decision_id",
            f"INSERT INTO decisions ({', '.join(_COLUMNS)}) SELECT {', '.join(f':{name}' for name in _COLUMNS)}"
            " WHERE NOT EXISTS (SELECT 1 FROM decisions"
            f" WHERE {' AND '.join(f'{name} = :{name}' for name in _COLUMNS)})",
        ),
        compact=Kept(),
    ),
)

_ROW = "decision_id, lower(hex(query_sha256)), lower(hex(item_sha256)), verdict, note, examiner, account, decided_utc"


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """What an examiner said of a pair of contents (SHA-256), who and when."""

    decision_id: int
    query_sha256: str
    item_sha256: str
    verdict: str
    note: str
    examiner: str
    account: str
    decided_utc: str

    @property
    def decision(self) -> Decision:
        """What is said, without of what."""
        return Decision(self.verdict, self.examiner, self.account, self.decided_utc, self.note)


class DecisionReads(Reads):
    """What was said."""

    def all(self) -> Iterator[DecisionRow]:
        """Every decision, also those that later ones replaced, oldest first."""
        for row in self._stream(f"SELECT {_ROW} FROM decisions ORDER BY decided_utc, decision_id"):
            yield DecisionRow(*row)

    def on(self, sha256: str, other: str | None = None) -> list[DecisionRow]:
        """Every decision on a content (with ``other``: on these two, either way round), oldest first."""
        one = bytes.fromhex(sha256)
        if other is None:
            where, parameters = "query_sha256 = ?1 OR item_sha256 = ?1", [one]
        else:
            where = "(query_sha256 = ?1 AND item_sha256 = ?2) OR (query_sha256 = ?2 AND item_sha256 = ?1)"
            parameters = [one, bytes.fromhex(other)]
        sql = f"SELECT {_ROW} FROM decisions WHERE {where} ORDER BY decided_utc, decision_id"
        return [DecisionRow(*row) for row in self._rows(sql, parameters)]

    def newest(self) -> set[int]:
        """The ids of decisions that stand: of each pair, either way round, the newest."""
        newest: dict[tuple[str, str], int] = {}
        for row in self.all():
            newest[min(row.query_sha256, row.item_sha256), max(row.query_sha256, row.item_sha256)] = row.decision_id
        return set(newest.values())

    def standing(self, sha256: str) -> dict[str, Decision]:
        """What stands of a content with each other one (SHA-256, either way round), by that other one."""
        return {
            row.item_sha256 if row.query_sha256 == sha256 else row.query_sha256: row.decision
            for row in self.on(sha256)  # the newest last
        }


class DecisionWrites(Writes, DecisionReads):
    """Adding to what was said."""

    def add(self, decision: DecisionRow) -> int:
        """Add to the history of decisions; returns its id."""
        contents = bytes.fromhex(decision.query_sha256), bytes.fromhex(decision.item_sha256)
        said = decision.verdict, decision.note, decision.examiner, decision.account, decision.decided_utc
        return self._insert(
            f"INSERT INTO decisions ({', '.join(_COLUMNS)}) VALUES (?, ?, ?, ?, ?, ?, ?)", (*contents, *said)
        )
