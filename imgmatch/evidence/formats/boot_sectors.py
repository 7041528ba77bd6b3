"""Which file system a volume holds, by its boot sector or superblock, or by the copy that it keeps of that."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from imgmatch.errors import EvidenceError, unsupported
from imgmatch.streams import RandomAccess

At = Callable[[int, int], bytes]
"""Bytes at a place, so many or fewer; a negative place counts from the end."""

_SIGNATURE = b"\x55\xaa"
_SECTORS = (512, 1024, 2048, 4096)
_EXT_AT, _EXT_BYTES = 1024, 1024
_HFS = (b"H+", b"HX")
_ISO_AT, _DISC_SECTOR, _MOST_DESCRIPTORS, _PADDING_BYTES = 32768, 2048, 32, 1 << 20
_SUPERBLOCK_GROUPS = (1, 3, 5, 7, 9)


@dataclass(frozen=True, slots=True)
class FoundSystem:
    """A file system: its family, as The Sleuth Kit calls it; what to read in place of what stands there, (place,
    bytes); and what is damaged, where something is.
    """

    family: str
    mended: tuple[tuple[int, bytes], ...] = ()
    damage: str | None = None


class Patched:
    """RandomAccess to ``source`` as if other bytes stood at some places of it. The source itself is only read."""

    def __init__(self, source: RandomAccess, patches: tuple[tuple[int, bytes], ...]) -> None:
        self._source, self._patches = source, patches
        self.size = source.size

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``offset``."""
        data = bytearray(self._source.read_at(offset, size))
        for place, patch in self._patches:
            start, end = max(place, offset), min(place + len(patch), offset + len(data))
            if start < end:
                data[start - offset : end - offset] = patch[start - place : end - place]
        return bytes(data)


def where_it_can(at: At) -> At:
    """``at``, with nothing where it can't be read."""

    def tried(place: int, size: int) -> bytes:
        try:
            return at(place, size)
        except OSError:
            return b""

    return tried


def intact(head: bytes, at: At) -> str | None:
    """The family of a file system whose boot sector or superblock stands where it should."""
    if _is_ntfs(head):
        return "NTFS"
    if _is_exfat(head) or (head[510:512] == _SIGNATURE and _names_fat(head)) or _is_fat(head, at):
        return "FAT"
    if head[0x438:0x43A] == b"\x53\xef":
        return "EXT"
    if head[1024:1026] in _HFS:
        return "HFS"
    return "ISO9660" if at(_ISO_AT, 7) == b"\1CD001\1" else None


def damaged(at: At, size: int) -> FoundSystem | None:
    """A file system of ``size`` bytes that can still be told by a copy of its boot sector or superblock, or by the rest
    of that.
    """
    head = at(0, 4096)
    for find in (_damaged_fat, _damaged_exfat, _damaged_ntfs, _damaged_ext, _damaged_hfs):
        if (found := find(head, at, size)) is not None:
            return found
    return None


def found(at: At, size: int) -> FoundSystem | None:
    """The file system of a volume, intact or not. An intact one is compared with its copy where one must be wrong."""
    head = at(0, 4096)
    family = intact(head, at)
    if family == "ISO9660":
        # The Sleuth Kit goes round for ever at descriptors of ISO 9660:1999: it is shown others of no meaning there.
        odd = (place for place, raw in _descriptors(at) if raw[:1] == b"\2" and raw[6:7] != b"\1")
        return FoundSystem(family, tuple((place, b"\3") for place in odd))
    if family == "FAT" and _is_exfat(head) and not _exfat_adds_up(at, 0, head):
        return _damaged_exfat(head, at, size) or FoundSystem(family)
    if family == "NTFS" and not _leads_to_files(head, at):
        return _damaged_ntfs(head, at, size) or FoundSystem(family)
    if family == "FAT" and not _is_exfat(head) and (head[510:512] != _SIGNATURE or not _is_fat(head, at)):
        return _damaged_fat(head, at, size) or FoundSystem(family)
    return FoundSystem(family) if family is not None else damaged(at, size)


