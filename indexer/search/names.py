"""Names that a search is limited to: what occurs nowhere in the case is said, with what is nearest."""

from __future__ import annotations

import dataclasses
import itertools
import os

from imgmatch.errors import UnknownNameError
from imgmatch.locator import Locator
from indexer.case.case import Case
from indexer.case.use import Use
from indexer.catalogue.filters import Filter

_MOST_VALUES = 20_000
_MOST_PLACES = 50_000


def require_names(case: Case, within: Filter, column: str | None = None) -> None:
    """Raises UnknownNameError for a label, a column of labels (``column`` too), a hash list or a source of a filter
    that occurs nowhere in the case. Recorded, where there is something to look for.
    """
    labels, lists = within.labels + within.exclude_labels, within.lists + within.exclude_lists
    sources = within.sources + within.exclude_sources
    if not (labels or lists or sources or column):
        return
    told = {"within": dataclasses.asdict(within), "column": column}
    with case.use("look up names", arguments={name: value for name, value in told.items() if value}) as use:
        if column is not None:
            _require_column(use, column)
        for name, value in labels:
            _require_label(use, name, value)
        known = [row.name for row in use.catalogue.lists.all()]
        for name in lists:
            if name not in known:
                raise UnknownNameError("hash list", name, known)
        for source in sources:
            if not use.catalogue.sightings.any_below(source):
                raise UnknownNameError("source", Locator.parse(source).at, places_of(use))


def _require_column(use: Use, column: str) -> None:
    columns = use.catalogue.labels.columns()
    if column not in columns:
        raise UnknownNameError("label column", column, columns)


def _require_label(use: Use, column: str, value: str) -> None:
    labels = use.catalogue.labels
    if labels.has(column, value):
        return
    _require_column(use, column)
    pairs = labels.values(_MOST_VALUES)
    elsewhere = [f"{name}={other}" for name, other in pairs if other == value]
    shown = value if column == "label" else f"{column}={value}"
    raise UnknownNameError(
        "label", shown, elsewhere or [other if name == "label" else f"{name}={other}" for name, other in pairs]
    )


def places_of(use: Use) -> list[str]:
    """Outermost files of the case and the folders that they lie in, not all of them where there are very many."""
    found: dict[str, None] = {}
    for row in itertools.islice(use.catalogue.sightings.all(), _MOST_PLACES):
        place = row.locator.outermost.at
        while place not in found:
            found[place] = None
            place = os.path.dirname(place)
    return list(found)
