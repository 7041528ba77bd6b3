"""Further pictures in one picture file: frames of GIF, WebP and APNG, pages of TIFF, images of HEIF, previews in TIFF.

The first picture is the file itself, and is not given again; nor is what looks like it, or like one given before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from PIL import Image as Pillow

from imgmatch.errors import EvidenceError
from imgmatch.parsers.alike import distinct, luma_of
from imgmatch.parsers.pieces import Clock, Piece, Settings, at_most, png
from imgmatch.parsers.previews import distinct_previews, preview_at, previews_in
from imgmatch.picture.image import open_picture, to_srgb
from imgmatch.streams import one_line

if TYPE_CHECKING:
    from imgmatch.types import Pixels

_Numbered = tuple[int, Pillow.Image]


def extract(stream: BinaryIO, settings: Settings, at: str | None = None) -> Iterator[Piece]:
    """Distinct frames as PNG (sRGB, alpha over white), called by their number from 0; then distinct previews of a TIFF.

    With ``at``, the frame of that number or the preview there. Raises EvidenceError of kind ``broken_picture`` where a
    frame can't be decoded, after those before it.
    """
    if at is not None and "+" in at:
        yield preview_at(stream, at)
        return
    data = stream.read()
    Pillow.MAX_IMAGE_PIXELS = settings.limits.max_frame_pixels  # this process decodes nothing else
    tiff = data.startswith((b"II*\0", b"MM\0*"))
    fault: Exception | None = None
    try:
        picture = _opened(data)
        if picture.width * picture.height > settings.limits.max_frame_pixels:
            limit = settings.limits.max_frame_pixels
            raise EvidenceError("limit", f"its frames have more than max_frame_pixels ({limit:,}); not opened")
        if at is not None:
            picture.seek(int(at))
            yield Piece("frame", at, png(to_srgb(picture)))
            return
        chosen = distinct(_frames(picture, Clock(settings)), settings.frames_per_minute)
        for number, rgb in at_most((frame for frame in chosen if frame[0]), settings):
            yield Piece("frame", str(number), png(rgb))
    except _UnopenedError:  # the file itself says so, and of a raw format that Pillow does not know it has previews
        pass
    except (EvidenceError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001  (decoders raise about everything on broken data)
        fault = error
    if tiff and at is None:
        yield from distinct_previews(data, previews_in(data, 0))
    if fault is not None:
        raise EvidenceError("broken_picture", f"its further frames can't be read: {one_line(fault)}") from fault


class _UnopenedError(Exception):
    """Not even the first picture can be had."""


def _opened(data: bytes) -> Any:
    try:
        return open_picture(data)
    except MemoryError:
        raise
    except Exception as error:
        raise _UnopenedError from error


def _frames(picture: Any, clock: Clock) -> Iterator[tuple[Pixels, _Numbered, int | None]]:
    """Luminance, number and picture, and time in ms, as far as it says one."""
    when_ms = 0.0
    for number in range(int(getattr(picture, "n_frames", 1))):
        clock.check()
        picture.seek(number)
        duration = picture.info.get("duration")
        # A copy: the next frame is composed on this one.
        rgb = to_srgb(picture.copy())
        yield luma_of(rgb), (number, rgb), None if duration is None or number == 0 else int(when_ms)
        when_ms += max(0.0, float(duration or 0))