def beside(system: FoundSystem, at: At, size: int) -> EvidenceError | None:
    """What else is on a disc that ISO 9660 was read of: a further session."""
    if system.family != "ISO9660":
        return None
    names = [at(_ISO_AT + number * _DISC_SECTOR + 1, 5) for number in range(_MOST_DESCRIPTORS)]
    if b"NSR02" in names or b"NSR03" in names:  # which names all of the disc
        return None
    end = _DISC_SECTOR * int.from_bytes(at(_ISO_AT + 80, 4), "little")
    if size - end > _PADDING_BYTES:
        return unsupported("bytes behind ISO 9660", f"{size - end:,} bytes from {end:,} on, perhaps a further session")
    return None


def _descriptors(at: At) -> Iterator[tuple[int, bytes]]:
    """Descriptors of a disc, and where each lies (ECMA-119, 8)."""
    for number in range(_MOST_DESCRIPTORS):
        place = _ISO_AT + number * _DISC_SECTOR
        raw = at(place, 7)
        if raw[1:6] != b"CD001" or raw[:1] == b"\xff":
            return
        yield place, raw


def _names_fat(boot: bytes) -> bool:
    return boot[54:59] in (b"FAT12", b"FAT16") or boot[82:87] == b"FAT32"


def _fat_layout(boot: bytes) -> tuple[int, int, int] | None:
    """Bytes of a sector, reserved sectors and the media byte, where all values are such as FAT's can be."""
    if len(boot) < 90 or boot[0] not in (0xEB, 0xE9):
        return None
    sector, cluster, reserved, fats, entries, total16, media, fat16 = struct.unpack_from("<HBHBHHBH", boot, 11)
    total32, fat32 = struct.unpack_from("<I", boot, 32)[0], struct.unpack_from("<I", boot, 36)[0]
    sane = (
        sector in _SECTORS
        and cluster.bit_count() == 1
        and reserved
        and fats in (1, 2)
        and (media == 0xF0 or media >= 0xF8)
        and (total16 or total32)
        and bool(fat16) == bool(entries)
        and (fat16 or (fat32 and struct.unpack_from("<I", boot, 44)[0] >= 2))
    )
    return (sector, reserved, media) if sane else None


def _is_fat(boot: bytes, at: At) -> bool:
    """FAT that does not say so, or whose signature is damaged: where its first table should begin, one does."""
    layout = _fat_layout(boot)
    if layout is None:
        return False
    sector, reserved, media = layout
    return at(sector * reserved, 3) == bytes([media, 0xFF, 0xFF])


def _damaged_fat(head: bytes, at: At, _: int) -> FoundSystem | None:
    if _is_fat(head, at):  # also without the names of its kind
        says = f"the signature of its boot sector is damaged ({head[510:512].hex(' ')} in place of 55 aa)"
        return FoundSystem("FAT", ((510, _SIGNATURE),), says)
    for sector in (512, 4096):
        copy = at(6 * sector, 512)
        if copy[510:512] == _SIGNATURE and copy[82:87] == b"FAT32" and _is_fat(copy, at):
            says = f"its boot sector is damaged; read by the copy in sector 6 (byte {6 * sector:,})"
            return FoundSystem("FAT", ((0, copy),), says)
    return None


def _is_exfat(boot: bytes) -> bool:
    return (
        boot[3:11] == b"EXFAT   "
        and boot[510:512] == _SIGNATURE
        and not any(boot[11:64])
        and 9 <= boot[108] <= 12
        and boot[110] in (1, 2)
    )


def _exfat_adds_up(at: At, start: int, boot: bytes) -> bool:
    """Does the checksum of a boot region fit (exFAT specification, 3.4)?"""
    sector = 1 << boot[108]
    region = at(start, 12 * sector)
    if len(region) < 12 * sector:
        return False
    total = 0
    for place in range(11 * sector):
        if place not in (106, 107, 112):
            total = ((total << 31 | total >> 1) + region[place]) & 0xFFFFFFFF
    return region[11 * sector : 11 * sector + 4] == total.to_bytes(4, "little")


def _damaged_exfat(_: bytes, at: At, __: int) -> FoundSystem | None:
    for sector in (512, 4096):
        start = 12 * sector
        copy = at(start, 512)
        if _is_exfat(copy) and 1 << copy[108] == sector and _exfat_adds_up(at, start, copy):
            says = f"its boot sector is damaged; read by the copy in sector 12 (byte {start:,})"
            return FoundSystem("FAT", ((0, at(start, start)),), says)
    return None


def _is_ntfs(boot: bytes) -> bool:
    return boot[3:11] == b"NTFS    "


