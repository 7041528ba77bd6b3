"""What the directory of a ZIP archive says (APPNOTE.TXT of PKWARE), entry by entry: no name stands for an entry, and
however many there are, one at a time is held.
"""

from __future__ import annotations

import bz2
import dataclasses
import functools
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, cast

from imgmatch import times
from imgmatch.evidence.formats.packed import unpack_xz, unpack_zstd
from imgmatch.optional import require
from imgmatch.streams import BLOCK_BYTES, Inflated, Joined, RandomAccess, Shared, Window

LOCAL_HEADER = b"PK\x03\x04"
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR64 = struct.Struct("<4sIQI")
_LONGEST_COMMENT = 0xFFFF
_ABOUT_PHONES, _MOST_ABOUT_PHONES = ("report.xml", "Manifest.db", "Manifest.mbdb"), 16
_AES_METHOD = 99  # WinZip's AES encryption (AE-x)
_ZSTD, _XZ = 93, 95
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, _ZSTD, _XZ)
_IN_A_WORKER = {9: "Deflate64", 98: "PPMd"}
_ENCRYPTED, _DESCRIPTOR, _PATCH, _STRONG, _UTF8 = 1, 8, 0x20, 0x40, 0x800


class DamagedError(ValueError):
    """The directory can't be had."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file in an archive, as its header describes it. ``check`` is the byte by which ZipCrypto knows a wrong
    password, ``aes`` the version and the strength of WinZip's encryption.
    """

    name: str
    cp437: str
    flags: int
    method: int
    crc: int
    packed_bytes: int
    size_bytes: int
    offset: int
    modified: str | None
    check: int
    aes: tuple[int, int] | None

    @property
    def encrypted(self) -> bool:
        """Does it take a password?"""
        return bool(self.flags & _ENCRYPTED)

    @property
    def described(self) -> bool:
        """Do its checksum and sizes follow its content?"""
        return bool(self.flags & _DESCRIPTOR)

    @property
    def likely_end(self) -> int:
        """Where it ends, but for extra fields of its own header and what describes it behind."""
        return self.offset + _LOCAL.size + len(self.cp437) + self.packed_bytes

    @property
    def unsupported(self) -> str | None:
        """As what it can't be unpacked, whatever the password."""
        if self.flags & _STRONG:
            return "ZIP member encrypted in PKWARE's way"
        if (self.method in _METHODS or self.in_a_worker) and not self.flags & _PATCH:
            return None
        return f"ZIP member packed by method {self.method}"

    @property
    def in_a_worker(self) -> bool:
        """Is what unpacks it no part of this process? Then ``packed`` has what is unpacked."""
        return self.method in _IN_A_WORKER and not self.encrypted

    @property
    def is_folder(self) -> bool:
        """A name without content that ends as those of folders do."""
        return self.name.endswith("/") and not self.size_bytes

    def open(self, source: RandomAccess, password: bytes | None = None) -> IO[bytes]:
        """What it unpacks to. Raises about everything on broken headers, and RuntimeError for most wrong passwords."""
        data = self.packed(source)
        if self.method in _BOUNDED:
            # The library would unpack all that is in a block at once.
            salt = 12 if self.encrypted else 0
            if self.aes is not None:
                salt = 4 + 4 * self.aes[1] + 2 + 10  # salt, check of the password, authentication
            stored = dataclasses.replace(self, method=zipfile.ZIP_STORED, size_bytes=self.packed_bytes - salt)
            packed = stored._by_library(data, password)
            packed._expected_crc = None
            plain = _BOUNDED[self.method](packed, self.size_bytes)
            return cast(IO[bytes], _Checked(plain, self.size_bytes, None if self.aes else self.crc))
        return cast(IO[bytes], self._by_library(data, password))

    def packed(self, source: RandomAccess) -> Window:
        """What of it lies in the archive. OSError where that is no entry."""
        header = source.read_at(self.offset, _LOCAL.size)
        if header[:4] != LOCAL_HEADER:
            raise OSError("nothing begins where the directory says that it does")
        name_bytes, extra_bytes = _LOCAL.unpack(header)[-2:]
        return Window(source, self.offset + _LOCAL.size + name_bytes + extra_bytes, self.packed_bytes)

    def _by_library(self, data: Window, password: bytes | None) -> Any:
        if self.aes is None:
            return zipfile.ZipExtFile(cast(Any, data), "r", self._describe(zipfile.ZipInfo("")), password, True)
        library = require("pyzipper", "archives", "ZIP encrypted by AES").AESZipFile
        info = self._describe(library.zipinfo_cls(""))
        info.wz_aes_version, info.wz_aes_strength = self.aes
        # It reads the header too: it is given one that it has nothing to say against.
        bare = io.BytesIO(_LOCAL.pack(LOCAL_HEADER, *[0] * 10))
        whole = Window(Joined([Shared(bare), Shared(cast(IO[bytes], data))]))
        return library.zipextfile_cls(whole, "r", info, True, password)

    def _describe(self, info: Any) -> Any:
        info.compress_type, info.flag_bits = self.method, self.flags & ~_UTF8
        info.compress_size, info.file_size, info.CRC = self.packed_bytes, self.size_bytes, self.crc
        info._raw_time = self.check << 8
        return info


