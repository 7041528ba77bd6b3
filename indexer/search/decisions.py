"""What examiners say of matches: confirmed or rejected, with who and when; a history that is only added to."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from imgmatch.errors import EvidenceError, UsageError
from imgmatch.evidence import reopen
from imgmatch.evidence.read import hashed
from imgmatch.locator import Locator
from indexer.case.account import account
from indexer.case.case import Case
from indexer.case.use import Use
from indexer.catalogue import DecisionRow
from indexer.catalogue.clock import now_utc

VERDICTS = ("confirmed", "rejected")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}\Z")


def decide(
    case: Case, query: str | os.PathLike[str], item: str, verdict: str, note: str = "", examiner: str = ""
) -> DecisionRow:
    """Add a decision on a query (a picture file, an item id or a SHA-256) and an item (id or SHA-256).

    Both are kept by their SHA-256: a decision outlives the file's name and place. ``examiner`` defaults to the case's.
    Raises UsageError on a verdict that is none, on what the case does not hold, and on an item with itself.
    """
    if verdict not in VERDICTS:
        raise UsageError(f"{verdict!r} is no verdict; say {' or '.join(VERDICTS)}")
    who = examiner or case.catalogue.meta.all().get("examiner", "")
    arguments = {"query": os.fspath(query), "item": item, "note": note, "examiner": who}
    with case.change("decide", arguments=arguments) as change:
        first, second = _query(change, query), _item(change, item)
        if first == second:
            raise UsageError(f"{query}: has the same content as item {item}; nothing to decide")
        row = DecisionRow(0, first, second, verdict, note, who, account(), now_utc())
        row = replace(row, decision_id=change.writer.decisions.add(row))
        change.entry.details = {"decision_id": row.decision_id, "verdict": verdict}
        change.entry.subject = {"query_sha256": first, "item_sha256": second}
    return row


def history(case: Case) -> Iterator[DecisionRow]:
    """Every decision, oldest first. Recorded before and after."""
    shown = 0
    with case.use("decisions", ends="decisions_shown") as use:
        for row in use.catalogue.decisions.all():
            shown += 1
            use.entry.counts = {"decisions": shown}
            yield row


def rejected_items(use: Use, sha256: str) -> set[int]:
    """Items that an examiner rejected as matches of this content, and nobody confirmed since."""
    found = (use.catalogue.items.id_of(other) for other in _those(use, sha256, "rejected"))
    return {item_id for item_id in found if item_id is not None}


def confirmed(use: Use, sha256: str) -> set[str]:
    """Contents (SHA-256) that an examiner confirmed as matches of this one."""
    return set(_those(use, sha256, "confirmed"))


def labels(case: Case) -> Iterator[dict[str, str]]:
    """Confirmed pairs as rows of a label table (sha256, label): contents joined by confirmations bear one label.

    The label is that of the case where all that have one agree, else ``confirmed-`` and the lowest SHA-256's beginning.
    Recorded before and after.
    """
    with case.use("decisions", arguments={"labels": True}, ends="decisions_shown") as use:
        for number, row in enumerate(_labels(use), start=1):
            use.entry.counts = {"labels": number}
            yield row


def _labels(use: Use) -> Iterator[dict[str, str]]:
    standing: dict[tuple[str, str], str] = {}
    for row in use.catalogue.decisions.all():
        standing[min(row.query_sha256, row.item_sha256), max(row.query_sha256, row.item_sha256)] = row.verdict
    parent: dict[str, str] = {}

    def root(content: str) -> str:
        while parent.setdefault(content, content) != content:
            content = parent[content]
        return content

    for (one, other), verdict in sorted(standing.items()):
        if verdict == "confirmed":
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
