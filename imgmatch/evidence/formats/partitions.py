"""Partitions of a disk: MBR, GPT, Apple's map, BSD's disklabel (``partition_tables``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar

from imgmatch.evidence.formats import boot_sectors, partition_tables
from imgmatch.evidence.formats.boot_sectors import where_it_can
from imgmatch.evidence.formats.carve import Carvable, carve
from imgmatch.evidence.look import HEAD_BYTES, Look
from imgmatch.evidence.naming import signature_of
from imgmatch.parsers.disks import vhd
from imgmatch.streams import RandomAccess
from imgmatch.types import Evidence, Issue


class Partitions(Carvable):
    """Partitions, each called by its number in the order in which they begin and where that is, in bytes."""

    name = "partitioned disk"
    holds_zeros = True
    kinds = ("partition", "carved")
    hashed_up_to_bytes: ClassVar[int | None] = None

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """An MBR whose four entries make sense, a protective one included; not the boot sector of a file system."""
        return partition_tables.is_mbr(look.head) and boot_sectors.intact(look.head, where_it_can(look.at)) is None

    def members(self) -> Iterator[Evidence | Issue]:
        """What is wrong with the tables; partitions; with ``carve``, what lies between them."""
        source = self.access()
        at = bytes_at(source)
        base = int(self.outer.locator.at.partition("@")[2] or 0) if self.outer.locator.kind == "partition" else 0
        footer = at(-512, 512) if self.outer.locator.kind != "partition" else b""
        if (fault := vhd.fixed_fault(footer, source.size - 512)) is not None:
            yield self.issue("footer", "broken_image", fault)
        tables = partition_tables.tables(at, source.size, lambda place: holds_volume(at, place), base)
        if tables.faults:
            yield self.issue("table", "broken_image", "; ".join(tables.faults))
        for number, (start, size) in enumerate(tables.in_order, start=1):
            inside = max(0, min(size, source.size - start))
            if inside:
                yield self.extent(f"{number}@{start}", source, start, inside)
            if inside < size:
                yield self.issue(
                    f"{number}@{start}", "broken_image", f"the image ends {size - inside:,} bytes before the partition"
                )
        if self.options.carve:
            yield from carve(self, source, gaps(tables.in_order, source.size))


class DamagedPartitions(Partitions):
    """Those of a disk whose first table is damaged or missing, or is no MBR."""

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """By any other table, or by what begins where a damaged one says."""
        size = look.evidence.size_bytes
        if not may_be_disk(look):
            return False
        at = where_it_can(look.at)
        return partition_tables.is_damaged(at, size, lambda place: holds_volume(at, place))


def may_be_disk(look: Look) -> bool:
    """Is it of a size that a disk or a volume has, so that it is worth to look for traces of one in it?"""
    size = look.evidence.size_bytes
    return size >= 1 << 15 and size % 512 == 0


def bytes_at(source: RandomAccess) -> Callable[[int, int], bytes]:
    """``read_at`` with places that may count from the end; nothing where it can't be read."""

    def at(place: int, size: int) -> bytes:
        return source.read_at(max(0, source.size + place) if place < 0 else place, size)

    return where_it_can(at)


def holds_volume(at: Callable[[int, int], bytes], start: int) -> bool:
    """Does something that is known as a volume begin at a place?"""

    def from_start(place: int, size: int) -> bytes:
        return at(start + place, size) if place >= 0 else b""

    if boot_sectors.intact(from_start(0, HEAD_BYTES), from_start) is not None:
        return True
    known = signature_of(from_start)
    return known is not None and known.what == "volume"


def gaps(parts: list[tuple[int, int]], size: int) -> Iterator[tuple[int, int]]:
    """Start and length of what no part (start and length) covers."""
    at = 0
    for start, length in sorted(parts):
        if start > at:
            yield at, min(start, size) - at
        at = max(at, start + length)
    if at < size:
        yield at, size - at
