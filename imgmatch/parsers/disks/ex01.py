"""Ex01 (Expert Witness Format, version 2), in one segment file or several.

Everything in it has a checksum, which is compared: a chunk that is wrong is never given. Format: Joachim Metz, Expert
Witness Compression Format version 2 (EWF2) specification.
"""

from __future__ import annotations

import bz2
import struct
import zlib
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from imgmatch.parsers.disks.units import BadError, Disk, Place, UnsupportedError, inflate

MAGIC = b"EVF2\r\n\x81\0"
_HEADER_BYTES = 32
_SECTION = struct.Struct("<IIQQII16s12sI")
_DEVICE, _CASE, _TABLE, _ERRORS, _MD5, _SHA1, _KEYS, _NEXT, _DONE = 1, 2, 4, 5, 8, 9, 11, 13, 15
_KINDS = frozenset(range(1, 17))
_ENCRYPTED = 2
_TABLE_HEADER = struct.Struct("<QIII12x")
_ENTRY = struct.Struct("<8sII")
_PACKED, _SUMMED, _PATTERN = 1, 2, 4
_DEFLATE, _BZIP2 = 1, 2
_MOST_TEXT_BYTES = 16 << 20
_MOST_CHUNK_BYTES, _MOST_CHUNKS = 32 << 20, 1 << 34
_MOST_TABLES, _MOST_SECTIONS = 65_536, 1_000_000
_ENTRIES_BYTES, _BLOCK_BYTES = 1 << 16, 1 << 20
_SEARCHED_BYTES = 4 << 30


@dataclass(frozen=True, slots=True, order=True)
class _Run:
    """Chunks from ``first`` on, which a table at ``at`` of ``source`` names."""

    first: int
    count: int
    source: int
    at: int


@dataclass(frozen=True, slots=True)
class _Section:
    kind: int
    flags: int
    at: int
    size: int
    before: int


