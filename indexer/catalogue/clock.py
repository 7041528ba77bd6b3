"""The time, as it is written everywhere in a case."""

from datetime import UTC, datetime


def now_utc() -> str:
    """Now, ISO 8601 in UTC to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
