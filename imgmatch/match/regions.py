"""Parts of pictures worth a vector of their own: overlapping tiles, pictures framed in pictures, borders cut off.

A gallery picture read thoroughly gives nine tiles, each pooled whole and in four windows (one network run a tile), and
what is framed in it. A query gives frames and the picture without its borders. Long pictures give squares along them.
The tiles were chosen by measurement (docs/regions.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from imgmatch.models.base import Embedder
from imgmatch.types import Box, Embedding, Image

if TYPE_CHECKING:
    from imgmatch.types import Pixels

PROFILES = ("fast", "thorough")
"""How a gallery picture is read: whole only, or with its regions."""
FAST, THOROUGH = PROFILES

MIN_SIDE_PX = 32
_FLAT_STD = 4.0  # levels of 255: below, a part shows nothing, and would match every other such part
_GALLERY_TILES = (3, 0.5)
# A picture more than twice as long as it is wide (a panorama, a scrolled screen) is cut into squares, each half over
# the next, and no more than so many; up to four times as long, into the usual tiles as well.
_LONG, _VERY_LONG = 2.0, 4.0
_GALLERY_SQUARES, _QUERY_SQUARES = 40, 16
_GALLERY_FRAMES = 3
_WINDOW_SHARE = 5 / 7
_QUERY_FRAMES = 8
# Frames: working size, contrast of an edge in levels, how much of each side must show one, least side of the picture's.
_WORK_PX = 512
_EDGE = 10
_SUPPORT = 0.7
_FRAME_SIDE = 0.18
_FRAME_AREA = (0.04, 0.92)
_LINES = 18
_SAME = 0.7  # overlap (intersection over union) from which two boxes count as one


def tiles(size_px: tuple[int, int], count: int, share: float) -> list[Box]:
    """``count`` x ``count`` boxes, evenly spread and reaching the borders, each with ``share`` of both sides."""
    width, height = size_px
    w, h = max(1, round(width * share)), max(1, round(height * share))
    steps = [step / max(1, count - 1) for step in range(count)]
    return [(round((width - w) * x), round((height - h) * y), w, h) for y in steps for x in steps]


def squares(size_px: tuple[int, int], limit: int) -> list[Box]:
    """Squares along a long picture, evenly spread, reaching both ends and over each other by half (by less where they
    would be more than ``limit``); none for a picture of a usual shape.
    """
    long, short = max(size_px), min(size_px)
    if long <= _LONG * short:
        return []
    count = min(limit, -(-2 * long // short) - 1)
    starts = [round((long - short) * step / (count - 1)) for step in range(count)]
    wide = size_px[0] > size_px[1]
    return [(start, 0, short, short) if wide else (0, start, short, short) for start in starts]


def gallery_tiles(size_px: tuple[int, int]) -> list[Box]:
    """The boxes that a gallery picture is cut into: after its shape, so that no strip is pressed to a square."""
    usual = tiles(size_px, *_GALLERY_TILES) if max(size_px) <= _VERY_LONG * min(size_px) else []
    return [*usual, *squares(size_px, _GALLERY_SQUARES)]


def trimmed(pixels: Pixels) -> Box | None:
    """The picture without bars of one colour at its borders (letterbox, paper), in pixels of ``pixels``.

    None when there are no such bars, or nothing but one colour.
    """
    height, width = pixels.shape[:2]
    whole = np.ascontiguousarray(pixels)
    spans = []
    for axis in (1, 0):  # by OpenCV, in a tenth of the time that NumPy takes
        most, least = (cv2.reduce(whole, axis, how) for how in (cv2.REDUCE_MAX, cv2.REDUCE_MIN))
        flat = _most(most - least).ravel() < 2 * _EDGE
        busy = np.flatnonzero(~flat)
        if not len(busy):
            return None
        spans.append((int(busy[0]), int(busy[-1]) + 1))
    (top, bottom), (left, right) = spans
    box = (left, top, right - left, bottom - top)
    return box if box[2] * box[3] < 0.95 * width * height else None


def frames(pixels: Pixels, limit: int) -> list[Box]:
    """Upright rectangles whose four sides show as straight edges (or lie on the picture's border), best first.

    At most ``limit`` boxes in pixels of ``pixels``. At least two sides are edges; equal ones are given once.
    """
    height, width = pixels.shape[:2]
    scale = min(1.0, _WORK_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if min(size) < MIN_SIDE_PX:
        return []
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.int16)
    upright = _edges(small)
    level = _edges(small.transpose(1, 0, 2))
    xs, x_sums = _lines(upright)
    ys, y_sums = _lines(level)
    left, right = _pairs(xs, _FRAME_SIDE * size[0])
    top, bottom = _pairs(ys, _FRAME_SIDE * size[1])
    if not len(left) or not len(top):
        return []
    # Every pair of upright lines with every pair of level ones.
    across, down = len(left), len(top)
    left, right = np.repeat(left, down), np.repeat(right, down)
    top, bottom = np.tile(top, across), np.tile(bottom, across)
    areas = (right - left) * (bottom - top) / (size[0] * size[1])
    kept = (areas >= _FRAME_AREA[0]) & (areas <= _FRAME_AREA[1])
    left, right, top, bottom = left[kept], right[kept], top[kept], bottom[kept]
    real = np.stack([left > 0, right < size[0], top > 0, bottom < size[1]])
    support = np.stack(
        [
            _support(x_sums, left, top, bottom),
            _support(x_sums, right, top, bottom),
            _support(y_sums, top, left, right),
            _support(y_sums, bottom, left, right),
        ]
    )
    support = np.where(real, support, 1.0)
    good = (support.min(axis=0) >= _SUPPORT) & (real.sum(axis=0) >= 2)
    scores = np.where(real, support, 0.0).sum(axis=0) / np.maximum(real.sum(axis=0), 1) + 0.02 * real.sum(axis=0)
    order = [i for i in np.argsort(-scores, kind="stable") if good[i]]
    boxes = [
        (int(left[i] / scale), int(top[i] / scale), int((right - left)[i] / scale), int((bottom - top)[i] / scale))
        for i in order[:400]
    ]
    return distinct(boxes, limit)


def _edges(pixels: npt.NDArray[np.int16]) -> npt.NDArray[np.bool_]:
    """(H, W + 1) bool: a step in colour between columns x - 1 and x that is as steep as those beside it."""
    step = _most(np.abs(np.diff(pixels, axis=1)))
    step = np.pad(step, ((0, 0), (1, 1)))
    beside = np.maximum(np.pad(step, ((0, 0), (2, 0)))[:, :-2], np.pad(step, ((0, 0), (0, 2)))[:, 2:])
    edge = (step >= _EDGE) & (step >= beside)
    # A side that falls between two pixels shows in either.
    edge[:, 1:-1] |= edge[:, :-2] & (step[:, 1:-1] >= _EDGE / 2)
    return edge


def _most(colours: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The largest of the three channels, which come last: NumPy reduces so short an axis slowly."""
    return np.maximum(np.maximum(colours[..., 0], colours[..., 1]), colours[..., 2])


def _lines(edge: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The columns with the longest straight edges (both borders too), and sums of edges down each column."""
    sums = np.pad(np.cumsum(edge, axis=0, dtype=np.int64), ((1, 0), (0, 0)))
    least = max(2, round(_FRAME_SIDE * len(edge)))
    # Edges less what a stretch without them would need, from where that began: long unbroken lines come first.
    height = np.cumsum(np.where(edge, np.int32(1), np.int32(-2)), axis=0, dtype=np.int32)
    best = (height - np.minimum.accumulate(np.minimum(height, 0), axis=0)).max(axis=0, initial=0)
    chosen: list[int] = []
    for column in np.argsort(-best, kind="stable").tolist():
        if best[column] < least * 0.6 or len(chosen) == _LINES:
            break
        if all(abs(column - other) > 1 for other in chosen):
            chosen.append(column)
    return np.unique([0, *chosen, edge.shape[1] - 1]), sums


def _pairs(lines: npt.NDArray[np.int64], least: float) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    first, second = np.triu_indices(len(lines), 1)
    apart = lines[second] - lines[first] >= least
    return lines[first[apart]], lines[second[apart]]


def _support(
    sums: npt.NDArray[np.int64],
    line: npt.NDArray[np.int64],
    start: npt.NDArray[np.int64],
    end: npt.NDArray[np.int64],
) -> npt.NDArray[np.float64]:
    """The share of each line, between start and end, that is an edge."""
    share: npt.NDArray[np.float64] = (sums[end, line] - sums[start, line]) / np.maximum(end - start, 1)
    return share


def distinct(boxes: Sequence[Box], limit: int | None = None) -> list[Box]:
    """Boxes without those that are nearly the same as an earlier one; the first ``limit`` of them."""
    kept: list[Box] = []
    for box in boxes:
        if len(kept) == limit:
            break
        if all(overlap(box, other) < _SAME for other in kept):
            kept.append(box)
    return kept


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes, 0..1."""
    w = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    h = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    both = max(0, w) * max(0, h)
    return both / max(one[2] * one[3] + other[2] * other[3] - both, 1)


def scaled(box: Box, size_px: tuple[int, int], to_px: tuple[int, int]) -> Box:
    """A box of a picture of (width, height) ``size_px`` in that picture at the size ``to_px``; never empty."""
    x, y, w, h = box
    fx, fy = to_px[0] / size_px[0], to_px[1] / size_px[1]
    left, top = min(int(x * fx), to_px[0] - 1), min(int(y * fy), to_px[1] - 1)
    right, bottom = min(round((x + w) * fx), to_px[0]), min(round((y + h) * fy), to_px[1])
    return left, top, max(1, right - left), max(1, bottom - top)


def cut(pixels: Pixels, size_px: tuple[int, int], box: Box) -> Pixels:
    """The part of ``pixels``, a copy at any scale of a picture of (width, height) ``size_px``, that a box shows."""
    x, y, w, h = scaled(box, size_px, (pixels.shape[1], pixels.shape[0]))
    return pixels[y : y + h, x : x + w]


def shows_something(pixels: Pixels) -> bool:
    """False for a part of (nearly) one colour: black frames, paper, sky all look the same to a network."""
    return bool(pixels.reshape(-1, 3).std(axis=0).max() >= _FLAT_STD)


def query_boxes(image: Image) -> list[Box]:
    """Boxes of a query to search with besides the whole of it, in upright full-size pixels; may be none.

    ``image`` is best decoded to twice the network's input or more.
    """
    size = image.upright_size_px
    held = (image.pixels.shape[1], image.pixels.shape[0])
    bare = trimmed(image.pixels)
    found = [scaled(box, held, size) for box in [*([bare] if bare else []), *frames(image.pixels, _QUERY_FRAMES)]]
    found += squares(size, _QUERY_SQUARES)
    return [box for box in distinct(found) if _usable(image, box)]


def read_regions(image: Image, embedder: Embedder) -> tuple[Embedding, ...]:
    """The vectors of a gallery picture's regions, in a fixed order; may be none. The whole picture is not among them.

    ``image`` is best decoded to sides of at least twice the network's input.
    """
    size = image.upright_size_px
    held = (image.pixels.shape[1], image.pixels.shape[0])
    found: dict[Box, Embedding] = {}
    spread = gallery_tiles(size)
    framed = [scaled(box, held, size) for box in frames(image.pixels, _GALLERY_FRAMES)]
    weights, shares = _windows(embedder.grid)
    for number, box in enumerate(distinct([*spread, *framed])):
        if not _usable(image, box):
            continue
        boxes = [_within(box, share) for share in (shares if number < len(spread) else shares[:1])]
        chosen = [i for i, part in enumerate(boxes) if i == 0 or _usable(image, part)]
        picture = embedder.prepare(cut(image.pixels, size, box))
        vectors = embedder.embed_parts(picture, weights[chosen])
        for i, vector in zip(chosen, vectors, strict=True):
            found.setdefault(boxes[i], Embedding(embedder.spec.name, vector, boxes[i]))
    return tuple(found.values())


def _usable(image: Image, box: Box) -> bool:
    return min(box[2:]) >= MIN_SIDE_PX and shows_something(cut(image.pixels, image.upright_size_px, box))


_Share = tuple[float, float, float, float]


def _windows(grid: tuple[int, int]) -> tuple[npt.NDArray[np.float32], list[_Share]]:
    """Cell weights (n, h, w) of a feature map: all of it, then a window in each corner; and x, y, width, height each as
    a share of the whole. A map of a few cells only gives the whole.
    """
    rows, columns = grid
    h, w = round(rows * _WINDOW_SHARE), round(columns * _WINDOW_SHARE)
    places = [(0, 0, rows, columns)]
    if min(rows, columns) >= 4:
        places += [(y, x, h, w) for y in (0, rows - h) for x in (0, columns - w)]
    weights = np.zeros((len(places), rows, columns), np.float32)
    for number, (y, x, tall, wide) in enumerate(places):
        weights[number, y : y + tall, x : x + wide] = 1.0
    return weights, [(x / columns, y / rows, wide / columns, tall / rows) for y, x, tall, wide in places]


def _within(box: Box, share: _Share) -> Box:
    x, y, w, h = box
    return x + round(w * share[0]), y + round(h * share[1]), max(1, round(w * share[2])), max(1, round(h * share[3]))
