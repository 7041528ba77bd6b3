"""Carving: JPEG and PNG files found by their own structure in space that no file owns, where they lie in one piece."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from imgmatch.evidence.container import Container
from imgmatch.locator import Locator
from imgmatch.picture.extents import JPEG, PNG, jpeg_length, png_length
from imgmatch.streams import BLOCK_BYTES, RandomAccess
from imgmatch.types import Evidence

_PLACE = re.compile(r"(\d{1,18})\+(\d{1,18})", re.ASCII)
_SECTOR = 512  # file content begins at a sector, whatever the block size


def carve(container: Container, source: RandomAccess, free: Iterable[tuple[int, int]]) -> Iterator[Evidence]:
    """Every JPEG and PNG that begins at a sector of ``free`` (start, length in bytes) and whose end is found before the
    run, or ``max_carved_bytes``, ends. Called by where it lies: ``start+length``.
    """
    limit = container.options.limits.max_carved_bytes
    for start, length in free:
        at, end = start, start + length
        while at < end:
            container.budget.check()
            block = source.read_at(at, min(BLOCK_BYTES, end - at))
            if not block:
                break
            step = len(block)
            for offset in range(0, len(block), _SECTOR):
                if block.startswith((JPEG, PNG), offset):
                    data = source.read_at(at + offset, min(limit, end - at - offset))
                    size = png_length(data) if data.startswith(PNG) else jpeg_length(data)
                    if size:
                        place = at + offset
                        yield container.extent(f"{place}+{size}", source, place, size, kind="carved")
                        step = max(_SECTOR, (offset + size + _SECTOR - 1) // _SECTOR * _SECTOR)
                        break
            at += step


def carved_at(container: Container, source: RandomAccess, at: str, kind: str = "carved") -> Evidence | None:
    """What was carved at a place, whatever lies there now; None for what is no place in it."""
    match = _PLACE.fullmatch(at)
    if match is None or (start := int(match[1])) + (size := int(match[2])) > source.size:
        return None
    return container.extent(at, source, start, size, kind=kind)


class Carvable(Container):
    """A container in which ``carve`` finds what no file owns."""

    def member(self, place: Locator) -> Evidence:
        """The member at a place; what was carved is found there without looking through free space again."""
        if place.kind == "carved" and (carved := carved_at(self, self.access(), place.at)) is not None:
            return carved
        return super().member(place)