class _Checked(io.RawIOBase):
    """So many bytes of a stream, which must have a CRC."""

    def __init__(self, stream: Inflated, size: int, crc: int | None) -> None:
        self._stream, self._left, self._expected, self._crc = stream, size, crc, 0

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill ``buffer``; returns how many bytes there were. BadZipFile where they are wrong."""
        count = self._stream.readinto(memoryview(buffer)[: self._left])
        self._crc = zlib.crc32(memoryview(buffer)[:count], self._crc)
        self._left -= count
        if (not count and self._left) or (count and not self._left and self._expected not in (None, self._crc)):
            raise zipfile.BadZipFile("its content has another length or CRC than its header says")
        return count

    def close(self) -> None:
        """Let go of the decompressor."""
        if not self.closed:
            self._stream.close()
        super().close()


def _lzma(packed: IO[bytes], size: int) -> Inflated:
    """LZMA as APPNOTE.TXT 5.8 has it. Raises EvidenceError of kind ``limit`` for a dictionary that is too large."""
    head = packed.read(4)
    properties = packed.read(int.from_bytes(head[2:4], "little"))
    parameters, dictionary = struct.unpack_from("<BI", properties)
    dictionary = max(4096, min(dictionary, size))  # of more bytes than there are none is needed
    how = {"dict_size": dictionary, "lc": parameters % 9, "lp": parameters // 9 % 5, "pb": parameters // 45}
    filters = [{"id": lzma.FILTER_LZMA1, **how}]
    return Inflated(packed, functools.partial(lzma.LZMADecompressor, lzma.FORMAT_RAW, None, filters), dictionary)


_BOUNDED = {
    zipfile.ZIP_BZIP2: lambda packed, size: Inflated(packed, bz2.BZ2Decompressor, 4 << 20),
    zipfile.ZIP_LZMA: _lzma,
    _ZSTD: lambda packed, _: unpack_zstd(packed, "ZIP packed by Zstandard"),
    _XZ: lambda packed, _: unpack_xz(packed),
}


class Directory:
    """The last directory of an archive, and the entries that it names. Raises DamagedError where there is none, or it
    does not hold together.
    """

    def __init__(self, source: RandomAccess) -> None:
        self._source = source
        self.start, self._end, self._before, self.end, self._part_bytes = _find_directory(source)
        self.comment_bytes = _comment_bytes(source, self._end, self.end)
        """Of the text at its end."""
        self.first = self.start
        """Where the first entry begins: what stands before it is none of this archive's, as what is behind ``end``."""
        self.is_office = False
        """Is it a document, by the names in it?"""
        self.about_phones: list[Entry] = []
        """Files that may say what lay where on a phone."""
        for entry in self.entries():
            if entry.name.rpartition("/")[2] in _ABOUT_PHONES and len(self.about_phones) < _MOST_ABOUT_PHONES:
                self.about_phones.append(entry)
            self.is_office |= entry.name in ("[Content_Types].xml", "META-INF/manifest.xml")
            self.first = min(self.first, max(0, entry.offset))

    def entries(self) -> Iterator[Entry]:
        """In the directory's order."""
        at, block, start = self.start, b"", self.start
        while at < self._end:
            if start + len(block) < min(at + _CENTRAL.size + 3 * 0xFFFF, self._end):
                block, start = self._source.read_at(at, min(BLOCK_BYTES, self._end - at)), at
            fields = block[at - start : at - start + _CENTRAL.size]
            if len(fields) < _CENTRAL.size or fields[:4] != b"PK\x01\x02":
                raise DamagedError("its directory is damaged")
            name_bytes, extra_bytes, comment_bytes = _CENTRAL.unpack(fields)[10:13]
            behind = at - start + _CENTRAL.size
            name = block[behind : behind + name_bytes]
            extra = block[behind + name_bytes : behind + name_bytes + extra_bytes]
            yield _entry(fields, name, extra, self._before, self._part_bytes)
            at += _CENTRAL.size + name_bytes + extra_bytes + comment_bytes


