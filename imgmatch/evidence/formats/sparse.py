"""Sparse images of Android (sparse_format.h of AOSP): chunks of blocks, some of which are not there."""

from __future__ import annotations

import bisect
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from imgmatch.errors import EvidenceError, over, unsupported
from imgmatch.evidence.container import Container
from imgmatch.streams import RandomAccess
from imgmatch.types import Evidence, Issue

_HEADER, _CHUNK = struct.Struct("<IHHHHIIII"), struct.Struct("<HHII")
_RAW, _FILL, _NOTHING, _CHECKSUM = 0xCAC1, 0xCAC2, 0xCAC3, 0xCAC4
_LARGEST_BLOCK = 1 << 26
_MOST_CHUNKS = 1 << 20


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Bytes of the disk from ``start`` on: those at ``at`` of the image, or ``fill`` again and again."""

    start: int
    size: int
    at: int
    fill: bytes | None


class Sparse(Container):
    """The bytes of a disk or a volume, as fastboot takes them."""

    name = "Android sparse image"
    kinds = ("simg",)
    magic = (b"\x3a\xff\x26\xed\1\0",)
    hashed_up_to_bytes: ClassVar[int | None] = None

    def members(self) -> Iterator[Evidence | Issue]:
        """The disk; then what of the image does not add up."""
        source = self.access()
        disk = _Disk(source)
        yield self.extent("disk", disk, 0, disk.size)
        if disk.fault is not None:
            yield self.issue("chunks", "broken_image", disk.fault)


class _Disk:
    """The disk in an image, as RandomAccess; ``fault`` says what is wrong with the image. OSError where it is cut."""

    def __init__(self, source: RandomAccess) -> None:
        head = source.read_at(0, _HEADER.size)
        if len(head) < _HEADER.size:
            raise EvidenceError("broken_image", "the image ends in its header")
        _, _, _, head_bytes, chunk_head_bytes, self._block, blocks, chunks, _ = _HEADER.unpack(head)
        if not 4 <= self._block <= _LARGEST_BLOCK or self._block % 4 or head_bytes < 28 or chunk_head_bytes < 12:
            raise unsupported("Android sparse image", "its header makes no sense")
        if chunks > _MOST_CHUNKS:
            raise over("chunks", f"says it has {chunks:,} chunks, more than {_MOST_CHUNKS:,}")
        self.size = blocks * self._block
        self.fault: str | None = None
        self._source, self._chunks = source, list[_Chunk]()
        self._read(head_bytes, chunk_head_bytes, chunks)
        self._starts = [chunk.start for chunk in self._chunks]

    def _read(self, at: int, chunk_head_bytes: int, count: int) -> None:
        start = 0
        for number in range(count):
            head = self._source.read_at(at, _CHUNK.size)
            if len(head) < _CHUNK.size:
                self.fault = f"the image ends before chunk {number + 1} of {count}: what follows is missing"
                break
            kind, _, blocks, total = _CHUNK.unpack(head)
            size, inside = blocks * self._block, total - chunk_head_bytes
            fill = self._source.read_at(at + chunk_head_bytes, 4) if kind == _FILL else b"\0" * 4
            if inside != {_RAW: size, _FILL: 4, _NOTHING: 0, _CHECKSUM: 4}.get(kind, -1):
                self.fault = f"chunk {number + 1} of {count}, at byte {at:,}, makes no sense: what follows is missing"
                break
            if kind != _CHECKSUM:
                place = at + chunk_head_bytes
                self._chunks.append(_Chunk(start, size, place, None if kind == _RAW else fill))
                start += size
                if kind == _RAW and place + size > self._source.size:
                    self.fault = f"the image ends in chunk {number + 1} of {count}: what follows is missing"
                    break
            at += total
        if start != self.size and self.fault is None:
            self.fault = f"its chunks make {start:,} bytes, where its header says {self.size:,}"

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``offset``."""
        parts, end = [], min(offset + size, self.size)
        while offset < end:
            index = bisect.bisect_right(self._starts, offset) - 1
            chunk = self._chunks[index] if index >= 0 else None
            if chunk is None or offset >= chunk.start + chunk.size:
                raise OSError(f"bytes from {offset:,} on are missing in the image")
            wanted, inside = min(end, chunk.start + chunk.size) - offset, offset - chunk.start
            if chunk.fill is None:
                part = self._source.read_at(chunk.at + inside, wanted)
            else:
                part = (chunk.fill * (wanted // 4 + 2))[inside % 4 : inside % 4 + wanted]
            if len(part) < wanted:
                raise OSError(f"bytes from {offset + len(part):,} on are missing in the image")
            parts.append(part)
            offset += wanted
        return b"".join(parts)
