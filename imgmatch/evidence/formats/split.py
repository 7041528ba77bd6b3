"""A file in parts that lie beside one another and continue one another (.001, .01, .aa, .z01): read as one."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import ClassVar

from imgmatch.errors import EvidenceError
from imgmatch.evidence import beside
from imgmatch.evidence.container import Container
from imgmatch.evidence.formats import packed, sevenzip, tars, zips
from imgmatch.evidence.formats.disk_image import damage_issue, opened
from imgmatch.evidence.formats.disk_parts import Parts
from imgmatch.evidence.formats.filesystem import FileSystem
from imgmatch.evidence.formats.partitions import Partitions
from imgmatch.evidence.look import Look
from imgmatch.evidence.naming import signature_of
from imgmatch.streams import DamagedError, Joined, RandomAccess
from imgmatch.types import Evidence, Issue, Siblings

_NUMBERED = re.compile(r"(.*\.)(\d{2,5})\Z", re.DOTALL)
_LETTERED = re.compile(r"(.*\.|(?:.*[/\\])?x)([a-z]{2,4})\Z", re.DOTALL)  # as split(1) calls them
_SPANNED = re.compile(r"(.*\.)([zZ])(\d{2,3})\Z", re.DOTALL)
_ZIP = re.compile(r"(.*\.)([zZ])(?:ip|IP)\Z", re.DOTALL)
_MAY_BE_PART = re.compile(r"(?:\.\d{2,5}|\.[zZ](?:\d{2,3}|ip|IP)|(?:\.|[/\\]x)[a-z]{2,4})\Z")
_PACKED = (packed.Gzip, packed.Bzip2, packed.Xz, packed.Zstd)
_BEGINNINGS: tuple[bytes, ...] = tuple(m for kind in (zips.Zip, sevenzip.SevenZip, *_PACKED) for m in kind.magic)
_MOST_MISSING = 3


class Split(Container):
    """The parts of a file, as far as they follow one another: by their names, by their sizes (all as long as the first,
    but for the last) and by what they hold: the first begins as a file does, and no other.
    """

    name = "file in parts"
    kinds = ("split",)
    hashed_up_to_bytes: ClassVar[int | None] = None

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """The first of several parts, or one that follows."""
        at = look.evidence.locator.at
        if _MAY_BE_PART.search(at[-7:]) is None or (near := beside.of(look.evidence)) is None:
            return False
        return cls.elsewhere(look) or (at in _firsts(at) and len(_parts(at, near)) > 1)

    @classmethod
    def elsewhere(cls, look: Look) -> bool:
        """A later part of a set that lies beside it."""
        at, near = look.evidence.locator.at, beside.of(look.evidence)
        first = None if near is None else _first_part(at, near)
        return near is not None and first is not None and at in _parts(first, near)[1:]

    def members(self) -> Iterator[Evidence | Issue]:
        """The whole, called ``disk`` where it is one, else as its parts are without their endings."""
        at, near = self.outer.locator.at, beside.of(self.outer)
        assert near is not None
        with Look(self.outer) as look:
            is_disk = _is_disk(look)
        if is_disk:
            yield from self._disk(Parts(self._opened(_disk_parts(at, near), near), self.place("disk")))
            return
        parts = _parts(at, near)
        media = Joined([source for _, source in self._opened(dict(enumerate(parts)), near).values()])
        name = re.split(r"[/\\]", parts[0])[-1].rpartition(".")[0]
        yield self.extent(name or "disk", media, 0, media.size)
        later = itertools.islice(_names(parts[0]), len(parts) + 1, len(parts) + 1 + _MOST_MISSING)
        if any(near.size(following) is not None for following in later):
            missing = next(itertools.islice(_names(parts[0]), len(parts), None))[len(beside.folder_of(at)) :]
            says = f"{missing} is missing or of another size; what is before it was read"
            yield self.issue("parts", "broken_image", says)

    def _opened(self, parts: dict[int, str], near: Siblings) -> dict[int, tuple[str, RandomAccess]]:
        """Their names without their folder, and their bytes."""
        sources = {}
        for number, name in parts.items():
            part = near.named(name)
            if part is None:
                raise EvidenceError("broken_image", f"the part {name!r} is gone")
            sources[number] = name[len(beside.folder_of(name)) :], opened(part, self.options)
        return sources

    def _disk(self, media: Parts) -> Iterator[Evidence | Issue]:
        for fault in media.about["faults"]:
            if fault["size"]:
                yield damage_issue(DamagedError(fault["start"], fault["size"], fault["why"], self.place("disk")))
            else:
                yield self.issue("parts", "broken_image", fault["why"])
        yield self.extent("disk", media, 0, media.size)


def _is_disk(look: Look) -> bool:
    return Partitions.recognise(look) or FileSystem.recognise(look)


def _begins(look: Look) -> bool:
    """Does it begin as a file does?"""
    return (
        look.head.startswith(_BEGINNINGS) or tars.Tar.recognise(look) or _is_disk(look) or bool(signature_of(look.at))
    )


def _names(first: str) -> Iterator[str]:
    """Names of the parts of a set whose first is ``first``, that one included, without end."""
    if match := _SPANNED.fullmatch(first):
        return (f"{match[1]}{match[2]}{number:0{len(match[3])}d}" for number in itertools.count(1))
    if match := _NUMBERED.fullmatch(first):
        return (f"{match[1]}{number:0{len(match[2])}d}" for number in itertools.count(int(match[2])))
    if match := _LETTERED.fullmatch(first):
        letters = itertools.product("abcdefghijklmnopqrstuvwxyz", repeat=len(match[2]))
        return ("".join((match[1], *ending)) for ending in letters)
    return iter((first,))


def _parts(first: str, near: Siblings) -> list[str]:
    """The parts of a set whose first is ``first``, in order; that one alone where it is the first of none."""
    if first not in _firsts(first) or (found_first := near.named(first)) is None:
        return [first]
    with Look(found_first) as look:
        if _is_disk(look):
            return list(_disk_parts(first, near).values())
        begins = _begins(look)
    names = list(itertools.takewhile(lambda name: near.size(name) is not None, _names(first)))
    if spanned := _SPANNED.fullmatch(first):
        ends = (f"{spanned[1]}{end}" for end in _zips(spanned[2]))
        return names + [name for name in ends if near.size(name) is not None]
    if len(names) < 2 or not begins:
        return [first]
    part_bytes = near.size(first) or 0
    found = [first]
    for name in names[1:]:
        size = near.size(name) or 0
        if not 0 < size <= part_bytes or not _follows(near.named(name)):
            break
        found.append(name)
        if size < part_bytes:
            break
    return found


def _disk_parts(first: str, near: Siblings) -> dict[int, str]:
    """The parts of a disk, by number: a few may be missing between them, and anything may stand in them."""
    found: dict[int, str] = {}
    for number, name in enumerate(_names(first)):
        if near.size(name):
            found[number] = name
        elif number - max(found, default=0) > _MOST_MISSING:
            break
    return found or {0: first}


def _follows(part: Evidence | None) -> bool:
    """Does it begin as nothing that is known by more than a few bytes?"""
    if part is None:
        return False
    with Look(part) as look:
        known = signature_of(look.at)
        return not look.head.startswith(_BEGINNINGS) and (known is None or len(known.magic) < 4)


def _zips(letter: str) -> tuple[str, ...]:
    return (f"{letter}ip", f"{letter}IP") if letter == "Z" else (f"{letter}ip",)


def _firsts(name: str) -> list[str]:
    """What the first part of a set that ``name`` is a part of may be called."""
    if match := _SPANNED.fullmatch(name):
        return [f"{match[1]}{match[2]}{1:0{len(match[3])}d}"]
    if match := _ZIP.fullmatch(name):
        return [f"{match[1]}{match[2]}01"]
    if match := _NUMBERED.fullmatch(name):
        return [f"{match[1]}{number:0{len(match[2])}d}" for number in (0, 1)]
    if match := _LETTERED.fullmatch(name):
        return [match[1] + "a" * len(match[2])]
    return []


def _first_part(name: str, near: Siblings) -> str | None:
    """The first part of the set that a later part belongs to, where it lies beside it."""
    return next((first for first in _firsts(name) if first != name and near.met(first)), None)
