"""Disks whose units are named by one table, each with its place in the file, and have no checksums of their own.

What the table says is held against what is possible: no two units lie at one place, none where a header or table lies
or behind the end, and no part of the file that holds data is left over.
"""

from __future__ import annotations

import numpy as np

from imgmatch.parsers.disks.units import PARENT, ZERO, BadError, Disk, Numbers, Place

NOWHERE, EMPTY = -1, -2
"""In a map: not in this file, and known to be zeros."""
_LOOKED_AT_BYTES = 64 << 20
_BLOCK_BYTES = 1 << 20
_BEHIND, _TWICE = "lies behind the end of the file", "lies where another unit, or a table, lies too"


class Mapped(Disk):
    """``_map`` holds where each unit begins in the first file."""

    def _take_map(self, places: Numbers, length: int, taken: list[tuple[int, int]], *, based: bool = False) -> None:
        """Take in a table. ``length``: bytes that a unit takes in the file; ``taken``: start and length of all else in
        it; ``based``: what is nowhere lies in the disk that this one is based on.
        """
        self._map, self._based = places, based
        self._doubtful = ""
        self._overlapping = np.zeros(len(places), bool)
        used = np.flatnonzero(places >= 0)
        starts = np.concatenate([places[used], np.array([start for start, _ in taken], np.int64)])
        ends = np.concatenate([places[used] + length, np.array([start + size for start, size in taken], np.int64)])
        order = np.argsort(starts, kind="stable")
        last = np.maximum.accumulate(ends[order])
        clash = np.zeros(len(order), bool)
        clash[1:] = starts[order][1:] < last[:-1]
        clash[:-1] |= clash[1:] & (starts[order][1:] < ends[order][:-1])
        units = order[clash]
        self._overlapping[used[units[units < len(used)]]] = True
        end = self._images[0].size
        behind = used[places[used] + length > end]
        self._fault_each(_TWICE, np.flatnonzero(self._overlapping))
        self._fault_each(_BEHIND, behind[places[behind] >= end])
        self._look_for_left_over(starts[order], last, min(length, 1 << 20), end)

    def _look_for_left_over(self, starts: Numbers, last: Numbers, least: int, end: int) -> None:
        """Is there data in the file that nothing names? Then what reads as empty may not be."""
        sizes = np.append(starts[1:], end)[: len(last)] - last
        wide = np.flatnonzero(sizes >= least).tolist()
        gaps = [(int(last[number]), int(sizes[number])) for number in wide]
        looked = 0
        for at, size in gaps:
            for start in range(at, min(at + size, end), _BLOCK_BYTES):
                data = self._images[0].read_at(start, min(_BLOCK_BYTES, at + size - start))
                looked += len(data)
                if data.strip(b"\0"):
                    self._fault(
                        f"data at byte {start:,} of the file belongs to no place: what reads as empty may not be"
                    )
                    self._doubtful = "is empty, while data is left in the file that belongs to no place"
                    return
                if looked > _LOOKED_AT_BYTES:
                    return

    def _where(self, number: int) -> Place:
        at = int(self._map[number]) if number < len(self._map) else NOWHERE
        if at == EMPTY:
            return ZERO
        if at == NOWHERE:
            return self._nowhere(number)
        if self._overlapping[number]:
            raise BadError(_TWICE)
        if at < 0:
            raise BadError("its entry is damaged")
        if at >= self._images[0].size:
            raise BadError(_BEHIND)
        return Place("raw", 0, at)

    def _nowhere(self, number: int) -> Place:
        """Of a unit that is not in this file."""
        if self._based:
            return PARENT
        if self._doubtful:
            raise BadError(self._doubtful)
        return ZERO
