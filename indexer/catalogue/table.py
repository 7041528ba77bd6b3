"""What a table of the catalogue declares: how it came to be, and what becomes of its rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

ITEMS = "item_id IN (SELECT value FROM json_each(:items))"
"""A condition: of some items, named as a JSON list."""


class Kept(NamedTuple):
    """Rows stay as they are; ``why``, where that is not plain."""

    why: str = ""


class Gone:
    """Rows go with what they hang on: their item, the place (``locator``) that they speak of, their sighting, the
    content that they name (``columns`` hold its SHA-256); when segments are compacted, with their segment or with the
    row that is left out.
    """

    def __init__(
        self,
        *of: Literal["item", "place", "sighting", "content", "segment", "row"],
        columns: tuple[str, ...] = ("sha256",),
    ) -> None:
        self.of = of
        self.columns = columns


class Copied(NamedTuple):
    """Rows of another case come along: each that ``read`` gives there, with its ``item_id`` and ``run_id`` as they are
    here, goes through ``write``, which leaves out what is here already. With ``:items``, it reads those of some items.
    """

    read: str
    write: str


class Handled(NamedTuple):
    """Code of its own sees to it; ``how`` says what it does."""

    how: str


class Table(NamedTuple):
    """A table, and what deleting, merging and compacting do with its rows.

    ``formats`` are the scripts that made it what it is, by the format version that they belong to: a script that has
    shipped never changes.
    """

    name: str
    formats: Mapping[int, str]
    delete: Gone | Kept
    merge: Copied | Handled | Kept
    compact: Gone | Kept
