"""The chain of an audit log: each line names the SHA-256 of the one before, so that a change shows where it stands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO

from imgmatch.errors import UsageError
from imgmatch.given import loads
from indexer.case.redaction import digest
from indexer.catalogue import LogState

FIRST = "0" * 64
"""What the first entry names as the hash of the one before."""
_LONGEST_LINE_BYTES = 128 << 20  # no entry is longer


@dataclass(frozen=True, slots=True)
class Head:
    """The last entry: its number and the SHA-256 of its line, which stands for the whole log up to there."""

    entry: int
    sha256: str

    def __str__(self) -> str:
        return f"{self.entry}:{self.sha256}"

    @classmethod
    def parse(cls, text: str) -> Head:
        """From ``NUMBER:SHA256``. Raises UsageError on anything else."""
        number, _, digest = text.strip().partition(":")
        if not number.isdecimal() or len(digest) != 64 or not set(digest.lower()) <= set("0123456789abcdef"):
            raise UsageError(f"{text!r} is no head of a log; give NUMBER:SHA256 as imgmatch audit head prints it")
        return cls(int(number), digest.lower())


@dataclass(slots=True)
class Verified:
    """What a verification found. ``notes`` are no faults: what can't be told, or what a kill left to be finished."""

    head: Head
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def verify(
    name: str, lines: Iterable[bytes], state: LogState | None, expect: Iterable[Head] = (), after: Head | None = None
) -> Verified:
    """Verify a log's lines (with their ends), all or those ``after`` an entry, against what the catalogue keeps."""
    faults: list[str] = []
    notes: list[str] = []
    hashes = _Wanted(expect, state)
    number, sha256 = (after.entry, after.sha256) if after else (0, FIRST)
    torn = b""
    for count, line in enumerate(lines, start=1):
        if not line.endswith(b"\n"):
            torn = line
            break
        place = place_of(line)
        if place is None:
            faults.append(f"{name}: line {count} is no entry")
            said = number + 1
        else:
            said, before = place
            if said != number + 1:
                faults.append(f"{name}: after entry {number} comes entry {said}: some are missing, added or moved")
            elif before != sha256:
                faults.append(
                    f"{name}: entry {said} does not continue the chain: entry {number} or {said} is not as it was"
                )
        number, sha256 = said, digest(line)
        hashes.met(number, sha256)
    faults += _end_faults(name, number, sha256, torn, state, notes)
    faults += [
        f"{name}: entry {head.entry} is not the one that was noted (SHA-256 {head.sha256}), or is gone"
        for head in hashes.missed()
    ]
    return Verified(Head(number, sha256), faults, notes)


def place_of(line: bytes) -> tuple[int, str] | None:
    """Number of an entry, and the hash that it names of the one before; None of what is no entry."""
    try:
        entry = loads(line)
        said, before = entry["entry"], entry["before"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return (said, before) if type(said) is int and isinstance(before, str) else None


def _end_faults(
    name: str, number: int, sha256: str, torn: bytes, state: LogState | None, notes: list[str]
) -> Iterator[str]:
    if state is None:
        if number:
            yield f"{name}: the catalogue has lost the head of this log: a cut at its end can't be seen"
        if torn:
            yield f"{name}: the last entry is torn"
        return
    # What the log may end with after a kill: the settled entries and any number of the waiting lines.
    ends = {state.entry: (state.sha256, b"")}
    for line in state.waiting_lines:
        place = place_of(line)
        if place is None:
            yield f"{name}: what waits in the catalogue to be written is no entry"
            return
        ends[place[0] - 1] = (place[1], line)
    settled = min(ends)
    if number < settled:
        yield f"{name}: entries {number + 1} to {settled} are missing at the end; the catalogue has {state.entry}"
    elif number > state.entry:
        yield f"{name}: holds entries after {state.entry}, the last that the catalogue knows"
    else:
        right, following = ends[number]
        if sha256 != right:
            yield f"{name}: entry {number}, the last in the log, is not the one that the catalogue knows"
        elif torn and not following.startswith(torn):
            yield f"{name}: something that is no entry stands after entry {number}"
        elif number < state.entry:
            notes.append(
                f"entries {number + 1} to {state.entry} wait in the catalogue after a kill; the next use writes them"
            )
        return
    if torn:
        yield f"{name}: the last entry is torn"


class _Wanted:
    """Entries whose hash must be a certain one."""

    def __init__(self, expect: Iterable[Head], state: LogState | None) -> None:
        self._open: dict[int, set[str]] = {}
        self._found: set[tuple[int, str]] = set()
        for head in expect:
            self._open.setdefault(head.entry, set()).add(head.sha256)
        # What waits is as good as written: a head that was printed counts as soon as it is committed.
        for line in state.waiting_lines if state is not None else ():
            if (place := place_of(line)) is not None:
                self.met(place[0], digest(line))
        self.met(0, FIRST)

    def met(self, entry: int, sha256: str) -> None:
        if entry in self._open and sha256 in self._open[entry]:
            self._found.add((entry, sha256))

    def missed(self) -> list[Head]:
        return [
            Head(entry, sha256)
            for entry, wanted in sorted(self._open.items())
            for sha256 in sorted(wanted)
            if (entry, sha256) not in self._found
        ]


def lines_of(file: IO[bytes], size: int) -> Iterator[bytes]:
    """Lines of the first ``size`` bytes."""
    while size > 0 and (line := file.readline(min(size, _LONGEST_LINE_BYTES))):
        size -= len(line)
        yield line
