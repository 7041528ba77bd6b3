"""Times as evidence states them, as text: ``2024-05-06T07:08:09.000000Z`` where it is known to be UTC, and without the
``Z`` where it is the local time of a zone that nobody wrote down. None is converted into the other (docs/sources.md).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_FILETIME_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)


def utc(seconds: float | None) -> str | None:
    """Seconds since 1970 in UTC, to the microsecond; None for none, and where that is a year out of range."""
    try:
        return None if seconds is None else stated(datetime.fromtimestamp(seconds, UTC))
    except (OverflowError, ValueError, OSError):
        return None


def unzoned(seconds: float | None) -> str | None:
    """Seconds since 1970 of a clock in an unknown zone."""
    text = utc(seconds)
    return text and text.removesuffix("Z")


def filetime(ticks: int) -> str | None:
    """Windows's count of 100 ns since 1601, in UTC; None for 0, which says nothing, and for a year out of range."""
    try:
        return stated(_FILETIME_EPOCH + timedelta(microseconds=ticks // 10)) if ticks else None
    except OverflowError:
        return None


def dos(date: int, time: int) -> str | None:
    """A time of FAT and ZIP, in two seconds of an unknown zone; None for what is no time."""
    try:
        return stated(
            datetime(
                (date >> 9) + 1980, date >> 5 & 15, date & 31, time >> 11, time >> 5 & 63, min((time & 31) * 2, 59)
            )
        )
    except ValueError:
        return None


def stated(when: datetime) -> str:
    """A time with a zone in UTC, one without as it is."""
    if when.tzinfo is None:
        return when.isoformat(timespec="microseconds")
    return when.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def is_utc(text: str | None) -> bool:
    """Is it a time whose zone is known?"""
    return text is not None and text.endswith("Z")
