"""What every container is: something found that holds other things, each at a place of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, BinaryIO, ClassVar, cast

from imgmatch.errors import EvidenceError
from imgmatch.evidence.options import SourceOptions
from imgmatch.limits import SourceLimits
from imgmatch.locator import Locator
from imgmatch.streams import RandomAccess, Shared, Window, access
from imgmatch.types import Evidence, Issue

Opener = Callable[[], BinaryIO]
"""The type of ``Evidence.open``."""


@dataclass(slots=True)
class Budget:
    """What one outermost file has unfolded to so far, at every depth."""

    limits: SourceLimits
    members: int = 0
    total_bytes: int = 0

    def count(self, size_bytes: int) -> None:
        """Count a member. Raises EvidenceError of kind ``limit`` when there is too much of it."""
        self.members += 1
        self.total_bytes += size_bytes
        if self.members > self.limits.max_members:
            raise EvidenceError("limit", f"holds more than max_members ({self.limits.max_members:,}); the rest is left")
        if self.total_bytes > self.limits.max_total_bytes:
            raise EvidenceError(
                "limit", f"unpacks to more than max_total_bytes ({self.limits.max_total_bytes:,}); the rest is left"
            )


@dataclass(slots=True)
class Container:
    """One opened container. Subclasses give ``members()``; ``kind`` is the locator kind of what lies in it.

    ``members()`` comes in the same order every time. It may raise: what came before stands, and the caller records the
    error. ``member(at)`` finds one of them again.
    """

    outer: Evidence
    options: SourceOptions
    _walk: Iterator[Evidence | Issue] | None = field(default=None, init=False, repr=False)

    kind: ClassVar[str]

    def members(self) -> Iterator[Evidence | Issue]:
        """Everything in it, in order."""
        raise NotImplementedError

    def member(self, place: Locator) -> Evidence:
        """The member at a place. Goes on from the last one found, so that asking in order costs one pass.

        Raises EvidenceError when it is not there.
        """
        for fresh in (False, True):
            if fresh or self._walk is None:
                self._walk = self.members()
            for found in self._walk:
                if found.locator == place:
                    if isinstance(found, Issue):
                        raise EvidenceError(found.error, found.message)
                    return found
            self._walk = None
        raise EvidenceError("gone", f"nothing called {place.at!r} is in it any more")

    def place(self, at: str, kind: str | None = None) -> Locator:
        """The locator of a member."""
        return Locator(kind or self.kind, at, self.outer.locator)

    def found(
        self, at: str, size_bytes: int, open_it: Opener, modified_utc: str | None = None, kind: str | None = None
    ) -> Evidence:
        """A member as evidence. What tells a change is size and times of the outermost file: they stand for it."""
        return Evidence(
            self.place(at, kind), size_bytes, modified_utc, self.outer.modified_ns, self.outer.changed_ns, open_it
        )

    def kept(self, at: str, stream: IO[bytes], modified_utc: str | None = None, kind: str | None = None) -> Evidence:
        """A member whose bytes were unpacked already."""
        source = Shared(stream)
        return self.found(at, source.size, lambda: cast(BinaryIO, Window(source)), modified_utc, kind)

    def part(
        self,
        at: str,
        source: RandomAccess,
        start: int,
        size_bytes: int,
        modified_utc: str | None = None,
        kind: str | None = None,
    ) -> Evidence:
        """A member that lies in one piece in other bytes."""
        return self.found(at, size_bytes, lambda: cast(BinaryIO, Window(source, start, size_bytes)), modified_utc, kind)

    def issue(self, at: str, error: str, message: str, kind: str | None = None) -> Issue:
        """A member that can't be had."""
        return Issue(self.place(at, kind), "walk", error, message)

    def access(self) -> RandomAccess:
        """The container's own bytes, at any place."""
        return access(self.outer.open(), self.options.limits)

    def check_ratio(self, unpacked: int, packed: int) -> None:
        """Raises EvidenceError of kind ``limit`` when so few bytes claim to be so many."""
        limits = self.options.limits
        if unpacked > limits.ratio_from_bytes and unpacked > limits.max_ratio * max(packed, 1):
            raise EvidenceError(
                "limit", f"{packed:,} bytes unpack to {unpacked:,}: more than max_ratio ({limits.max_ratio}) times"
            )
