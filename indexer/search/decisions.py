"""What examiners say of matches: confirmed or rejected, with who and when; a history that is only added to."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from imgmatch.errors import UsageError
from imgmatch.picture.hashes import digest
from indexer.case import audit
from indexer.case.case import Case
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
    first, second = _query(case, query), _item(case, item)
    if first == second:
        raise UsageError(f"{query}: has the same content as item {item}; nothing to decide")
    who = examiner or case.catalogue.meta.all().get("examiner", "")
    row = DecisionRow(0, first, second, verdict, note, who, audit.account(), now_utc())
    with case.changing() as (writer, record):
        row = replace(row, decision_id=writer.decisions.add(row))
        record(
            "decide",
            {"decision_id": row.decision_id, "verdict": verdict},
            arguments={"query": os.fspath(query), "item": item, "note": note, "examiner": row.examiner},
            subject={"query_sha256": first, "item_sha256": second},
        )
    return row


def rejected_items(case: Case, sha256: str) -> set[int]:
    """Items that an examiner rejected as matches of this content, and nobody confirmed since."""
    found = (case.catalogue.items.id_of(other) for other, verdict in _verdicts(case, sha256, "rejected"))
    return {item_id for item_id in found if item_id is not None}


def confirmed(case: Case, sha256: str) -> set[str]:
    """Contents (SHA-256) that an examiner confirmed as matches of this one."""
    return {other for other, _ in _verdicts(case, sha256, "confirmed")}


def labels(case: Case) -> Iterator[dict[str, str]]:
    """Confirmed pairs as rows of a label table (sha256, label): contents joined by confirmations bear one label.

    The label is that of the case where all that have one agree, else ``confirmed-`` and the lowest SHA-256's beginning.
    """
    standing: dict[tuple[str, str], str] = {}
    for row in case.catalogue.decisions.all():
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
            item_id = case.catalogue.items.id_of(member)
            if item_id is not None:
                known.update(case.catalogue.labels.of([item_id])[item_id].get("label", ()))
        label = known.pop() if len(known) == 1 else f"confirmed-{first[:16]}"
        for member in members:
            yield {"sha256": member, "label": label}


def _verdicts(case: Case, sha256: str, wanted: str) -> list[tuple[str, str]]:
    return [
        (other, verdict) for other, verdict in case.catalogue.decisions.standing(sha256).items() if verdict == wanted
    ]


def _query(case: Case, query: str | os.PathLike[str]) -> str:
    path = Path(query)
    if not path.is_file():
        return _item(case, os.fspath(query), "picture file, ")
    try:
        with path.open("rb") as stream:
            return digest(stream)[0].sha256
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({error.strerror}); give a readable picture") from error


def _item(case: Case, item: str, more: str = "") -> str:
    if _SHA256.match(item):
        if case.catalogue.items.id_of(item) is not None or more:
            return item.lower()
    elif item.isdecimal():
        found = case.catalogue.items.by_id([int(item)]) if int(item) < 2**63 else {}
        if found:
            return found[int(item)].sha256
    raise UsageError(f"{item}: not in {case.path}; give a {more}item id or SHA-256, as search shows them")
