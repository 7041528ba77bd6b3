"""Volumes of a disk without any table of partitions, found by what they begin with where they usually begin; and a FAT
volume whose boot sector is gone, known by its two equal tables.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import ClassVar

from imgmatch.errors import EvidenceError
from imgmatch.evidence.formats import boot_sectors
from imgmatch.evidence.formats.carve import Carvable, carve
from imgmatch.evidence.formats.partitions import Partitions, bytes_at, gaps, may_be_disk
from imgmatch.evidence.look import Look
from imgmatch.evidence.naming import signature_of
from imgmatch.streams import RandomAccess, Shared
from imgmatch.types import Evidence, Issue

_MIB = 1 << 20
_USUAL = (63 * 512, *range(_MIB, 65 * _MIB, _MIB))
_BLOCK = 4096
_RESERVED = (1, 2, 4, 6, 8, 16, 32)
_MOST_TABLE_BYTES = 256 * 512  # of FAT16
_EXT = 1024


class SearchedPartitions(Partitions):
    """Each volume that was found counts up to where it says that it ends, or to the next."""

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """By the first volume where one may begin; nothing is looked for in what can't be read at any place. What
        begins as another format does (an image that keeps blocks in an order of its own) would give wrong bytes.
        """
        if not may_be_disk(look) or look.evidence.size_bytes < _MIB:
            return False
        known = signature_of(look.at)
        if known is not None and known.at == 0:
            return False
        with look.evidence.open() as stream:
            return stream.seekable() and bool(_found(Shared(stream)))

    def members(self) -> Iterator[Evidence | Issue]:
        """How they were found; the volumes; with ``carve``, what lies between them."""
        source = self.access()
        found = _found(source)
        places = ", ".join(f"{start:,}" for start, _ in found)
        says = f"its table of partitions is damaged or missing; what begins like a volume was found at bytes {places}"
        yield self.issue("table", "broken_image", says)
        for number, (start, size) in enumerate(found, start=1):
            yield self.extent(f"{number}@{start}", source, start, size)
        if self.options.carve:
            yield from carve(self, source, gaps(found, source.size))


class FatWithoutBoot(Carvable):
    """FAT12 or FAT16 without its boot sector: it is named, and nothing is read but by carving."""

    name = "FAT file system"
    holds_zeros = True
    kinds = ("carved",)
    hashed_up_to_bytes: ClassVar[int | None] = None

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """By two equal tables, one behind the other."""
        return may_be_disk(look) and not any(look.head[:3]) and _tables_at(look) is not None

    def members(self) -> Iterator[Evidence | Issue]:
        """What it is; with ``carve``, pictures in it."""
        source = self.access()
        if self.options.carve:
            yield from carve(self, source, [(0, source.size)])
        raise EvidenceError(
            "broken_image", "a FAT file system whose boot sector is gone: its tables are there; --carve finds pictures"
        )


def _found(source: RandomAccess) -> list[tuple[int, int]]:
    """Start and size of what begins like a volume, where no other one lies."""
    at, starts = bytes_at(source), list[tuple[int, int]]()
    for place in _USUAL:
        if place + _BLOCK > source.size:
            break
        if starts and place < sum(starts[-1]):
            continue
        size = _volume_bytes(at(place, _BLOCK))
        if size is not None:
            starts.append((place, min(size, source.size - place)))
    ends = [start for start, _ in [*starts, (source.size, 0)][1:]]
    return [(start, size or end - start) for (start, size), end in zip(starts, ends, strict=True)]


def _volume_bytes(block: bytes) -> int | None:
    """How long a volume that begins so says that it is, 0 where it does not; None for what is none."""

    def at(place: int, size: int) -> bytes:
        return block[place : place + size] if place >= 0 else b""

    family = boot_sectors.intact(block, at)
    if family == "NTFS":
        sector, sectors = struct.unpack_from("<H", block, 11)[0], struct.unpack_from("<Q", block, 40)[0]
        return sector * (sectors + 1) if sector.bit_count() == 1 and block[510:512] == b"\x55\xaa" else None
    if family == "FAT" and block[510:512] == b"\x55\xaa":
        if block[3:11] == b"EXFAT   ":
            return int(struct.unpack_from("<Q", block, 72)[0]) << min(block[108], 12)
        sector, few, many = (
            struct.unpack_from(how, block, place)[0] for how, place in (("<H", 11), ("<H", 19), ("<I", 32))
        )
        return int(sector * (few or many))
    if family == "EXT":
        blocks, shift = struct.unpack_from("<I", block, _EXT + 4)[0], struct.unpack_from("<I", block, _EXT + 24)[0]
        copy, revision = struct.unpack_from("<H", block, _EXT + 90)[0], struct.unpack_from("<I", block, _EXT + 76)[0]
        return blocks * (1024 << shift) if shift <= 6 and blocks and not copy and revision <= 1 else None
    if family == "HFS" and block[1026:1028] in (b"\0\4", b"\0\5"):
        size, count = struct.unpack_from(">II", block, 1024 + 40)
        return int(size * count)
    known = signature_of(at) if family is None else None
    return 0 if known is not None and known.what == "volume" and len(known.magic) >= 4 else None


def _tables_at(look: Look) -> int | None:
    """Where the first of two equal tables begins."""
    for reserved in _RESERVED:
        start = reserved * 512
        first = look.at(start, 4)
        if len(first) < 4 or first[0] < 0xF0 or first[1:3] != b"\xff\xff":
            continue
        both = look.at(start, 2 * _MOST_TABLE_BYTES)
        at = 0
        while 0 < (at := both.find(first, at + 1)) <= _MOST_TABLE_BYTES:
            if at % 512 == 0 and both[:at] == both[at : 2 * at]:
                return start
    return None
