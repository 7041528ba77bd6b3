"""Expert Witness Format: E01, in one segment file or several, and SMART's S01.

Everything in it has a checksum, which is compared: a chunk that is wrong is never given. Format: Joachim Metz, Expert
Witness Compression Format (EWF) specification.
"""

from __future__ import annotations

import struct
import zlib
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from imgmatch.parsers.disks.units import BadError, DamageError, Disk, Place, inflate

MAGIC = b"EVF\x09\x0d\x0a\xff\x00"
_HEADER_BYTES = 13
_SECTION = struct.Struct("<16sQQ40sI")
_KINDS = tuple(
    name.ljust(16, b"\0")
    for name in (b"volume", b"disk", b"data", b"sectors", b"table", b"table2", b"next", b"done", b"hash", b"digest",
                 b"error2", b"header", b"header2", b"xheader", b"session", b"xhash")
)  # fmt: skip
_TABLE_BYTES, _SMALL_VOLUME, _VOLUME = 24, 94, 1052
_PACKED = 0x80000000
_SEARCHED_BYTES = 4 << 30
_BLOCK_BYTES = 1 << 20
_MOST_RANGES = 65_536
<<<<<<< HEAD
_MOST_TABLES = 65_536  # EnCase: of 16,375 chunks each, 32 TB
_ENTRIES_BYTES = 1 << 16
_MOST_HASHES = 64
=======
_MOST_CHUNK_BYTES = 32 << 20

Entries = npt.NDArray[np.uint32]
>>>>>>> main


@dataclass(slots=True)
class _Chunks:
    """Chunks that the table at ``entries_at`` of ``source`` names: where they begin (beyond ``base``) and where the
    last one ends. With ``why``: so many that nothing is known of."""

    source: int
    base: int = 0
    end: int = 0
    entries_at: int = 0
    why: str = ""
    count: int = 0


class Ewf(Disk):
    """The image of a disk as EnCase makes it: its segment files, in any order."""

    def _open(self) -> None:
        self._sectors = self._sector_bytes = self._sectors_per_chunk = 0
        self._set = b""
        self._runs: list[_Chunks] = []
        self._unread: list[tuple[int, int]] = []
<<<<<<< HEAD
        self._entries_of = lru_cache(16)(lambda source, at: self._images[source].read_at(at, _ENTRIES_BYTES))
=======
        # Tables lie beside one another: what is read of them all is no more than the files hold.
        self._table_bytes_left = 2 * sum(image.size for image in self._images)