def _ntfs_adds_up(boot: bytes) -> bool:
    sector, cluster = struct.unpack_from("<HB", boot, 11)
    sectors, table = struct.unpack_from("<QQ", boot, 40)
    sane = sector in _SECTORS and (cluster.bit_count() == 1 or cluster >= 0xF4) and boot[510:512] == _SIGNATURE
    return bool(sane and sectors and table)


def _leads_to_files(boot: bytes, at: At) -> bool:
    """Is there a table of files where the boot sector says?"""
    if not _ntfs_adds_up(boot):
        return False
    sector, cluster = struct.unpack_from("<HB", boot, 11)
    cluster_bytes = sector * cluster if cluster.bit_count() == 1 else sector << (256 - cluster)
    return any(at(number * cluster_bytes, 4) == b"FILE" for number in struct.unpack_from("<QQ", boot, 48))


def _damaged_ntfs(head: bytes, at: At, size: int) -> FoundSystem | None:
    for sector in (512, 4096):
        copy = at(-sector, 512)
        if size > sector and len(copy) == 512 and _is_ntfs(copy) and _leads_to_files(copy, at):
            says = f"its boot sector is damaged; read by the copy in its last sector (byte {size - sector:,})"
            return FoundSystem("NTFS", ((0, copy),), says)
    mended = head[:3] + b"NTFS    " + head[11:510] + _SIGNATURE
    if len(head) >= 512 and _leads_to_files(mended, at):
        return FoundSystem("NTFS", ((0, mended),), "the name or signature in its boot sector is damaged")
    return None


def _ext_copies(at: At, size: int) -> Iterator[tuple[int, bytes]]:
    """Copies of the superblock, and where each lies: in groups 1, 3, 5, 7, 9 (fs/ext4/ext4.h of Linux)."""
    for shift in range(3):
        block = 1024 << shift
        for group in _SUPERBLOCK_GROUPS:
            place = (group * 8 * block + (shift == 0)) * block
            if place + _EXT_BYTES > size:
                break
            copy = at(place, _EXT_BYTES)
            if (
                copy[56:58] == b"\x53\xef"
                and copy[24:28] == shift.to_bytes(4, "little")
                and copy[90:92] == group.to_bytes(2, "little")
            ):
                yield place, copy


def _damaged_ext(head: bytes, at: At, size: int) -> FoundSystem | None:
    own = head[_EXT_AT : _EXT_AT + _EXT_BYTES]
    for place, copy in _ext_copies(at, size):
        block = 1024 << copy[24]
        groups = -(-struct.unpack_from("<I", copy, 4)[0] // max(1, struct.unpack_from("<I", copy, 32)[0]))
        wide = struct.unpack_from("<H", copy, 254)[0] if copy[96] & 0x80 else 32
        length = min(groups * max(wide, 32), 64 << 20)
        table_at = block * (1 + (block == 1024))
        copied = at(place + block, length)
        says = f"its superblock is damaged; read by the copy at byte {place:,}"
        patch = copy[:90] + b"\0\0" + copy[92:]
        # Copies of the table of groups are not kept up to date: they serve where the table itself is gone.
        if at(table_at, 12)[8:12] == copied[8:12]:
            return FoundSystem("EXT", ((_EXT_AT, patch),), says)
        return FoundSystem("EXT", ((_EXT_AT, patch), (table_at, copied)), says + ", and so is its table of groups")
    if len(own) == _EXT_BYTES and own[56:58] != b"\x53\xef":
        blocks, shift = struct.unpack_from("<I", own, 4)[0], struct.unpack_from("<I", own, 24)[0]
        per_group, inodes = struct.unpack_from("<I", own, 32)[0], struct.unpack_from("<I", own, 40)[0]
        if shift <= 6 and per_group and inodes and size // 2 <= blocks * (1024 << shift) <= size:
            return FoundSystem("EXT", ((_EXT_AT + 56, b"\x53\xef"),), "the signature of its superblock is damaged")
    return None


def _damaged_hfs(_: bytes, at: At, size: int) -> FoundSystem | None:
    copy = at(-1024, 512)
    if size <= 2048 or copy[:2] not in _HFS or copy[2:4] not in (b"\0\4", b"\0\5"):
        return None
    says = f"its volume header is damaged; read by the copy at byte {size - 1024:,}"
    return FoundSystem("HFS", ((1024, copy),), says)
