"""Camera raw, by LibRaw through rawpy (the extra ``pictures``): what the sensor saw, or the large preview beside it."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image as Pillow
from PIL import ImageFile

from imgmatch.errors import EvidenceError, MissingPackageError
from imgmatch.optional import require
from imgmatch.picture import directories as tags
from imgmatch.picture.foreign import ORIENTATION, Foreign

SENSOR = (32803, 34892)
"""Photometric interpretations of what a camera's sensor saw, not yet a picture (TIFF/EP, DNG)."""
PACKED = (32767, 34713, 65535, 65000)
"""Compressions that only cameras write: of Sony, Nikon, Pentax, Kodak."""
_HEADS = (b"FUJIFILMCCD-RAW", b"FOVb", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"\0MRM")
_TURNED = {3: Pillow.Transpose.ROTATE_180, 5: Pillow.Transpose.ROTATE_90, 6: Pillow.Transpose.ROTATE_270}
_LARGE = 4_000_000  # pixels, from which half of each side is enough


def is_raw(head: bytes) -> bool:
    """Does a file begin as a camera raw does that is not made as a TIFF is?"""
    return head.startswith(_HEADS) or head[4:12] == b"ftypcrx " or head[6:14] == b"HEAPCCDR"


class RawImageFile(Foreign):
    """Upright as it comes."""

    format = "RAW"

    def _open(self) -> None:
        with self._opened() as raw:
            sizes = raw.sizes
            self._size = sizes.iwidth, sizes.iheight
            self._flip = int(sizes.flip)
        if self._flip in (5, 6) and raw_is_lying(sizes):
            self._size = self._size[::-1]
        self._mode = "RGB"
        if tags.order_of(self.data) is not None:
            self._take_exif(self.data, 1)

    def _opened(self) -> Any:
        try:
            library = require("rawpy", "pictures", "camera raw")
        except MissingPackageError as error:
            raise EvidenceError("needs_package", str(error), what=error.what) from error
        return library.imread(io.BytesIO(self.data))

    def decoded(self) -> tuple[Pillow.Image, str | None]:
        """The preview where it is at least half as wide and high, else what the sensor saw."""
        width, height = self.size
        with self._opened() as raw:
            preview = _preview(raw, self._flip)
            if preview is not None and 2 * max(preview.size) >= max(width, height):
                return preview, None
            pixels = raw.postprocess(half_size=width * height > _LARGE, use_camera_wb=True, output_bps=8)
            return Pillow.fromarray(pixels), None


def raw_is_lying(sizes: Any) -> bool:
    """Are its sizes those before it is turned?"""
    return bool((sizes.iwidth > sizes.iheight) == (sizes.raw_width > sizes.raw_height))


def _preview(raw: Any, flip: int) -> Pillow.Image | None:
    try:
        data = raw.extract_thumb().data
        if not isinstance(data, bytes):
            return None
        opened: ImageFile.ImageFile = Pillow.open(io.BytesIO(data), formats=("JPEG",))
        opened.load()
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  (there is none, or none that can be read: then the sensor counts)
        return None
    own = opened.getexif().get(ORIENTATION)
    how = {3: 3, 6: 6, 8: 5}.get(own, 0) if isinstance(own, int) and own > 1 else flip
    turn = _TURNED.get(how)
    return opened if turn is None else opened.transpose(turn)
