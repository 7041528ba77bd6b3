"""Where the blocks of a UDF volume lie: its descriptors, its partitions, and what maps them (ECMA-167 3 and 4; UDF
2.60, 2.2): virtual (CD-R), sparable (CD-RW) and metadata partitions (Blu-ray).
"""

from __future__ import annotations

import binascii
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from imgmatch.streams import RandomAccess

_SECTORS = (2048, 512, 4096, 1024, 8192, 16384, 32768)
_ANCHOR, _POINTER, _PARTITION, _LOGICAL, _END = 2, 3, 5, 6, 8
_CONTINUED = 258
_FILE_ENTRIES = (261, 266)
_VAT = 248
_WRITE_ONCE = 0, 2  # also overwritten by writing elsewhere
_MOST_DESCRIPTORS = 1024
_MOST_EXTENTS = 1 << 20
_MOST_TABLE = 64 << 20
_SEARCHED_BLOCKS = 512
_PIECE = 1 << 20
_ZEROS = 1, 2  # kept free, and never written
_NEXT = 3


@dataclass(frozen=True, slots=True)
class Extent:
    """So many bytes from a block of a partition on; ``written`` where it was."""

    reference: int
    block: int
    size: int
    written: bool


_Map = Callable[[int, int], tuple[int, int]]
"""Of a block of a partition and a number of blocks: where it lies, in blocks, and how many of them lie together."""


def tag_of(raw: bytes) -> int | None:
    """The number of a descriptor, where its checksum and its CRC fit (ECMA-167, 3/7.2)."""
    if len(raw) < 16 or not any(raw[:16]):
        return None
    number, _, checksum, _, _, crc, length = struct.unpack_from("<HHBBHHH", raw)
    fits = (sum(raw[:4]) + sum(raw[5:16])) & 0xFF == checksum and len(raw) >= 16 + length
    return int(number) if fits and binascii.crc_hqx(raw[16 : 16 + length], 0) == crc else None


