"""Further pictures in one picture file: frames of GIF, WebP and APNG, pages of TIFF, images of HEIF, pictures behind a
JPEG, previews in TIFF, sizes of icons.

The first picture is the file itself, and is not given again. Of frames that have a time, nor is what looks like it, or
like one given before; pages are all given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from PIL import Image as Pillow

from imgmatch.errors import EvidenceError, over, unsupported
from imgmatch.parsers import heif, icons, mpo
from imgmatch.parsers.alike import distinct, luma_of
from imgmatch.parsers.pieces import Clock, Piece, Settings, Trouble, at_most, png
from imgmatch.parsers.previews import distinct_previews, opened, preview_at, previews_in, stated_orientation
from imgmatch.picture import directories as tags
from imgmatch.picture.codecs import JxlImageFile
from imgmatch.picture.foreign import Foreign
from imgmatch.picture.image import NOTHING_VISIBLE, Limits, decode, orientation_of, shown, turned
from imgmatch.picture.openers import open_picture
from imgmatch.picture.raw import SENSOR
from imgmatch.streams import one_line

if TYPE_CHECKING:
    from imgmatch.types import Pixels

_Numbered = tuple[int, Pillow.Image]


def extract(stream: BinaryIO, settings: Settings, at: str | None = None) -> Iterator[Piece | Trouble]:
    """Frames and pages as PNG (upright sRGB, alpha over white), those of a Multi-Picture JPEG as they lie in it, called
    by their number from 0; then distinct previews of a TIFF.

    With ``at``, the frame of that number or the preview there. A page that can't be read is a Trouble. Raises
    EvidenceError of kind ``broken_picture`` where a frame can't be decoded, after those before it.
    """
    data = stream.read()
    Pillow.MAX_IMAGE_PIXELS = settings.limits.max_frame_pixels  # this process decodes nothing else
    if at is not None and "+" in at:
        yield preview_at(data, at)
    elif data.startswith(b"\xff\xd8"):
        yield from at_most(mpo.pictures(data, at), settings)
    elif tags.order_of(data) is not None:
        yield from _of_tiff(data, settings, at)
    elif data.startswith(icons.HEADS):
        yield from icons.pictures(data, settings, at)
    else:
        yield from _of_others(data, settings, at)


def _of_tiff(data: bytes, settings: Settings, at: str | None) -> Iterator[Piece | Trouble]:
    """Pages, each read as a first page is, and previews that are no page."""
    clock = Clock(settings)
    held = {} if at is not None else previews_in(data, 0)
    previews = opened(data, held)
    of_file = stated_orientation(data) or 1
    ended: EvidenceError | None = None
    pages = (page for page in tags.pages(data) if page.name != "0" and at in (None, page.name) and page.is_picture)
    try:
        for page in at_most(pages, settings):
            clock.check()
            inside = {place for place in previews if held[place] == page.directory.at}
            if inside and page.leans_on_another:
                continue  # it is given as the JPEG file that it is
            for found in _page(data, page, of_file, settings.limits.max_frame_pixels):
                if isinstance(found, Piece):  # then no preview is needed to show it
                    previews = {place: one for place, one in previews.items() if place not in inside}
                    inside = set()
                if not inside:
                    yield found
    except EvidenceError as error:
        ended = error
    yield from distinct_previews(data, previews)
    if ended is not None:
        raise ended


def _page(data: bytes, page: tags.Page, of_file: int, most: int) -> Iterator[Piece | Trouble]:
    """One page, and what of it can't be read."""
    try:
        image = decode(tags.as_first(data, page.directory.at), limits=Limits(most, len(data)))
    except EvidenceError as error:
        if isinstance(error.__cause__, MemoryError):
            raise MemoryError from error
        if error.kind == "too_large":
            says = f"this page has more than max_frame_pixels ({most:,}); not opened"
            yield Trouble.of("frame", page.name, over("max_frame_pixels", says))
        elif page.directory.tags.get(tags.PHOTOMETRIC, (0,))[0] in SENSOR:
            yield Trouble.of("frame", page.name, unsupported("camera raw", "what the sensor saw is not read"))
        else:
            yield Trouble("frame", page.name, "broken_picture", f"this page can't be read: {error}")
        return
    inherits = page.leans_on_another and page.directory.orientation is None
    seen = turned(Pillow.fromarray(image.pixels), of_file if inherits else 1)
    yield Piece("frame", page.name, png(seen))
    if image.partial not in (None, NOTHING_VISIBLE):
        yield Trouble("frame", page.name, "broken_picture", f"a part of this page is missing: {image.partial}")


