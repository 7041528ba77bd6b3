"""What a search may return: labels, dates, sources, items, each to be kept to or left out."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from imgmatch.errors import UsageError
from imgmatch.locator import Locator

_DATE = re.compile(r"\d{4}(-\d{2}(-\d{2}(T\d{2}(:\d{2}(:\d{2}(\.\d{1,6})?)?)?Z?)?)?)?\Z")


@dataclass(frozen=True, slots=True)
class Filter:
    """All that is set must hold; of several values of one kind any may. Nothing set: everything.

    Labels are (column, value) with column "label" where none was named. Dates are those of the files, ISO 8601 in UTC,
    compared as text; ``since`` is included, ``until`` too, as far as it is given (2024-05 is all of May). Date and
    source must hold of one and the same sighting. Sources are locators; what lies below them is theirs.
    """

    labels: tuple[tuple[str, str], ...] = ()
    since: str | None = None
    until: str | None = None
    sources: tuple[str, ...] = ()
    items: tuple[int, ...] = ()
    exclude_labels: tuple[tuple[str, str], ...] = ()
    exclude_sources: tuple[str, ...] = ()
    exclude_items: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return self != Filter()


def label(text: str) -> tuple[str, str]:
    """``VALUE`` or ``COLUMN=VALUE``, as a user gives it."""
    column, equals, value = text.partition("=")
    return (column, value) if equals else ("label", text)


def date(text: str) -> str:
    """A date or time as a user gives it. Raises UsageError on anything but (the beginning of) an ISO 8601 time."""
    if not _DATE.match(text):
        raise UsageError(f"{text!r} is no date; write it as 2024, 2024-05, 2024-05-31 or 2024-05-31T12:00Z")
    return text.removesuffix("Z")


def source(path: str | os.PathLike[str]) -> str:
    """A file, folder or archive as a user gives it, as a locator; a locator stays what it is."""
    text = os.fspath(path)
    return text if text.startswith("file:") else str(Locator.file(text))
