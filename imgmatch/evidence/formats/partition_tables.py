"""Partition tables: MBR with its chains of logical partitions, GPT (UEFI specification), Apple's map, BSD's disklabel.

Each is read by its copy where there is one, and what does not add up is told.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

At = Callable[[int, int], bytes]
"""Bytes at a place, so many or fewer; a negative place counts from the end."""

_UNITS = (512, 4096)
_EXTENDED = (0x05, 0x0F, 0x85)
_PROTECTIVE = 0xEE
_MOST_PARTS = 1024
_GPT = b"EFI PART"
_BSD = b"\x57\x45\x56\x82"
_RAW_PARTITION, _UNUSED = 2, 0


@dataclass(slots=True)
class Tables:
    """What the tables of a disk say: ``parts``, start and length in bytes, and what is wrong with them."""

    parts: set[tuple[int, int]] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)

    @property
    def in_order(self) -> list[tuple[int, int]]:
        """By where they begin."""
        return sorted(part for part in self.parts if part[1] > 0)


def is_mbr(head: bytes) -> bool:
    """An MBR whose four entries make sense, a protective one included."""
    return head[510:512] == b"\x55\xaa" and _has_entries(head)


def names_itself(head: bytes) -> bool:
    """Does an MBR name a partition that begins where it stands, as those of discs and sticks without any do?"""
    return any(start == 0 for _, start, _ in _entries(head))


def is_damaged(at: At, size: int, holds: Callable[[int], bool]) -> bool:
    """Is it a disk whose first table is damaged, missing, or none of an MBR's? ``holds``: does a volume begin there?"""
    if any(_gpt_header(at, place) for place in _gpt_places(size)):
        return True
    if _apple_unit(at) or at(512, 4) == _BSD:
        return True
    head = at(0, 512)
    return _has_entries(head) and any(holds(start * unit) for _, start, _ in _entries(head) for unit in _UNITS)


def tables(at: At, size: int, holds: Callable[[int], bool], base: int = 0) -> Tables:
    """What the tables say of a disk of ``size`` bytes, which begins at ``base`` of a larger one."""
    found = Tables()
    head = at(0, 512)
    if (unit := _apple_unit(at)) is not None:
        _apple(found, at, unit)
    elif at(512, 4) == _BSD:
        _bsd(found, at(512, 512), base, size)
    else:
        unit = _gpt(found, at, size, head)
        if _has_entries(head):
            _mbr(found, at, head, unit or _mbr_unit(head, holds), size, has_gpt=unit is not None)
    _compare(found, size)
    return found


def _has_entries(head: bytes) -> bool:
    raw = [head[at : at + 16] for at in range(446, 510, 16)]
    return len(head) >= 512 and any(_entries(head)) and all(entry[0] in (0, 0x80) for entry in raw)


def _entries(head: bytes) -> Iterator[tuple[int, int, int]]:
    """Kind, first sector and number of sectors of an MBR's entries that are in use."""
    for place in range(446, 510, 16):
        kind, (start, count) = head[place + 4], struct.unpack_from("<II", head, place + 8)
        if kind and count:
            yield kind, start, count


def _mbr_unit(head: bytes, holds: Callable[[int], bool]) -> int:
    """Bytes of a sector: where most of what the table names begins as volumes do."""
    fits = {unit: sum(holds(start * unit) for _, start, _ in _entries(head)) for unit in _UNITS}
    return max(_UNITS, key=lambda unit: (fits[unit], -unit))


def _mbr(found: Tables, at: At, head: bytes, unit: int, size: int, *, has_gpt: bool) -> None:
    if head[510:512] != b"\x55\xaa":
        found.faults.append(f"the signature of the MBR is damaged ({head[510:512].hex(' ')} in place of 55 aa)")
    own: set[tuple[int, int]] = set()
    for kind, start, count in _entries(head):
        if kind == _PROTECTIVE:
            if not has_gpt:
                found.faults.append("the MBR tells of a GPT, and neither it nor its copy is there")
        elif kind in _EXTENDED:
            own.update(_logical(found, at, start, unit, size))
        else:
            own.add((start * unit, count * unit))
    starts = {start for start, _ in found.parts}
    found.parts.update(part for part in own if part[0] not in starts)


