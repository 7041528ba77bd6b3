"""Small pictures for a report, read again from the sources: blurred and grey in their very bytes."""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

import numpy as np
from PIL import Image, ImageFilter

from imgmatch.errors import EvidenceError
from imgmatch.evidence.read import Finder, read
from imgmatch.locator import Locator
from imgmatch.match.faces import hides_faces, without_faces
from imgmatch.types import Evidence

if TYPE_CHECKING:
    from imgmatch.types import Pixels

CLEAR_PX = 320
SHEET_PX = 480
"""The longer side of a clear picture of a lead sheet: as sharp as it prints there."""
CLEAR, WITH_FACES = 1, 2
"""How much of a picture may be seen: all but faces, which stay hidden; or faces too."""
_BLUR_PX = 160
# A face that fills the picture keeps about a dozen grey cells: rooms stay tellable apart, people don't.
_CELLS_PX = 14


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A picture of a report: where its bytes are as ``src`` has it, ``clear`` only where pictures may be revealed;
    ``size_px`` is the (width, height) of the full-size picture as it is seen.
    """

    sha256: str
    size_px: tuple[int, int]
    clear: bool


class Kept(Protocol):
    """Where the pictures of a report are kept until, or where, its page shows them. May be used by several threads."""

    def keep(self, kind: str, sha256: str, data: bytes) -> None:
        """Keep a JPEG, ``kind`` blurred or clear. OSError from writing passes through."""

    def src(self, kind: str, sha256: str) -> str:
        """What a page shows it by."""


class Beside:
    """Pictures as files beside the page."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, kind: str, sha256: str, data: bytes) -> None:
        """As ``Kept``."""
        path = self._folder / self.src(kind, sha256)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def src(self, kind: str, sha256: str) -> str:
        """As ``Kept``."""
        return f"pictures/{kind}/{sha256}.jpg"


class Within:
    """Pictures as parts of the page; until it is written they lie in ``file``, one that has no name."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._places: dict[tuple[str, str], tuple[int, int]] = {}
        self._lock = threading.Lock()

    def keep(self, kind: str, sha256: str, data: bytes) -> None:
        """As ``Kept``."""
        with self._lock:
            self._places[kind, sha256] = self._file.seek(0, io.SEEK_END), len(data)
            self._file.write(data)

    def src(self, kind: str, sha256: str) -> str:
        """As ``Kept``."""
        start, length = self._places[kind, sha256]
        with self._lock:
            self._file.seek(start)
            return f"data:image/jpeg;base64,{base64.b64encode(self._file.read(length)).decode('ascii')}"


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
        return _small(finder.image(sha256, places, CLEAR_PX).pixels, reveal, CLEAR_PX)
    except EvidenceError:
        return None


def keep_thumbnail(
    kept: Kept, sha256: str, places: Sequence[Locator] | Evidence, reveal: int, finder: Finder
) -> Thumbnail | None:
    """The thumbnail of a content, from the first of ``places`` that still has it or from evidence that lies nowhere;
    None where it can't be had. OSError from keeping passes through.
    """
    try:
        if isinstance(places, Evidence):
            image = read(places, finder.limits).image(SHEET_PX)
        else:
            image = finder.image(sha256, places, SHEET_PX)
    except EvidenceError:
        return None
    blurred, clear = _small(image.pixels, reveal, SHEET_PX)
    kept.keep("blurred", sha256, blurred)
    if clear is not None:
        kept.keep("clear", sha256, clear)
    return Thumbnail(sha256, image.upright_size_px, clear is not None)


def _small(pixels: Pixels, reveal: int, clear_px: int) -> tuple[bytes, bytes | None]:
    picture = Image.fromarray(pixels)
    blurred = jpeg(blur(picture), 70)
    if not reveal:
        return blurred, None
    picture.thumbnail((clear_px, clear_px), Image.Resampling.LANCZOS)
    return blurred, jpeg(picture if reveal >= WITH_FACES else _faceless(picture), 78)


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


def jpeg(picture: Image.Image, quality: int) -> bytes:
    """A picture's bytes as JPEG."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
