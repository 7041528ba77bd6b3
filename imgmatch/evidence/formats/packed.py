"""One file packed by gzip (RFC 1952), bzip2, xz or Zstandard (RFC 8878)."""

from __future__ import annotations

import bz2
import functools
import gzip
import lzma
import os
import sys
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, ClassVar, cast

from imgmatch.errors import EvidenceError, over, unsupported
from imgmatch.evidence.container import Container
from imgmatch.optional import require
from imgmatch.streams import Chained, Inflated, Unpacked, check_ratio
from imgmatch.types import Evidence, Issue

_ZSTD = ("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"), "archives"


# What unpacking takes: of xz by its settings up to 6, the strongest, and one more.
_BZIP2_BYTES = 4 << 20
_XZ_BYTES = (10 << 20, 80 << 20, 140 << 20)
_LEAST_WINDOW_BYTES, _MOST_WINDOW_BYTES = 8 << 20, 128 << 20
_HEAD_BYTES = 1 << 16
_DEFLATE_BYTES = 64 << 10


class Packed(Container):
    """A container with one member, called as the file is without its ending."""

    unpack: ClassVar[Any]

    def members(self) -> Iterator[Evidence | Issue]:
        """The one member; its size is not known before it is unpacked, and given as 0."""
        name = os.path.basename(self.outer.locator.at)
        stem, dot, ending = name.rpartition(".")
        if dot and ending.lower() in ("tgz", "tbz", "tbz2", "txz", "tzst"):
            stem += ".tar"

        def open_it() -> BinaryIO:
            packed = self.outer.open()
            limits = self.options.limits
            stream = type(self).unpack(packed)

            def check(unpacked: int) -> None:
                if unpacked > limits.ratio_from_bytes:
                    check_ratio(limits, unpacked, _place(packed))

            return cast(BinaryIO, Unpacked(stream, limits.max_member_bytes, check, packed))

        yield self.entry(stem or name, 0, open_it)


def _place(stream: Any) -> int:
    try:
        return int(stream.tell())
    except (OSError, ValueError, AttributeError):
        return sys.maxsize  # not known: other limits hold


class Gzip(Packed):
    """RFC 1952."""

    name = "gzip"
    kinds = ("gz",)
    magic = (b"\x1f\x8b\x08",)
    unpack: ClassVar[Any] = staticmethod(lambda stream: gzip.GzipFile(fileobj=stream, mode="rb"))


class _Deflated:
    """zlib (RFC 1950) as Inflated asks for it."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inflate, name)

    @property
    def needs_input(self) -> bool:
        return not self._inflate.unconsumed_tail

    def decompress(self, data: bytes, most: int) -> bytes:
        return self._inflate.decompress(self._inflate.unconsumed_tail + data, most)


class AndroidBackup(Packed):
    """A backup of Android's (.ab): four lines or more, then a tar archive, mostly deflated, that may be encrypted."""

    name = "Android backup"
    kinds = ("ab",)
    magic = (b"ANDROID BACKUP\n",)

    def members(self) -> Iterator[Evidence | Issue]:
        """The tar archive. Raises EvidenceError of kind ``unsupported`` where it is encrypted."""
        with self.outer.open() as stream:
            lines = stream.read(_HEAD_BYTES).split(b"\n", 4)
        if len(lines) < 5 or lines[2] not in (b"0", b"1"):
            raise EvidenceError("broken_archive", "the header of the backup is damaged")
        if lines[3] != b"none":
            raise unsupported(f"Android backup (encrypted, {lines[3][:20].decode('ascii', 'replace')})")
        start, packed = sum(map(len, lines[:4])) + 4, lines[2] == b"1"

        def open_it() -> BinaryIO:
            stream = self.outer.open()
            limits = self.options.limits
            left = start
            while left > 0 and (block := stream.read(left)):
                left -= len(block)
            if not packed:
                return cast(BinaryIO, Unpacked(stream, limits.max_member_bytes))

            def check(unpacked: int) -> None:
                if unpacked > limits.ratio_from_bytes:
                    check_ratio(limits, unpacked, _place(stream))

            inflated = cast(BinaryIO, Inflated(stream, _Deflated, _DEFLATE_BYTES))
            return cast(BinaryIO, Unpacked(inflated, limits.max_member_bytes, check, stream))

        yield self.entry("backup.tar", 0, open_it)


class Bzip2(Packed):
    """bzip2 1.0."""

    name = "bzip2"
    kinds = ("bz2",)
    magic = (b"BZh",)
    unpack: ClassVar[Any] = staticmethod(lambda stream: Inflated(stream, bz2.BZ2Decompressor, _BZIP2_BYTES))


class Xz(Packed):
    """The .xz format, and .lzma."""

    name = "xz"
    kinds = ("xz",)
    magic = (b"\xfd7zXZ\0",)
    unpack: ClassVar[Any] = staticmethod(lambda stream: _xz(stream))


class Zstd(Packed):
    """RFC 8878; needs the extra ``archives`` before Python 3.14."""

    name = "Zstandard"
    kinds = ("zst",)
    magic = (b"\x28\xb5\x2f\xfd",)
    needs = _ZSTD
    unpack: ClassVar[Any] = staticmethod(lambda stream: _zstd(stream))


def _zstd(stream: BinaryIO) -> Inflated:
    """With the window that its first frame asks for, or that most do."""
    zstd = require(*_ZSTD)
    head = stream.read(_HEAD_BYTES)
    window = _LEAST_WINDOW_BYTES
    if head[4:5] and not head[4] & 0x20 and head[5:6]:  # a window and not just all of it (RFC 8878, 3.1.1.1)
        base = 1 << 10 + (head[5] >> 3)
        window = max(window, base + base // 8 * (head[5] & 7))
    elif head[4:5]:
        window = _MOST_WINDOW_BYTES if head[4] >> 6 > 1 else window
    if window > _MOST_WINDOW_BYTES:
        raise over(
            "window to unpack by", f"needs a window of {window:,} bytes to be unpacked; unpack it by another program"
        )
    options = {zstd.DecompressionParameter.window_log_max: (window - 1).bit_length()}
    return Inflated(cast(BinaryIO, Chained(head, stream)), lambda: zstd.ZstdDecompressor(options=options), window)


def _xz(stream: BinaryIO) -> Inflated:
    """With as much memory as its beginning says that it needs, of two sizes."""
    head = stream.read(_HEAD_BYTES)
    for memory in _XZ_BYTES:
        try:
            lzma.LZMADecompressor(memlimit=memory).decompress(head, 1)
        except lzma.LZMAError as error:
            if "limit" in str(error):
                continue
        whole = cast(BinaryIO, Chained(head, stream))
        return Inflated(whole, functools.partial(lzma.LZMADecompressor, memlimit=memory), memory)
    says = f"takes more than {_XZ_BYTES[-1]:,} bytes of memory to unpack (a dictionary of that size)"
    raise over("window to unpack by", f"{says}; unpack it by another program")
