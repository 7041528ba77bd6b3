"""ZIP archives, and the documents that are ZIP archives (DOCX, PPTX, XLSX, ODT): their pictures."""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import IO, Any, BinaryIO, cast

from imgmatch.errors import EvidenceError
from imgmatch.evidence.container import Container
from imgmatch.locator import Names
from imgmatch.optional import require
from imgmatch.streams import BLOCK_BYTES, RandomAccess, Spool, Unpacked, Window, one_line
from imgmatch.types import Evidence, Issue

_AES = 99  # compression method of WinZip's AES encryption (AE-x)
_OFFICE = ("[Content_Types].xml", "META-INF/manifest.xml")
_OFFICE_PICTURE = re.compile(r"(^|/)(media|pictures|thumbnails?|docProps/thumbnail[^/]*)(/|$)", re.IGNORECASE)
_LOCAL = struct.Struct("<4s5H3I2H")
_LOCAL_HEADER = b"PK\x03\x04"


class Zip(Container):
    """APPNOTE.TXT of PKWARE. Names are names only; nothing is ever written under them."""

    name = "ZIP archive"
    kinds = ("zip",)
    magic = (_LOCAL_HEADER, b"PK\x05\x06", b"PK\x07\x08")  # an empty one begins with its end

    def members(self) -> Iterator[Evidence | Issue]:
        """Files in the order of the central directory; without one, what local headers still say."""
        source = self.access()
        try:
            archive = zipfile.ZipFile(cast(IO[bytes], Window(source)))
        except (zipfile.BadZipFile, struct.error, NotImplementedError, ValueError, OSError) as error:
            yield from self._salvage(source, one_line(error))
            return
        infos = archive.infolist()
        names = list(map(Names(), (info.filename for info in infos)))
        office = any(name in _OFFICE for name in names)
        locked: zipfile.ZipFile | None = None
        password: bytes | None = None
        for name, info in zip(names, infos, strict=True):
            # A document's own parts are not evidence of their own; its pictures are.
            if info.is_dir() or (office and not _OFFICE_PICTURE.search(name)):
                continue
            try:
                self.budget.check_ratio(info.file_size, info.compress_size)
                if info.flag_bits & 1:
                    if locked is None:
                        locked, password = self._unlock(source, info)
                    yield self._member(locked, name, locked.getinfo(info.filename), password)
                else:
                    yield self._member(archive, name, info, None)
            except EvidenceError as error:
                yield self.issue(name, error.kind, str(error))

    def _member(self, archive: Any, name: str, info: Any, password: bytes | None) -> Evidence:
        limit = self.options.limits.max_member_bytes

        def open_it() -> BinaryIO:
            try:
                stream = archive.open(info, pwd=password)
            # zipfile raises RuntimeError, NotImplementedError, struct.error and more on broken headers.
            except Exception as error:
                raise OSError(one_line(error)) from error
            return cast(BinaryIO, Unpacked(stream, limit))

        return self.entry(name, info.file_size, open_it, _modified(info))

    def _unlock(self, source: RandomAccess, info: zipfile.ZipInfo) -> tuple[Any, bytes]:
        """The archive opened so that encrypted members can be read, and the password that opens this one."""
        if not self.options.passwords:
            raise EvidenceError("password", "is encrypted; give its password with --password-file")
        archive: Any
        if info.compress_type == _AES:
            archive = require("pyzipper", "archives").AESZipFile(Window(source))
        else:
            archive = zipfile.ZipFile(cast(IO[bytes], Window(source)))
        for password in self.options.passwords:
            raw = password.encode("utf-8", "surrogateescape")
            try:
                with archive.open(archive.getinfo(info.filename), pwd=raw) as stream:
                    while stream.read(BLOCK_BYTES):  # one byte in 256 of a wrong password passes: the CRC decides
                        pass
            except Exception:  # noqa: BLE001  (a wrong password shows as any kind of damage)
                continue
            return archive, raw
        raise EvidenceError("password", "is encrypted, and none of the given passwords opens it")

    def _salvage(self, source: RandomAccess, reason: str) -> Iterator[Evidence | Issue]:
        """What the local headers of an archive without a readable central directory still give."""
        limits = self.options.limits
        offset, place_of = 0, Names()
        while (offset := _find(source, _LOCAL_HEADER, offset)) >= 0:
            header = source.read_at(offset, _LOCAL.size)
            if len(header) < _LOCAL.size:
                break
            _, _, flags, method, _, _, _, packed, _, name_length, extra_length = _LOCAL.unpack(header)
            raw = source.read_at(offset + _LOCAL.size, name_length)
            name = raw.decode("utf-8" if flags & 0x800 else "cp437", "replace")
            start = offset + _LOCAL.size + name_length + extra_length
            offset = start
            if name.endswith("/") or flags & 1 or method not in (0, 8):
                continue
            at = place_of(name)
            kept, size, used, whole = Spool(limits), 0, 0, method == 0
            if method == 0:
                data = source.read_at(start, min(packed, limits.max_member_bytes))
                kept.write(data)
                size = used = len(data)
            else:
                inflate = zlib.decompressobj(-15)
                while not inflate.eof and (block := source.read_at(start + used, 1 << 16)):
                    used += len(block)
                    try:
                        data = inflate.decompress(block)
                    except zlib.error:
                        break
                    kept.write(data)
                    size += len(data)
                    if size > limits.max_member_bytes or (
                        size > limits.ratio_from_bytes and size > limits.max_ratio * used
                    ):
                        break
                used -= len(inflate.unused_data)
                whole = inflate.eof
            offset = start + used if whole else start
            if size:
                yield self.unpacked(at, cast(IO[bytes], kept))
            else:
                yield self.issue(at, "broken_archive", "nothing of it can be unpacked")
        raise EvidenceError("broken_archive", f"the archive is damaged ({reason}); what was found of it is kept")


def _find(source: RandomAccess, needle: bytes, start: int) -> int:
    """The next place of some bytes at or after ``start``, or -1."""
    while block := source.read_at(start, BLOCK_BYTES):
        at = block.find(needle)
        if at >= 0:
            return start + at
        if len(block) < BLOCK_BYTES:
            break
        start += len(block) - len(needle) + 1
    return -1


def _modified(info: Any) -> str | None:
    """A ZIP's time has no zone; it is given as if it were UTC."""
    try:
        year, month, day, hour, minute, second = info.date_time
        when = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
        return when.isoformat(timespec="microseconds").replace("+00:00", "Z")
    except ValueError:
        return None
