"""The chain of an audit log: each line names the SHA-256 of the one before, so that a change shows where it stands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from imgmatch.errors import UsageError
from imgmatch.given import loads
from indexer.case.redaction import digest
from indexer.catalogue import LogState

FIRST = "0" * 64
"""What the first entry names as the hash of the one before."""
ANY = -1
"""For the number of an entry: whichever it is."""
_LONGEST_LINE_BYTES = 128 << 20  # no entry is longer


Met = Callable[[int, str, bytes], None]


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
    name: str,
    lines: Iterable[bytes],
    state: LogState | None,
    expect: Iterable[Head] = (),
    *,
    after: Head | None = None,
    met: Met | None = None,
    alone: bool = False,
) -> Verified:
    """Verify a log's lines (with their ends), all or those ``after`` an entry, against what the catalogue keeps; a copy
    of a log ``alone`` has no catalogue. ``met`` is told of each entry: its number, what it comes to, its line.
    """
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
        if met is not None and place is not None:
            met(number, sha256, line)
    if not alone:
        faults += _end_faults(name, number, sha256, torn, state, notes)
    elif torn:
        faults.append(f"{name}: the last entry is torn")
    for head in hashes.missed():
        what = "no entry is" if head.entry == ANY else f"entry {head.entry} is not"
        older = "; the log ends before it: an older copy stands in its place" if head.entry > number else ", or is gone"
        faults.append(f"{name}: {what} the one that was noted (SHA-256 {head.sha256}){older}")
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
        self._open = sorted(set(expect), key=lambda head: (head.entry, head.sha256))
        """Their hashes, or how those begin."""
        # What waits is as good as written: a head that was printed counts as soon as it is committed.
        for line in state.waiting_lines if state is not None else ():
            if (place := place_of(line)) is not None:
                self.met(place[0], digest(line))
        self.met(0, FIRST)

    def met(self, entry: int, sha256: str) -> None:
        if self._open:
            self._open = [h for h in self._open if h.entry not in (entry, ANY) or not sha256.startswith(h.sha256)]

    def missed(self) -> list[Head]:
        return self._open


def lines_of(file: IO[bytes], size: int) -> Iterator[bytes]:
    """Lines of the first ``size`` bytes."""
    while size > 0 and (line := file.readline(min(size, _LONGEST_LINE_BYTES))):
        size -= len(line)
        yield line


def verify_copy(path: Path, expect: Iterable[Head] = (), met: Met | None = None) -> Verified:
    """Verify a copy of a log, or of a part of one, by its lines alone. Raises UsageError where it can't be read, or
    begins with no entry.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            place = place_of(next(lines_of(file, size), b""))
            if place is None:
                raise UsageError(f"{path}: is no copy of an audit log, as imgmatch audit export writes it")
            file.seek(0)
            after = Head(place[0] - 1, place[1])
            found = verify(str(path), lines_of(file, size), None, expect, after=after, met=met, alone=True)
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({error.strerror}); give a copy of an audit log") from error
    if after.entry:
        found.notes.append(f"begins at entry {place[0]}: what stood before is not told")
    return found