class Ex01(Disk):
    """The image of a disk as later versions of EnCase make it: its segment files, in any order."""

    def _open(self) -> None:
        self._method = self._sector_bytes = self._sectors = self._per_chunk = 0
        self._runs: list[_Run] = []
        self._entries_of = lru_cache(16)(lambda source, at: self._images[source].read_at(at, _ENTRIES_BYTES))
        numbers: dict[int, int] = {}
        identity = self._images[0].read_at(16, 16)
        for source, image in enumerate(self._images):
            head = image.read_at(0, _HEADER_BYTES)
            number = int.from_bytes(head[12:16], "little")
            if len(head) < _HEADER_BYTES or not head.startswith(MAGIC) or not number or head[16:] != identity:
                self._fault(f"file {source + 1} of its set is no segment, or of another set")
            elif numbers.setdefault(number, source) != source:
                self._fault(f"segment {number} is there twice; the second is left out")
        if not numbers:
            raise OSError("no segment of it can be read")
        self._method = int.from_bytes(self._images[numbers[min(numbers)]].read_at(10, 2), "little")
        last = max(numbers)
        for number in range(1, last + 1):
            if number in numbers:
                self._read_segment(number, numbers[number], last=number == last)
            else:
                self._fault(f"segment {number} is missing")
        if not self._sectors or not self._per_chunk:
            raise OSError("no segment says how large the disk is")
        self._settle()

    def _read_segment(self, number: int, source: int, *, last: bool) -> None:
        sections = list(self._sections(number, source))
        if last and not any(section.kind == _DONE for section in sections):
            self._fault(f"the segments after {number} are missing, or its end is")
        for section in sorted(sections, key=lambda section: section.at):
            if section.flags & _ENCRYPTED or section.kind == _KEYS:
                raise UnsupportedError("Ex01 (encrypted)")
            if section.kind in (_DEVICE, _CASE):
                self._read_text(source, section)
            elif section.kind == _TABLE:
                self._read_table(source, section)
            elif section.kind in (_MD5, _SHA1):
                self._read_hash(source, section)
            elif section.kind == _ERRORS:
                self._fault("it lists sectors that could not be read when it was acquired")

    def _sections(self, number: int, source: int) -> Iterator[_Section]:
        """Those of a segment, the last one first; where the description of one is damaged, all that can be found."""
        image = self._images[source]
        at = image.size - _SECTION.size
        for _ in range(_MOST_SECTIONS):
            section = self._section(source, at)
            if section is None:
                self._fault(f"the description of a section of segment {number}, at byte {at:,}, is damaged or missing")
                yield from self._found(source, at)
                return
            yield section
            at = section.before
            if not _HEADER_BYTES <= at < section.at + section.size:
                return

    def _section(self, source: int, at: int) -> _Section | None:
        data = self._images[source].read_at(at, _SECTION.size) if at >= _HEADER_BYTES else b""
        if len(data) < _SECTION.size:
            return None
        kind, flags, before, size, own, _, _, _, told = _SECTION.unpack(data)
        if zlib.adler32(data[:-4]) != told or own != _SECTION.size or kind not in _KINDS or size > at - _HEADER_BYTES:
            return None
        return _Section(kind, flags, at - size, size, before)

    def _found(self, source: int, end: int) -> Iterator[_Section]:
        """Descriptions anywhere before a place."""
        end = min(end, _SEARCHED_BYTES)
        for start in range(_HEADER_BYTES, end, _BLOCK_BYTES):
            block = self._images[source].read_at(start, min(_BLOCK_BYTES + _SECTION.size, end - start))
            at = -1
            while (at := block.find(_SECTION.size.to_bytes(4, "little"), at + 1)) >= 0:
                section = self._section(source, start + at - 24) if at < _BLOCK_BYTES + 24 else None
                if section is not None:
                    yield section

    def _read_text(self, source: int, section: _Section) -> None:
        """Names of values in a line, and these in the next."""
        data = self._images[source].read_at(section.at, min(section.size, _MOST_TEXT_BYTES))
        try:
            text = self._inflated(data, _MOST_TEXT_BYTES).decode("utf-16")
        except (BadError, zlib.error, OSError, ValueError, EOFError):
            self._fault("what it says of the disk is damaged")
            return
        lines = text.replace("\r", "").split("\n")
        said = dict(zip(lines[2].split("\t"), lines[3].split("\t"), strict=False)) if len(lines) > 3 else {}
        for name, value in said.items():
            if not value.isdecimal() or len(value) > 18:
                continue
            if section.kind == _DEVICE and name == "ts":
                self._sectors = int(value)
            elif section.kind == _DEVICE and name == "bp":
                self._sector_bytes = int(value)
            elif section.kind == _CASE and name == "sb":
                self._per_chunk = int(value)

    def _read_table(self, source: int, section: _Section) -> None:
        image = self._images[source]
        head = image.read_at(section.at, _TABLE_HEADER.size)
        why = f"a table at byte {section.at:,} of a segment is damaged"
        if len(head) < _TABLE_HEADER.size or zlib.adler32(head[:16]) != int.from_bytes(head[16:20], "little"):
            self._fault(why)
            return
        first, count, _, _ = _TABLE_HEADER.unpack(head)
        start = section.at + _TABLE_HEADER.size
        end = start + count * _ENTRY.size
        if not count or end + 4 > section.at + section.size or len(self._runs) >= _MOST_TABLES:
            self._fault(why)
            return
        told = 1
        for at in range(start, end, _BLOCK_BYTES):
            told = zlib.adler32(image.read_at(at, min(_BLOCK_BYTES, end - at)), told)
        if told != int.from_bytes(image.read_at(end, 4), "little"):
            self._fault(why)
            return
        self._runs.append(_Run(first, count, source, start))

    def _read_hash(self, source: int, section: _Section) -> None:
        name, size = ("md5", 16) if section.kind == _MD5 else ("sha1", 20)
        data = self._images[source].read_at(section.at, size + 4)
        if len(data) < size + 4 or zlib.adler32(data[:size]) != int.from_bytes(data[size:], "little"):
            self._fault("the hash of the disk that it stores is damaged")
        elif any(data[:size]) and (name, data[:size].hex()) not in self._hashes and len(self._hashes) < 64:
            self._hashes.append((name, data[:size].hex()))

    def _settle(self) -> None:
        """Every chunk is named by one table, or is damaged."""
        self._sector_bytes = self._sector_bytes or 512
        self.unit_bytes, self.size_bytes = self._per_chunk * self._sector_bytes, self._sectors * self._sector_bytes
        if not 512 <= self.unit_bytes <= _MOST_CHUNK_BYTES or self.size_bytes > 1 << 62:
            raise OSError("chunks, or a disk, of a size that can't be")
        total = -(-self.size_bytes // self.unit_bytes)
        self._runs.sort()
        kept: list[_Run] = []
        at = 0
        for run in self._runs:
            if run.first < at or run.first + run.count > total:
                self._fault("a table names chunks that another names, or that the disk has not")
                continue
            if run.first > at:
                self._fault("no table names them", at, run.first - at)
            kept.append(run)
            at = run.first + run.count
        if at < total:
            self._fault("no table names them", at, total - at)
        self._runs, self._starts = kept, [run.first for run in kept]

    def _where(self, number: int) -> Place:
        which = bisect_right(self._starts, number) - 1
        run = self._runs[which] if which >= 0 else None
        if run is None or number >= run.first + run.count:
            raise BadError("no table names it")
        block, at = divmod((number - run.first) * _ENTRY.size, _ENTRIES_BYTES)
        data = self._entries_of(run.source, run.at + block * _ENTRIES_BYTES)[at : at + _ENTRY.size]
        if len(data) < _ENTRY.size:
            raise BadError("its table is cut off")
        where, stored, flags = _ENTRY.unpack(data)
        if flags & _PATTERN:
            return Place("packed", run.source, run.at + block * _ENTRIES_BYTES + at, 8, _PATTERN)
        if not 0 < stored <= 2 * self.unit_bytes + 1024 or not flags & (_PACKED | _SUMMED):
            raise BadError("its table is damaged, or it has no checksum")
        return Place("packed", run.source, int.from_bytes(where, "little"), stored, flags & (_PACKED | _SUMMED))

    def _bytes(self, number: int, place: Place, inside: int, size: int) -> bytes:
        self._wanted, self._flags = min(self.unit_bytes, self.size_bytes - number * self.unit_bytes), place.inside
        return super()._bytes(number, place._replace(inside=0), inside, size)

    def _unpacked(self, data: bytes, place: Place) -> bytes:
        if len(data) < place.stored:
            raise BadError("its file ends before")
        if self._flags & _PATTERN:
            return data * (self.unit_bytes // len(data))
        if self._flags & _PACKED:
            whole = self._inflated(data, self.unit_bytes)
        else:
            whole = data[:-4]
            if zlib.adler32(whole) != int.from_bytes(data[-4:], "little"):
                raise BadError("its checksum is wrong")
        if len(whole) < self._wanted:
            raise BadError("unpacks to too few bytes")
        return whole

    def _inflated(self, data: bytes, most: int) -> bytes:
        """By zlib, which compares the Adler-32, or by bzip2, which compares a CRC-32."""
        if self._method == _BZIP2 and data.startswith(b"BZ"):
            try:
                unpacker = bz2.BZ2Decompressor()
                made = unpacker.decompress(data, most + 1)
            except OSError as error:
                raise BadError("is damaged") from error
            if len(made) > most or not unpacker.eof:
                raise BadError("unpacks to too many bytes, or ends too soon")
            return made
        if self._method not in (0, _DEFLATE, _BZIP2):
            raise BadError("is packed in a way that is not read")
        return inflate(data, most)[0]
