"""What one outermost file may cost: counted at every depth together, and compared with the limits."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from imgmatch.errors import EvidenceError, over
from imgmatch.limits import SourceLimits
from imgmatch.types import Evidence

_NAME = 256
"""Letters of a name that counts as one; a longer one as several."""
_COUNTED = 10_000
"""So many of those that are left are counted."""
_MOST_REFUSED = 100
"""Members that claim too much; each that follows would be one more issue that says the same."""


@dataclass(slots=True)
class Budget:
    """What one outermost file has cost so far; ``stored_bytes``: how large it is on the disk, and what is read with it.
    What costs too much is an EvidenceError of kind ``limit``.
    """

    limits: SourceLimits
    stored_bytes: int = 0
    _members: int = field(default=0, init=False)
    _names: int = field(default=0, init=False)
    _name_bytes: int = field(default=0, init=False)
    _bytes: int = field(default=0, init=False)
    _content_bytes: int = field(default=0, init=False)
    _refused: int = field(default=0, init=False)
    _seconds: float = field(default=0.0, init=False)
    _since: float | None = field(default=None, init=False)

    @contextmanager
    def walking(self) -> Iterator[None]:
        """What is done within takes time. Raises as soon as all of it took too long."""
        self._since = since = time.monotonic()
        try:
            yield
        finally:
            self._since = None
            self._seconds += time.monotonic() - since
        self.check()

    def check(self) -> None:
        """Raises where what is done took too long: to be asked by what may do much before it gives anything."""
        spent = self._seconds + (0.0 if self._since is None else time.monotonic() - self._since)
        most = self.limits.max_walk_seconds + (self.stored_bytes >> 20)
        if spent > most:
            says = f"looking into it took more time than max_walk_seconds ({most:,} for its size)"
            raise over("max_walk_seconds", says)

    def meet(self, name: str) -> None:
        """Count a member, or what is said of one. Raises where they, or their names, are too many."""
        limits = self.limits
        self._members += 1
        self._names += 1 + len(name) // _NAME
        self._name_bytes += len(name.encode("utf-8", "surrogatepass"))
        dense = max(limits.members_per_kib_from, (self.stored_bytes >> 10) * limits.max_members_per_kib)
        for limit, spent, most, says in (
            ("max_members", self._members, limits.max_members, "holds more than max_members"),
            ("max_members_per_kib", self._names, dense, "holds more members than max_members_per_kib lets"),
            ("max_name_bytes", self._name_bytes, limits.max_name_bytes, "names in it are longer than max_name_bytes"),
        ):
            if spent > most:
                raise over(limit, f"{says} ({most:,})")

    def unpack(self, entry: Evidence) -> None:
        """Count what a member holds. Raises where that is too much."""
        self._bytes += entry.size_bytes
        if self._bytes > self.limits.max_total_bytes:
            raise over("max_total_bytes", f"unpacks to more than max_total_bytes ({self.limits.max_total_bytes:,})")

    def unpacked(self, more: int) -> None:
        """Count bytes that came out of a member which did not say how many they would be. Raises where, all in all,
        they are out of proportion to what is stored.
        """
        limits = self.limits
        self._content_bytes += more
        if self.stored_bytes and self._content_bytes > max(
            limits.ratio_from_bytes, limits.max_ratio * self.stored_bytes
        ):
            says = f"what a file of {self.stored_bytes:,} bytes unpacks to is more than max_ratio ({limits.max_ratio})"
            raise over("max_ratio", f"{says} times as much; not read further")

    def claims_too_much(self, entry: Evidence, *, whole: bool) -> EvidenceError | None:
        """Why a member, which would be read ``whole`` or looked into, is not: with it, what is read is out of
        proportion to what is stored. Else it is counted. Raises where that is so of member after member.
        """
        limits = self.limits
        most = max(limits.ratio_from_bytes, limits.max_ratio * self.stored_bytes)
        total = entry.size_bytes + (self._content_bytes if whole else 0)
        if total > most:
            self._refused += 1
            if self._refused > _MOST_REFUSED:
                says = f"more than {_MOST_REFUSED} members in a file of {self.stored_bytes:,} bytes are past max_ratio"
                raise over("max_ratio", f"{says} ({limits.max_ratio})")
            says = f"{entry.size_bytes:,} bytes in a file of {self.stored_bytes:,}: with them more than max_ratio"
            return over("max_ratio", f"{says} ({limits.max_ratio}) times as much; not read")
        if whole:
            self._content_bytes = total
        return None


def left_of(error: EvidenceError, rest: Iterable[Iterable[object]]) -> EvidenceError:
    """The error of a budget that is spent, with how much is left, as far as that can be told: ``rest`` are the members
    of what is open.
    """
    says = "the rest is left"
    if error.what in ("max_members", "max_members_per_kib"):
        number = sum(1 for _ in itertools.islice(itertools.chain.from_iterable(rest), _COUNTED))
        least = "at least " if number == _COUNTED else ""
        says = f"{says}: {least}{number + 1:,} more, and what lies in them"
    return over(error.what, f"{error}; {says}")
