"""Decisions: what examiners said of pairs of contents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from imgmatch.errors import UsageError
from imgmatch.types import Decision
from indexer.catalogue.erasures import ErasureReads
from indexer.catalogue.sql import Reads, Writes
from indexer.catalogue.table import Copied, Gone, Kept, Table

_COLUMNS = ("query_sha256", "item_sha256", "verdict", "note", "examiner", "account", "decided_utc")

READERS = "second_reader"
"""Set in what is said of a case: two examiners must agree before "confirmed" stands, and how they are told apart."""
BY_ACCOUNT, BY_NAME = "yes", "by name"
CONFIRMED, POSSIBLE, REJECTED, SEEN = VERDICTS = ("confirmed", "possible", "rejected", "seen")
WITHDRAWN = "withdrawn"
"""Takes back the newest verdict of the same examiner on the same pair that was not taken back yet."""

TABLES = (
    # Rows are only ever added; what stands of a pair is told from all of them (``standing_of``).
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
            """,
            # Before, there were "confirmed" and "rejected".
            12: """
            CREATE TABLE decisions_of_states (
                decision_id INTEGER PRIMARY KEY,
                query_sha256 BLOB NOT NULL,
                item_sha256 BLOB NOT NULL,
                verdict TEXT NOT NULL CHECK (verdict IN ('confirmed', 'possible', 'rejected', 'seen', 'withdrawn')),
                note TEXT NOT NULL,
                examiner TEXT NOT NULL,
                account TEXT NOT NULL,
                decided_utc TEXT NOT NULL
            ) STRICT;
            INSERT INTO decisions_of_states SELECT * FROM decisions;
            DROP TABLE decisions;
            ALTER TABLE decisions_of_states RENAME TO decisions;
            CREATE INDEX decisions_by_query ON decisions (query_sha256);
            CREATE INDEX decisions_by_item ON decisions (item_sha256);
            CREATE TRIGGER decisions_are_not_changed BEFORE UPDATE ON decisions
                BEGIN SELECT RAISE(ABORT, 'decisions are only added'); END;
            CREATE TRIGGER decisions_are_not_deleted BEFORE DELETE ON decisions
                BEGIN SELECT RAISE(ABORT, 'decisions are only added'); END;
            """,
            16: """
            DROP TRIGGER decisions_are_not_deleted;
            CREATE TRIGGER decisions_are_not_deleted BEFORE DELETE ON decisions WHEN NOT EXISTS
                (SELECT 1 FROM erased WHERE sha256 IN (OLD.query_sha256, OLD.item_sha256) AND readmitted_utc IS NULL)
                BEGIN SELECT RAISE(ABORT, 'decisions are only added'); END;
            """,
        },
        delete=Gone("content", columns=("query_sha256", "item_sha256")),
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


def standing_of(rows: Iterable[DecisionRow], second_reader: str = "") -> Decision | None:
    """What stands of the rows of one pair, oldest first; None: nothing, as nobody decided or all was taken back.

    An examiner's "withdrawn" takes back what the same one said last. The newest verdict that is left stands, but that
    "seen" says nothing against what anybody decided. Where a second reader is wanted, "confirmed" stands once two
    examiners last said so, and is "possible" until then: two names, and, unless they are told apart by name alone, two
    accounts or persons of an encrypted case.
    """
    said = _left(rows)
    if not said:
        return None
    newest = said[-1]
    if newest.verdict != CONFIRMED:
        return newest.decision
    last = {who(row): row for row in said[:-1] if who(row) != who(newest)}
    apart = [row for row in last.values() if second_reader != BY_ACCOUNT or row.account != newest.account]
    others = tuple(row.examiner for row in apart if row.verdict == CONFIRMED)
    if second_reader and not others:
        return replace(newest.decision, verdict=POSSIBLE, waits=True)
    return replace(newest.decision, others=others)


def _left(rows: Iterable[DecisionRow]) -> list[DecisionRow]:
    """What was not taken back; "seen" where nothing else was said."""
    left: list[DecisionRow] = []
    for row in rows:
        if row.verdict != WITHDRAWN:
            left.append(row)
            continue
        own = [at for at, one in enumerate(left) if who(one) == who(row)]
        if own:
            del left[own[-1]]
    return [row for row in left if row.verdict != SEEN] or left


def who(row: DecisionRow) -> str:
    """The examiner as one is compared with another: without regard to case and spaces."""
    return " ".join(row.examiner.casefold().split())


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
        """The ids of decisions that stand: of each pair, either way round, the newest that was not taken back; not one
        that waits for a second examiner.
        """
        wanted = self.second_reader()
        every = ((_left(rows), standing_of(rows, wanted)) for rows in self.pairs().values())
        return {left[-1].decision_id for left, stands in every if stands is not None and not stands.waits}

    def standing(self, sha256: str) -> dict[str, Decision]:
        """What stands of a content with each other one (SHA-256, either way round), by that other one."""
        pairs: dict[str, list[DecisionRow]] = {}
        for row in self.on(sha256):
            pairs.setdefault(row.item_sha256 if row.query_sha256 == sha256 else row.query_sha256, []).append(row)
        wanted = self.second_reader()
        found = {other: standing_of(rows, wanted) for other, rows in pairs.items()}
        return {other: stands for other, stands in found.items() if stands is not None}

    def pairs(self) -> dict[tuple[str, str], list[DecisionRow]]:
        """Every decision by the pair that it is on (the lower SHA-256 first), oldest first."""
        found: dict[tuple[str, str], list[DecisionRow]] = {}
        for row in self.all():
            one, other = sorted((row.query_sha256, row.item_sha256))
            found.setdefault((one, other), []).append(row)
        return found

    def second_reader(self) -> str:
        """How two examiners who must agree before "confirmed" stands are told apart; empty where one will do."""
        said = self._one("SELECT value FROM meta WHERE key = ?", (READERS,))
        return str(said[0]) if said is not None and said[0] != "no" else ""


class DecisionWrites(Writes, DecisionReads):
    """Adding to what was said."""

    def add(self, decision: DecisionRow) -> int:
        """Add to the history of decisions; returns its id. Raises UsageError on a content that was erased."""
        for sha256 in (decision.query_sha256, decision.item_sha256):
            if ErasureReads(self._source).keeps_out(sha256):
                raise UsageError(f"{sha256}: was erased from this case, and nothing is kept of it; readmit it first")
        contents = bytes.fromhex(decision.query_sha256), bytes.fromhex(decision.item_sha256)
        said = decision.verdict, decision.note, decision.examiner, decision.account, decision.decided_utc
        return self._insert(
            f"INSERT INTO decisions ({', '.join(_COLUMNS)}) VALUES (?, ?, ?, ?, ?, ?, ?)", (*contents, *said)
        )