def _logical(found: Tables, at: At, first: int, unit: int, size: int) -> Iterator[tuple[int, int]]:
    """Logical partitions: each of a chain of tables names one, and the next table."""
    seen: set[int] = set()
    here = first
    while len(seen) < _MOST_PARTS:
        where = f"the chain of logical partitions ends at byte {here * unit:,}"
        if here in seen:
            found.faults.append(f"{where}: it leads back to itself")
            return
        seen.add(here)
        table = at(here * unit, 512)
        if len(table) < 512 or table[510:512] != b"\x55\xaa":
            beyond = here * unit >= size
            found.faults.append(f"{where}: {'the image ends before' if beyond else 'no table is there'}")
            return
        following = None
        for kind, start, count in _entries(table):
            if kind in _EXTENDED:
                following = first + start
            else:
                yield (here + start) * unit, count * unit
        if following is None:
            return
        here = following
    found.faults.append(f"there are more than {_MOST_PARTS:,} logical partitions; the rest is left")


@dataclass(frozen=True, slots=True)
class _Gpt:
    place: int
    unit: int
    other: int
    entries_at: int
    count: int
    entry_bytes: int
    checksum: int
    whole: bool


def _gpt_places(size: int) -> tuple[tuple[int, int], ...]:
    """Where a header may stand, and with sectors of which size: behind the first sector, and in the last."""
    return *((unit, unit) for unit in _UNITS), *((size - unit, unit) for unit in _UNITS if size > 3 * unit)


def _gpt_header(at: At, where: tuple[int, int]) -> _Gpt | None:
    place, unit = where
    raw = at(place, 512)
    if raw[:8] != _GPT or len(raw) < 92:
        return None
    length, checksum = struct.unpack_from("<II", raw, 12)
    own, other = struct.unpack_from("<QQ", raw, 24)
    entries, count, entry_bytes, entries_checksum = struct.unpack_from("<QIII", raw, 72)
    if not (92 <= length <= 512 and 128 <= entry_bytes <= 4096 and entries and own * unit == place):
        return None
    whole = zlib.crc32(raw[:16] + bytes(4) + raw[20:length]) == checksum
    count = min(count, _MOST_PARTS)
    return _Gpt(place, unit, other * unit, entries * unit, count, entry_bytes, entries_checksum, whole)


def _gpt(found: Tables, at: At, size: int, mbr: bytes) -> int | None:
    """The GPT, by its header or by the copy; gives bytes of a sector, or None where there is none."""
    headers = [header for where in _gpt_places(size) if (header := _gpt_header(at, where)) is not None]
    first = next((header for header in headers if header.place == header.unit), None)
    if first is not None and first.whole and all(header.place != first.other for header in headers):
        # Where the disk ended when it was partitioned.
        headers.extend(filter(None, [_gpt_header(at, (first.other, first.unit))]))
    read = [(header, *_gpt_parts(at, header)) for header in headers]
    if not read:
        return None
    good = [(header, parts) for header, parts, whole in read if whole and header.whole]
    for header, parts in good or [(header, parts) for header, parts, _ in read]:
        found.parts.update(parts)
        unit = header.unit
    is_first = [header.place == header.unit for header, _ in good]
    if not good:
        found.faults.append("the checksums of the GPT and of its copy don't fit; read as it stands")
    elif not any(is_first):
        found.faults.append(f"the GPT is damaged; read by its copy at byte {good[0][0].place:,}")
    elif all(is_first):
        found.faults.append("the copy of the GPT at the end of the disk is damaged or missing")
    elif any(set(parts) != set(good[0][1]) for _, parts in good):
        found.faults.append("the GPT and its copy name different partitions; all are given")
    if mbr[510:512] != b"\x55\xaa" or not any(kind == _PROTECTIVE for kind, _, _ in _entries(mbr)):
        found.faults.append("the MBR in front of the GPT is damaged or missing")
    return unit