>>>>>>> main
        numbers: dict[int, int] = {}
        for source in range(len(self._images)):
            head = self._images[source].read_at(0, _HEADER_BYTES)
            number = int.from_bytes(head[9:11], "little")
            if len(head) < _HEADER_BYTES or not head.startswith(MAGIC) or not number:
                self._fault(f"file {source + 1} of its set is no segment, or its beginning is damaged")
            elif number in numbers:
                self._fault(f"segment {number} is there twice; the second is left out")
            else:
                numbers[number] = source
        self._done = False
        for number in range(1, max(numbers) + 1):
            if number in numbers:
                self._read_segment(number, numbers[number])
            else:
                self._gap(f"segment {number} is missing")
        if not self._sectors_per_chunk:
            raise OSError("no segment says how large the disk is")
        if not self._done:
            self._gap(f"the segments after {max(numbers)} are missing, or its end is")
        self._settle()

    def _gap(self, why: str) -> None:
        if not self._runs or not self._runs[-1].why:
            self._runs.append(_Chunks(0, why=why))
        elif why not in self._runs[-1].why:
            self._runs[-1].why = f"{self._runs[-1].why}; {why}"[:500]

    def _read_segment(self, number: int, source: int) -> None:
        read: _Chunks | None = None
        data_end = 0
        for at, kind, size in self._sections(number, source):
            body = at + _SECTION.size
            if kind in (b"volume", b"disk", b"data"):
                if not self._read_volume(source, body, size - _SECTION.size):
                    self._gap(f"segment {number} is of another set")
                    return
            elif kind == b"sectors":
                data_end = at + size
                if read is not None and read.why:
                    self._gap(read.why)
                read = _Chunks(source, why=f"a table of segment {number} is damaged")
            elif kind == b"table":
                read = self._table(source, at, size, data_end)
                self._keep(read)
            elif kind == b"table2" and (read is None or read.why):
                second = self._table(source, at, size, data_end)
                if not second.why and self._runs and read is not None and self._runs[-1].why == read.why:
                    self._runs.pop()
                read = second
                self._keep(read)
            elif kind in (b"hash", b"digest"):
                self._read_hashes(source, body, kind)
            elif kind == b"error2":
                self._read_errors(source, body)
            elif kind == b"done":
                self._done = True

    def _keep(self, read: _Chunks) -> None:
        if read.why:
            self._gap(read.why)
        else:
            self._runs.append(read)
        if len(self._runs) > _MOST_TABLES:
            raise OSError(f"more than {_MOST_TABLES:,} tables")

    def _sections(self, number: int, source: int) -> Iterator[tuple[int, bytes, int]]:
        """Place, kind and size of a segment's sections. Where one is damaged, it is gone on from the next that can be
        found."""
        image, at = self._images[source], _HEADER_BYTES
        while True:
            head = _section(image.read_at(at, _SECTION.size))
            if head is None:
                why = f"a section of segment {number}, at byte {at:,}, is damaged or missing"
                self._fault(why)
                following = self._next(source, at)
                if following is None:
                    self._gap(why)
                    return
                at = following
                continue
            kind, following, size = head
            if kind in (b"next", b"done"):
                yield at, kind, size
                return
            yield at, kind, size
            if following <= at:
                self._gap(f"the sections of segment {number} end at byte {at:,}")
                return
            at = following

    def _next(self, source: int, at: int) -> int | None:
        """Where the next section begins after a damaged one."""
        image, start = self._images[source], at + 1
        end = min(image.size, start + _SEARCHED_BYTES)
        while start < end:
            block = image.read_at(start, _BLOCK_BYTES + _SECTION.size)
            places = [place for kind in _KINDS for place in _all(block, kind)]
            for place in sorted(places):
                if _section(block[place : place + _SECTION.size]) is not None:
                    return start + place
            start += _BLOCK_BYTES
        return None

    def _read_volume(self, source: int, at: int, size: int) -> bool:
        """Take in what a volume section says. False where it is of another set than the first."""
        small = size < _VOLUME
        data = self._images[source].read_at(at, _SMALL_VOLUME if small else _VOLUME)
        if len(data) < _SMALL_VOLUME or not _checked(data):
            self._fault("a section that says how large the disk is is damaged")
            return True
        _, per_chunk, sector_bytes = struct.unpack_from("<III", data, 4)
        (sectors,) = struct.unpack_from("<I" if small else "<Q", data, 16)
        identity = b"" if small else data[64:80]
        if self._sectors_per_chunk:
            same = (per_chunk, sector_bytes, identity) == (self._sectors_per_chunk, self._sector_bytes, self._set)
            return same and sectors in (self._sectors, 0)
        self.unit_bytes = per_chunk * sector_bytes
        if not 512 <= self.unit_bytes <= _MOST_CHUNK_BYTES or sectors * sector_bytes > 1 << 62:
            raise OSError("chunks, or a disk, of a size that can't be")
        self._sectors_per_chunk, self._sector_bytes, self._set = per_chunk, sector_bytes, identity
        self._sectors, self.size_bytes = sectors, sectors * sector_bytes
        return True

    def _table(self, source: int, at: int, size: int, data_end: int) -> _Chunks:
        image, start = self._images[source], at + _SECTION.size
        bad = _Chunks(source, why=f"a table at byte {at:,} of a segment is damaged")
        head = image.read_at(start, _TABLE_BYTES)
        if len(head) < _TABLE_BYTES or not _checked(head):
            return bad
        count, base = struct.unpack_from("<I4xQ", head)
        entries_at = start + _TABLE_BYTES
        behind = entries_at + 4 * count
        if not count or count * 4 > size or behind > image.size:
            return bad
