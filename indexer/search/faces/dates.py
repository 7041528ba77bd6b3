"""How many years lie between pictures that say when they were taken."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

_DAYS = 365.2425


def years_between(asked: Sequence[str], taken: str | None) -> float | None:
    """Years from the nearest of some dates (ISO 8601) to another; None where either says nothing that is a date."""
    day = _day(taken)
    days = [one for one in map(_day, asked) if one is not None]
    if day is None or not days:
        return None
    return round(min(abs((day - one).days) for one in days) / _DAYS, 1)


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat((text or "")[:10].replace(":", "-"))
    except ValueError:
        return None
