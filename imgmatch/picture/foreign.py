"""Pictures that another library than Pillow decodes, seen as Pillow's own: opened by header, decoded when loaded."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image as Pillow
from PIL import ImageFile

ORIENTATION = 0x0112


class Foreign(ImageFile.ImageFile):
    """A subclass says in ``_open`` what its header tells (``_size``, ``_mode``, ``info``), and decodes in ``decoded``.

    ``damage``: what is missing, once it was loaded. ``more``: what else it holds, of which nothing is read.
    """

    damage: str | None = None
    more: str | None = None

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._waits = True
        super().__init__(io.BytesIO(data))

    def decoded(self) -> tuple[Pillow.Image, str | None]:
        """The pixels, and what is missing of them, or None."""
        raise NotImplementedError

    def load(self) -> Any:
        """Decode, once."""
        if self._waits:
            self._waits = False
            made, self.damage = self.decoded()
            self.im, self._mode, self._size = made.im, made.mode, made.size
        return super().load()

    def _take_exif(self, exif: bytes, orientation: int | None = None) -> None:
        """Keep EXIF data (a TIFF structure); ``orientation``: what holds in place of its own."""
        if exif:
            self.info["exif"] = b"Exif\0\0" + exif
        if orientation is None:
            return
        said = self.getexif()
        if ORIENTATION in said:
            self.info["original_orientation"] = said[ORIENTATION]
        said[ORIENTATION] = orientation