<<<<<<< HEAD
        first = int.from_bytes(image.read_at(entries_at, 4), "little") & ~_PACKED
        within = first == behind  # SMART: chunks lie in the table's own section
        if not within and not self._sums_up(source, entries_at, behind):
=======
        data = image.read_at(entries_at, 4 * count + 4)
        self._table_bytes_left -= len(data)
        if self._table_bytes_left < 0:
            raise OSError("its tables lie upon each other")
        entries = np.frombuffer(data[: 4 * count], "<u4")
        if len(entries) < count:
>>>>>>> main
            return bad
        end = at + size if within or first == behind + 4 else data_end or at
        return _Chunks(source, base, end, entries_at, count=count)

    def _sums_up(self, source: int, start: int, end: int) -> bool:
        """Does the Adler-32 of so many bytes follow them?"""
        image, told = self._images[source], 1
        for at in range(start, end, _BLOCK_BYTES):
            told = zlib.adler32(image.read_at(at, min(_BLOCK_BYTES, end - at)), told)
        return told == int.from_bytes(image.read_at(end, 4), "little")

    def _entry(self, run: _Chunks, number: int) -> int:
        """An entry of a table, which is not kept: those of a disk of some terabytes are hundreds of megabytes."""
        block, at = divmod(4 * number, _ENTRIES_BYTES)
        data: bytes = self._entries_of(run.source, run.entries_at + block * _ENTRIES_BYTES)
        if len(data) < at + 4:
            raise BadError("its table is cut off")
        return int.from_bytes(data[at : at + 4], "little")

    def _read_hashes(self, source: int, at: int, kind: bytes) -> None:
        data = self._images[source].read_at(at, 36 if kind == b"hash" else 80)
        if len(data) not in (36, 80) or not _checked(data):
            self._fault("the hash of the disk that it stores is damaged")
            return
        told = [("md5", data[:16])] if kind == b"hash" else [("md5", data[:16]), ("sha1", data[16:36])]
        for name, value in told:
            if any(value) and (name, value.hex()) not in self._hashes and len(self._hashes) < _MOST_HASHES:
                self._hashes.append((name, value.hex()))

    def _read_errors(self, source: int, at: int) -> None:
        """Sectors that could not be read when the disk was acquired."""
        head = self._images[source].read_at(at, 520)
        count = int.from_bytes(head[:4], "little")
        kept = min(count, _MOST_RANGES - len(self._unread))
        if kept < count:
            self._fault(f"more than {_MOST_RANGES:,} places could not be read when it was acquired")
        data = self._images[source].read_at(at + 520, 8 * kept)
        if len(head) < 520 or not _checked(head) or len(data) < 8 * kept:
            self._fault("its list of sectors that could not be read is damaged")
            return
<<<<<<< HEAD
        if len(self._unread) + count > _MOST_RANGES:
            self._fault(f"more than {_MOST_RANGES:,} ranges that could not be read: only the first are told apart")
            count = _MOST_RANGES - len(self._unread)
        for first, sectors in struct.iter_unpack("<II", data[: 8 * count]):
=======
        for first, sectors in struct.iter_unpack("<II", data):
