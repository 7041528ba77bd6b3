"""Passwords for volumes: each takes its time to be turned into a key, and all together have only so much."""

from __future__ import annotations

from time import monotonic

from imgmatch.errors import locked, over
from imgmatch.evidence.options import SourceOptions
from imgmatch.workers import session


def unlock(asked: session.Session, options: SourceOptions, what: str, *which: int) -> int:
    """The number of the first password that opens what a parser holds, by its ``unlock(*which, number)``; ``what``
    names that.

    Raises EvidenceError of kind ``password`` where none does, of kind ``limit`` where they take longer than
    ``max_cpu_seconds``.
    """
    longest = options.limits.max_cpu_seconds
    until = monotonic() + longest
    for number in range(len(options.passwords)):
        if monotonic() > until:
            says = f"is encrypted; {number:,} of {len(options.passwords):,} passwords were tried in max_cpu_seconds"
            raise over("max_cpu_seconds", f"{what} {says} ({longest}), and none of these opens it")
        try:
            if asked.call("unlock", *which, number):
                return number
        except (OSError, RuntimeError):  # a library's way to refuse one
            continue
    raise locked(len(options.passwords), f"{what} is encrypted")
