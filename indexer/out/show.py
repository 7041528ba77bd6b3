"""Everything that a case knows of one item, and what it could not use."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from imgmatch.errors import UsageError
from imgmatch.locator import Locator
from indexer.catalogue import opaque
from indexer.search.reasons import lies_in

if TYPE_CHECKING:
    from imgmatch.types import Sighting
    from indexer.case.case import Case
    from indexer.case.use import Use
    from indexer.catalogue import ContainerRow, IssueRow, KindRow

_LEAST_PREFIX = 6


def item_by_number_or_digits(use: Use, text: str, least: int) -> int | None:
    """The item with this id, or whose SHA-256 begins with these hexadecimal digits, ``least`` or more, or which a pack
    without metadata calls by this number; else None.

    Digits alone are an id, unless there is no such item. Raises UsageError where more than one item begins so.
    """
    if text.isascii() and text.isdecimal() and len(text) < 19:
        key = use.catalogue.meta.own(opaque.KEY)
        meant = opaque.item_of(bytes.fromhex(key), int(text)) if key else None
        for item_id in (int(text), meant):
            if item_id is not None and use.catalogue.items.by_id([item_id]):
                return item_id
    if len(text) < least or not re.fullmatch(r"[0-9a-fA-F]{,64}", text):
        return None
    found = use.catalogue.items.by_prefix(text.lower(), 2)
    if len(found) > 1:
        raise UsageError(f"{text}: more than one item of {use.path} begins so; give more digits")
    return found[0] if found else None


def find_item(use: Use, text: str) -> int:
    """The item that a user names: by id, by SHA-256 or six or more of its first digits, by path or by locator.

    Digits alone are an id, unless there is no such item. Raises UsageError when there is none, or more than one.
    """
    named = item_by_number_or_digits(use, text, _LEAST_PREFIX)
    if named is not None:
        return named
    item_id = use.catalogue.sightings.item_at(_place(text))
    if item_id is None:
        raise UsageError(
            f"{text}: no item of {use.path}; give its id, six or more digits of its SHA-256, or where it was found"
        )
    return item_id


def _place(text: str) -> Locator:
    return Locator.parse(text) if text.startswith("file:") else Locator.file(os.path.abspath(text))


def _labels(use: Use, item_id: int) -> dict[str, dict[str, str]]:
    """What each source (a row of a label table or manifest) says of an item."""
    found: dict[str, dict[str, str]] = {}
    for _, source, name, value in use.catalogue.labels.by_source([item_id]):
        found.setdefault(source, {})[name] = value
    return found


def _containers(use: Use, sightings: Iterable[Sighting]) -> list[ContainerRow]:
    """Each disk image that an item was found in, once."""
    found = (row for sighting in sightings for row in use.catalogue.containers.holding(sighting.locator))
    return list({str(row.locator): row for row in found}.values())


def show(case: Case, text: str) -> dict[str, Any]:
    """All that a case knows of an item, as ``find_item`` finds it, or of a disk image that is named by its place, ready
    for JSON; recorded before it is given.
    """
    with case.use("show") as use:
        image = next((row for row in use.catalogue.containers.all() if row.locator == _place(text)), None)
        if image is not None:
            use.entry.subject = {"image": str(image.locator)}
            return image.record()
        record = item_record(use, find_item(use, text))
        use.entry.subject = {"item_id": record["item_id"], "sha256": record["sha256"]}
        return record


def issues(case: Case, kind: str | None = None) -> Iterator[IssueRow]:
    """Evidence that could not be used, all or of one kind. Recorded before and after."""
    with case.use("issues", arguments={"kind": kind}, ends="issues_shown") as use:
        wanted = (row for row in use.catalogue.issues.all() if kind is None or row.issue.error == kind)
        for number, row in enumerate(wanted, start=1):
            use.entry.counts = {"issues": number}
            yield row


def issues_by_kind(case: Case) -> list[KindRow]:
    """How many files have issues of each kind, and of which thing: formats that are not supported, limits, packages."""
    with case.use("issues", arguments={"by": "kind"}) as use:
        rows = use.catalogue.issues.by_kind()
        use.entry.counts = {"kinds": len(rows)}
        return rows


def item_record(use: Use, item_id: int) -> dict[str, Any]:
    """One item, ready for JSON: digests, size, sightings, labels, metadata, lists, PDQ, decisions."""
    catalogue = use.catalogue
    item = catalogue.items.by_id([item_id])[item_id]
    sightings = catalogue.sightings.of([item_id])[item_id]
    pdq = catalogue.facts.pdqs([item_id]).get(item_id)
    return {
        "item_id": item_id,
        "sha256": item.sha256,
        "sha1": item.sha1,
        "md5": item.md5,
        "size_bytes": item.size_bytes,
        "format": item.format,
        "width_px": item.width_px,
        "height_px": item.height_px,
        "partial": item.partial,
        "pdq": None if pdq is None else pdq.hash.hex(),
        "pdq_quality": None if pdq is None else pdq.quality,
        "sightings": [
            {
                "path": sighting.locator.path,
                "place": sighting.locator.words,
                "modified_utc": sighting.modified_utc,
                "deleted": sighting.locator.deleted,
                "locator": str(sighting.locator),
            }
            for sighting in sightings
        ],
        "containers": [container.record() for container in _containers(use, sightings)],
        "labels": [{"source": source, "columns": columns} for source, columns in _labels(use, item_id).items()],
        "metadata": catalogue.facts.metadata([item_id]).get(item_id),
        "lists": [
            {
                "list": hit.name,
                "kind": hit.kind,
                "category": hit.category,
                "by": hit.by,
                "distance": hit.distance,
                "reason": hit.reason if outer is None else f"in {outer}, {hit.reason}",
                "in": outer,
            }
            for outer, hit in (
                *((None, hit) for _, hit in catalogue.lists.item_hits([item_id])),
                *lies_in(use, sightings),
            )
        ],
        "decisions": [
            {
                "verdict": row.verdict,
                "with_sha256": row.query_sha256 if row.item_sha256 == item.sha256 else row.item_sha256,
                "examiner": row.examiner,
                "account": row.account,
                "decided_utc": row.decided_utc,
                "note": row.note,
            }
            for row in catalogue.decisions.all()
            if item.sha256 in (row.query_sha256, row.item_sha256)
        ],
    }
