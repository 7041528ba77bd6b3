"""Bytes to pixels: any common picture format to upright sRGB, with limits and with what can be read of a damaged file.

The content decides what a file is; its name is never looked at.
"""

from __future__ import annotations

import io
import threading
from dataclasses import dataclass

import numpy as np
from PIL import Image as Pillow
from PIL import ImageCms, ImageFile, UnidentifiedImageError

from imgmatch.errors import EvidenceError
from imgmatch.picture.png import mend_checksums
from imgmatch.types import Image

# Formats with a signature and a decoder inside Pillow: none that starts another program (EPS, WMF). JPEG brings MPO.
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "DIB", "AVIF", "JPEG2000", "PPM", "ICO")
HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_ORIENTATION_TAG = 0x0112
_TRANSPOSE = {
    2: Pillow.Transpose.FLIP_LEFT_RIGHT,
    3: Pillow.Transpose.ROTATE_180,
    4: Pillow.Transpose.FLIP_TOP_BOTTOM,
    5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_270,
    7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_90,
}
_ICC_MODES = {"RGB ": ("RGB",), "GRAY": ("L",), "CMYK": ("CMYK",), "Lab ": ("LAB",)}


@dataclass(frozen=True, slots=True)
class Limits:
    """What a single picture may cost. Both are checked before any pixel is decoded.

    ``max_pixels`` is Pillow's own bound against decompression bombs (0.5 GB as RGB) and can only be lowered.
    """

    max_pixels: int = 178_956_970
    max_bytes: int = 256 << 20


DEFAULT_LIMITS = Limits()


def decode(data: bytes, *, min_side_px: int | None = None, limits: Limits = DEFAULT_LIMITS) -> Image:
    """Decode the first (or only) picture in ``data`` to (H, W, 3) uint8 sRGB, upright, alpha over white.

    ``min_side_px``: a JPEG larger than this is decoded at a reduced DCT scale (1/2, 1/4, 1/8) whose sides are both
    still at least this long.

    A truncated or damaged file gives what can be read, with ``Image.partial`` saying what is wrong.
    Raises EvidenceError of kind ``empty``, ``too_large``, ``not_a_picture`` or ``unreadable``.
    """
    if not data:
        raise EvidenceError("empty", "the file is empty")
    if len(data) > limits.max_bytes:
        raise EvidenceError("too_large", f"{len(data):,} bytes are more than the limit of {limits.max_bytes:,}")
    # The bytes are hostile until proven otherwise, and decoders raise about every kind of exception on broken ones:
    # whatever comes out of them is this file's issue, never the end of a run.
    try:
        return _decode(data, min_side_px, limits)
    except EvidenceError:
        raise
    except (UnidentifiedImageError, Pillow.DecompressionBombError) as error:
        raise _refusal(error, data, limits) from error
    except MemoryError as error:
        raise EvidenceError("too_large", "not enough memory to decode this picture") from error
    except Exception as error:
        raise EvidenceError("unreadable", f"the picture can't be decoded: {_one_line(error)}") from error


def _decode(data: bytes, min_side_px: int | None, limits: Limits) -> Image:
    data, fault = mend_checksums(data)
    picture = open_picture(data)
    stored = picture.size
    if stored[0] * stored[1] > limits.max_pixels:
        raise _too_many_pixels(stored, limits)
    name = str(picture.format)
    orientation = _orientation(picture)
    if min_side_px is not None:
        picture.draft(None, (min_side_px, min_side_px))
    loaded, missing = _load(picture, data, min_side_px)
    partial = missing or fault
    rgb = to_srgb(loaded)
    if orientation in _TRANSPOSE:
        rgb = rgb.transpose(_TRANSPOSE[orientation])
    pixels = np.asarray(rgb)
    if partial is not None and (pixels == pixels[0, 0]).all():
        raise EvidenceError("unreadable", f"no part of the picture can be read: {partial}")
    return Image(pixels, stored, orientation, name, partial)


def open_picture(data: bytes) -> ImageFile.ImageFile:
    """Open a picture by its content, without decoding it. Raises what Pillow and its plug-ins raise."""
    Pillow.init()  # loads the plug-ins, once
    if data[4:8] == b"ftyp" and data[8:12] in HEIF_BRANDS:
        from pi_heif import HeifImageFile

        # The class itself: registering the plug-in would change Pillow for the whole process.
        return HeifImageFile(io.BytesIO(data))
    return Pillow.open(io.BytesIO(data), formats=_FORMATS)


