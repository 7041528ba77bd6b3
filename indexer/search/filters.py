"""What a search may return: labels, dates, sources, items, each to be kept to or left out."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from imgmatch.errors import UsageError
from imgmatch.locator import Locator
from imgmatch.picture.metadata import FIELDS

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
