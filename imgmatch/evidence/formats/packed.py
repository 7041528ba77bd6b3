"""One file packed by gzip (RFC 1952), bzip2, xz or Zstandard (RFC 8878)."""

from __future__ import annotations

import bz2
import functools
import gzip
import lzma
import os
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO, ClassVar, cast

from imgmatch.errors import over
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
                    check_ratio(limits, unpacked, place_of(packed))

            return cast(BinaryIO, Unpacked(stream, limits.max_member_bytes, check, packed))

        yield self.entry(stem or name, 0, open_it)


def place_of(stream: Any) -> int:
    """How much was read of a stream, or a number beyond any where that is not known."""
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
