"""One file packed by gzip (RFC 1952), zlib (RFC 1950), bzip2, xz, LZMA or Zstandard (RFC 8878); Shockwave Flash."""

from __future__ import annotations

import bz2
import functools
import lzma
import os
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, ClassVar, cast

from imgmatch.errors import over
from imgmatch.evidence.container import Container
from imgmatch.evidence.look import Look
from imgmatch.optional import require
from imgmatch.streams import Chained, Inflated, Unpacked, check_ratio
from imgmatch.types import Evidence, Issue

_ZSTD = ("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"), "archives"


# What unpacking takes: of xz by its settings up to 6, the strongest, and one more.
_BZIP2_BYTES = 4 << 20
_ZLIB_BYTES, _AS_GZIP = 1 << 18, 16 + zlib.MAX_WBITS
_XZ_BYTES = (10 << 20, 80 << 20, 140 << 20)
_LEAST_WINDOW_BYTES, _MOST_WINDOW_BYTES = 8 << 20, 128 << 20
_HEAD_BYTES = 1 << 16
_ZSTD_FRAME, _SKIPPED, _MOST_SKIPPED = (
    b"\x28\xb5\x2f\xfd",
    tuple(bytes([low]) + b"\x2a\x4d\x18" for low in range(0x50, 0x60)),
    64,
)
_NOT_SAID, _MOST_LZMA_BYTES = (1 << 64) - 1, 1 << 38  # as xz has it


class Packed(Container):
    """A container with one member, called as the file is without its ending."""

    unpack: ClassVar[Any]

    def members(self) -> Iterator[Evidence | Issue]:
        """The one member; its size is not known before it is unpacked, and given as 0."""
        name = os.path.basename(self.outer.locator.at)
        stem, dot, ending = name.rpartition(".")
        if dot and ending.lower() in ("tgz", "tbz", "tbz2", "txz", "tlz", "tzst"):
            stem += ".tar"

        counted = 0

        def open_it() -> BinaryIO:
            packed = self.outer.open()
            limits = self.options.limits
            stream = type(self).unpack(packed)

            def check(unpacked: int) -> None:
                nonlocal counted
                if unpacked > counted:  # however often it is read
                    more, counted = unpacked - counted, unpacked
                    self.budget.unpacked(more)
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
    # zlib reads headers in no time that Python's own reads letter by letter, however long a name in them is.
    unpack: ClassVar[Any] = staticmethod(
        lambda stream: Inflated(stream, functools.partial(_Zlib, _AS_GZIP), _ZLIB_BYTES, strict=b"\x1f")
    )


class Zlib(Packed):
    """RFC 1950, as objects of Git have it, and values that programs keep as files."""

    name = "zlib"
    kinds = ("zlib",)
    begins = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
    unpack: ClassVar[Any] = staticmethod(lambda stream: Inflated(stream, _Zlib, _ZLIB_BYTES))

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """By its two bytes, where what follows is packed so, and there is some of it."""
        if not look.head.startswith(cls.begins):
            return False
        try:
            return bool(zlib.decompressobj().decompress(look.head, _HEAD_BYTES))
        except zlib.error:
            return False


class Bzip2(Packed):
    """bzip2 1.0."""

    name = "bzip2"
    kinds = ("bz2",)
    magic = (b"BZh",)
    unpack: ClassVar[Any] = staticmethod(lambda stream: Inflated(stream, bz2.BZ2Decompressor, _BZIP2_BYTES))


class Xz(Packed):
    """The .xz format."""

    name = "xz"
    kinds = ("xz",)
    magic = (b"\xfd7zXZ\0",)
    unpack: ClassVar[Any] = staticmethod(lambda stream: unpack_xz(stream))


class Lzma(Packed):
    """What came before it, .lzma: without a magic, told by what its header can't but say."""

    name = "LZMA"
    kinds = ("lzma",)
    begins = (b"\x5d\0",)
    unpack: ClassVar[Any] = staticmethod(lambda stream: unpack_xz(stream))

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """By the usual settings, a dictionary of a usual size, a length, and the first byte of what is packed."""
        head = look.head[:14]
        if len(head) < 14 or not head.startswith(cls.begins) or head[13]:
            return False
        dictionary, size = struct.unpack_from("<IQ", head, 1)
        usual = dictionary.bit_count() == 1 or (dictionary.bit_count() == 2 and (dictionary & dictionary << 1))
        return bool(usual) and (size == _NOT_SAID or size < _MOST_LZMA_BYTES)


class Flash(Packed):
    """Shockwave Flash (SWF 6 and 13): as it would be if it were not packed."""

    name = "Shockwave Flash"
    kinds = ("swf",)
    begins = (b"CWS", b"ZWS")
    switch = "documents"
    unpack: ClassVar[Any] = staticmethod(lambda stream: _flash(stream))

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """By its magic and a version that there is."""
        return look.head.startswith(cls.begins) and len(look.head) > 17 and 6 <= look.head[3] <= 60


class Zstd(Packed):
    """RFC 8878; needs the extra ``archives`` before Python 3.14."""

    name = "Zstandard"
    kinds = ("zst",)
    begins = (_ZSTD_FRAME, *_SKIPPED)
    needs = _ZSTD
    unpack: ClassVar[Any] = staticmethod(lambda stream: unpack_zstd(stream))

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """By its first frame, behind those that are to be skipped (RFC 8878, 3.1.2)."""
        return look.head.startswith(_ZSTD_FRAME) or (look.head.startswith(_SKIPPED) and _frame_in(look.at) is not None)


def _frame_in(at: Callable[[int, int], bytes]) -> int | None:
    """Where the first frame begins that has content."""
    place = 0
    for _ in range(_MOST_SKIPPED):
        head = at(place, 8)
        if head.startswith(_ZSTD_FRAME):
            return place
        if not head.startswith(_SKIPPED) or len(head) < 8:
            return None
        place += 8 + int.from_bytes(head[4:], "little")
    return None


def unpack_zstd(stream: BinaryIO, needing: str = "Zstandard") -> Inflated:
    """With the window that its first frame asks for, or that most do."""
    zstd = require(*_ZSTD, needing)
    whole = stream.read(_HEAD_BYTES)
    head = whole[_frame_in(lambda place, size: whole[place : place + size]) or 0 :]
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
    return Inflated(cast(BinaryIO, Chained(whole, stream)), lambda: zstd.ZstdDecompressor(options=options), window)


def unpack_xz(stream: BinaryIO) -> Inflated:
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


def _flash(stream: BinaryIO) -> Chained:
    """What is not packed, and the rest: by zlib, or by LZMA without its length."""
    head = stream.read(8)
    plain = b"FWS" + head[3:]
    if head.startswith(b"C"):
        return Chained(plain, cast(BinaryIO, Inflated(stream, _Zlib, _ZLIB_BYTES)))
    settings = stream.read(9)[4:]
    whole = cast(BinaryIO, Chained(settings + struct.pack("<Q", _NOT_SAID), stream))
    return Chained(plain, cast(BinaryIO, unpack_xz(whole)))


class _Zlib:
    """zlib (RFC 1950) as the other decompressors are."""

    def __init__(self, window: int = zlib.MAX_WBITS) -> None:
        self._inflate = zlib.decompressobj(window)

    @property
    def eof(self) -> bool:
        return self._inflate.eof

    @property
    def needs_input(self) -> bool:
        return not self._inflate.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inflate.unused_data

    def decompress(self, data: bytes, size: int) -> bytes:
        return self._inflate.decompress(data or self._inflate.unconsumed_tail, size)