def _gpt_parts(at: At, header: _Gpt) -> tuple[list[tuple[int, int]], bool]:
    raw = at(header.entries_at, header.count * header.entry_bytes)
    parts = []
    for place in range(0, len(raw) - 127, header.entry_bytes):
        if any(raw[place : place + 16]):
            first, last = struct.unpack_from("<QQ", raw, place + 32)
            parts.append((first * header.unit, (last + 1 - first) * header.unit))
    return parts, zlib.crc32(raw) == header.checksum


def _apple_unit(at: At) -> int | None:
    """Bytes of a block of Apple's partition map, where there is one."""
    said = int.from_bytes(at(0, 4)[2:], "big") if at(0, 2) == b"ER" else 512
    for unit in dict.fromkeys((said, 512, 1024, 2048, 4096)):
        if unit in (512, 1024, 2048, 4096) and at(unit, 4) == b"PM\0\0":
            return unit
    return None


def _apple(found: Tables, at: At, unit: int) -> None:
    if at(0, 2) != b"ER":
        found.faults.append("the first block of the disk, in front of Apple's partition map, is damaged")
    number, count = 1, 1
    while number <= min(count, _MOST_PARTS):
        raw = at(number * unit, 136)
        if raw[:2] != b"PM" or len(raw) < 136:
            found.faults.append(f"Apple's partition map ends at entry {number} of {count}: no entry is there")
            return
        total, start, length = struct.unpack_from(">III", raw, 4)
        count = max(count, min(total, _MOST_PARTS))
        kind = raw[48:80].rstrip(b"\0").decode("latin-1")
        if kind not in ("Apple_partition_map", "Apple_Free", "Apple_Void", "Apple_Scratch"):
            found.parts.add((start * unit, length * unit))
        number += 1


def _bsd(found: Tables, raw: bytes, base: int, size: int) -> None:
    """A disklabel; its places count from its own start, or from that of the disk it lies in (sys/disklabel.h)."""
    unit, count = struct.unpack_from("<I", raw, 40)[0] or 512, min(struct.unpack_from("<H", raw, 138)[0], 22)
    if raw[132:136] != _BSD:
        found.faults.append("the disklabel is damaged: its second signature is missing")
    parts = []
    for number in range(count):
        sectors, start, _, kind = struct.unpack_from("<IIIB", raw.ljust(512, b"\0"), 148 + 16 * number)
        if sectors and kind != _UNUSED and number != _RAW_PARTITION:
            parts.append((start * unit, sectors * unit))
    whole = struct.unpack_from("<I", raw, 148 + 16 * _RAW_PARTITION + 4)[0] * unit
    for off in (whole, base, 0):
        if all(0 <= start - off <= size for start, _ in parts):
            found.parts.update((start - off, length) for start, length in parts)
            return
    found.parts.update(parts)


def _compare(found: Tables, size: int) -> None:
    """Partitions that lie over one another, or beyond the end."""
    for before, (start, _) in _pairs(found.in_order):
        if start < sum(before):
            found.faults.append(f"partitions at bytes {before[0]:,} and {start:,} overlap")
    for start, length in found.in_order:
        if start >= size:
            found.faults.append(
                f"a partition of {length:,} bytes begins at byte {start:,}, behind the end of the image"
            )


def _pairs(parts: Iterable[tuple[int, int]]) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    longest: tuple[int, int] | None = None
    for part in parts:
        if longest is not None:
            yield longest, part
        if longest is None or sum(part) > sum(longest):
            longest = part
