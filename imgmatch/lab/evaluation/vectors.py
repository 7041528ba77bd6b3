"""Pictures of a data set to vectors, a few at a time, whatever their number; broken ones are told, not fatal."""

from __future__ import annotations

import os
import tempfile
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image as Pillow

from imgmatch.errors import EvidenceError
from imgmatch.lab.alterations import alter
from imgmatch.lab.evaluation.dataset import Picture
from imgmatch.picture.image import DEFAULT_LIMITS, decode

if TYPE_CHECKING:
    import numpy.typing as npt

    from imgmatch.models.base import Embedder
    from imgmatch.types import Pixels

    Progress = Callable[[str, int, int], None]

_BATCH = 32
_AHEAD = 4 * _BATCH
# Beyond this the vectors lie in a file without a name, which the system keeps in memory as far as there is room.
_IN_MEMORY_BYTES = 256 << 20
# The pictures that are altered are decoded alike for every model, so that all are shown the same copies.
_ALTERED_MIN_SIDE_PX = 448
_COVER = np.array((255, 0, 0), np.uint8)


Originals = Callable[[str], "Pixels"]


def load_pixels(picture: Picture, min_side_px: int, original: Originals | None = None) -> Pixels:
    """(H, W, 3) uint8, cropped, covered or altered as the protocol wants it; ``min_side_px`` as in ``decode``.

    ``original`` decodes what is to be altered. Raises EvidenceError and OSError.
    """
    if picture.alteration is not None:
        original = original or _original
        others = [original(path) for path in picture.others]
        return alter(picture.alteration, original(picture.path), picture.seed, others)
    if picture.crop is not None:
        return _cropped(_read(picture.path, None), picture.crop)
    pixels = _read(picture.path, min_side_px)
    return pixels if picture.mask is None else _covered(pixels, Path(picture.mask))


def _prepared(embedder: Embedder, picture: Picture, original: Originals) -> Pixels | str:
    """(S, S, 3) uint8 for ``Embedder.embed``; or why there is none, as a sentence."""
    try:
        return embedder.prepare(load_pixels(picture, embedder.spec.input_px, original))
    except EvidenceError as error:
        return str(error)
    except OSError as error:
        return f"can't be read ({error.strerror or error})"


def embed_pictures(
    embedder: Embedder,
    pictures: Sequence[Picture],
    vectors: npt.NDArray[np.floating],
    *,
    part: str,
    progress: Progress | None = None,
    threads: int | None = None,
) -> list[tuple[int, str]]:
    """Fill ``vectors`` (N, dim) with the vectors of N pictures; a picture that can't be used leaves its row at zero.

    Returns the number and the fault of each such picture. Memory stays at some hundred prepared pictures.
    """
    # Copies of one photograph follow one another: it is decoded once.
    original = lru_cache(maxsize=24)(_original)
    faults: list[tuple[int, str]] = []
    waiting: deque[tuple[int, Future[Pixels | str]]] = deque()
    numbers: list[int] = []
    batch: list[Pixels] = []

    def embed() -> None:
        if batch:
            vectors[numbers] = embedder.embed(np.stack(batch))
            numbers.clear()
            batch.clear()

    def take() -> None:
        number, future = waiting.popleft()
        found = future.result()
        if isinstance(found, str):
            faults.append((number, found))
        else:
            numbers.append(number)
            batch.append(found)
        if len(batch) == _BATCH:
            embed()
        if progress is not None and (number % _BATCH == _BATCH - 1 or number == len(pictures) - 1):
            progress(part, number + 1, len(pictures))

    with ThreadPoolExecutor(threads or max(1, min(8, os.cpu_count() or 1))) as pool:
        try:
            for number, picture in enumerate(pictures):
                waiting.append((number, pool.submit(_prepared, embedder, picture, original)))
                if len(waiting) >= _AHEAD:
                    take()
            while waiting:
                take()
            embed()
        finally:
            for _, future in waiting:
                future.cancel()
    return faults


def empty_vectors(count: int, dim: int, kind: type[np.floating] = np.float16) -> npt.NDArray[np.floating]:
    """(count, dim) zeros, in memory or, when large, in a temporary file that vanishes with the array."""
    size = count * dim * np.dtype(kind).itemsize
    if size <= _IN_MEMORY_BYTES or size == 0:
        return np.zeros((count, dim), kind)
    with tempfile.TemporaryFile() as file:
        file.truncate(size)
        return np.memmap(file, kind, "r+", shape=(count, dim))


def _original(path: str) -> Pixels:
    return _read(path, _ALTERED_MIN_SIDE_PX)


def _read(path: str, min_side_px: int | None) -> Pixels:
    file = Path(path)
    if not file.is_file():
        raise EvidenceError("missing", "no such file")
    if file.stat().st_size > DEFAULT_LIMITS.max_bytes:
        raise EvidenceError("too_large", f"more than {DEFAULT_LIMITS.max_bytes:,} bytes")
    return decode(file.read_bytes(), min_side_px=min_side_px).pixels


def _cropped(pixels: Pixels, box: tuple[float, float, float, float]) -> Pixels:
    """Rounded as Pillow's crop does, which the published evaluation uses, but never beyond the picture."""
    height, width = pixels.shape[:2]
    left, top, right, bottom = (round(side) for side in box)
    part = pixels[max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
    if part.size == 0:
        raise EvidenceError("unreadable", f"the box {box} lies outside the picture of {width} x {height} px")
    return part


def _covered(pixels: Pixels, mask: Path) -> Pixels:
    """Paint over what a mask covers: its opaque part, or, where it has no transparency, what is not black."""
    try:
        with Pillow.open(mask, formats=("PNG", "JPEG", "WEBP", "BMP")) as picture:
            transparent = "A" in picture.getbands() or "transparency" in picture.info
            band = picture.convert("RGBA").getchannel("A") if transparent else picture.convert("L")
            cover = np.asarray(band)
    except Exception as error:  # the decoder's errors are of every kind, and the mask is as foreign as the picture
        raise EvidenceError("unreadable", f"its mask {mask.name} can't be read") from error
    cover = cv2.resize(cover, (pixels.shape[1], pixels.shape[0]), interpolation=cv2.INTER_NEAREST)
    return np.where((cover > 127 if transparent else cover > 0)[..., None], _COVER, pixels)