>>>>>>> main
            self._unread.append((first * self._sector_bytes, (first + sectors) * self._sector_bytes))

    def _settle(self) -> None:
        """Number the chunks: from the start up to the first gap, from the end back to the last."""
        total = -(-self.size_bytes // self.unit_bytes)
        gaps = [number for number, run in enumerate(self._runs) if run.why]
        left = total - sum(run.count for run in self._runs)
        if left < 0 or (left and not gaps):
            self._fault(f"its tables name {total - left:,} chunks, the disk has {total:,}")
            if left < 0:
                raise OSError("its segments do not belong together: more chunks than the disk has")
            self._runs.append(_Chunks(0, why="no table names them", count=left))
            gaps = [len(self._runs) - 1]
        if gaps:
            # Between two gaps nobody can tell how many chunks are missing on which side.
            first, last = gaps[0], gaps[-1]
            between = sum(run.count for run in self._runs[first : last + 1])
            why = "; ".join(dict.fromkeys(self._runs[gap].why for gap in gaps))[:500]
            self._runs[first : last + 1] = [_Chunks(0, why=why, count=left + between)]
        starts, at = [], 0
        for run in self._runs:
            starts.append(at)
            if run.why and run.count:
                self._fault(run.why, at, run.count)
            at += run.count
        self._starts = starts
        self._unread.sort()
        for start, end in self._unread:
            self._faults.append({"start": start, "size": end - start, "why": _UNREAD})

    def read(self, offset: int, size: int) -> bytes:
        """Bytes of the disk, as Disk. Sectors that could not be read when it was acquired are damaged too."""
        end = min(offset + size, self.size_bytes)
        number = bisect_right(self._unread, (offset, end)) - 1
        for start, stop in self._unread[max(0, number) : number + 2]:
            if start < end and offset < stop:
                raise DamageError(start, stop - start, _UNREAD)
        return super().read(offset, size)

    def _where(self, number: int) -> Place:
        which = bisect_right(self._starts, number) - 1
        run = self._runs[which]
        entry = number - self._starts[which]
        if run.why or entry >= run.count:
            raise BadError(run.why or "no table names it")
        at = whole = self._entry(run, entry)
        end = after = run.end - run.base if entry + 1 == run.count else self._entry(run, entry + 1)
        packed = at & _PACKED
        at, end = at & ~_PACKED, end & ~_PACKED if entry + 1 < run.count else end
        stored = end - at
        if not 0 < stored <= 2 * self.unit_bytes + 1024:  # past 2 GiB some programs use the highest bit for the place
            at, end, packed, stored = whole, after, 0, after - whole
        if not 0 < stored <= 2 * self.unit_bytes + 1024:
            raise BadError("its table is damaged: places that do not follow one another")
        return Place("packed", run.source, run.base + at, stored, 1 if packed else 0)

    def _bytes(self, number: int, place: Place, inside: int, size: int) -> bytes:
        self._wanted = min(self.unit_bytes, self.size_bytes - number * self.unit_bytes)
        return (
            super()._bytes(number, place._replace(inside=0), inside, size)
            if place.inside
            else self._plain(number, place, inside, size)
        )

    def _plain(self, number: int, place: Place, inside: int, size: int) -> bytes:
        data = self._images[place.source].read_at(place.at, place.stored)
        if len(data) < place.stored or not _checked(data):
            raise self._damaged(number, "its checksum is wrong")
        if len(data) - 4 < self._wanted:
            raise self._damaged(number, "it is too short")
        return data[inside : inside + size]

    def _unpacked(self, data: bytes, place: Place) -> bytes:
        if len(data) < place.stored:
            raise BadError("its file ends before")
        whole, _ = inflate(data, self.unit_bytes)  # which compares the Adler-32
        if len(whole) < self._wanted:
            raise BadError("unpacks to too few bytes")
        return whole


_UNREAD = "could not be read when the disk was acquired"


def _section(data: bytes) -> tuple[bytes, int, int] | None:
    """Kind, place of the next and size of a section; None where its checksum is wrong."""
    if len(data) < _SECTION.size or not _checked(data):
        return None
    kind, following, size, _, _ = _SECTION.unpack(data)
    return kind.rstrip(b"\0"), following, size


def _checked(data: bytes) -> bool:
    """Do bytes end with their Adler-32?"""
    return zlib.adler32(data[:-4]) == int.from_bytes(data[-4:], "little")


def _all(block: bytes, kind: bytes) -> Iterator[int]:
    at = block.find(kind)
    while at >= 0:
        yield at
        at = block.find(kind, at + 1)
