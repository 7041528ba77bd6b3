"""Small pictures for a report, read again from the sources: blurred and grey in their very bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from imgmatch.errors import EvidenceError
from imgmatch.evidence.read import Finder
from imgmatch.locator import Locator
from imgmatch.match.faces import hides_faces, without_faces

CLEAR_PX = 320
CLEAR, WITH_FACES = 1, 2
"""How much of a picture may be seen: all but faces, which stay hidden; or faces too."""
_BLUR_PX = 160
# A face that fills the picture keeps about a dozen grey cells: rooms stay tellable apart, people don't.
_CELLS_PX = 14


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """Paths inside the report; ``clear`` only where pictures may be revealed."""

    blurred: str
    clear: str | None


def faces_shown(reveal: int) -> bool:
    """Whether faces can be seen in clear pictures: where that is asked for, or none can be found to be hidden."""
    return reveal >= WITH_FACES or (reveal > 0 and not hides_faces())


def thumbnails(
    sha256: str, places: Sequence[Locator], reveal: int, finder: Finder
) -> tuple[bytes, bytes | None] | None:
    """The small picture of an item as a JPEG, blurred and (``reveal``: CLEAR or WITH_FACES) clear; None when no place
    has this very content any more. ``places`` are tried in order; only bytes with this SHA-256 count.
    """
    try:
        picture = Image.fromarray(finder.image(sha256, places, CLEAR_PX).pixels)
    except EvidenceError:
        return None
    blurred = _jpeg(blur(picture), 70)
    if not reveal:
        return blurred, None
    picture.thumbnail((CLEAR_PX, CLEAR_PX), Image.Resampling.LANCZOS)
    return blurred, _jpeg(picture if reveal >= WITH_FACES else _faceless(picture), 78)


def write_thumbnail(
    folder: Path, sha256: str, places: Sequence[Locator], reveal: int, finder: Finder
) -> Thumbnail | None:
    """Write the ``thumbnails`` of an item under ``folder``. OSError from writing passes through."""
    made = thumbnails(sha256, places, reveal, finder)
    if made is None:
        return None
    names = [f"{kind}/{sha256}.jpg" for kind, data in zip(("blurred", "clear"), made, strict=True) if data is not None]
    for name, data in zip(names, filter(None, made), strict=True):
        (folder / name).write_bytes(data)
    blurred, clear = (*(f"pictures/{name}" for name in names), None)[:2]
    return Thumbnail(str(blurred), clear)


def _faceless(picture: Image.Image) -> Image.Image:
    return Image.fromarray(without_faces(np.asarray(picture)))


def blur(picture: Image.Image) -> Image.Image:
    """Grey, at most 160 px long, with no more detail than 14 cells along the longer side hold."""
    scale = _CELLS_PX / max(picture.size)
    cells = picture.convert("L").resize(
        (max(1, round(picture.width * scale)), max(1, round(picture.height * scale))), Image.Resampling.BOX
    )
    scale = _BLUR_PX / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return cells.resize(size, Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(4))


def _jpeg(picture: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
