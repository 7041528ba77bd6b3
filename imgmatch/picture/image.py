"""Bytes to pixels: any common picture format to upright sRGB, with limits and with what can be read of a damaged file.

The content decides what a file is; its name is never looked at.
"""

from __future__ import annotations

import io
import threading
from dataclasses import dataclass

import numpy as np
import simplejpeg
from PIL import Image as Pillow
from PIL import ImageCms, ImageFile, UnidentifiedImageError

from imgmatch.errors import EvidenceError
from imgmatch.picture import segments, tiff
from imgmatch.picture.foreign import ORIENTATION, Foreign
from imgmatch.picture.holes import hole_in
from imgmatch.picture.jpeg import with_height
from imgmatch.picture.levels import to_8_bit
from imgmatch.picture.openers import open_picture, shows_less_than_it_saw
from imgmatch.picture.png import mend_checksums
from imgmatch.types import Image

_TRANSPOSE = {
    2: Pillow.Transpose.FLIP_LEFT_RIGHT,
    3: Pillow.Transpose.ROTATE_180,
    4: Pillow.Transpose.FLIP_TOP_BOTTOM,
    5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_270,
    7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_90,
}
NOTHING_VISIBLE = "nothing visible: every pixel is transparent; what lies under it is taken for the picture"
"""What ``Image.partial`` says of such a picture, of which no part is missing."""
_GAMMA, _LIKE_SRGB = 2.2, 0.05
"""How light a value of sRGB is, as an exponent, and by what part another may differ to be that."""
_JPEG_COLOURS = {"RGB": "RGB", "L": "GRAY"}
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
    Raises EvidenceError of kind ``empty``, ``too_large``, ``not_a_picture``, ``unreadable``, ``unsupported`` or
    ``needs_package``.
    """
    if not data:
        raise EvidenceError("empty", "the file is empty")
    if len(data) > limits.max_bytes:
        raise _too_large("max_bytes", f"{len(data):,} bytes", limits.max_bytes)
    # The bytes are hostile until proven otherwise, and decoders raise about every kind of exception on broken ones:
    # whatever comes out of them is this file's issue, never the end of a run.
    try:
        return _decode(data, min_side_px, limits)
    except EvidenceError:
        raise
    except (UnidentifiedImageError, Pillow.DecompressionBombError) as error:
        raise _refusal(error, data, limits) from error
    except MemoryError as error:
        raise EvidenceError("too_large", "not enough memory to decode this picture", what="memory") from error
    except Exception as error:
        raise EvidenceError("unreadable", f"the picture can't be decoded: {_one_line(error)}") from error


def pixels_of(data: bytes) -> int:
    """How many pixels a picture says that it has; 0 where it says nothing that can be read."""
    try:
        width, height = open_picture(data).size
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  (decoding it says why)
        return 0
    return int(width * height)


def _decode(data: bytes, min_side_px: int | None, limits: Limits) -> Image:
    data, fault = mend_checksums(with_height(data))
    of_sensor = shows_less_than_it_saw(data)
    layout = None if of_sensor else tiff.layout_of(data)
    parts = None if of_sensor else segments.of(data)
    if parts is not None:
        stored, orientation, name = parts.size, parts.orientation, "TIFF"
        _check_pixels(stored, limits)
        loaded, missing = segments.read(data, parts, _segment)
        left = orientation
    elif layout is not None:
        stored, orientation, name = layout.size, layout.orientation, "TIFF"
        _check_pixels(stored, limits)
        loaded, missing = tiff.read(data, layout)
        left = orientation
    else:
        picture = open_picture(data)
        _check_pixels(picture.size, limits)
        stored, name = _stored_size(picture), str(picture.format)
        orientation = orientation_of(picture)
        if min_side_px is not None:
            picture.draft(None, (min_side_px, min_side_px))
        loaded, missing = load_pixels(picture, data, min_side_px)
        left = orientation_of(loaded) if picture.format == "TIFF" else orientation
    partial = missing or fault
    rgb, hidden = shown(loaded, name, left)
    pixels = np.asarray(rgb)
    if partial is not None and (pixels == pixels[0, 0]).all():
        raise EvidenceError("unreadable", f"no part of the picture can be read: {partial}")
    partial = partial or hole_in(data, name)
    if partial is not None and not (missing or fault) and (pixels == pixels[0, 0]).all():
        partial = None  # so little is in one colour that it may be zeros
    return Image(pixels, stored, orientation, name, partial or (NOTHING_VISIBLE if hidden else None))


def _segment(data: bytes, most: tuple[int, int]) -> tuple[Pillow.Image, str | None]:
    picture = open_picture(data)
    if picture.size[0] > most[0] or picture.size[1] > most[1]:
        raise ValueError(f"{picture.size[0]} x {picture.size[1]} pixels in the place of {most[0]} x {most[1]}")
    loaded, missing = load_pixels(picture, data)
    return loaded, missing or hole_in(data, str(picture.format))


def shown(picture: Pillow.Image, format: str, orientation: int) -> tuple[Pillow.Image, bool]:
    """What is to be seen of decoded pixels of a format, as upright sRGB; and is all of it transparent?"""
    seen, hidden = _visible(picture, format)
    return turned(to_srgb(seen), orientation), hidden


def turned(picture: Pillow.Image, orientation: int) -> Pillow.Image:
    """A picture as it is to be seen, by the EXIF orientation 1..8 of how it is stored."""
    how = _TRANSPOSE.get(orientation)
    return picture if how is None else picture.transpose(how)


def _stored_size(picture: ImageFile.ImageFile) -> tuple[int, int]:
    """Pillow gives the size of a TIFF as it will be seen, and turns the pixels itself as it loads them."""
    width, height = picture.size
    return (height, width) if picture.format == "TIFF" and orientation_of(picture) >= 5 else (width, height)


def _visible(picture: Pillow.Image, format: str) -> tuple[Pillow.Image, bool]:
    """A picture that is transparent everywhere without its alpha, and whether that hid it; any other as it came.

    A BMP with an empty alpha channel is opaque: that is how Windows writes it.
    """
    if picture.mode not in ("RGBA", "LA") or np.asarray(picture.getchannel("A")).any():
        return picture, False
    colours = picture.convert("RGB" if picture.mode == "RGBA" else "L")
    if format in ("BMP", "DIB", "ICO"):
        return colours, False
    pixels = np.asarray(colours)
    plain = bool((pixels == pixels[0, 0]).all())
    return (picture, False) if plain else (colours, True)


def orientation_of(picture: Pillow.Image) -> int:
    """The EXIF orientation 1..8 that a picture still has to be turned by."""
    try:
        value = picture.getexif().get(ORIENTATION, 1)
    except Exception:  # noqa: BLE001  (broken EXIF must not cost the picture)
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def load_pixels(
    picture: ImageFile.ImageFile, data: bytes, min_side_px: int | None = None
) -> tuple[Pillow.Image, str | None]:
    """Decode the pixels; of a damaged file as far as they go. Says what is wrong, or None.

    Pillow's own LOAD_TRUNCATED_IMAGES does this for the whole process and without saying so, hence not used.
    """
    doubt = None
    of_libjpeg = picture.format in ("JPEG", "MPO") and not isinstance(picture, Foreign)
    if of_libjpeg and picture.mode in _JPEG_COLOURS:
        whole, doubt = _sound_jpeg(picture, data)
        if whole is not None:
            return whole, None
    try:
        picture.load()
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  (told apart below)
        reason = _one_line(error)
        if of_libjpeg:
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
    return picture, picture.damage if isinstance(picture, Foreign) else doubt


def _sound_jpeg(picture: ImageFile.ImageFile, data: bytes) -> tuple[Pillow.Image | None, str | None]:
    """The pixels of a JPEG that libjpeg has nothing to say against; else None and what it says.

    Pillow never asks libjpeg for its warnings, and so takes a scan with a hole in it for whole. The pixels are the same
    to the bit, since both are libjpeg-turbo at the same scale.
    """
    width, height = picture.size
    try:
        pixels = simplejpeg.decode_jpeg(
            data, colorspace=_JPEG_COLOURS[picture.mode], min_height=height, min_width=width, strict=True
        )
    except ValueError as error:
        return None, _one_line(error)
    if pixels.shape[:2] != (height, width):
        return None, None
    made = Pillow.fromarray(pixels.squeeze(2) if picture.mode == "L" else pixels)
    made.info = picture.info
    return made, None


def to_srgb(picture: Pillow.Image) -> Pillow.Image:
    """Bring any mode, ICC profile and gamma of a PNG to RGB in sRGB, alpha over white."""
    profile = picture.info.get("icc_profile")
    gamma = None if profile or "srgb" in picture.info else picture.info.get("gamma")
    has_key = "transparency" in picture.info
    if picture.mode == "P" or (has_key and picture.mode in ("1", "L", "RGB")):
        picture = picture.convert("RGBA" if has_key else "RGB")
    if picture.mode == "F" or picture.mode.startswith("I"):
        picture = Pillow.fromarray(to_8_bit(np.asarray(picture)))  # Pillow's own conversion clips at 255
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
    rgb = picture if picture.mode == "RGB" else picture.convert("RGB")
    if isinstance(gamma, float) and 0.01 < gamma < 100 and abs(gamma * _GAMMA - 1) > _LIKE_SRGB:
        return rgb.point([round(255 * (value / 255) ** (1 / (gamma * _GAMMA))) for value in range(256)] * 3)
    return rgb


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
        return _too_large("max_pixels", "its pixels", limits.max_pixels)
    if data.count(0, 0, 4096) == min(len(data), 4096):
        return EvidenceError("not_a_picture", "only zero bytes where a picture should begin")
    return EvidenceError("not_a_picture", "no picture format is recognised in the content")


def _check_pixels(size: tuple[int, int], limits: Limits) -> None:
    if size[0] * size[1] > limits.max_pixels:
        raise _too_large("max_pixels", f"{size[0]:,} x {size[1]:,} pixels", limits.max_pixels)


def _too_large(limit: str, what: str, most: int) -> EvidenceError:
    return EvidenceError("too_large", f"{what} are more than {limit} ({most:,})", what=limit)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