class Space:
    """The volume in an image. ``file_set``: partition and block of the descriptor of its files."""

    def __init__(self, image: RandomAccess) -> None:
        self._image = image
        self._sector, anchor = self._anchored()
        partitions, logical = self._descriptors(anchor)
        self._block: int = struct.unpack_from("<I", logical, 212)[0]
        if self._block % 512 or not 512 <= self._block <= 1 << 16:
            raise OSError("its blocks are of a size that can't be")
        self._partitions = {
            struct.unpack_from("<H", raw, 22)[0]: struct.unpack_from("<II", raw, 188) for raw in partitions
        }
        self._recorded = all(raw[184] not in _WRITE_ONCE for raw in partitions)
        self._maps: list[_Map] = []
        self._fill_maps(logical)
        block, reference = struct.unpack_from("<IH", logical, 252)
        self.file_set = reference, block

    @property
    def claimed_bytes(self) -> int:
        """How long it says that it is; 0 where what was not written is left out of an image."""
        ends = [(start + count) * self._block for start, count in self._partitions.values()]
        return max(ends, default=0) if self._recorded else 0

    def descriptor(self, reference: int, block: int, *kinds: int) -> bytes:
        """A descriptor that fits its checksum. OSError where none is there, or one of another kind."""
        raw = self.read(Extent(reference, block, self._block, True), 0, self._block)
        if tag_of(raw) not in kinds:
            raise OSError(f"what should stand in block {block:,} of partition {reference} is damaged or missing")
        return raw

    def read(self, extent: Extent, offset: int, size: int) -> bytes:
        """Bytes of an extent; zeros where nothing was written. Short where the image ends."""
        if not extent.written:
            return bytes(size)
        parts: list[bytes] = []
        for place, length in self.runs(extent, offset, size):
            parts.append(self._image.read_at(place, length))
            if len(parts[-1]) < length:
                break
        return b"".join(parts)

    def runs(self, extent: Extent, offset: int = 0, size: int | None = None) -> Iterator[tuple[int, int]]:
        """Place and length of the bytes of an extent in the image."""
        left = extent.size - offset if size is None else size
        if not extent.written:
            return
        while left > 0:
            skipped, inside = divmod(offset, self._block)
            start, count = self._mapped(
                extent.reference, extent.block + skipped, (inside + left + self._block - 1) // self._block
            )
            length = min(left, count * self._block - inside)
            yield start * self._block + inside, length
            offset, left = offset + length, left - length

    def extents(self, listed: bytes, form: int, reference: int) -> tuple[Extent, ...]:
        """What allocation descriptors name: short ones (``form`` 0) of the partition ``reference``, or long ones."""
        found: list[Extent] = []
        seen: set[tuple[int, int]] = set()
        step = {0: 8, 1: 16}.get(form)
        if step is None:
            raise OSError("it is laid out in a way that no program writes")
        at = 0
        while at + step <= len(listed):
            length, block = struct.unpack_from("<II", listed, at)
            where = reference if step == 8 else struct.unpack_from("<H", listed, at + 8)[0]
            kind, size = length >> 30, length & 0x3FFFFFFF
            at += step
            if not size:
                break
            if kind != _NEXT:
                found.append(Extent(where, block, size, kind not in _ZEROS))
                if len(found) > _MOST_EXTENTS:
                    raise OSError("it lies in more pieces than any file")
                continue
            if (where, block) in seen:
                raise OSError("what says where it lies leads in a circle")
            seen.add((where, block))
            raw = self.descriptor(where, block, _CONTINUED)
            listed, at = raw[24 : 24 + struct.unpack_from("<I", raw, 20)[0]], 0
        return tuple(found)

    def _mapped(self, reference: int, block: int, count: int) -> tuple[int, int]:
        if reference >= len(self._maps):
            raise OSError(f"it lies in partition {reference}, which is none")
        return self._maps[reference](block, count)

    def _anchored(self) -> tuple[int, bytes]:
        """Bytes of a sector, and the anchor: at sector 256, or by the end (ECMA-167, 3/8.4.2.1)."""
        for sector in _SECTORS:
            last = self._image.size // sector - 1
            for number in (256, last, last - 256, 512):
                raw = self._image.read_at(number * sector, 512) if number > 0 else b""
                if tag_of(raw) == _ANCHOR and struct.unpack_from("<I", raw, 12)[0] == number:
                    return sector, raw
        raise OSError("its anchor is damaged or missing")

    def _descriptors(self, anchor: bytes) -> tuple[list[bytes], bytes]:
        """Those of its partitions, and of the logical volume, as they were written last; else their copy."""
        for place in (16, 24):
            length, start = struct.unpack_from("<II", anchor, place)
            partitions: dict[int, bytes] = {}
            logical = b""
            for raw in self._sequence(start, length // self._sector):
                newer = struct.unpack_from("<I", raw, 16)[0]
                if tag_of(raw) == _PARTITION:
                    number = struct.unpack_from("<H", raw, 22)[0]
                    if newer >= struct.unpack_from("<I", partitions.get(number, bytes(20)), 16)[0]:
                        partitions[number] = raw
                elif tag_of(raw) == _LOGICAL and (not logical or newer >= struct.unpack_from("<I", logical, 16)[0]):
                    logical = raw
            if partitions and logical:
                return list(partitions.values()), logical
        raise OSError("the descriptors of its volume are damaged or missing")

    def _sequence(self, start: int, count: int) -> Iterator[bytes]:
        for _ in range(_MOST_DESCRIPTORS):
            if count <= 0:
                return
            raw = self._image.read_at(start * self._sector, max(self._sector, 4096))
            start, count = start + 1, count - 1
            kind = tag_of(raw)
            if kind == _END or not raw:
                return
            if kind == _POINTER:
                length, start = struct.unpack_from("<II", raw, 20)
                count = length // self._sector
            elif kind is not None:
                yield raw

    def _fill_maps(self, logical: bytes) -> None:
        count, at = struct.unpack_from("<I", logical, 268)[0], 440
        for _ in range(min(count, 64)):
            raw = logical[at : at + max(6, logical[at + 1])] if at + 6 <= len(logical) else b""
            if len(raw) < 6:
                raise OSError("its table of partitions is damaged")
            at += len(raw)
            name = raw[5:28].rstrip(b"\0") if raw[0] == 2 else b""
            number = struct.unpack_from("<H", raw, 4 if raw[0] == 1 else 38)[0] if len(raw) >= 40 or raw[0] == 1 else -1
            if number not in self._partitions:
                raise OSError(f"its partition {number} is not described")
            plain = self._plain(*self._partitions[number])
            if raw[0] == 1:
                self._maps.append(plain)
            elif name == b"*UDF Sparable Partition":
                self._maps.append(self._sparable(plain, raw))
            elif name == b"*UDF Metadata Partition":
                self._maps.append(self._metadata(plain, raw))
            elif name == b"*UDF Virtual Partition":
                self._maps.append(self._virtual(plain, self._partitions[number][0]))
            else:
                raise OSError(f"its partition is of a kind that is not known: {name.decode('latin-1')!r}")

    def _plain(self, start: int, length: int) -> _Map:
        def mapped(block: int, count: int) -> tuple[int, int]:
            if block >= length:
                raise OSError(f"block {block:,} lies behind the end of its partition")
            return start + block, min(count, length - block)

        return mapped

    def _sparable(self, plain: _Map, raw: bytes) -> _Map:
        """Packets of blocks that went bad lie elsewhere, by a table."""
        packet, tables = struct.unpack_from("<H", raw, 40)[0], raw[42]
        moved: dict[int, int] = {}
        for number in range(min(tables, 4)):
            place = struct.unpack_from("<I", raw, 48 + 4 * number)[0] * self._block
            length = min(struct.unpack_from("<I", raw, 44)[0], _MOST_TABLE)
            table = self._image.read_at(place, max(length, 56))
            if table[17:39].rstrip(b"\0") == b"*UDF Sparing Table" and tag_of(table) == 0:
                entries = struct.unpack_from("<H", table, 48)[0]
                moved = dict(struct.iter_unpack("<II", table[56 : 56 + (len(table) - 56) // 8 * 8][: 8 * entries]))
                break
        else:
            raise OSError("its table of spared blocks is damaged or missing")

        def mapped(block: int, count: int) -> tuple[int, int]:
            inside = block % packet if packet else 0
            target = moved.get(block - inside)
            if target is not None and block - inside < 0xFFFFFFF0:
                return target + inside, min(count, packet - inside)
            start, together = plain(block, count)
            return start, min(together, packet - inside) if moved and packet else together

        return mapped

    def _metadata(self, plain: _Map, raw: bytes) -> _Map:
        """Blocks of a file, or of its mirror, in which all descriptors of files lie."""
        self._maps.append(plain)  # where the entry of that file, and its extents, lie
        here = len(self._maps) - 1
        fault = OSError("its metadata file is damaged or missing")
        for place in struct.unpack_from("<II", raw, 40):
            try:
                entry = self.descriptor(here, place, *_FILE_ENTRIES)
                found = self._extents_of(entry, here)
                break
            except OSError as error:
                fault = error
        else:
            self._maps.pop()
            raise fault
        self._maps.pop()
        spans = [(plain(one.block, -(-one.size // self._block))[0], -(-one.size // self._block)) for one in found]

        def mapped(block: int, count: int) -> tuple[int, int]:
            for start, length in spans:
                if block < length:
                    return start + block, min(count, length - block)
                block -= length
            raise OSError("it lies behind the end of the metadata file")

        return mapped

    def _virtual(self, plain: _Map, first: int) -> _Map:
        """Blocks by a table that was written last of all, so that its entry stands in the last block."""
        self._maps.append(plain)
        here = len(self._maps) - 1
        try:
            table = self._last_table(here, first)
        finally:
            self._maps.pop()

        def mapped(block: int, count: int) -> tuple[int, int]:
            if block >= len(table):
                return plain(block, 1)
            return plain(table[block], 1)

        return mapped

    def _last_table(self, here: int, first: int) -> tuple[int, ...]:
        last = self._last_written() // self._block - first
        for block in range(last, max(-1, last - _SEARCHED_BLOCKS), -1):
            try:
                entry = self.descriptor(here, block, *_FILE_ENTRIES)
            except OSError:
                continue
            size = struct.unpack_from("<Q", entry, 56)[0]
            if entry[27] not in (0, _VAT) or size > _MOST_TABLE:
                continue
            data = self._content(entry, here)[:size]
            if entry[27] == _VAT and len(data) >= 152:
                start, end = struct.unpack_from("<H", data)[0], len(data)
            elif b"*UDF Virtual Alloc Tbl" in data[-36:]:
                start, end = 0, len(data) - 36
            else:
                continue
            return struct.unpack_from(f"<{(end - start) // 4}I", data, start)
        raise OSError("the table of its blocks is damaged or missing: perhaps its disc was not closed")

    def _last_written(self) -> int:
        """The place of the last byte that is not zero: an image may be as long as its disc could have become."""
        end = self._image.size
        while end > 0:
            start = max(0, end - _PIECE)
            if found := self._image.read_at(start, end - start).rstrip(b"\0"):
                return start + len(found) - 1
            end = start
        return 0

    def _extents_of(self, entry: bytes, reference: int) -> tuple[Extent, ...]:
        form = struct.unpack_from("<H", entry, 34)[0] & 7
        return self.extents(self._descriptors_in(entry), form, reference)

    def _content(self, entry: bytes, reference: int) -> bytes:
        if struct.unpack_from("<H", entry, 34)[0] & 7 == 3:
            return self._descriptors_in(entry)
        return b"".join(self.read(one, 0, one.size) for one in self._extents_of(entry, reference))

    def _descriptors_in(self, entry: bytes) -> bytes:
        wide = tag_of(entry) == _FILE_ENTRIES[1]
        attributes, length = struct.unpack_from("<II", entry, 208 if wide else 168)
        start = (216 if wide else 176) + attributes
        return entry[start : start + length]
