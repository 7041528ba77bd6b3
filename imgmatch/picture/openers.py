"""Which library opens a picture, by its first bytes, where it is not Pillow by its own signatures."""

from __future__ import annotations

import io
import logging
import re
import struct
from importlib.util import find_spec
from itertools import islice

from PIL import AvifImagePlugin, ImageFile, UnidentifiedImageError
from PIL import Image as Pillow

from imgmatch.errors import unsupported
from imgmatch.picture import codecs, jpeg, psd, rasters, raw, segments
from imgmatch.picture import directories as tags
from imgmatch.picture.brands import coding_of
from imgmatch.picture.png import without_long_texts

# With a signature, and a decoder inside Pillow: none that starts another program (EPS, WMF). JPEG brings MPO.
FORMATS = (
    "JPEG",
    "PNG",
    "WEBP",
    "GIF",
    "TIFF",
    "BMP",
    "DIB",
    "JPEG2000",
    "PPM",
    "ICO",
    "DDS",
    "ICNS",
    "SGI",
    "QOI",
    "SUN",
)
# Old formats, each by what it begins with, and where: asked for by name, as Pillow would try some of them on any text.
_OLD = (
    ("BLP", 0, b"BLP1\0\0\0"),
    ("BLP", 0, b"BLP2\1\0\0\0"),
    ("MSP", 0, b"DanM"),
    ("MSP", 0, b"LinS"),
    ("XPM", 0, b"/* XPM */"),
    ("XVTHUMB", 0, b"P7 332\n"),
    ("GBR", 20, b"GIMP"),
    ("PCD", 2048, b"PCD_IPI"),
)
_XBM = re.compile(rb"\s*(?:/\*.{0,2000}?\*/\s*)?#define[ \t]+\w+_width[ \t]+\d", re.DOTALL)
_MOST_PAGES = 64
_log = logging.getLogger(__name__)


def open_picture(data: bytes) -> ImageFile.ImageFile:
    """Open a picture without decoding it. Raises what Pillow and its plug-ins raise, and EvidenceError of kind
    ``unsupported`` or ``needs_package``.
    """
    Pillow.init()  # loads the plug-ins, once
    head = data[:512]
    coding = coding_of(head)
    # The classes themselves: registering pi_heif would change Pillow for the whole process, and Pillow goes by the
    # first brand.
    if coding == "HEIF":
        from pi_heif import HeifImageFile

        return HeifImageFile(io.BytesIO(data))
    if coding == "AVIF":
        return AvifImagePlugin.AvifImageFile(io.BytesIO(data))
    if head.startswith(psd.SIGNATURES):
        return psd.PsdImageFile(data)
    if head.startswith((codecs.JXL_CODESTREAM, codecs.JXL_CONTAINER)):
        return codecs.JxlImageFile(data)
    if head.startswith(codecs.JPEG_XR):
        return codecs.JxrImageFile(data)
    if raw.is_raw(head):
        return raw.RawImageFile(data)
    if shows_less_than_it_saw(data):
        try:
            return raw.RawImageFile(data)
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001  (of a camera that LibRaw does not know: its first page is what there is)
            _log.debug("not known to LibRaw", exc_info=True)
    plain, more = without_long_texts(rasters.as_icon(data))
    try:
        picture = Pillow.open(io.BytesIO(plain), formats=FORMATS)
    except UnidentifiedImageError:
        other = _instead(data)
        if other is None:
            raise
        return other
    picture.info.update(more)
    return picture


def _instead(data: bytes) -> ImageFile.ImageFile | None:
    """What a file is that Pillow does not know by its signature; None: nothing."""
    if data.startswith(b"\xff\xd8\xff"):
        frame = jpeg.frame_of(data)
        if frame is None or 0 in frame.size:
            return None
        if frame.kind in jpeg.HIERARCHICAL:
            raise unsupported("hierarchical JPEG", "it is not read")
        return codecs.JpegImageFile(data) if frame.bits > 8 or frame.kind in (*jpeg.LOSSLESS, jpeg.LS) else None
    if tags.order_of(data) is not None:
        if _is_sensor(data):
            return raw.RawImageFile(data)
        if (packing := segments.packed_otherwise(data)) is not None:
            raise unsupported(f"TIFF packed by {packing}", "it is not read")
        return None
    if rasters.is_pcx(data):
        return Pillow.open(io.BytesIO(data), formats=("PCX",))
    if rasters.is_tga(data):
        return Pillow.open(io.BytesIO(data), formats=("TGA",))
    old = next((name for name, at, magic in _OLD if data.startswith(magic, at)), None)
    if old is None and _XBM.match(data):
        start, old = data.index(b"#define"), "XBM"
        data = data[start:]  # Pillow knows no comment before it
    return Pillow.open(io.BytesIO(data), formats=(old,)) if old else None


def _is_sensor(data: bytes) -> bool:
    try:
        return tags.first(data).tags.get(tags.PHOTOMETRIC, (0,))[0] in raw.SENSOR
    except struct.error:
        return False


def shows_less_than_it_saw(data: bytes) -> bool:
    """Of a camera raw that is made as a TIFF: is its first page less than half as wide and high as what the sensor saw,
    and is there what reads that?
    """
    if tags.order_of(data) is None:
        return False
    sides: dict[bool, int] = {True: 0, False: 0}
    for number, page in enumerate(islice(tags.pages(data), _MOST_PAGES)):
        said = page.directory.tags
        of_sensor = (
            said.get(tags.PHOTOMETRIC, (0,))[0] in raw.SENSOR or said.get(tags.COMPRESSION, (0,))[0] in raw.PACKED
        )
        if of_sensor or number == 0:
            sides[of_sensor] = max(sides[of_sensor], *said.get(tags.WIDTH, (0,)), *said.get(tags.HEIGHT, (0,)))
    return 0 < 2 * sides[False] < sides[True] and find_spec("rawpy") is not None