def local_entry(source: RandomAccess, offset: int) -> tuple[Entry, int] | None:
    """The entry that a local header describes, and where its content begins; None where there is no whole header."""
    header = source.read_at(offset, _LOCAL.size)
    if len(header) < _LOCAL.size:
        return None
    _, version, flags, method, time, date, crc, packed, size, name_bytes, extra_bytes = _LOCAL.unpack(header)
    names = source.read_at(offset + _LOCAL.size, name_bytes + extra_bytes)
    fields = _CENTRAL.pack(b"PK\x01\x02", 0, version, flags, method, time, date, crc, packed, size, 0, 0, 0, 0, 0, 0, 0)
    entry = _entry(fields, names[:name_bytes], names[name_bytes:], offset)
    return entry, offset + _LOCAL.size + name_bytes + extra_bytes


def _entry(fields: bytes, raw_name: bytes, raw_extra: bytes, before: int, part_bytes: int = 0) -> Entry:
    _, _, _, flags, method, time, date, crc, packed, size, *_, part, _, _, offset = _CENTRAL.unpack(fields)
    extra = _extra(raw_extra)
    wide = io.BytesIO(extra.get(0x0001, b""))
    size, packed, offset = (
        int.from_bytes(wide.read(8), "little") if value == 0xFFFFFFFF and len(extra.get(0x0001, b"")) >= 8 else value
        for value in (size, packed, offset)
    )
    if part == 0xFFFF and (told := wide.read(4)):
        part = int.from_bytes(told, "little")
    aes = None
    if method == _AES_METHOD and len(extra.get(0x9901, b"")) == 7:
        version, _, strength, method = struct.unpack("<H2sBH", extra[0x9901])
        aes = version, strength
    return Entry(
        _name(raw_name, flags, extra.get(0x7075, b"")),
        raw_name.decode("utf-8" if flags & _UTF8 else "cp437", "surrogateescape"),
        flags,
        method,
        crc,
        packed,
        size,
        before + part * part_bytes + offset,
        _modified(extra, date, time),
        time >> 8 if flags & _DESCRIPTOR else crc >> 24,
        aes,
    )


def _extra(raw: bytes) -> dict[int, bytes]:
    """Extra fields by their numbers, the first of each; of damaged ones those that come before."""
    found: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(raw):
        number, length = struct.unpack_from("<HH", raw, at)
        found.setdefault(number, raw[at + 4 : at + 4 + length])
        at += 4 + length
    return found


