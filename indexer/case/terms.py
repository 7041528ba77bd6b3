"""The terms of a case: what it is for, on whose authority and by which consent, from when until when it may be used,
and what it demands of who uses it. They stand with what is said of the case: in its status, reports and statements.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from imgmatch.errors import CaseError, RefusedError, UsageError
from indexer.catalogue.clock import now_utc

TOLD = ("purpose", "authority", "consent", "examiner")
"""What is said in words, by its names in what is said of a case."""
DATES = ("valid_from", "retain_until")
DEMANDS = "demands"
KEYS = (*TOLD, *DATES, DEMANDS)
DEMANDED = {
    "reason": "every search says why",
    "release": "every export, and whatever shows pictures clearly in a file, says for whom and what for",
    "two-persons": "showing a picture clearly, pictures that leave the case, and erasure need a second person's key",
}
"""What a case can demand."""
LONGEST = 4000
"""Characters of what is said in words."""


class Asked(NamedTuple):
    """How whoever uses a case says why, and for whom what leaves it is."""

    reason: str = ""
    recipient: str = ""
    purpose: str = ""


class Terms(NamedTuple):
    """The terms of a case; empty where it has none."""

    valid_from: str = ""
    retain_until: str = ""
    demands: frozenset[str] = frozenset()

    @classmethod
    def of(cls, meta: Mapping[str, str]) -> Terms:
        """The terms, as what is said of a case has them."""
        demands = frozenset(meta.get(DEMANDS, "").split())
        return cls(meta.get("valid_from", ""), meta.get("retain_until", ""), demands)

    @property
    def ends(self) -> str:
        """The first moment at which the case is not kept any more, as times are written; "" where it has no end."""
        return _after(self.retain_until) if self.retain_until else ""

    def over(self, now: str | None = None) -> str:
        """Why the case may not be used at a time (default: now); "" where it may."""
        now = now or now_utc()
        if self.valid_from and now < _first(self.valid_from):
            return f"may be used from {self.valid_from} on"
        if self.ends and now >= self.ends:
            return f"was kept until {self.retain_until}, which is over"
        return ""


def checked(told: Mapping[str, str]) -> dict[str, str]:
    """Terms as they are kept: words in one line, dates that are dates, demands in their order. Raises UsageError."""
    made = {key: " ".join(value.split()) if key in KEYS else value for key, value in told.items()}
    for key in TOLD:
        if len(made.get(key, "")) > LONGEST:
            raise UsageError(f"{key}: {len(made[key]):,} characters; say it in {LONGEST:,}")
    for key in DATES:
        if made.get(key):
            made[key] = _date(key, made[key])
    if made.get(DEMANDS):
        wanted = set(made[DEMANDS].split())
        if wrong := sorted(wanted - DEMANDED.keys()):
            raise UsageError(f"{wrong[0]!r} can't be demanded; choose from {', '.join(DEMANDED)}")
        made[DEMANDS] = " ".join(name for name in DEMANDED if name in wanted)
    first, last = made.get("valid_from"), made.get("retain_until")
    if first and last and _first(first) >= _after(last):
        raise UsageError(f"valid from {first} and kept until {last}: it could never be used; give a later end")
    return made


def require_future(until: str) -> None:
    """Raises UsageError where a retention date is over already."""
    if until and now_utc() >= _after(until):
        raise UsageError(f"{until}: is over already; give a day to come")


def require_owner(path: Path, what: str) -> None:
    """Raises RefusedError where who asks is not the account that owns a case, by the operating system's word."""
    if hasattr(os, "getuid") and path.stat().st_uid != os.getuid():
        raise RefusedError(f"{path}: only the account that owns the case may {what}")


def _date(key: str, text: str) -> str:
    """A day (2027-01-31), or a time in UTC to the minute, as it is kept."""
    name = key.replace("_", "-")
    try:
        if len(text) == 10:
            return datetime.strptime(text, "%Y-%m-%d").date().isoformat()
        return datetime.strptime(text.removesuffix("Z"), "%Y-%m-%dT%H:%M").isoformat(timespec="minutes") + "Z"
    except ValueError as error:
        raise UsageError(f"--{name} {text!r}: no date; write it as 2027-01-31 or 2027-01-31T12:00Z") from error


def _first(text: str) -> str:
    """The first moment of a date, as times are written in a case."""
    return _written(_parsed(text))


def _after(text: str) -> str:
    """The first moment after a date: a day lasts to its end."""
    return _written(_parsed(text), timedelta(days=1) if len(text) == 10 else timedelta())


def _parsed(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError as error:  # somebody wrote into the catalogue: no use is better than one without an end
        raise CaseError(
            f"the case says {text!r} where a date belongs; an owner sets it anew: imgmatch terms set"
        ) from error


def _written(moment: datetime, more: timedelta = timedelta()) -> str:
    try:
        return (moment + more).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except OverflowError:
        return "9999-12-31T23:59:59.999Z"
