"""Formats that imagecodecs reads (the extra ``pictures``): JPEG XL, JPEG XR, JPEG-LS, JPEG of more than 8 bits.

Its codecs give pixels of whatever depth, and most hide damage: what can be told of it is told here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image as Pillow

from imgmatch.errors import EvidenceError, MissingPackageError
from imgmatch.optional import require
from imgmatch.picture import directories as tags
from imgmatch.picture import jpeg
from imgmatch.picture.foreign import Foreign
from imgmatch.picture.holes import hole
from imgmatch.picture.items import boxes
from imgmatch.picture.levels import to_8_bit

JXL_CODESTREAM, JXL_CONTAINER, JPEG_XR = b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n", b"II\xbc\x01"
_LEAST = 4096  # large plain parts are written as fewer zero bits
_RATIOS = ((0, 1), (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


class _Coded(Foreign):
    """``codec``: what imagecodecs calls it."""

    codec = ""
    bits: int | None = None

    def decoded(self) -> tuple[Pillow.Image, str | None]:
        """Raises EvidenceError of kind ``needs_package``."""
        values = self._values(library(str(self.format)))
        return self._made(values[0] if values.ndim == 4 else values)  # of frames the first

    def _made(self, values: Any) -> tuple[Pillow.Image, str | None]:
        if values.ndim == 3 and values.shape[2] not in (3, 4):
            values = values[..., : 2 if values.shape[2] == 2 else 1]
        shown = to_8_bit(np.ascontiguousarray(values), self.bits)
        made = Pillow.fromarray(shown.squeeze(2) if shown.ndim == 3 and shown.shape[2] == 1 else shown)
        made.info.update(self.info)
        return made, None if (shown == shown[0, 0]).all() else self._fault()

    def _values(self, codecs: Any) -> Any:
        return getattr(codecs, f"{self.codec}_decode")(self.data)

    def _fault(self) -> str | None:
        return None


class JxlImageFile(_Coded):
    """JPEG XL (ISO/IEC 18181), bare or in boxes. Its own orientation counts, not that of EXIF data beside it."""

    format = "JXL"
    codec = "jpegxl"

    def _open(self) -> None:
        stream, exif = self.data[:64], b""
        if self.data.startswith(JXL_CONTAINER):
            stream = b""
            for name, start, end in boxes(self.data, 0, len(self.data)):
                if name == b"jxlc" or name == b"jxlp":
                    begin = start + (4 if name == b"jxlp" else 0)
                    stream = stream or self.data[begin : begin + 64]
                elif name == b"Exif":
                    exif = self.data[start:end]
                    exif = exif[4 + int.from_bytes(exif[:4], "big") :]
                elif name == b"xml ":
                    self.info["xmp"] = self.data[start:end]
        bits = _Bits(stream)
        if bits.take(16) != 0x0AFF:
            raise SyntaxError("no JPEG XL codestream")
        self._size = bits.size()
        orientation = 1
        if not bits.take(1) and bits.take(1):  # not all is by default, and there is more
            orientation = 1 + bits.take(3)
            if bits.take(1):
                bits.size()
            if bits.take(1):
                bits.skip_preview()
            if bits.take(1):
                self.more = "is animated"
        self._mode = "RGB"
        self._take_exif(exif, orientation)

    def frames(self) -> Iterator[Pillow.Image]:
        """All of them, as they are kept: not yet upright. Raises EvidenceError of kind ``needs_package``."""
        values = self._values(library(self.format))
        for frame in values if values.ndim == 4 else values[None]:
            yield self._made(frame)[0]

    def _values(self, codecs: Any) -> Any:
        return codecs.jpegxl_decode(self.data, keeporientation=True, numthreads=1)


class _Bits:
    """Bits of a JPEG XL codestream, the lowest of each byte first."""

    def __init__(self, data: bytes) -> None:
        self._left, self._number = 8 * len(data), int.from_bytes(data, "little")

    def take(self, count: int) -> int:
        """So many. Raises SyntaxError at the end."""
        if count > self._left:
            raise SyntaxError("cut off in its header")
        value = self._number & ((1 << count) - 1)
        self._number >>= count
        self._left -= count
        return value

    def size(self) -> tuple[int, int]:
        """Width and height (SizeHeader)."""
        small = self.take(1)
        height = 8 * (1 + self.take(5)) if small else self._side()
        ratio = self.take(3)
        if ratio:
            over, under = _RATIOS[ratio]
            return height * over // under, height
        return (8 * (1 + self.take(5)) if small else self._side()), height

    def skip_preview(self) -> None:
        """The size of a preview (PreviewHeader)."""
        eighths = self.take(1)
        for sides in range(2):
            choice = self.take(2)
            self.take(((0, 0, 5, 9) if eighths else (6, 8, 10, 12))[choice])
            if not sides and self.take(3):
                return

    def _side(self) -> int:
        return 1 + self.take((9, 13, 18, 30)[self.take(2)])


class JxrImageFile(_Coded):
    """JPEG XR (ITU-T T.832) in its file format, which is made as a TIFF is."""

    format = "JXR"
    codec = "jpegxr"

    def _open(self) -> None:
        data = self.data
        self._said: dict[int, int] = {}
        (at,) = struct.unpack_from("<I", data, 4)
        (count,) = struct.unpack_from("<H", data, at)
        for entry in range(at + 2, at + 2 + 12 * min(count, 256), 12):
            tag, kind, _ = struct.unpack_from("<HHI", data, entry)
            (value,) = struct.unpack_from("<H" if kind == 3 else "<I", data, entry + 8)
            self._said[tag] = value
        self._size = self._said.get(0xBC80, 0), self._said.get(0xBC81, 0)
        self._mode = "RGB"
        turned = self._said.get(0xBC02, 0)
        if turned in _JXR_TURNED:
            self._take_exif(b"", _JXR_TURNED[turned])

    def _fault(self) -> str | None:
        start, length = self._said.get(0xBCC0, 0), self._said.get(0xBCC1, 0)
        if start + length > len(self.data):
            return f"cut off: {start + length - len(self.data):,} bytes are missing"
        return hole(self.data, start, start + length, _LEAST)


_JXR_TURNED = {1: 4, 2: 2, 3: 3, 4: 6, 5: 7, 6: 5, 7: 8}


_END = b"\xff\xd9"


class JpegImageFile(_Coded):
    """JPEG that Pillow does not read: of more than 8 bits a sample, without loss, JPEG-LS (ITU-T T.87)."""

    format = "JPEG"

    def _open(self) -> None:
        frame = jpeg.frame_of(self.data)
        if frame is None:
            raise SyntaxError("no frame")
        self.codec = "jpegls" if frame.kind == jpeg.LS else "jpeg8"
        self._size, self.bits = frame.size, frame.bits if frame.bits <= 16 else None
        self._mode = "L" if frame.components == 1 else "RGB"
        self._pixels_at = self.data.find(b"\xff\xda", frame.at)
        exif = self.data.find(b"Exif\0\0", 0, frame.at)
        if exif >= 0 and tags.order_of(self.data, exif + 6):
            self.info["exif"] = self.data[exif : frame.at]

    def _values(self, codecs: Any) -> Any:
        if self.codec == "jpegls" and not self._ends():  # CharLS would look for the end for many seconds
            self.data += _END
        return super()._values(codecs)

    def _ends(self) -> bool:
        return self.data.rfind(_END) >= max(0, self._pixels_at)

    def _fault(self) -> str | None:
        if self.codec == "jpegls":
            return None  # it is strict
        if not self._ends():
            return "cut off: no end marker"
        if jpeg.plain_is_zero(self.data):
            return None
        return hole(self.data, self._pixels_at, least=_LEAST)


def library(name: str) -> Any:
    """imagecodecs. Raises EvidenceError of kind ``needs_package`` that names what it is needed for."""
    try:
        return require("imagecodecs", "pictures", name)
    except MissingPackageError as error:
        raise EvidenceError("needs_package", str(error), what=error.what) from error
