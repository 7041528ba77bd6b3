"""QCOW2, versions 2 and 3 (QEMU, docs/interop/qcow2.txt): packed clusters, extended entries, backing files.

The format has no checksums. What it has: clusters are counted, entries have bits that must be zero, and a packed
cluster ends within a known sector. An entry that contradicts this is not believed.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from imgmatch.optional import require
from imgmatch.parsers.disks.units import (
    MOST_TABLE_BYTES,
    PARENT,
    ZERO,
    About,
    BadError,
    Disk,
    Numbers,
    Other,
    Place,
    UnsupportedError,
    inflate,
    repeated,
)

_HEADER = struct.Struct(">4sIQIIQIIQQIIQ")
_DIRTY, _CORRUPT, _EXTERNAL, _COMPRESSION, _EXTENDED = (1 << bit for bit in range(5))
_OFFSET = (1 << 56) - (1 << 9)
_COPIED, _PACKED = 1 << 63, 1 << 62
_SUBCLUSTERS = 32
_BACKING_FORMAT, _BITMAPS = 0xE2792ACA, 0x23852875
_MOST_SNAPSHOTS = 65_536
_RAW_WINDOW = -15

Entries = npt.NDArray[np.uint64]


class Qcow(Disk):
    """A virtual disk of QEMU's. The second source, where it has a backing file, is the disk of that."""

    def _open(self) -> None:
        self._loaded = False
        first = self._header(0, 8)
        self._version = int.from_bytes(first[4:8], "big")
        if self._version == 1:
            raise UnsupportedError("QCOW of version 1; convert it with qemu-img convert -O raw")
        if self._version not in (2, 3):
            raise UnsupportedError(f"QCOW of version {self._version}")
        (_, _, self._backing_at, self._backing_bytes, bits, self.size_bytes, encrypted, self._l1_count, self._l1_at,
         self._counts_at, self._counts_clusters, self._snapshots, self._snapshots_at) = _HEADER.unpack(
            self._header(0, _HEADER.size))  # fmt: skip
        self._features, self._order, self._header_bytes, self._packing = 0, 4, _HEADER.size, 0
        if self._version == 3:
            more = self._header(_HEADER.size, 40)
            self._features, _, _, self._order, self._header_bytes, self._packing = struct.unpack_from(">QQQIIB", more)
            if self._header_bytes < 112:
                self._packing = 0
        self._check_header(bits, encrypted)
        self._cluster = 1 << bits
        self._extended = bool(self._features & _EXTENDED)
        self.unit_bytes = self._cluster // _SUBCLUSTERS if self._extended else self._cluster
        self._entry_words = 2 if self._extended else 1
        self._per_table = self._cluster // (8 * self._entry_words)
        self._packed_bits = 62 - (bits - 8)
        self._parent = self._images[1] if self._backing_at and len(self._images) > 1 else None
        self._tables: dict[int, Entries] = {}
        self._distrusted: dict[int, str] = {}
        self._holes_doubtful = ""

    def _check_header(self, bits: int, encrypted: int) -> None:
        if encrypted:
            raise UnsupportedError("an encrypted QCOW2 image")
        if self._features & _EXTERNAL:
            raise UnsupportedError("QCOW2 whose data lies in another file")
        unknown = self._features & ~(_DIRTY | _CORRUPT | _COMPRESSION | _EXTENDED)
        if unknown or self._packing > 1:
            raise UnsupportedError(f"QCOW2 with features that are not known here ({unknown or self._packing:#x})")
        if not (14 if self._features & _EXTENDED else 9) <= bits <= 21 or self._order > 6:
            raise OSError("its header is damaged: clusters, or their counts, of a size that there is not")
        if self.size_bytes > 1 << 62 or self._l1_at % 512:
            raise OSError("its header is damaged: a size or place that can't be")

    def others(self) -> list[Other]:
        """The backing file."""
        if self._unsupported or not self._backing_at:
            return []
        name = self._header(self._backing_at, min(self._backing_bytes, 1023)).decode("utf-8", "surrogateescape")
        raw = dict(self._extensions()).get(_BACKING_FORMAT) == b"raw"
        return [{"name": name, "use": "raw disk" if raw else "disk", "id": ""}]

    def about(self) -> About:
        """What it says of itself."""
        self._load()
        return super().about()

    def _load(self) -> None:
        """Read all tables, and compare them with what else the image says."""
        if self._loaded or self._unsupported:
            return
        self._loaded = True
        self._end = self._images[0].size
        if self._features & _CORRUPT:
            self._fault("is marked as corrupt by the program that wrote it")
        if self._features & _DIRTY:
            self._fault("was not closed: its counts of clusters may be out of date")
        clusters = -(-self.size_bytes // self._cluster)
        tables = -(-clusters // self._per_table)
        if self._l1_count < tables:
            missing = self._l1_count * self._per_table
            self._fault("the first table is too short for the disk", missing * self._split, clusters * self._split)
        self._l1 = self._table(self._l1_at, min(self._l1_count, tables))
        if len(self._l1) < min(self._l1_count, tables):
            self._fault("the first table is cut off")
        self._load_tables()
        self._compare()

    @property
    def _split(self) -> int:
        return _SUBCLUSTERS if self._extended else 1

    def _table(self, at: int, count: int) -> Entries:
        """Numbers of 64 bits; fewer where the file ends before."""
        if count * 8 > MOST_TABLE_BYTES:
            raise OSError("its header is damaged: its tables are longer than any")
        data = self._images[0].read_at(at, count * 8) if at < self._images[0].size else b""
        return np.frombuffer(data[: len(data) // 8 * 8], ">u8").astype(np.uint64)

    def _load_tables(self) -> None:
        places = (self._l1 & np.uint64(_OFFSET)).astype(np.int64)
        wrong = (self._l1 & np.uint64(~(_OFFSET | _COPIED) & (2**64 - 1))) != 0
        wrong |= places % self._cluster != 0
        wrong |= (places != 0) & (places + self._cluster > self._end)
        wrong[places != 0] |= repeated(places[places != 0])
        self._l1_wrong = wrong
        held = 0
        for number in np.flatnonzero((places != 0) & ~wrong).tolist():
            table = self._table(int(places[number]), self._cluster // 8)
            held += table.nbytes
            if held > MOST_TABLE_BYTES:
                raise OSError(f"its tables are larger than {MOST_TABLE_BYTES:,} bytes")
            self._tables[number] = table
        units = self._per_table * self._split
        for number in np.flatnonzero(wrong).tolist():
            self._fault("the entry of its table is damaged", number * units, units)

    def _compare(self) -> None:
        """Compare entries with the counts of clusters: what contradicts them is not believed."""
        owners, hosts, packed = self._entries(self._tables.items())
        inside = (hosts >= 0) & (hosts * self._cluster < self._end)
        counted = np.bincount(hosts[inside], minlength=-(-self._end // self._cluster)).astype(np.int64)
        twice = repeated(hosts) & ~packed & inside
        twice |= np.isin(hosts, hosts[packed]) & ~packed & inside
        tables, shared = self._table_uses(len(counted)), np.zeros(len(counted), np.int64)
        for at, size in self._snapshot_uses(shared):
            self._use(tables, at, size)
        twice |= inside & (tables[np.where(inside, hosts, 0)] > 0)
        self._distrust(owners[twice], "lies where another cluster, or a table, lies too")
        told = self._told_counts(len(counted))
        if told is None or self._features & _DIRTY:
            return
        counted += tables + shared
        missing, extra = told > counted, told < counted
        if missing.any() and extra.any():
            self._distrust(owners[inside & extra[np.where(inside, hosts, 0)]], "lies where no cluster is counted")
        if missing.any():
            says = f"{int(missing.sum()):,} clusters of the file are in use, and no entry names them"
            first = int(np.flatnonzero(missing)[0]) * self._cluster
            self._fault(f"{says} (the first at byte {first:,}): what reads as empty may not be")
            self._holes_doubtful = "is empty, while clusters are left that no entry names"
        elif extra.any():
            self._fault(f"the counts of {int(extra.sum()):,} clusters are too low")

    def _distrust(self, clusters: Numbers, why: str) -> None:
        for cluster in clusters.tolist():
            self._distrusted.setdefault(cluster, why)
        for each in range(len(clusters)) if self._extended and len(clusters) < 1000 else ():
            self._fault(why, int(clusters[each]) * self._split, self._split)
        if not self._extended:
            self._fault_each(why, clusters)

    def _entries(self, tables: Any) -> tuple[Numbers, Numbers, npt.NDArray[np.bool_]]:
        """Of all entries that name a cluster of the file: the disk's cluster, the file's, and whether it is packed. A
        packed one is there once for each cluster that it lies in."""
        owners, hosts, packs = [], [], []
        for number, table in tables:
            entries = table[:: self._entry_words]
            packed = (entries & np.uint64(_PACKED)) != 0
            places = (entries & np.uint64(_OFFSET)).astype(np.int64)
            used = np.flatnonzero(~packed & (places != 0))
            owners.append(number * self._per_table + used)
            hosts.append(places[used] // self._cluster)
            packs.append(np.zeros(len(used), bool))
            used = np.flatnonzero(packed)
            at, stored = self._packed_at(entries[used])
            first, last = at // self._cluster, (at + stored - 1) // self._cluster
            for each in (first, last[last != first]):
                which = used if each is first else used[last != first]
                owners.append(number * self._per_table + which)
                hosts.append(each)
                packs.append(np.ones(len(which), bool))
        none = [np.empty(0, np.int64)]
        return (
            np.concatenate(owners or none),
            np.concatenate(hosts or none),
            np.concatenate(packs or [np.empty(0, bool)]),
        )

    def _packed_at(self, entries: Entries) -> tuple[Numbers, Numbers]:
        """Where packed clusters begin, and how many bytes they take at most."""
        bits = np.uint64(self._packed_bits)
        at = (entries & ((np.uint64(1) << bits) - np.uint64(1))).astype(np.int64)
        more = ((entries & np.uint64(_PACKED - 1)) >> bits).astype(np.int64)
        return at, (more + 1) * 512 - at % 512

    def _told_counts(self, clusters: int) -> Numbers | None:
        """How often each cluster of the file is in use, as the image says; None where it does not."""
        places = self._table(self._counts_at, self._counts_clusters * (self._cluster // 8)).astype(np.int64)
        per_block = (self._cluster * 8) >> self._order
        told = np.zeros(clusters, np.int64)
        lost = False
        for number, place in enumerate(places[: -(-clusters // per_block)].tolist()):
            if not place:
                continue
            block = self._images[0].read_at(place, self._cluster) if place % self._cluster == 0 and place > 0 else b""
            if len(block) < self._cluster:
                lost = True
                continue
            values = _numbers(block, self._order)[: clusters - number * per_block]
            told[number * per_block : number * per_block + len(values)] = values
        if lost:
            self._fault("counts of clusters are damaged or missing")
        return None if lost or not len(places) else told

    def _use(self, uses: Numbers, at: int, size: int) -> None:
        uses[at // self._cluster : -(-(at + size) // self._cluster)] += size > 0

    def _table_uses(self, clusters: int) -> Numbers:
        """How often clusters of the file are used by what is neither the disk's content nor of a snapshot."""
        uses = np.zeros(clusters, np.int64)
        self._use(uses, 0, self._cluster)
        self._use(uses, self._l1_at, self._l1_count * 8)
        self._use(uses, self._counts_at, self._counts_clusters * self._cluster)
        counts = self._table(self._counts_at, self._counts_clusters * (self._cluster // 8)).astype(np.int64)
        for at in (*counts[counts > 0].tolist(), *(self._l1 & np.uint64(_OFFSET)).astype(np.int64).tolist()):
            if at:
                self._use(uses, int(at), self._cluster)
        for at, size in self._bitmap_uses():
            self._use(uses, at, size)
        return uses

    def _snapshot_uses(self, uses: Numbers) -> Iterator[tuple[int, int]]:
        at = self._snapshots_at
        for _ in range(min(self._snapshots, _MOST_SNAPSHOTS)):
            head = self._header(at, 40)
            l1_at, l1_count, id_bytes, name_bytes, _, _, _, _, more = struct.unpack(">QIHHIIQII", head)
            l1 = (self._table(l1_at, l1_count) & np.uint64(_OFFSET)).astype(np.int64)
            yield l1_at, l1_count * 8
            for place in l1[l1 != 0].tolist():
                yield int(place), self._cluster
                _, hosts, _ = self._entries([(0, self._table(int(place), self._cluster // 8))])
                hosts = hosts[(hosts >= 0) & (hosts < len(uses))]
                uses += np.bincount(hosts, minlength=len(uses))
            at += -(-(40 + more + id_bytes + name_bytes) // 8) * 8
        yield self._snapshots_at, at - self._snapshots_at

    def _bitmap_uses(self) -> Iterator[tuple[int, int]]:
        body = dict(self._extensions()).get(_BITMAPS, b"")
        if len(body) < 24:
            return
        count, _, size, at = struct.unpack_from(">IIQQ", body)
        yield at, size
        directory, place = self._header(at, min(size, 1 << 20)), 0
        for _ in range(count):
            table_at, entries, _, _, _, name_bytes, more = struct.unpack_from(">QIIBBHI", directory, place)
            yield table_at, entries * 8
            table = self._table(table_at, entries) & np.uint64(_OFFSET)
            yield from ((int(cluster), self._cluster) for cluster in table[table != 0].tolist())
            place += -(-(24 + more + name_bytes) // 8) * 8

    def _extensions(self) -> Iterator[tuple[int, bytes]]:
        at, end = self._header_bytes, self._backing_at or self._cluster
        while at + 8 <= end:
            kind, size = struct.unpack(">II", self._header(at, 8))
            if not kind or at + 8 + size > end:
                return
            yield kind, self._header(at + 8, size)
            at += 8 + -(-size // 8) * 8

    def _where(self, number: int) -> Place:
        self._load()
        cluster, part = divmod(number, self._split)
        if (why := self._distrusted.get(cluster)) is not None:
            raise BadError(why)
        which, entry = divmod(cluster, self._per_table)
        if which >= len(self._l1) or self._l1_wrong[which]:
            raise BadError("the entry of its table is damaged or missing")
        table = self._tables.get(which)
        if table is None:
            return self._hole()
        word = int(table[entry * self._entry_words])
        bits = int(table[entry * 2 + 1]) if self._extended else 0
        return self._packed(word, bits, part) if word & _PACKED else self._plain(word, bits, part)

    def _hole(self) -> Place:
        if self._holes_doubtful:
            raise BadError(self._holes_doubtful)
        return PARENT if self._backing_at else ZERO

    def _plain(self, word: int, bits: int, part: int) -> Place:
        at = word & _OFFSET
        zero_flag = 1 if self._version == 3 and not self._extended else 0
        if word & ~(_OFFSET | _COPIED | zero_flag) or at % self._cluster or (word & _COPIED and not at):
            raise BadError("its entry is damaged")
        if self._extended:
            allocated, zero = bits >> part & 1, bits >> (part + _SUBCLUSTERS) & 1
            if (allocated and (zero or not at)) or (at and at >= self._end):
                raise BadError("its entry is damaged")
            if zero:
                return ZERO
            if allocated:
                return Place("raw", 0, at + part * self.unit_bytes)
            if at and self._images[0].read_at(at + part * self.unit_bytes, self.unit_bytes).strip(b"\0"):
                raise BadError("its bitmap says that it is not there, and data lies there")
            return self._hole()
        if word & zero_flag:
            return ZERO
        if not at:
            return self._hole()
        if at >= self._end:
            raise BadError("lies behind the end of the file")
        return Place("raw", 0, at)

    def _packed(self, word: int, bits: int, part: int) -> Place:
        at, stored = (int(each[0]) for each in self._packed_at(np.array([word], np.uint64)))
        if word & _COPIED or bits:
            raise BadError("its entry is damaged")
        if at >= self._end or stored > 2 * self._cluster:
            raise BadError("lies behind the end of the file")
        return Place("packed", 0, at, stored, part * self.unit_bytes)

    def _unpacked(self, data: bytes, place: Place) -> bytes:
        whole, taken = unzstd(data, self._cluster) if self._packing else inflate(data, self._cluster, _RAW_WINDOW)
        if len(whole) != self._cluster:
            raise BadError("unpacks to too few bytes")
        if taken <= place.stored - 512:
            raise BadError("is packed, and ends too soon")
        return whole


def unzstd(data: bytes, most: int) -> tuple[bytes, int]:
    """As ``units.inflate``, of a frame of Zstandard (RFC 8878)."""
    module = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    zstd = require(module, "forensic", "QCOW2 image packed by Zstandard")
    unpacker = zstd.ZstdDecompressor()
    try:
        made = unpacker.decompress(data, max_length=most + 1)
    except zstd.ZstdError as error:
        raise BadError(str(error)) from error
    if len(made) > most:
        raise BadError("unpacks to too many bytes")
    if not unpacker.eof:
        raise BadError("is packed, and ends too soon")
    return made, len(data) - len(unpacker.unused_data)


def _numbers(block: bytes, order: int) -> Numbers:
    """Numbers of 2**order bits each: less than a byte from its lowest bits on, others big-endian."""
    if order >= 3:
        return np.frombuffer(block, f">u{1 << (order - 3)}").astype(np.int64)
    bits = 1 << order
    each = np.frombuffer(block, np.uint8)
    parts = [(each >> shift) & ((1 << bits) - 1) for shift in range(0, 8, bits)]
    return np.stack(parts, axis=1).reshape(-1).astype(np.int64)