def _name(raw: bytes, flags: int, unicode_path: bytes) -> str:
    """The name: by the flag, else by Info-ZIP's field, else as UTF-8 where it could be that, else in DOS's letters."""
    if flags & _UTF8:
        return raw.decode("utf-8", "surrogateescape")
    if unicode_path[:1] == b"\x01" and unicode_path[1:5] == zlib.crc32(raw).to_bytes(4, "little"):
        return unicode_path[5:].decode("utf-8", "surrogateescape")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp437")


def _modified(extra: dict[int, bytes], date: int, time: int) -> str | None:
    """In UTC by an extended timestamp or NTFS's times; else the local time of DOS."""
    extended = extra.get(0x5455, b"")
    if len(extended) >= 5 and extended[0] & 1:
        seconds = int.from_bytes(extended[1:5], "little", signed=True)
        return times.utc(seconds + (1 << 32 if seconds < 0 and date >> 9 >= 58 else 0))  # after 2038 by DOS
    ntfs = extra.get(0x000A, b"")
    if len(ntfs) >= 16 and ntfs[4:8] == b"\x01\0\x18\0":
        return times.filetime(int.from_bytes(ntfs[8:16], "little"))
    return times.dos(date, time)


def _comment_bytes(source: RandomAccess, start: int, end: int) -> int:
    tail = source.read_at(start, min(end - start, _LONGEST_COMMENT + 2 * _END64.size + _END.size))
    at = tail.find(b"PK\x05\x06")
    return max(0, len(tail) - at - _END.size) if at >= 0 else 0


def directory_bytes(source: RandomAccess) -> int:
    """How long the directory says that it is; 0 where there is none."""
    try:
        start, end, *_ = _find_directory(source)
    except DamagedError:
        return 0
    return end - start


def _find_directory(source: RandomAccess) -> tuple[int, int, int, int, int]:
    """Where the directory starts and ends, how many bytes stand before the archive, and where that ends; and how long
    each of the parts is that it was written in, all but the last (0 where there are none): places count from these.
    """
    from_ = max(0, source.size - _LONGEST_COMMENT - _END.size)
    tail = source.read_at(from_, source.size - from_)
    at, why = len(tail), "it has no directory"
    while (at := tail.rfind(b"PK\x05\x06", 0, at)) >= 0:
        if at + _END.size > len(tail):
            continue
        _, disk, first_disk, _, _, size, offset, comment_bytes = _END.unpack_from(tail, at)
        end = from_ + at
        behind = min(end + _END.size + comment_bytes, source.size)
        wide = source.read_at(end - _LOCATOR64.size, _LOCATOR64.size) if end >= _LOCATOR64.size else b""
        if wide[:4] == b"PK\x06\x07":
            record = source.read_at(_LOCATOR64.unpack(wide)[2], _END64.size)
            if record[:4] != b"PK\x06\x06":  # something stands before the archive
                record = source.read_at(end - _LOCATOR64.size - _END64.size, _END64.size)
            if record[:4] == b"PK\x06\x06":
                *_, disk, first_disk, _, _, size, offset = _END64.unpack(record)
                end -= _LOCATOR64.size + _END64.size
        if disk:
            start = end - size
            part_bytes = (start - offset) // first_disk if first_disk else 0
            misfit = start - offset != part_bytes * first_disk or not part_bytes * disk < source.size
            empty = source.read_at(max(0, start), 4) != b"PK\x01\x02"
            if misfit or empty or start < offset or (first_disk and not part_bytes):
                why = "it is one of several parts, and others are missing"
                continue  # unless this stands in a comment
            return start, end, 0, behind, part_bytes
        for start in (end - size, offset):
            if start >= 0 and (not size or source.read_at(start, 4) == b"PK\x01\x02"):
                return start, start + size, start - offset, behind, 0
    raise DamagedError(why)
