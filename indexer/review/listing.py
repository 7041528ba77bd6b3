"""What a sitting lists of the whole case: evidence that could not be used, and where pictures were taken."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from indexer.case.case import Case
from indexer.catalogue import IssueRow

MAX_POSITIONS = 200_000
_CELL = 0.05
"""Degrees: pictures that were taken nearer to each other than that are one mark on the map."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Pictures taken at about one place: its middle in degrees, north and east positive, and the items."""

    latitude: float
    longitude: float
    items: tuple[int, ...]


class Listing:
    """Lists over a case; each is recorded with who asked."""

    def __init__(self, case: Case, examiner: Callable[[], str]) -> None:
        self._case, self._examiner = case, examiner

    def issues(self, kind: str, start: int, count: int) -> tuple[Counter[str], list[IssueRow], int]:
        """How many issues there are of each kind; those of a kind ("": all) from the ``start``-th on, and how many."""
        arguments = {"review": True, "kind": kind or None, "examiner": self._examiner()}
        with self._case.use("issues", arguments=arguments) as use:
            kinds: Counter[str] = Counter()
            wanted: list[IssueRow] = []
            total = 0
            for row in use.catalogue.issues.all():
                kinds[row.issue.error] += 1
                if kind in ("", row.issue.error):
                    if start <= total < start + count:
                        wanted.append(row)
                    total += 1
            use.entry.counts = {"issues": len(wanted)}
        return kinds, wanted, total

    def spots(self) -> list[Spot]:
        """Where pictures were taken, by what their files say: the places with the most pictures first. Recorded."""
        with self._case.use("positions", arguments={"examiner": self._examiner()}) as use:
            cells: dict[tuple[int, int], list[tuple[int, float, float]]] = {}
            for item_id, latitude, longitude in itertools.islice(use.catalogue.facts.positions(), MAX_POSITIONS):
                cell = round(latitude / _CELL), round(longitude / _CELL)
                cells.setdefault(cell, []).append((item_id, latitude, longitude))
            use.entry.counts = {"items": sum(map(len, cells.values())), "places": len(cells)}
        spots = [
            Spot(
                sum(latitude for _, latitude, _ in found) / len(found),
                sum(longitude for _, _, longitude in found) / len(found),
                tuple(item_id for item_id, _, _ in found),
            )
            for found in cells.values()
        ]
        return sorted(spots, key=lambda spot: (-len(spot.items), spot.items))