def _of_others(data: bytes, settings: Settings, at: str | None) -> Iterator[Piece | Trouble]:
    """Frames, and images of HEIF, which have no time."""
    try:
        picture: Any = open_picture(data)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  (the file itself says so)
        if data[4:8] == b"ftyp":
            yield from at_most(heif.further(data, None, settings, at), settings)
        return
    if isinstance(picture, JxlImageFile) and picture.more is not None:
        yield from _of_jxl(picture, settings, at)
        return
    if isinstance(picture, Foreign):
        if picture.more is not None:
            yield Trouble("frame", "1", "unsupported", picture.more, "further pictures of " + str(picture.format))
        return
    limit = settings.limits.max_frame_pixels
    if picture.width * picture.height > limit:
        raise over("max_frame_pixels", f"its frames have more than max_frame_pixels ({limit:,}); not opened")
    clock = Clock(settings)
    if at is not None and "." in at:
        yield from heif.further(data, picture, settings, at)
    elif picture.format == "HEIF":
        yield from _of_heif(data, picture, settings, at)
    elif at is not None:
        yield from _still(int(at), lambda: _seen(picture, int(at)))
    else:
        chosen = distinct(_frames(picture, clock), settings.frames_per_minute)
        try:
            for number, rgb in at_most((frame for frame in chosen if frame[0]), settings):
                yield Piece("frame", str(number), png(rgb))
        except (EvidenceError, MemoryError):
            raise
        except Exception as error:
            raise EvidenceError("broken_picture", f"its further frames can't be read: {one_line(error)}") from error
        if picture.format == "AVIF":
            yield from at_most(heif.further(data, picture, settings), settings)


def _of_jxl(picture: JxlImageFile, settings: Settings, at: str | None) -> Iterator[Piece | Trouble]:
    """Frames of JPEG XL, all of them: its library does not tell their times."""
    clock, orientation = Clock(settings), orientation_of(picture)

    def given() -> Iterator[Piece]:
        for number, frame in enumerate(picture.frames()):
            clock.check()
            if at == str(number) or (at is None and number):
                yield Piece("frame", str(number), png(shown(frame, str(picture.format), orientation)[0]))

    try:
        yield from at_most(given(), settings)
    except (EvidenceError, MemoryError):
        raise
    except Exception as error:
        raise EvidenceError("broken_picture", f"its further frames can't be read: {one_line(error)}") from error


def _of_heif(data: bytes, picture: Any, settings: Settings, at: str | None) -> Iterator[Piece | Trouble]:
    """Those that libheif lists and decodes, and all that it does not."""
    clock, primary = Clock(settings), picture.tell()
    listed, items = heif.listed(data, picture), heif.Items(data)

    def given() -> Iterator[Piece | Trouble]:
        for number in range(picture.n_frames) if at is None else (int(at),):
            if number == primary and at is None:
                continue
            clock.check()
            if listed and not heif.by_libheif(items, listed[number]):
                yield from heif.one(items, items.items[listed[number]], str(number), settings)
            else:
                yield from _still(number, lambda number=number: _seen(picture, number))  # type: ignore[misc]
        if at is None:
            yield from heif.further(data, picture, settings)

    yield from at_most(given(), settings)


def _still(number: int, read: Callable[[], Pillow.Image]) -> Iterator[Piece | Trouble]:
    try:
        yield Piece("frame", str(number), png(read()))
    except (EvidenceError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001  (decoders raise about everything on broken data)
        yield Trouble("frame", str(number), "broken_picture", f"can't be read: {one_line(error)}")


def _seen(picture: Any, number: int) -> Pillow.Image:
    """A frame as it is to be seen."""
    picture.seek(number)
    picture.load()
    # A copy: the next frame is composed on this one.
    return shown(picture.copy(), picture.format, orientation_of(picture))[0]


def _frames(picture: Any, clock: Clock) -> Iterator[tuple[Pixels, _Numbered, int | None]]:
    """Luminance, number and picture, and time in ms, as far as it says one. The first is always chosen."""
    when_ms = 0.0
    for number in range(int(getattr(picture, "n_frames", 1))):
        clock.check()
        rgb = _seen(picture, number)
        duration = picture.info.get("duration")
        yield luma_of(rgb), (number, rgb), None if duration is None or number == 0 else int(when_ms)
        when_ms += max(0.0, float(duration or 0))
