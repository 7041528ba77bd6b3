"""Videos, moving pictures and documents as containers: what ``imgmatch.parsers`` finds in them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import ClassVar

from imgmatch.errors import EvidenceError
from imgmatch.evidence.container import Container
from imgmatch.evidence.options import Switch
from imgmatch.locator import Locator, Names
from imgmatch.parsers.pieces import Settings, Trouble
from imgmatch.types import Evidence, Issue
from imgmatch.workers import parse

# A time in ms or a number, and those of pages below a page.
_FRAME = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9}){0,8}")


class Extracted(Container):
    """``parser``: the module of ``imgmatch.parsers`` that knows this kind of file."""

    parser: ClassVar[str]
    hashed_up_to_bytes: ClassVar[int | None] = sys.maxsize
    calls: ClassVar[dict[str, str]] = {}
    """What is called otherwise here than by the parser, so that its place tells which container of a file it is in."""
    as_old_as_itself: ClassVar[bool] = True
    """Is what says no time of its own as old as the file? So are a frame, and a picture in a document."""

    def members(self) -> Iterator[Evidence | Issue]:
        """What is in it, in the order in which it is found."""
        return self._extract(None)

    def _extract(self, at: str | None) -> Iterator[Evidence | Issue]:
        options = self.options
        settings = Settings(options.frames_per_minute, options.limits, options.passwords)
        place_of = Names()
        for piece in parse.extract(self.parser, self.access(), settings, at):
            kind = self.calls.get(piece.kind, piece.kind)
            if kind not in self.kinds or (piece.kind == "frame" and not _FRAME.fullmatch(piece.at)):
                raise EvidenceError("crashed", "its reader gave nonsense; what came before is kept")
            if isinstance(piece, Trouble):
                yield self.issue(piece.at, piece.error, piece.message, kind, piece.what)
            else:
                when = piece.modified_utc or (self.outer.modified_utc if self.as_old_as_itself else None)
                yield self.unpacked(place_of(piece.at), piece.content, when, kind)


class Moving(Extracted):
    """Something with frames. One is found by its place alone, whatever the options were that chose it."""

    switch: ClassVar[Switch | None] = "frames"
    kinds: ClassVar[tuple[str, ...]] = ("frame",)

    def member(self, place: Locator) -> Evidence:
        """The frame at a place. Raises EvidenceError when it is not there."""
        for member in list(self._extract(place.at)):  # to its end, or the process that found it is not kept
            if member.locator == place and isinstance(member, Evidence):
                return member
        raise EvidenceError("gone", f"no frame called {place.at!r} is in it any more")
