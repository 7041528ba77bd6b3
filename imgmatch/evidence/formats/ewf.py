"""Expert Witness Format: E01, Ex01 and S01, in one segment file or several."""

from __future__ import annotations

import re
from collections.abc import Iterator

from imgmatch.errors import UNPROVEN, EvidenceError, ImgmatchError
from imgmatch.evidence import beside
from imgmatch.evidence.formats.disk_image import DiskImage, Media, opened
from imgmatch.evidence.look import Look
from imgmatch.parsers.disks import ewf2, ex01
from imgmatch.parsers.disks.ewf import MAGIC
from imgmatch.parsers.disks.ewf import Ewf as Parser
from imgmatch.streams import RandomAccess
from imgmatch.types import Evidence, Siblings

_MAGIC2 = ex01.MAGIC
_NOT_PROVEN = (
    "this Ex01 is read by libewf alone, which does not tell of all damage: what comes out of it is not proven; compare "
    "it with what EnCase says"
)
_ENDING = re.compile(r"\.([a-z]x?)(\d\d|[a-z]{2})\Z", re.IGNORECASE)


class Ewf(DiskImage):
    """The image of a disk as EnCase and others make it."""

    name = "E01"
    kinds = ("ewf",)
    parser: type = Parser
    here = proven = True
    magic = (MAGIC, _MAGIC2)

    @classmethod
    def elsewhere(cls, look: Look) -> bool:
        """A later segment file of a set whose first lies beside it."""
        if _number(look.head) == 1 or (near := beside.of(look.evidence)) is None:
            return False
        own = look.evidence.locator.at
        return any(name != own and _is_first(near.named(name)) for name in _set(own, near))

    def faults(self) -> list[tuple[str, str]]:
        """Of an Ex01 that is not made as others are: that nothing here proves it."""
        return [] if self.proven else [(UNPROVEN, _NOT_PROVEN)]

    def media(self) -> Media:
        """The disk's bytes; of an Ex01 that can't be read here as libewf gives them."""
        try:
            return super().media()
        except EvidenceError as error:
            if self.parser is not ex01.Ex01 or error.kind != "broken_image":
                raise
            self.parser, self.here, self.proven = ewf2.Ewf2, False, False
            try:
                return super().media()
            except ImgmatchError:
                raise error from None

    def sources(self) -> list[RandomAccess]:
        """The segment files that lie beside it, in any order: each says itself which it is."""
        if _number(self.access().read_at(0, 16)) != 1:
            raise EvidenceError("broken_image", "a later part of a set of segment files whose first is not beside it")
        if self.access().read_at(0, 8) == _MAGIC2:
            self.parser = self.parser if self.parser is ewf2.Ewf2 else ex01.Ex01
        own, near = self.outer.locator.at, beside.of(self.outer)
        others = [] if near is None else [near.named(name) for name in _set(own, near) if name != own]
        return [self.access(), *(opened(other, self.options) for other in others if other is not None)]


def _number(head: bytes) -> int:
    """Which segment file of its set it is; the first opens it. (EWF specification)"""
    return int.from_bytes(head[9:11] if head.startswith(MAGIC) else head[12:16], "little")


def _is_first(segment: Evidence | None) -> bool:
    if segment is None:
        return False
    try:
        with Look(segment) as look:
            return look.head.startswith((MAGIC, _MAGIC2)) and _number(look.head) == 1
    except (OSError, EvidenceError):
        return False


def _set(own: str, near: Siblings) -> list[str]:
    """The segment files of the set that a file belongs to by its name: .E01 to .E99, then .EAA to .ZZZ, as far as they
    are there."""
    match = _ENDING.search(own)
    if match is None:
        return [own]
    stem = own[: match.start()]
    there = {name.lower(): name for name in near.names() if name[: len(stem)].lower() == stem.lower()}
    names = (f"{stem}.{ending}".lower() for ending in _endings(match[1].lower()))
    return [there[name] for name in names if name in there]


def _endings(first: str) -> Iterator[str]:
    letters = "abcdefghijklmnopqrstuvwxyz"
    yield from (f"{first}{number:02d}" for number in range(1, 100))
    for head in letters[letters.index(first[0]) :]:
        yield from (f"{head}{first[1:]}{a}{b}" for a in letters for b in letters)
