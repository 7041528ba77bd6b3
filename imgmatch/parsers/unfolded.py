"""Files in RAR, CAB, LHA, cpio, ar and RPM archives, and what LZ4, lzip and compress packed, by the system's
libarchive (BSD) through libarchive-c: one pass.

It compares most checksums that these formats keep; those of RAR are compared here, as stored files slip through there.
"""

from __future__ import annotations

import calendar
import ctypes
import itertools
import re
import time
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO

from imgmatch import times
from imgmatch.errors import EvidenceError, ImgmatchError, over, unsupported
from imgmatch.locator import Names
from imgmatch.parsers import rar_headers
from imgmatch.parsers.pieces import Part, Piece, Settings, Trouble
from imgmatch.streams import check_ratio, one_line

KIND = "archive"
_BLOCK_BYTES = 1 << 18
_SECRET = re.compile("crypt|passphrase", re.IGNORECASE)
_FATAL = -30
_ARCHIVES = "rar", "rar5", "cab", "lha", "cpio", "ar"
# Of files by themselves: what unpacks them. No other, as some are programs that would be started.
_PACKERS = {b"\x1f\x9d": "compress", b"LZIP": "lzip", b"\x04\x22\x4d\x18": "lz4", b"\x02\x21\x4c\x18": "lz4"}
_IN_RPM = "rpm", "gzip", "bzip2", "xz", "lzma", "zstd"

try:
    from libarchive import ffi
    from libarchive.entry import ArchiveEntry
except (ImportError, OSError, TypeError, AttributeError):  # the package, or the library that it loads
    ffi = None


class _Source:
    """What libarchive reads. What it calls is made once: a confined process can make nothing more to be called."""

    stream: BinaryIO
    block: bytes = b""

    @classmethod
    def read(cls, _: Any, __: Any, place: Any) -> int:
        try:
            cls.block = cls.stream.read(_BLOCK_BYTES)
        except OSError:
            return _FATAL
        place[0] = ctypes.cast(ctypes.c_char_p(cls.block), ctypes.c_void_p)
        return len(cls.block)

    @classmethod
    def seek(cls, _: Any, __: Any, offset: int, whence: int) -> int:
        try:
            return cls.stream.seek(offset, whence)
        except (OSError, ValueError):
            return _FATAL


if ffi is not None:
    _READ, _SEEK = ffi.READ_CALLBACK(_Source.read), ffi.SEEK_CALLBACK(_Source.seek)


def give(stream: BinaryIO, settings: Settings, tell: Callable[[Part | Piece | Trouble], None]) -> None:
    """Tell of every file, in the order of the archive. Raises EvidenceError of kind ``unsupported``, ``limit`` or
    ``broken_archive``.
    """
    if ffi is None:
        raise ImgmatchError("this needs libarchive, which this system does not have; install it (Debian: libarchive13)")
    stated = rar_headers.checksums(stream)
    packed = stream.seek(0, 2)
    stream.seek(0)
    head = stream.read(8)
    stream.seek(0)
    _Source.stream = stream
    archive = ffi.read_new()
    try:
        _support(archive, head)
        ffi.read_set_seek_callback(archive, _SEEK)
        ffi.read_open(archive, None, ffi.NO_OPEN_CB, _READ, ffi.NO_CLOSE_CB)
        _files(archive, packed, head, stated, settings, tell)
    except ffi.ArchiveError as error:
        raise _error(error) from error
    finally:
        ffi.read_free(archive)


def _support(archive: Any, head: bytes) -> None:
    """Say what it may be."""
    packer = next((name for magic, name in _PACKERS.items() if head.startswith(magic)), None)
    filters = (packer,) if packer else _IN_RPM if head.startswith(b"\xed\xab\xee\xdb") else ()
    for what, names in (("format", ("raw",) if packer else _ARCHIVES), ("filter", filters)):
        for name in names:
            getattr(ffi.libarchive, f"archive_read_support_{what}_{name}")(ctypes.c_void_p(archive))


def _files(
    archive: Any,
    packed: int,
    head: bytes,
    stated: list[int | None],
    settings: Settings,
    tell: Callable[[Part | Piece | Trouble], None],
) -> None:
    name_of, limits = Names(), settings.limits
    modified = _times_of(head)
    for number in itertools.count():
        entry = ArchiveEntry(archive)
        if ffi.read_next_header2(archive, entry._entry_p) == ffi.ARCHIVE_EOF:
            return
        if number >= limits.max_members:
            raise over("max_members", f"holds more than max_members ({limits.max_members:,}); the rest is left")
        if not entry.isfile:
            continue
        at, size, checksum = name_of(entry.pathname or f"file {number + 1}"), 0, 0
        fault: Any = None
        try:
            for block in entry.get_blocks(_BLOCK_BYTES):
                size, checksum = size + len(block), zlib.crc32(block, checksum)
                if size > limits.max_member_bytes:
                    says = f"unpacks to more than max_member_bytes ({limits.max_member_bytes:,})"
                    raise over("max_member_bytes", says)
                check_ratio(limits, size, packed)
                tell(Part(block))
        except ffi.ArchiveError as error:
            fault = error
        if size or fault is None:
            tell(Piece(KIND, at, b"", modified(entry.mtime) if entry.mtime else None))
        if fault is not None:
            tell(Trouble.of(KIND, at, _error(fault)))
            if fault.retcode == _FATAL:
                raise fault
        elif entry.size is not None and entry.size != size:
            says = f"{size:,} of {entry.size:,} bytes could be unpacked"
            tell(Trouble(KIND, at, "broken_archive", says))
        elif number < len(stated) and stated[number] not in (None, checksum):
            tell(Trouble(KIND, at, "broken_archive", "damaged: its checksum does not fit what it unpacks to"))


def _times_of(head: bytes) -> Callable[[float], str | None]:
    """How an archive's times read: RAR 4 and CAB keep the time of a clock whose zone they do not know, which libarchive
    takes for that of this machine; LHA may keep either.
    """
    if head.startswith((b"Rar!\x1a\7\0", b"MSCF")):
        return lambda seconds: times.unzoned(calendar.timegm(time.localtime(seconds)))
    return (lambda _: None) if head[2:3] == b"-" else times.utc


def _error(error: Any) -> EvidenceError:
    says = one_line(error) if error.msg is None else " ".join(str(error.msg).split())
    if _SECRET.search(says):
        return unsupported("archive (encrypted)", "its password can't be tried")
    return EvidenceError("broken_archive", f"the archive can't be unpacked further: {says}")
