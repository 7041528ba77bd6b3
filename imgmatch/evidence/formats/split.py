"""A raw image in parts (.001, .002, ...; .aa, .ab, ...): read as one, with what is missing left out where it was."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from imgmatch.evidence import files
from imgmatch.evidence.formats.disk_image import DiskImage, Media, opened
from imgmatch.evidence.formats.filesystem import FileSystem
from imgmatch.evidence.formats.partitions import Partitions
from imgmatch.evidence.formats.zips import Zip
from imgmatch.evidence.look import Look
from imgmatch.locator import Locator, readable
from imgmatch.streams import DamagedError, RandomAccess

_ENDING = re.compile(r"\.(\d{2,4}|[a-z]{2,3})\Z|(?<!\.)(?<=.)([a-z]{2})\Z")
_MOST_LEFT_OUT = 16
"""Parts that may be missing one after the other, and those behind are still of the set."""


class Split(DiskImage):
    """The parts of a disk's image."""

    name = "split raw image"
    kinds = ("split",)

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """The first of several parts, or one that follows."""
        if look.path is None:
            return False
        return cls.elsewhere(look) or (len(_parts(look.path)) > 1 and _is_disk(look))

    @classmethod
    def elsewhere(cls, look: Look) -> bool:
        """A later part whose first lies beside it and begins as a disk does."""
        first = None if look.path is None else _first_part(look.path)
        return first is not None and not Zip.recognise(look) and _is_disk(Look(files.reopen(Locator.file(first))))

    def media(self) -> Media:
        """The disk's bytes."""
        return _Parts(_parts(self.outer.locator.at), self.place("disk"))


class _Parts(Media):
    """Parts one after the other. All but the last are of one size: what is missing of one, or all of it, is damaged."""

    def __init__(self, parts: dict[int, str], place: Locator) -> None:
        self.met: dict[int, DamagedError] = {}
        self._place = place
        last = max(parts)
        sources = {number: opened(files.reopen(Locator.file(name))) for number, name in parts.items()}
        sizes = {number: source.size for number, source in sources.items()}
        usual = _usual_size(sizes)
        self._spans: list[tuple[int, int, RandomAccess | None, str]] = []
        faults: list[dict[str, Any]] = []
        at = 0
        for number in range(min(parts), last + 1):
            name = readable(os.path.basename(parts[number])) if number in parts else f"number {number}"
            size = sizes.get(number, 0)
            if size:
                self._spans.append((at, at + size, sources[number], ""))
            at += size
            if size > usual:
                faults.append(
                    {"start": 0, "size": 0, "why": f"part {name} is longer than the others: is it of this set?"}
                )
            elif size < usual and number != last:
                why = f"part {name} is {'cut off, or out of its order' if size else 'missing'}"
                self._spans.append((at, at + usual - size, None, why))
                faults.append({"start": at, "size": usual - size, "why": why})
                at += usual - size
        self.size = at
        self.about = {"faults": faults, "identity": "", "hashes": [], "size": at, "unsupported": ""}

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``offset``."""
        end = min(offset + size, self.size)
        found = []
        for start, stop, source, why in self._spans:
            first, last = max(start, offset), min(stop, end)
            if first >= last:
                continue
            if source is None:
                raise self._noted(DamagedError(start, stop - start, why, self._place))
            found.append(source.read_at(first - start, last - first))
            if len(found[-1]) < last - first:
                raise self._noted(DamagedError(first, last - first, "a part became shorter", self._place))
        return found[0] if len(found) == 1 else b"".join(found)


def _usual_size(sizes: dict[int, int]) -> int:
    """The size of all parts but the last."""
    last = max(sizes)
    before = [size for number, size in sizes.items() if number != last]
    if not before:
        return sizes[last]
    if len(before) == 1:
        return max(sizes.values())
    (usual, count), *others = Counter(before).most_common()
    return usual if not others or count > others[0][1] else max(before)


def _is_disk(look: Look) -> bool:
    return Partitions.recognise(look) or FileSystem.recognise(look)


def _names(name: str) -> Iterator[tuple[int, str]]:
    """Numbers and names that the parts of a set can have, of which ``name`` is one."""
    match = _ENDING.search(name)
    if match is None:
        return
    ending = match[1] or match[2]
    stem, width = name[: -len(ending)], len(ending)
    if ending.isdigit():
        yield from ((number, f"{stem}{number:0{width}d}") for number in range(10**width))
        return
    for number in range(26**width):
        digits = (number // 26**place % 26 for place in range(width - 1, -1, -1))
        yield number, stem + "".join(chr(97 + digit) for digit in digits)


def _parts(first: str) -> dict[int, str]:
    """The parts of a set whose first is ``first``, by number; a few may be missing between them."""
    found: dict[int, str] = {}
    missing = 0
    for number, name in _names(first):
        if not found and name != first:
            continue
        if os.path.isfile(name):
            found[number] = name
            missing = 0
        else:
            missing += 1
            if missing > _MOST_LEFT_OUT:
                break
    return found or {0: first}


def _first_part(name: str) -> str | None:
    """The first part of the set that a later part (.002 and so on) belongs to, where it lies beside it."""
    for number, first in _names(name):
        if first == name or number > 1:
            return None
        if os.path.isfile(first):
            return first if name in _parts(first).values() else None
    return None