def _orientation(picture: Pillow.Image) -> int:
    try:
        value = picture.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # noqa: BLE001  (broken EXIF must not cost the picture)
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _load(picture: ImageFile.ImageFile, data: bytes, min_side_px: int | None) -> tuple[Pillow.Image, str | None]:
    """Decode the pixels; of a damaged file as far as they go. Says what is wrong, or None.

    Pillow's own LOAD_TRUNCATED_IMAGES does this for the whole process and without saying so, hence not used.
    """
    try:
        picture.load()
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  (told apart below)
        reason = _one_line(error)
        if picture.format in ("JPEG", "MPO"):
            # An end marker makes libjpeg give what it has, also of progressive files.
            repaired = Pillow.open(io.BytesIO(data + b"\xff\xd9"), formats=("JPEG",))
            if min_side_px is not None:
                repaired.draft(None, (min_side_px, min_side_px))
            try:
                repaired.load()
            except OSError:
                picture = repaired
            else:
                return repaired, reason
        # Rows decoded before the fault are already in the image; without tiles Pillow takes it as loaded.
        picture.tile = []
        try:
            picture.load()
        except Exception:  # noqa: BLE001  (nothing was decoded)
            raise error from None
        return picture, reason
    return picture, None


def to_srgb(picture: Pillow.Image) -> Pillow.Image:
    """Bring any mode and ICC profile to RGB in sRGB, alpha over white."""
    profile = picture.info.get("icc_profile")
    has_key = "transparency" in picture.info
    if picture.mode == "P" or (has_key and picture.mode in ("1", "L", "RGB")):
        picture = picture.convert("RGBA" if has_key else "RGB")
    if picture.mode == "F" or picture.mode.startswith("I"):
        picture = _to_8_bit(picture)
    elif picture.mode in ("RGBA", "RGBa", "LA", "La", "PA"):
        picture = picture.convert("RGBA")
        white = Pillow.new("RGBA", picture.size, (255, 255, 255, 255))
        picture = Pillow.alpha_composite(white, picture).convert("RGB")
    elif picture.mode == "1":
        picture = picture.convert("L")
    if isinstance(profile, bytes) and profile:
        converted = _apply_profile(picture, profile)
        if converted is not None:
            return converted
    if picture.mode == "LAB":
        lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        converted = _apply_profile(picture, lab.tobytes())
        if converted is not None:
            return converted
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def _to_8_bit(picture: Pillow.Image) -> Pillow.Image:
    """16-bit, 32-bit and float grey to 8 bits by range: Pillow's own conversion clips at 255."""
    values = np.nan_to_num(np.asarray(picture, dtype=np.float32), posinf=0.0, neginf=0.0)
    top = float(values.max(initial=0.0))
    if picture.mode.startswith("I;16") or 255 < top <= 65535:
        values = values / 257.0
    elif top > 65535:
        values = values * (255.0 / top)
    elif picture.mode == "F" and top <= 1.0:
        values = values * 255.0
    return Pillow.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))


_transforms = threading.local()


def _apply_profile(picture: Pillow.Image, profile: bytes) -> Pillow.Image | None:
    """Convert by an embedded ICC profile (ICC.1); None where the profile is broken or of another colour space."""
    # LittleCMS transforms are kept per thread: building one from a printer's table costs more than using it.
    cache: dict[tuple[bytes, str], ImageCms.ImageCmsTransform | None] = _transforms.__dict__.setdefault("cache", {})
    key = (profile, picture.mode)
    if key not in cache:
        if len(cache) >= 16:
            cache.clear()
        cache[key] = _build_transform(profile, picture.mode)
    transform = cache[key]
    return None if transform is None else ImageCms.applyTransform(picture, transform)


def _build_transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if mode not in _ICC_MODES.get(opened.profile.xcolor_space, ()):
            return None
        return ImageCms.buildTransform(opened, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


def _refusal(error: Exception, data: bytes, limits: Limits) -> EvidenceError:
    if isinstance(error, Pillow.DecompressionBombError):
        return EvidenceError("too_large", f"more pixels than the limit of {limits.max_pixels:,}")
    if data.count(0, 0, 4096) == min(len(data), 4096):
        return EvidenceError("not_a_picture", "only zero bytes where a picture should begin")
    return EvidenceError("not_a_picture", "no picture format is recognised in the content")


def _too_many_pixels(size: tuple[int, int], limits: Limits) -> EvidenceError:
    return EvidenceError(
        "too_large", f"{size[0]:,} x {size[1]:,} pixels are more than the limit of {limits.max_pixels:,}"
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
