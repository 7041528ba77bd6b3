"""What every container is: evidence that holds other evidence, each at a place of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, BinaryIO, ClassVar, Self, cast

from imgmatch.errors import EvidenceError, ImgmatchError
from imgmatch.evidence.beside import InContainer
from imgmatch.evidence.budget import Budget
from imgmatch.evidence.look import Look
from imgmatch.evidence.options import SourceOptions, Switch
from imgmatch.locator import Locator
from imgmatch.optional import present
from imgmatch.streams import RandomAccess, Shared, Window, access
from imgmatch.types import Evidence, Issue

Opener = Callable[[], BinaryIO]
"""The type of ``Evidence.open``."""


@dataclass(slots=True)
class Container:
    """One opened container.

    A subclass gives ``members()`` and declares itself by its class attributes; it counts from when it stands in
    ``imgmatch.evidence.recognise.FORMATS``.
    """

    outer: Evidence
    options: SourceOptions
    budget: Budget
    _walk: Iterator[Evidence | Issue] | None = field(default=None, init=False, repr=False)
    _beside: InContainer = field(init=False, repr=False, compare=False)

    name: ClassVar[str]
    """What a person calls such a file."""
    kinds: ClassVar[tuple[str, ...]]
    """Locator kinds of what lies in it, the usual one first."""
    magic: ClassVar[tuple[bytes, ...]] = ()
    """What it begins with, one of these, where that is enough to know it."""
    begins: ClassVar[tuple[bytes, ...]] = ()
    """What it can't but begin with, one of these, where ``recognise`` looks at more than ``magic``; none where it may
    begin with anything. Of what begins as an ISO base media file does, every container is asked."""
    holds_zeros: ClassVar[bool] = False
    """Of disks and volumes: are zeros in the first 4 KiB of one that is no longer than 32 KiB? No text is asked."""
    switch: ClassVar[Switch | None] = None
    """The option that turns it off."""
    needs: ClassVar[tuple[str, str] | None] = None
    """The module without which nothing of it can be read, and the extra that brings it."""
    itself: ClassVar[bool] = False
    """Is it evidence of its own too (a picture that holds others)? Then other containers may lie in it besides."""
    opens: ClassVar[bool] = True
    """False of what nothing is looked for in."""
    hashed_up_to_bytes: ClassVar[int | None] = 1 << 30
    """The largest such file of which others keep hashes, so that lists of known files are asked about it; None: never
    (a disk image)."""

    def __post_init__(self) -> None:
        """Members know one another: sets of files lie in archives too."""
        self._beside = InContainer(
            lambda: type(self).open(self.outer, self.options, Budget(self.options.limits)).members()
        )

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """Is a file one of these?"""
        return look.head.startswith(cls.magic)

    @classmethod
    def elsewhere(cls, look: Look) -> bool:
        """Of a set of files: is this one read with the first of them?"""
        return False

    @classmethod
    def open(cls, outer: Evidence, options: SourceOptions, budget: Budget) -> Self:
        """Open a file that was recognised. Raises ImgmatchError when a package is missing."""
        if cls.needs is not None:
            present(*cls.needs, cls.name)
        return cls(outer, options, budget)

    def members(self) -> Iterator[Evidence | Issue]:
        """Everything in it, in the same order every time. It may raise: what came before stands, and the caller
        records the error.
        """
        raise NotImplementedError

    def member(self, place: Locator) -> Evidence:
        """The member at a place. Goes on from the last one asked for, so that asking in order costs one pass.

        Raises EvidenceError when it is not there.
        """
        for fresh in (False, True):
            if fresh or self._walk is None:
                self._walk = self.members()
            for member in self._walk:
                if member.locator == place:
                    if isinstance(member, Issue):
                        raise EvidenceError(member.error, member.message, what=member.what)
                    return member
            self._walk = None
        raise EvidenceError("gone", f"nothing called {place.at!r} is in it any more")

    def place(self, at: str, kind: str | None = None) -> Locator:
        """The locator of a member."""
        return Locator(kind or self.kinds[0], at, self.outer.locator)

    def entry(
        self, at: str, size_bytes: int, open_it: Opener, modified_utc: str | None = None, kind: str | None = None
    ) -> Evidence:
        """A member as evidence. What tells a change is size and times of the outermost file: they stand for it."""
        self._beside.meet(at)
        changed = self.outer.modified_ns, self.outer.changed_ns
        return Evidence(self.place(at, kind), size_bytes, modified_utc, *changed, open_it, self._beside)

    def unpacked(
        self, at: str, stream: IO[bytes], modified_utc: str | None = None, kind: str | None = None
    ) -> Evidence:
        """A member whose bytes were unpacked already."""
        source = Shared(stream)
        return self.entry(at, source.size, lambda: cast(BinaryIO, Window(source)), modified_utc, kind)

    def extent(
        self,
        at: str,
        source: RandomAccess,
        start: int,
        size_bytes: int,
        modified_utc: str | None = None,
        kind: str | None = None,
    ) -> Evidence:
        """A member that lies in one piece in other bytes."""
        return self.entry(at, size_bytes, lambda: cast(BinaryIO, Window(source, start, size_bytes)), modified_utc, kind)

    def issue(self, at: str, error: str, message: str, kind: str | None = None, what: str = "") -> Issue:
        """A member that can't be had; ``kind`` is that of its locator."""
        return Issue(self.place(at, kind), "walk", error, message, what or self.name)

    def failed(self, at: str, error: ImgmatchError, kind: str | None = None) -> Issue:
        """A member that can't be had for an error (``errors.unsupported`` among them)."""
        return Issue.walked(self.place(at, kind), error, self.name)

    def access(self) -> RandomAccess:
        """The container's own bytes, at any place."""
        return access(self.outer.open(), self.options.limits)
