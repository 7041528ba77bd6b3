"""TIFF whose strips or tiles are each a picture of their own (JPEG 2000, WebP, PNG, JPEG XL, JPEG XR), as GDAL, Aperio
and libtiff write them; and what packs one that nothing here reads.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image as Pillow

from imgmatch.picture import directories as tags

_BARE_YCBCR = 33003  # Aperio's JPEG 2000 that does not say that its colours are YCbCr
_CODED = {22610, _BARE_YCBCR, 33004, 33005, 34712, 34933, 34934, 50001, 50002, 52546}
_PILLOW_READS = {1, 2, 3, 4, 5, 6, 7, 8, 32771, 32773, 32809, 32946, 34676, 34677, 34925, 50000, *_CODED}
_NAMES = {
    9: "JBIG", 10: "JBIG", 32766: "NeXT's run lengths", 32895: "run lengths of prepress (LW)", 32909: "PixarLog",
    32947: "Kodak's DCS", 34661: "JBIG", 34718: "Microsoft's fax", 34719: "Microsoft's vectors", 34887: "LERC",
}  # fmt: skip
_WHITE_IS_ZERO, _KNOWN_COLOURS = 0, (0, 1, 2, 6)
Decode = Callable[[bytes, tuple[int, int]], tuple[Pillow.Image, str | None]]


@dataclass(frozen=True, slots=True)
class Segments:
    """Where the pictures lie that one page is put together from; ``each``: their (width, height) at most."""

    size: tuple[int, int]
    each: tuple[int, int]
    places: tuple[tuple[int, int], ...]
    compression: int
    inverted: bool
    orientation: int
    profile: bytes | None


def of(data: bytes) -> Segments | None:
    """The segments of a TIFF's first page; None where they are none."""
    try:
        said = tags.first(data).tags if tags.order_of(data) else {}
    except struct.error:
        return None
    one = {tag: values[0] for tag, values in said.items()}
    if one.get(tags.COMPRESSION) not in _CODED or one.get(tags.PLANES, 1) != 1:
        return None
    tiled = tags.TILES in said
    at, lengths = (tags.TILES, tags.TILE_BYTES) if tiled else (tags.STRIPS, tags.STRIP_BYTES)
    size = one.get(tags.WIDTH, 0), one.get(tags.HEIGHT, 0)
    each = (one.get(tags.TILE_WIDTH, 0), one.get(tags.TILE_HEIGHT, 0)) if tiled else (
        size[0], min(one.get(tags.ROWS, size[1]), size[1])
    )  # fmt: skip
    places = tuple(zip(said.get(at, ()), said.get(lengths, ()), strict=False))
    if not all(size + each) or not places or one.get(tags.PHOTOMETRIC) not in _KNOWN_COLOURS:
        return None
    return Segments(
        size=size,
        each=each,
        places=places[: -(-size[0] // each[0]) * -(-size[1] // each[1])],
        compression=one[tags.COMPRESSION],
        inverted=one[tags.PHOTOMETRIC] == _WHITE_IS_ZERO,
        orientation=tags.first(data).orientation or 1,
        profile=bytes(said[tags.PROFILE]) if tags.PROFILE in said else None,
    )


def read(data: bytes, segments: Segments, decode: Decode) -> tuple[Pillow.Image, str | None]:
    """The page, and what is missing of it, or None. ``decode`` gives a segment's pixels, of no more than a size, and
    what is missing of them. Raises what it raises where no segment can be read.
    """
    page: Pillow.Image | None = None
    fault: str | None = None
    failed: Exception | None = None
    across = -(-segments.size[0] // segments.each[0])
    for number, (at, length) in enumerate(segments.places):
        if not length:  # left out, as of one colour
            continue
        try:
            part, missing = decode(data[at : at + length], segments.each)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001  (the others are still there)
            failed, missing, part = failed or error, " ".join(str(error).split()) or type(error).__name__, None
        if missing:
            fault = fault or f"part {number + 1} of its pixels is damaged: {missing}"
        if part is None:
            continue
        if segments.compression == _BARE_YCBCR and part.mode == "RGB":
            part = Pillow.frombytes("YCbCr", part.size, part.tobytes()).convert("RGB")
        if page is None:
            page = Pillow.new(part.mode, segments.size)
        place = number % across * segments.each[0], number // across * segments.each[1]
        page.paste(part if part.mode == page.mode else part.convert(page.mode), place)
    if page is None:
        raise failed or ValueError("it holds no pixels")
    if segments.inverted and page.mode == "L":
        page = page.point(lambda value: 255 - value)
    if segments.profile:
        page.info["icc_profile"] = segments.profile
    return page, fault


def packed_otherwise(data: bytes) -> str | None:
    """What a TIFF's first page is packed by, where nothing here reads that."""
    try:
        packing = tags.first(data).tags.get(tags.COMPRESSION, (1,))[0]
    except struct.error:
        return None
    return None if packing in _PILLOW_READS else _NAMES.get(packing, f"a method of its own ({packing})")
