"""Photoshop pictures, PSD and PSB (Adobe Photoshop File Formats Specification): the composite, as it is shown.

Its planes lie as those of a TIFF do, one after the other, each row packed by itself: so they are read as such.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from PIL import Image as Pillow

from imgmatch.errors import unsupported
from imgmatch.picture import tiff
from imgmatch.picture.foreign import Foreign

SIGNATURES = (b"8BPS\0\x01", b"8BPS\0\x02")
_BITMAP, _GREY, _INDEXED, _RGB, _CMYK, _MULTI, _DUOTONE, _LAB = 0, 1, 2, 3, 4, 7, 8, 9
_COLOURS = {_BITMAP: 1, _GREY: 1, _INDEXED: 1, _RGB: 3, _CMYK: 4, _MULTI: 1, _DUOTONE: 1, _LAB: 3}
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _AS_RGB, _SEPARATED = 0, 1, 2, 5
_PHOTOMETRIC = {_BITMAP: _WHITE_IS_ZERO, _RGB: _AS_RGB, _LAB: _AS_RGB, _CMYK: _SEPARATED}
_PLAIN, _PACKED = 0, 1
_PACK_BITS, _FLOAT = 32773, 3
_PROFILE, _EXIF, _XMP = 1039, 1058, 1060


class PsdImageFile(Foreign):
    """Layers are not read one by one."""

    format = "PSD"

    def _open(self) -> None:
        data = self.data
        _, version, self._channels, height, width, self._bits, self._colours = struct.unpack_from(">4sH6xHIIHH", data)
        self._size = (width, height)
        self._wide = version == 2
        if self._colours not in _COLOURS or self._bits not in (1, 8, 16, 32):
            raise unsupported(f"Photoshop picture of mode {self._colours}, {self._bits} bits", "not read")
        self._mode = {3: "RGB", 4: "CMYK"}.get(_COLOURS[self._colours], "L")
        at = 26
        (length,) = struct.unpack_from(">I", data, at)
        self._palette = data[at + 4 : at + 4 + length][:768]
        at += 4 + length
        (length,) = struct.unpack_from(">I", data, at)
        self._take_resources(at + 4, at + 4 + length)
        at += 4 + length
        (length,) = struct.unpack_from(">Q" if self._wide else ">I", data, at)
        at += 8 if self._wide else 4
        count = 0
        if length:
            info = at + (8 if self._wide else 4)
            count = struct.unpack_from(">h", data, info)[0] if info + 2 <= min(at + length, len(data)) else 0
        self._has_alpha = count < 0
        if abs(count) > 1:
            self.more = f"{abs(count)} layers, which are not read one by one; what they show together is"
        self._pixels_at = at + length

    def _take_resources(self, at: int, end: int) -> None:
        while at + 12 <= min(end, len(self.data)) and self.data[at : at + 4] == b"8BIM":
            number, name_bytes = struct.unpack_from(">HB", self.data, at + 4)
            at += 6 + (name_bytes + 2) // 2 * 2
            (length,) = struct.unpack_from(">I", self.data, at) if at + 4 <= end else (0,)
            value = self.data[at + 4 : at + 4 + length]
            at += 4 + (length + 1) // 2 * 2
            if number == _EXIF:
                self._take_exif(value, 1)  # its pixels are upright
            elif number in (_PROFILE, _XMP):
                self.info["icc_profile" if number == _PROFILE else "xmp"] = value

    def decoded(self) -> tuple[Pillow.Image, str | None]:
        """Of what is cut off, as far as it goes."""
        compression = struct.unpack_from(">H", self.data, self._pixels_at)[0]
        if compression not in (_PLAIN, _PACKED):
            raise unsupported(f"Photoshop picture packed by method {compression}", "not read")
        colours = _COLOURS[self._colours]
        used = min(self._channels, colours + self._has_alpha)
        places, lengths = self._rows(compression, used)
        layout = tiff.Layout(
            size=self.size,
            bits=self._bits,
            samples=used,
            kind=_FLOAT if self._bits == 32 else 1,
            photometric=_PHOTOMETRIC.get(self._colours, _BLACK_IS_ZERO),
            compression=_PACK_BITS if compression == _PACKED else 1,
            predictor=1,
            planar=True,
            extra=(2,) if used > colours and self._colours in (_GREY, _RGB) else (),
            tile=None,
            rows=1,
            places=places,
            lengths=lengths,
            order=">",
            orientation=1,
            profile=None,
        )
        made, fault = tiff.read(self.data, layout)
        return self._coloured(made), fault

    def _rows(self, compression: int, planes: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Where each row lies, plane after plane, and in how many bytes."""
        width, height = self.size
        start = self._pixels_at + 2
        if compression == _PLAIN:
            row = (width * self._bits + 7) // 8
            lengths = np.full(planes * height, row, np.int64)
        else:
            counts = np.dtype(">u4" if self._wide else ">u2")
            table = self.data[start : start + self._channels * height * counts.itemsize]
            lengths = np.zeros(self._channels * height, np.int64)
            said = np.frombuffer(table[: len(table) // counts.itemsize * counts.itemsize], counts)
            lengths[: len(said)] = said
            start += self._channels * height * counts.itemsize
        places = start + np.concatenate([[0], np.cumsum(lengths)[:-1]])
        rows = planes * height
        return tuple(map(int, places[:rows])), tuple(map(int, lengths[:rows]))

    def _coloured(self, made: Pillow.Image) -> Pillow.Image:
        if self._colours == _INDEXED and len(self._palette) == 768:
            made.putpalette(bytes(np.frombuffer(self._palette, np.uint8).reshape(3, 256).T.tobytes()))
        elif self._colours == _CMYK:
            made = Pillow.fromarray(255 - np.asarray(made), "CMYK")
        elif self._colours == _LAB:
            bands: Any = made.convert("RGB").split()
            made = Pillow.merge("LAB", bands)
        made.info.update(self.info)
        return made
