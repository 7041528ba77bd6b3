"""Names that a search is limited to: what occurs nowhere in the case is said, with what is nearest."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Iterable, Iterator

from imgmatch.errors import UnknownNameError
from imgmatch.locator import Locator
from indexer.case.case import Case
from indexer.case.use import Use
from indexer.catalogue.filters import Filter

_MOST_VALUES = 20_000
_MOST_PLACES = 50_000


def require_names(cases: Iterable[Case], within: Filter, column: str | None = None) -> None:
    """Raises UnknownNameError for a label, a column of labels (``column`` too), a hash list or a source of a filter
    that occurs nowhere in these cases. Recorded in each, where there is something to look for.
    """
    asked = (within.labels, within.exclude_labels, within.lists, within.exclude_lists)
    if not (any(asked) or within.sources or within.exclude_sources or column):
        return
    told = {"within": dataclasses.asdict(within), "column": column}
    nowhere: dict[tuple[str, ...], UnknownNameError] | None = None
    for case in cases:
        with case.use("look up names", arguments={name: value for name, value in told.items() if value}) as use:
            unknown = dict(_unknown(use, within, column))
        known = unknown.keys() if nowhere is None else nowhere.keys()
        nowhere = {key: error for key, error in unknown.items() if key in known}
    for error in (nowhere or {}).values():
        raise error


_Unknown = tuple[tuple[str, ...], UnknownNameError]


def _unknown(use: Use, within: Filter, column: str | None) -> Iterator[_Unknown]:
    """Names that do not occur in a case, each with what is said of it."""
    if column is not None:
        yield from _unknown_column(use, column)
    for name, value in within.labels + within.exclude_labels:
        yield from _unknown_label(use, name, value)
    known = [row.name for row in use.catalogue.lists.all()]
    for name in within.lists + within.exclude_lists:
        if name not in known:
            yield ("list", name), UnknownNameError("hash list", name, known)
    for source in within.sources + within.exclude_sources:
        if not use.catalogue.sightings.any_below(source):
            yield ("source", source), UnknownNameError("source", Locator.parse(source).at, places_of(use))


def _unknown_column(use: Use, column: str) -> Iterator[_Unknown]:
    columns = use.catalogue.labels.columns()
    if column not in columns:
        yield ("column", column), UnknownNameError("label column", column, columns)


def _unknown_label(use: Use, column: str, value: str) -> Iterator[_Unknown]:
    labels = use.catalogue.labels
    if labels.has(column, value):
        return
    at = ("label", column, value)
    for _, error in _unknown_column(use, column):
        yield at, error
        return
    pairs = labels.values(_MOST_VALUES)
    elsewhere = [f"{name}={other}" for name, other in pairs if other == value]
    shown = value if column == "label" else f"{column}={value}"
    names = [other if name == "label" else f"{name}={other}" for name, other in pairs]
    yield at, UnknownNameError("label", shown, elsewhere or names)


def places_of(use: Use) -> list[str]:
    """Outermost files of the case and the folders that they lie in, not all of them where there are very many."""
    found: dict[str, None] = {}
    for row in itertools.islice(use.catalogue.sightings.all(), _MOST_PLACES):
        place = row.locator.outermost.at
        while place not in found:
            found[place] = None
            place = os.path.dirname(place)
    return list(found)
