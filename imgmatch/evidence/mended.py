"""Content of which a part is damaged or missing in the disk image that it lies in: zeros stand for that part."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import BinaryIO

from imgmatch.errors import EvidenceError
from imgmatch.streams import BLOCK_BYTES, DamagedError, damage_of

_STEPS = {BLOCK_BYTES: 1 << 16, 1 << 16: 1 << 12, 1 << 12: 512}
_SECTOR = 512
_MOST_PIECES = 16_384
_MOST_SAID = 3


@dataclass(frozen=True, slots=True)
class Lost:
    """Bytes ``start`` to ``end`` of a file (the end not among them), and the damage that took them."""

    start: int
    end: int
    damage: DamagedError


class Mended(io.RawIOBase):
    """A seekable stream of ``size`` bytes, from ``start`` on, in which zeros stand for what is damaged; ``lost`` says
    where. Sectors of 512 bytes are kept as far as they can be told from their neighbours.

    Raises EvidenceError where more is lost than is worth to be looked for.
    """

    def __init__(self, stream: BinaryIO, size: int, start: int = 0) -> None:
        self._stream, self._size = stream, size
        self._at, self._pieces = start, 0
        self.lost: list[Lost] = []

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill ``buffer``; returns how many bytes there were."""
        # Up to the next round place, so that pieces are whole sectors.
        wanted = min(len(buffer), self._size - self._at, BLOCK_BYTES - self._at % BLOCK_BYTES)
        if wanted <= 0:
            return 0
        data = self._piece(self._at, wanted, BLOCK_BYTES)
        buffer[:wanted] = data
        self._at += wanted
        return wanted

    def _piece(self, at: int, size: int, whole: int) -> bytes:
        data = self._tried(at, size)
        if not isinstance(data, DamagedError):
            return data
        if whole == _SECTOR:
            return self._lose(at, size, data)
        step = _STEPS[whole]
        if step == _SECTOR and all(
            isinstance(self._tried(place, min(_SECTOR, at + size - place)), DamagedError)
            for place in (at, at + (size - 1) // _SECTOR * _SECTOR)
        ):  # damage has two ends
            return self._lose(at, size, data)
        return b"".join(self._piece(place, min(step, at + size - place), step) for place in range(at, at + size, step))

    def _tried(self, at: int, size: int) -> bytes | DamagedError:
        parts, left = [], size
        try:
            self._stream.seek(at)
            while left:
                part = self._stream.read(left)
                if not part:
                    return DamagedError(at, size, "it ends before")
                parts.append(part)
                left -= len(part)
        except OSError as error:
            damage = damage_of(error)
            if damage is None:
                raise
            return damage.again()
        return b"".join(parts)

    def _lose(self, at: int, size: int, damage: DamagedError) -> bytes:
        last = self.lost[-1] if self.lost else None
        if last is not None and last.end == at and (last.damage.place, last.damage.why) == (damage.place, damage.why):
            self.lost[-1] = Lost(last.start, at + size, last.damage)
        else:
            self.lost.append(Lost(at, at + size, damage))
        self._pieces += 1
        if self._pieces > _MOST_PIECES:
            raise EvidenceError("unreadable", f"nearly all of it is damaged or missing: {damage}")
        return bytes(size)


def said(lost: list[Lost] | tuple[Lost, ...]) -> str:
    """What is missing of a file, as a sentence: where, and why."""
    ranges: list[tuple[int, int]] = []
    for each in lost:
        if ranges and ranges[-1][1] == each.start:
            ranges[-1] = ranges[-1][0], each.end
        else:
            ranges.append((each.start, each.end))
    where = ", ".join(f"{start:,} to {end - 1:,}" for start, end in ranges[:_MOST_SAID])
    more = f" and {len(ranges) - _MOST_SAID:,} more places" if len(ranges) > _MOST_SAID else ""
    first = lost[0].damage
    at = f" at byte {first.start:,} of {first.place}" if first.place else ""
    return f"bytes {where}{more} are damaged or missing{at} ({first.why}); zeros stand for them"
