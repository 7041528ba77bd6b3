"""What a search may return: labels, dates, sources, items, each to be kept to or left out."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from imgmatch.errors import UsageError
from imgmatch.locator import Locator
from imgmatch.picture.metadata import FIELDS
from indexer.catalogue.sql import below

_DATE = re.compile(r"\d{4}(-\d{2}(-\d{2}(T\d{2}(:\d{2}(:\d{2}(\.\d{1,6})?)?)?Z?)?)?)?\Z")


@dataclass(frozen=True, slots=True)
class Filter:
    """All that is set must hold; of several values of one kind any may. Nothing set: everything.

    Labels are (column, value) with column "label" where none was named. Dates are those of the files, ISO 8601 in UTC,
    compared as text; ``since`` is included, ``until`` too, as far as it is given (2024-05 is all of May). Date and
    source must hold of one and the same sighting. Sources are locators; what lies below them is theirs. ``metadata``
    are (field, value), without regard to case; a value that ends in * stands for all that begin so, None for any. Of
    several fields each must hold. ``lists`` are names of hash lists that name an item.
    """

    labels: tuple[tuple[str, str], ...] = ()
    since: str | None = None
    until: str | None = None
    sources: tuple[str, ...] = ()
    items: tuple[int, ...] = ()
    metadata: tuple[tuple[str, str | None], ...] = ()
    lists: tuple[str, ...] = ()
    exclude_labels: tuple[tuple[str, str], ...] = ()
    exclude_sources: tuple[str, ...] = ()
    exclude_items: tuple[int, ...] = ()
    exclude_lists: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self != EVERYTHING


EVERYTHING = Filter()


def label(text: str) -> tuple[str, str]:
    """``VALUE`` or ``COLUMN=VALUE``, as a user gives it."""
    column, equals, value = text.partition("=")
    return (column, value) if equals else ("label", text)


def metadata(text: str) -> tuple[str, str | None]:
    """``FIELD`` or ``FIELD=VALUE``, as a user gives it. Raises UsageError when there is no such field."""
    name, equals, value = text.partition("=")
    if name not in FIELDS:
        raise UsageError(f"{name!r} is no field of metadata; there are: {', '.join(FIELDS)}")
    return name, value.strip() if equals else None


def date(text: str) -> str:
    """A date or time as a user gives it. Raises UsageError on anything but (the beginning of) an ISO 8601 time."""
    if not _DATE.match(text):
        raise UsageError(f"{text!r} is no date; write it as 2024, 2024-05, 2024-05-31 or 2024-05-31T12:00Z")
    return text.removesuffix("Z")


def source(path: str | os.PathLike[str]) -> str:
    """A file, folder or archive as a user gives it, as a locator; a locator stays what it is."""
    text = os.fspath(path)
    return text if text.startswith("file:") else str(Locator.file(text))


_LISTED = (
    "SELECT i.item_id FROM items i CROSS JOIN hash_lists CROSS JOIN list_hashes USING (list_id)"
    " WHERE name IN (SELECT value FROM json_each(?)) AND digest IN (i.sha256, i.sha1, i.md5)"
    " UNION ALL SELECT item_id FROM pdq_matches JOIN hash_lists USING (list_id)"
    " WHERE name IN (SELECT value FROM json_each(?))"
)
"""Items that one of some lists names: a JSON list of names is its parameter, twice."""


def _field(name: str, values: Sequence[str | None], parameters: list[Any]) -> str:
    """A condition on metadata: the field has one of these values."""
    assert name in FIELDS
    field = f"json_extract(fields_json, '$.{name}.value')"
    parts = []
    for value in values:
        if value is None:
            parts.append(f"{field} IS NOT NULL")
        elif value.endswith("*"):
            parts.append(f"substr({field}, 1, ?) = ? COLLATE NOCASE")
            parameters += [len(value) - 1, value[:-1]]
        else:
            parts.append(f"CAST({field} AS TEXT) = ? COLLATE NOCASE")
            parameters.append(value)
    return " OR ".join(parts)


def conditions(wanted: Filter) -> tuple[list[str], list[Any]]:
    """A filter as conditions on items, to be joined by AND, and their parameters."""
    where: list[str] = []
    parameters: list[Any] = []

    def labelled(pairs: Sequence[tuple[str, str]]) -> str:
        parameters.extend(text for pair in pairs for text in pair)
        return "SELECT item_id FROM labels WHERE " + " OR ".join(["(name = ? AND value = ?)"] * len(pairs))

    def seen(sources: Sequence[str]) -> str:
        parts = []
        for source in sources:
            condition, values = below(source)
            parts.append(condition)
            parameters.extend(values)
        return "(" + " OR ".join(parts) + ")"

    if wanted.labels:
        where.append(f"item_id IN ({labelled(wanted.labels)})")
    if wanted.since or wanted.until or wanted.sources:
        parts = []
        if wanted.sources:
            parts.append(seen(wanted.sources))
        if wanted.since:
            parts.append("modified_utc >= ?")
            parameters.append(wanted.since)
        if wanted.until:
            parts.append("substr(modified_utc, 1, ?) <= ?")
            parameters += [len(wanted.until), wanted.until]
        where.append(f"item_id IN (SELECT item_id FROM sightings WHERE {' AND '.join(parts)})")
    if wanted.items:
        where.append("item_id IN (SELECT value FROM json_each(?))")
        parameters.append(json.dumps(wanted.items))
    for name in dict.fromkeys(name for name, _ in wanted.metadata):
        values = [value for other, value in wanted.metadata if other == name]
        where.append(f"item_id IN (SELECT item_id FROM metadata WHERE {_field(name, values, parameters)})")
    if wanted.lists:
        where.append(f"item_id IN ({_LISTED})")
        parameters += [json.dumps(wanted.lists)] * 2
    if wanted.exclude_lists:
        where.append(f"item_id NOT IN ({_LISTED})")
        parameters += [json.dumps(wanted.exclude_lists)] * 2
    if wanted.exclude_labels:
        where.append(f"item_id NOT IN ({labelled(wanted.exclude_labels)})")
    if wanted.exclude_sources:
        where.append(f"item_id NOT IN (SELECT item_id FROM sightings WHERE {seen(wanted.exclude_sources)})")
    if wanted.exclude_items:
        where.append("item_id NOT IN (SELECT value FROM json_each(?))")
        parameters.append(json.dumps(wanted.exclude_items))
    return where, parameters
