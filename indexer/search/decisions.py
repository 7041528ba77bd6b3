"""What examiners say of matches, with who and when: a history that is only added to, and what stands of it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from imgmatch.errors import EvidenceError, UsageError
from imgmatch.evidence import reopen
from imgmatch.evidence.read import hashed
from imgmatch.locator import Locator
from indexer.case.case import Case
from indexer.case.use import Change, HandedOut, Use
from indexer.catalogue import DecisionRow
from indexer.catalogue.clock import now_utc
from indexer.catalogue.decisions import (
    BY_ACCOUNT,
    BY_NAME,
    CONFIRMED,
    READERS,
    REJECTED,
    VERDICTS,
    WITHDRAWN,
    standing_of,
    who,
)

_SHA256 = re.compile(r"[0-9a-fA-F]{64}\Z")


def decide(
    case: Case,
    query: str | os.PathLike[str],
    item: str,
    verdict: str,
    note: str = "",
    examiner: str = "",
    *,
    warn: Callable[[str], None] = lambda words: None,
) -> DecisionRow:
    """Add a decision on a query (a picture file, an item id or a SHA-256) and an item (id or SHA-256).

    Both are kept by their SHA-256: a decision outlives the file's name and place. ``examiner`` defaults to the case's.
    ``warn`` is told why a confirmation does not stand yet.
    Raises UsageError on a verdict that is none, on what the case does not hold, on an item with itself, and where
    nobody is named though two examiners must agree.
    """
    if verdict not in VERDICTS:
        raise UsageError(f"{verdict!r} is no verdict; say {', '.join(VERDICTS[:-1])} or {VERDICTS[-1]}")
    return _add(case, query, item, verdict, note, examiner, warn)


def withdraw(case: Case, query: str | os.PathLike[str], item: str, note: str = "", examiner: str = "") -> DecisionRow:
    """Take back what this examiner said last of a pair, as ``decide``; what was said before stands again.

    Raises UsageError where there is nothing of theirs to take back.
    """
    return _add(case, query, item, WITHDRAWN, note, examiner, lambda words: None)


def _add(
    case: Case,
    query: str | os.PathLike[str],
    item: str,
    verdict: str,
    note: str,
    examiner: str,
    warn: Callable[[str], None],
) -> DecisionRow:
    named = examiner or case.catalogue.meta.all().get("examiner", "")
    arguments = {"query": os.fspath(query), "item": item, "note": note, "examiner": named}
    with case.change("decide", arguments=arguments) as change:
        first, second = _query(change, query), _item(change, item)
        if first == second:
            raise UsageError(f"{query}: has the same content as item {item}; nothing to decide")
        row = DecisionRow(0, first, second, verdict, note, named, case.whose(), now_utc())
        if not who(row) and change.catalogue.decisions.second_reader():
            raise UsageError("two examiners must agree in this case; say who decides with --examiner")
        if verdict == WITHDRAWN:
            own = [one for one in change.catalogue.decisions.on(first, second) if who(one) == who(row)]
            if standing_of(own) is None:
                raise UsageError(f"{query} and {item}: {named or 'who names nobody'} has said nothing that stands")
        row = replace(row, decision_id=change.writer.decisions.add(row))
        change.entry.details = {"decision_id": row.decision_id, "verdict": verdict}
        change.entry.subject = {"query_sha256": first, "item_sha256": second}
        why = _waits(change, row)
    if why:
        warn(f"it does not stand yet: {why}")
    return row


def _waits(change: Change, row: DecisionRow) -> str:
    """Why a confirmation that was just added does not stand yet; empty where it does, or is none."""
    rows = change.catalogue.decisions.on(row.query_sha256, row.item_sha256)
    stands = standing_of(rows, change.catalogue.decisions.second_reader())
    if row.verdict != CONFIRMED or stands is None or not stands.waits:
        return ""
    by_name = standing_of(rows, BY_NAME)
    if by_name is None or not by_name.others:
        return "a second examiner must confirm it too"
    return (
        f"{' and '.join(by_name.others)} confirmed it under the same account ({row.account}); a second examiner has an "
        "account of their own, or opens an encrypted case by their own key"
    )


def want_second_reader(case: Case, wanted: bool, *, by_name: bool = False) -> None:
    """Must two examiners agree from now on before "confirmed" stands? They have two accounts, or open an encrypted case
    as two persons; ``by_name``: two names will do. Recorded; holds of what was said before too.
    """
    apart = BY_NAME if by_name else BY_ACCOUNT
    with case.change("second_reader", arguments={"wanted": wanted, "by_name": wanted and by_name}) as change:
        change.writer.meta.set({READERS: apart if wanted else "no"})


def history(case: Case) -> Iterator[dict[str, Any]]:
    """Every decision, oldest first, with what ``stands`` of its pair (empty: nothing), and whether that ``waits`` for a
    second reader. Recorded before and after.
    """
    with case.use("decisions", ends="decisions_shown") as use:
        wanted = use.catalogue.decisions.second_reader()
        pairs = {pair: standing_of(rows, wanted) for pair, rows in use.catalogue.decisions.pairs().items()}
        for shown, row in enumerate(use.catalogue.decisions.all(), start=1):
            use.entry.counts = {"decisions": shown}
            one, other = sorted((row.query_sha256, row.item_sha256))
            stands = pairs[one, other]
            yield {
                **asdict(row), "stands": "" if stands is None else stands.verdict,
                "waits": stands is not None and stands.waits,
            }  # fmt: skip


def rejected_items(use: Use, sha256: str) -> set[int]:
    """Items that stand as rejected matches of this content."""
    found = (use.catalogue.items.id_of(other) for other in _those(use, sha256, REJECTED))
    return {item_id for item_id in found if item_id is not None}


def confirmed(use: Use, sha256: str) -> set[str]:
    """Contents (SHA-256) that stand as confirmed matches of this one."""
    return set(_those(use, sha256, CONFIRMED))


def labels(case: Case, left: Callable[[list[dict[str, str]]], HandedOut] | None = None) -> Iterator[dict[str, str]]:
    """Confirmed pairs as rows of a label table (sha256, label): contents joined by confirmations bear one label.

    The label is that of the case where all that have one agree, else ``confirmed-`` and the lowest SHA-256's beginning.
    Recorded before and after; ``left`` makes of all rows what leaves the case by them.
    """
    with case.use("decisions", arguments={"labels": True}, ends="decisions_shown") as use:
        rows = []
        for row in _labels(use):
            rows.append(row)
            use.entry.counts = {"labels": len(rows)}
            yield row
        if left is not None:
            use.handed_out = left(rows)


def _labels(use: Use) -> Iterator[dict[str, str]]:
    wanted = use.catalogue.decisions.second_reader()
    standing = {pair: standing_of(rows, wanted) for pair, rows in use.catalogue.decisions.pairs().items()}
    parent: dict[str, str] = {}

    def root(content: str) -> str:
        while parent.setdefault(content, content) != content:
            content = parent[content]
        return content

    for (one, other), stands in sorted(standing.items(), key=lambda pair: pair[0]):
        if stands is not None and stands.verdict == CONFIRMED:
            low, high = sorted((root(one), root(other)))
            parent[high] = low
    groups: dict[str, list[str]] = {}
    for content in sorted(parent):
        groups.setdefault(root(content), []).append(content)
    for first, members in groups.items():
        known: set[str] = set()
        for member in members:
            item_id = use.catalogue.items.id_of(member)
            if item_id is not None:
                known.update(use.catalogue.labels.of([item_id])[item_id].get("label", ()))
        label = known.pop() if len(known) == 1 else f"confirmed-{first[:16]}"
        for member in members:
            yield {"sha256": member, "label": label}


def _those(use: Use, sha256: str, verdict: str) -> list[str]:
    return [other for other, said in use.catalogue.decisions.standing(sha256).items() if said.verdict == verdict]


def _query(use: Use, query: str | os.PathLike[str]) -> str:
    path = Path(query)
    if not path.is_file():
        return _item(use, os.fspath(query), "picture file, ")
    try:
        return hashed(reopen(Locator.file(path))).sha256
    except EvidenceError as error:
        raise UsageError(f"{path}: {error}; give a readable picture") from error


def _item(use: Use, item: str, more: str = "") -> str:
    if _SHA256.match(item):
        if use.catalogue.items.id_of(item) is not None or more:
            return item.lower()
    elif item.isdecimal():
        found = use.catalogue.items.by_id([int(item)]) if int(item) < 2**63 else {}
        if found:
            return found[int(item)].sha256
    raise UsageError(f"{item}: not in {use.path}; give a {more}item id or SHA-256, as search shows them")
