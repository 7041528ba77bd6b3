"""TIFF layouts (TIFF 6.0, BigTIFF) that Pillow refuses or gets wrong: deep, signed, fractional, in planes, packed.

libtiff unpacks any of them; what Pillow lacks is a mode to hold them. So the file is described anew, as rows of plain
bytes, one plane at a time; Pillow reads that, and what the bytes mean is done here.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from imgmatch.picture import directories as tags
from imgmatch.picture.levels import to_8_bit

_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3
_KINDS = {_UNSIGNED: "u", _SIGNED: "i", _FLOAT: "f"}
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _SEPARATED = 0, 1, 2, 5
_COLOURS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _SEPARATED: 4}
# None, LZW, deflate (two numbers), PackBits, LZMA, Zstandard: those that give plain bytes.
_PLAIN_BYTES = {1, 5, 8, 32946, 32773, 34925, 50000}


@dataclass(frozen=True, slots=True)
class Layout:
    """How the samples of one page lie. ``order`` is "<" or ">"; ``tile`` (width, height) in pixels, None for strips."""

    size: tuple[int, int]
    bits: int
    samples: int
    kind: int
    photometric: int
    compression: int
    predictor: int
    planar: bool
    extra: tuple[int, ...]
    tile: tuple[int, int] | None
    rows: int
    places: tuple[int, ...]
    lengths: tuple[int, ...]
    order: str
    orientation: int
    profile: bytes | None


def layout_of(data: bytes) -> Layout | None:
    """The layout of the first page, where it is one that is read here; None where Pillow reads it right, or nobody."""
    order = tags.order_of(data)
    if order is None:
        return None
    try:
        return _layout(tags.first(data), order, data.startswith(tags.BIG[1]))
    except (struct.error, ValueError, KeyError, IndexError):
        return None  # whatever is wrong with it, Pillow says so


def _layout(found: tags.Directory, order: str, only_here: bool) -> Layout | None:
    said = found.tags

    def one(tag: int, default: int | None = None) -> int:
        return said[tag][0] if default is None or tag in said else default

    bits, kinds = set(said.get(tags.BITS, (1,))), set(said.get(tags.FORMAT, (_UNSIGNED,)))
    photometric, compression = one(tags.PHOTOMETRIC), one(tags.COMPRESSION, 1)
    if len(bits) != 1 or len(kinds) != 1 or photometric not in _COLOURS or compression not in _PLAIN_BYTES:
        return None
    (depth,), (kind,) = bits, kinds
    shallow = depth <= 8 and kind == _UNSIGNED and not only_here
    if shallow or kind not in _KINDS or one(tags.FILL, 1) != 1 or depth > 64 or (kind != _UNSIGNED and depth % 8):
        return None
    size = one(tags.WIDTH), one(tags.HEIGHT)
    tiled = tags.TILES in said
    return Layout(
        size=size,
        bits=depth,
        samples=one(tags.SAMPLES, 1),
        kind=kind,
        photometric=photometric,
        compression=compression,
        predictor=one(tags.PREDICTOR, 1),
        planar=one(tags.PLANES, 1) == 2,
        extra=said.get(tags.EXTRA, ()),
        tile=(one(tags.TILE_WIDTH), one(tags.TILE_HEIGHT)) if tiled else None,
        rows=min(one(tags.ROWS, size[1]), size[1]),
        places=said[tags.TILES if tiled else tags.STRIPS],
        lengths=said[tags.TILE_BYTES if tiled else tags.STRIP_BYTES],
        order=order,
        orientation=found.orientation or 1,
        profile=bytes(said[tags.PROFILE]) if tags.PROFILE in said else None,
    )


def read(data: bytes, layout: Layout) -> tuple[Pillow.Image, str | None]:
    """The picture as 8-bit grey, RGB or CMYK, with alpha where it has some; and what is missing of it, or None.

    Raises ValueError on a layout that contradicts itself, and what Pillow raises where nothing can be unpacked.
    """
    planes = layout.samples if layout.planar else 1
    pieces = len(layout.places) // planes
    fault: str | None = None
    parts = []
    for plane in range(planes):
        rows, missing = _rows(data, layout, plane * pieces, pieces)
        fault = fault or missing
        parts.append(_samples(rows, layout))
    values = np.concatenate(parts, axis=2)
    colours = _COLOURS[layout.photometric]
    if values.shape[2] < colours:
        raise ValueError(f"{values.shape[2]} samples a pixel are too few for its colours")
    alpha = values[..., colours] if layout.extra[:1] in ((1,), (2,)) and values.shape[2] > colours else None
    shown = to_8_bit(values[..., :colours], layout.bits)
    if layout.photometric == _WHITE_IS_ZERO:
        shown = 255 - shown
    mode = {1: "L", 3: "RGB", 4: "CMYK"}[colours]
    if alpha is not None and mode != "CMYK":
        shown = np.dstack([shown, to_8_bit(alpha, layout.bits)])
        mode = {"L": "LA", "RGB": "RGBA" if layout.extra[0] == 2 else "RGBa"}[mode]
    picture = Pillow.fromarray(np.ascontiguousarray(shown.squeeze(2) if mode == "L" else shown), mode)
    if layout.profile:
        picture.info["icc_profile"] = layout.profile
    return picture, fault


def _rows(data: bytes, layout: Layout, first: int, pieces: int) -> tuple[npt.NDArray[np.uint8], str | None]:
    """Unpacked bytes of one plane, (height, bytes of a row): the file described as a grey picture of such rows."""
    width, height = layout.size
    samples = 1 if layout.planar else layout.samples
    described: dict[int, int | tuple[int, ...]] = {
        tags.HEIGHT: height,
        tags.BITS: 8,
        tags.COMPRESSION: layout.compression,
        tags.PHOTOMETRIC: _BLACK_IS_ZERO,
        tags.SAMPLES: 1,
    }
    places, lengths = layout.places[first : first + pieces], layout.lengths[first : first + pieces]
    if layout.tile is None:
        described |= {tags.WIDTH: _row_bytes(width, samples, layout.bits), tags.STRIPS: places, tags.ROWS: layout.rows}
        described[tags.STRIP_BYTES] = lengths
    else:
        across = -(-width // layout.tile[0])
        wide = _row_bytes(layout.tile[0], samples, layout.bits)
        # libtiff wants tiles of whole sixteens; a tile of 16 pixels of more than one byte always is.
        described |= {
            tags.WIDTH: across * wide,
            tags.TILE_WIDTH: wide,
            tags.TILE_HEIGHT: layout.tile[1],
            tags.TILES: places,
        }
        described[tags.TILE_BYTES] = lengths
    picture = Pillow.open(io.BytesIO(_described(data, described)), formats=("TIFF",))
    fault = None
    try:
        picture.load()
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  (what came before the fault is there)
        fault = " ".join(str(error).split()) or type(error).__name__
        picture.tile = []
        picture.load()
    return np.asarray(picture), fault


def _row_bytes(width: int, samples: int, bits: int) -> int:
    return (width * samples * bits + 7) // 8


def _described(data: bytes, described: dict[int, int | tuple[int, ...]]) -> bytes:
    """The file with another directory, as BigTIFF: the old one stays as bytes that nothing names."""
    header = struct.pack("<2sHHHQ", b"II", 43, 8, 0, 16 + len(data))
    entries, lists = [], b""
    after = 16 + len(data) + 8 + 20 * len(described) + 8
    for tag, value in sorted(described.items()):
        numbers = value if isinstance(value, tuple) else (value,)
        if tag in (tags.STRIPS, tags.TILES):
            numbers = tuple(place + len(header) for place in numbers)
        packed = struct.pack(f"<{len(numbers)}Q", *numbers)
        if len(numbers) > 1:
            packed, lists = struct.pack("<Q", after + len(lists)), lists + packed
        entries.append(struct.pack("<HHQ", tag, 16, len(numbers)) + packed)
    directory = struct.pack("<Q", len(entries)) + b"".join(entries) + struct.pack("<Q", 0)
    return b"".join((header, data, directory, lists))


def _samples(rows: npt.NDArray[np.uint8], layout: Layout) -> npt.NDArray[Any]:
    """Rows of bytes as (height, width, samples) of the type that they are of."""
    width, height = layout.size
    samples = 1 if layout.planar else layout.samples
    if layout.tile is None:
        return _typed(rows, width, samples, layout)[:height]
    wide = _row_bytes(layout.tile[0], samples, layout.bits)
    # Each tile has its own rows, and its own beginning of what the predictor adds up.
    tiles = [
        _typed(np.ascontiguousarray(rows[:, left : left + wide]), layout.tile[0], samples, layout)
        for left in range(0, rows.shape[1], wide)
    ]
    return np.concatenate(tiles, axis=1)[:height, :width]


def _typed(rows: npt.NDArray[np.uint8], width: int, samples: int, layout: Layout) -> npt.NDArray[Any]:
    if layout.bits in (8, 16, 32, 64):
        if layout.predictor == 3:
            return _unpredicted_fractions(rows, width, samples, layout.bits // 8)
        kind = np.dtype(f"{layout.order}{_KINDS[layout.kind]}{layout.bits // 8}")
        values = rows.view(kind).reshape(len(rows), width, samples)
        if layout.predictor == 2:
            return np.cumsum(values, axis=1, dtype=kind.newbyteorder("="))
        return values.astype(kind.newbyteorder("="))
    # Packed without regard to bytes, the high bit first.
    single = np.unpackbits(rows, axis=1)[:, : width * samples * layout.bits].reshape(len(rows), -1, layout.bits)
    weights = 1 << np.arange(layout.bits - 1, -1, -1, dtype=np.uint64)
    values = (single * weights).sum(axis=2, dtype=np.uint64).astype(np.uint32)
    return values.reshape(len(rows), width, samples)


def _unpredicted_fractions(rows: npt.NDArray[np.uint8], width: int, samples: int, size: int) -> npt.NDArray[Any]:
    """Predictor 3 (Adobe's TIFF TechNote 3): bytes are differences, and lie by their significance."""
    summed = np.cumsum(rows.reshape(len(rows), -1, samples), axis=1, dtype=np.uint8).reshape(len(rows), size, -1)
    together = np.ascontiguousarray(summed.transpose(0, 2, 1))
    return together.view(f">f{size}").astype(f"f{size}").reshape(len(rows), width, samples)
