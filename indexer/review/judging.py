"""Decisions at the desk: only on what the examiner has looked at in this sitting, each with who, when and why."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from imgmatch.errors import UsageError
from imgmatch.types import Decision
from indexer.case.case import Case
from indexer.case.use import Use
from indexer.catalogue import DecisionRow
from indexer.catalogue.decisions import standing_of
from indexer.search import decisions

TAKEN_BACK = "nothing"
"""What stands of a pair of which all that was said was taken back."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A query's content and an item of the case, to be decided on."""

    query_sha256: str
    item_id: int


@dataclass(frozen=True, slots=True)
class Said:
    """What became of a decision: the row that was added, and what stands now; or why it was refused."""

    item_id: int
    row: DecisionRow | None = None
    stands: Decision | None = None
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Decided:
    """A pair that was decided on: its history, oldest first, what stands, and the items that its contents are."""

    rows: tuple[DecisionRow, ...]
    stands: Decision | None
    query_item: int | None
    item: int | None

    @property
    def state(self) -> str:
        """The verdict that stands, or that nothing does."""
        return TAKEN_BACK if self.stands is None else self.stands.verdict


class Looked:
    """What each examiner has looked at in this sitting: pictures that were shown to them, pairs that were compared."""

    def __init__(self) -> None:
        self._shown: set[tuple[str, str]] = set()
        self._compared: set[tuple[str, str, str]] = set()
        self._lock = threading.Lock()

    def shown(self, examiner: str, sha256: str) -> None:
        """A clear picture of this content was sent."""
        with self._lock:
            self._shown.add((_name(examiner), sha256))

    def compared(self, examiner: str, one: str, other: str) -> None:
        """The two were shown side by side, with what geometry says."""
        with self._lock:
            self._compared |= {(_name(examiner), one, other), (_name(examiner), other, one)}

    def named(self, examiner: str) -> None:
        """Whoever looked before anybody was named is the first who is."""
        with self._lock:
            self._shown |= {(_name(examiner), content) for who, content in self._shown if not who}
            self._compared |= {(_name(examiner), *pair) for who, *pair in self._compared if not who}  # type: ignore[misc]
            self._shown = {one for one in self._shown if one[0]}
            self._compared = {one for one in self._compared if one[0]}

    def at_both(self, examiner: str, one: str, other: str) -> bool:
        """Has the examiner looked at both pictures of a pair?"""
        who = _name(examiner)
        return (who, one, other) in self._compared or {(who, one), (who, other)} <= self._shown


def _name(examiner: str) -> str:
    return " ".join(examiner.casefold().split())


class Judging:
    """What is said of pairs of pictures in one sitting; ``examiner`` gives who says it."""

    def __init__(self, case: Case, use: Use, examiner: Callable[[], str]) -> None:
        self._case, self._use, self._examiner = case, use, examiner
        self.looked = Looked()

    def decide(self, pairs: Sequence[Pair], verdict: str, note: str = "") -> list[Said]:
        """Say the same of some pairs. One that the examiner has not looked at is refused, the others are kept.

        Raises UsageError when nobody has said who decides, and on a verdict that is none.
        """
        examiner = self._require_examiner()
        if verdict not in decisions.VERDICTS:
            raise UsageError(f"{verdict!r} is no verdict; say {', '.join(decisions.VERDICTS)}")
        said = []
        for pair in pairs:
            item = self._use.catalogue.items.by_id([pair.item_id]).get(pair.item_id)
            if item is None:
                said.append(Said(pair.item_id, refused=f"item {pair.item_id} is not in the case any more"))
            elif not self.looked.at_both(examiner, pair.query_sha256, item.sha256):
                why = f"item {pair.item_id}: look at it and the query first: show both, or compare them side by side"
                said.append(Said(pair.item_id, refused=why))
            else:
                try:
                    row = decisions.decide(self._case, pair.query_sha256, str(pair.item_id), verdict, note, examiner)
                except UsageError as error:
                    said.append(Said(pair.item_id, refused=str(error)))
                else:
                    said.append(Said(pair.item_id, row, self.stands(pair.query_sha256, item.sha256)))
        return said

    def withdraw(self, query_sha256: str, item: str, note: str = "") -> tuple[DecisionRow, Decision | None]:
        """Take back what the examiner said last of a content and an item (id or SHA-256); what stands then.

        Raises UsageError where there is nothing to take back.
        """
        row = decisions.withdraw(self._case, query_sha256, item, note, self._require_examiner())
        return row, self.stands(row.query_sha256, row.item_sha256)

    def stands(self, query_sha256: str, item_sha256: str) -> Decision | None:
        """What stands of two contents."""
        catalogue = self._use.catalogue.decisions
        return standing_of(catalogue.on(item_sha256, query_sha256), catalogue.second_reader())

    def all(self, state: str = "") -> list[Decided]:
        """Every pair that was decided on in this case, the newest first; of a ``state``, those alone. Recorded."""
        with self._case.use("decisions", arguments={"review": True, "examiner": self._examiner()}) as use:
            wanted, id_of = use.catalogue.decisions.second_reader(), use.catalogue.items.id_of
            found = [
                Decided(
                    tuple(rows),
                    standing_of(rows, wanted),
                    id_of(rows[-1].query_sha256),
                    id_of(rows[-1].item_sha256),
                )
                for rows in use.catalogue.decisions.pairs().values()
            ]
            shown = [one for one in found if state in ("", one.state) or (state == "waits" and waits(one))]
            use.entry.counts = {"pairs": len(shown)}
        return sorted(shown, key=lambda one: (one.rows[-1].decided_utc, one.rows[-1].decision_id), reverse=True)

    def _require_examiner(self) -> str:
        if not self._examiner():
            raise UsageError("nobody is named as the examiner; say who decides first")
        return self._examiner()


def waits(one: Decided) -> bool:
    """Does a pair wait for a second examiner?"""
    return one.stands is not None and one.stands.waits
