"""Lists over the whole case: decisions, issues, the map and the log, a page of each as HTML."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from cli.render.trail import sentence
from indexer.case import newest

if TYPE_CHECKING:
    from cli.review.views import Views
    from indexer.review import Desk

_ENTRIES = 50
_PAIRS = 20
_ISSUES = 100
_SPOT = 60
_MARKS = 2000
_UNITS = 10
"""Of the outlines of countries: so many in a degree."""
_ALWAYS = {"entry", "time_utc", "actor", "action", "version", "before"}
_STATES = ("confirmed", "waits", "possible", "rejected", "seen", "nothing")


class Lists:
    """Renders what a desk lists."""

    def __init__(self, desk: Desk, views: Views) -> None:
        self._desk, self._views = desk, views

    def decisions(self, state: str, page: int) -> str:
        """Pairs that were decided on, the newest first."""
        found = self._desk.judging.all(state)
        part = found[page * _PAIRS : (page + 1) * _PAIRS]
        held = {picture.sha256: picture for picture in self._desk.queries.all()}
        told = {"state": state, "states": _STATES, "examiner": self._desk.examiner}
        return self._views.piece("decisions", pairs=part, held=held, **told, **_paged(page, len(found), _PAIRS))

    def issues(self, kind: str, page: int) -> str:
        """Evidence that could not be used."""
        kinds, rows, total = self._desk.listing.issues(kind, page * _ISSUES, _ISSUES)
        return self._views.piece("issues", kinds=kinds, rows=rows, kind=kind, **_paged(page, total, _ISSUES))

    def map(self) -> str:
        """The world, with a mark for each place where pictures were taken."""
        spots = self._desk.listing.spots()
        shown = [
            {
                "x": (spot.longitude + 180) * _UNITS,
                "y": (90 - spot.latitude) * _UNITS,
                "spot": spot,
                "where": where(spot.latitude, spot.longitude),
            }
            for spot in spots[:_MARKS]
        ]
        total = sum(len(spot.items) for spot in spots)
        return self._views.piece("map", spots=shown, places=len(spots), total=total, outline=_outline(), most=_SPOT)

    def spot(self, item_ids: list[int]) -> str:
        """The pictures of one place."""
        ids = sorted(self._desk.use.catalogue.items.by_id(item_ids[:_SPOT]))
        return self._views.piece("spot", ids=ids, sightings=self._desk.use.catalogue.sightings.of(ids))

    def audit(self, end: int | None) -> str:
        """Entries of the log, the newest first."""
        entries, begin = newest.page(self._desk.case.log.file, _ENTRIES, end)
        shown = [
            {
                **{name: entry.get(name, "") for name in _ALWAYS},
                "said": sentence(entry) if "action" in entry else "This line is no entry of the log.",
                "details": [(name, _value(value)) for name, value in entry.items() if name not in _ALWAYS],
            }
            for entry in entries
        ]
        return self._views.piece("audit", entries=shown, begin=begin)


def where(latitude: float, longitude: float) -> str:
    """A position as it is written."""
    north, east = "N" if latitude >= 0 else "S", "E" if longitude >= 0 else "W"
    return f"{abs(latitude):.3f}° {north}, {abs(longitude):.3f}° {east}"


@cache
def _outline() -> str:
    """The outlines of countries as the data of one path."""
    text = files("cli.review").joinpath("static", "world.svg").read_text(encoding="utf-8")
    return text.partition(' d="')[2].partition('"')[0]


def _paged(page: int, total: int, size: int) -> dict[str, int]:
    return {"page": page, "pages": max(1, -(-total // size)), "total": total}


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
