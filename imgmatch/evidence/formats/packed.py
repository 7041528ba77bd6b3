"""One file packed by gzip (RFC 1952), bzip2, xz or Zstandard (RFC 8878)."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO, ClassVar, cast

from imgmatch.evidence.container import Container
from imgmatch.optional import require
from imgmatch.streams import Unpacked
from imgmatch.types import Evidence, Issue

_ZSTD = ("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"), "archives"


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
                    self.budget.check_ratio(unpacked, _place(packed))

            return cast(BinaryIO, Unpacked(stream, limits.max_member_bytes, check))

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


class Bzip2(Packed):
    """bzip2 1.0."""

    name = "bzip2"
    kinds = ("bz2",)
    magic = (b"BZh",)
    unpack: ClassVar[Any] = staticmethod(bz2.BZ2File)


class Xz(Packed):
    """The .xz format, and .lzma."""

    name = "xz"
    kinds = ("xz",)
    magic = (b"\xfd7zXZ\0",)
    unpack: ClassVar[Any] = staticmethod(lzma.LZMAFile)


class Zstd(Packed):
    """RFC 8878; needs the extra ``archives`` before Python 3.14."""

    name = "Zstandard"
    kinds = ("zst",)
    magic = (b"\x28\xb5\x2f\xfd",)
    needs = _ZSTD
    unpack: ClassVar[Any] = staticmethod(lambda stream: require(*_ZSTD).ZstdFile(stream))
