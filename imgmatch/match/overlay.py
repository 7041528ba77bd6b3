"""What agrees, and what differs, where a geometry lays one picture over another: many pictures share a letterhead, an
app's frame or a burned-in bar, which is no evidence that they show the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from imgmatch.match.features import Features

Points = npt.NDArray[np.float64]
Grey = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]

_WINDOW = 1 / 80
"""Deviation of the window within which pictures are compared, of the item's longer side: lines of text differ."""
_TEXTURE = 16.0
"""Least variance of a window that says something, in grey levels squared."""
_AGREE, _CLOSELY = 0.4, 0.7
"""Correlation from which windows agree, and from which they are taken for the same picture."""
_CELLS = 5
"""So many cells, each overlapping the next by half, along the item's longer side are judged drawn or photographed."""
_FEW_GREYS = 0.5
"""Of what is drawn so many pixels have one of three greys (and the four beside each); photographs have many."""
_PHOTOGRAPHED = 0.2
"""A share of the overlap that is photographed and the same is evidence, whatever lies beside it."""
_ALL, NEARLY, _MOST = 0.985, 0.94, 0.65
"""What is drawn must agree in so much of the overlap: forms differ in little more than names. Less where there is grain
(a scan, or a photograph of something with few greys), and least where the pictures were taken from elsewhere: no
homography explains the whole of a scene.
"""
_ENOUGH = 0.05
"""Below this share of texture a picture shows next to nothing."""
_FLAT, _STEP = 0.14, 0.5
"""A share of pixels that differ from those beside them by less than so many grey levels: no camera gives that."""
_COINCIDE, _HALF = 0.75, 0.5
"""Where so much of both frames overlaps, and less than half of that agrees, something was laid upon other pictures."""
_GLYPH_PX, _GLYPH, _CAPTIONS = 12, (0.55, 0.1), 2 / 3
"""Within so many pixels of a point on a letter or a sign: shares of three greys, and of pixels without grain. Of 17
pairs of views of places at most 0.46 of the points that agree are like that, of pairs of captions at least 0.8.
"""
_PERSPECTIVE, _STRETCH = 0.1, 1.15
"""From here on a geometry is that of another viewpoint: what a scan or a screenshot of the same page never has."""


@dataclass(frozen=True, slots=True)
class Overlay:
    """Shares of the textured part of the overlap of two pictures: what agrees, and what agrees closely and is
    photographed; the shares of three greys, and of pixels without any grain, in what agrees closely; whether
    the geometry is that of another viewpoint, and whether the frames coincide. Where hardly anything has texture
    nothing agrees.
    """

    agreeing: float
    photographed: float
    few_greys: float
    flat: float
    elsewhere: bool
    coincide: bool

    @property
    def laid_on(self) -> bool:
        """Is what agrees something small (a mark, a caption) that was laid upon pictures that differ?"""
        return self.coincide and self.photographed < _PHOTOGRAPHED and self.agreeing < _HALF

    @property
    def template(self) -> bool:
        """Is what agrees drawn (text, icons, frames, codes, maps), while the rest of the overlap differs?"""
        if self.photographed >= _PHOTOGRAPHED or self.few_greys < _FEW_GREYS:
            return False
        return self.agreeing < (_MOST if self.elsewhere else _ALL if self.flat >= _FLAT else NEARLY)

    @property
    def framed(self) -> bool:
        """Is enough of what agrees drawn that a template may have brought the rest of it along, and is that not all?"""
        return (self.few_greys >= _FEW_GREYS or self.flat >= _FLAT) and self.agreeing < NEARLY


def overlay(matrix: Points, query: Features, item: Features) -> Overlay:
    """Lay the query over the item by a homography in working pixels, and compare them window by window."""
    elsewhere = _from_elsewhere(matrix, query)
    laid, stored, inside = _laid(matrix, query, item)
    quad = abs(float(np.linalg.det(matrix[:2, :2] / matrix[2, 2]))) * query.grey.size
    coincide = not elsewhere and float(inside.sum()) >= _COINCIDE * max(inside.size, quad)
    sigma = _sigma(stored)
    weight = cv2.GaussianBlur(inside, (0, 0), sigma) + 1e-6

    def mean(values: Grey) -> Grey:
        blurred: Grey = cv2.GaussianBlur(values * inside, (0, 0), sigma) / weight
        return blurred

    one_mean, two_mean = mean(laid), mean(stored)
    one, two = np.maximum(mean(laid**2) - one_mean**2, 0), np.maximum(mean(stored**2) - two_mean**2, 0)
    correlation = (mean(laid * stored) - one_mean * two_mean) / np.sqrt(one * two + 1.0)
    textured: Flags = (np.maximum(one, two) > _TEXTURE) & (inside > 0)
    count = int(textured.sum())
    if count <= 80:
        return Overlay(0.0, 0.0, 1.0, 1.0, elsewhere, coincide)
    same = textured & (correlation > _CLOSELY)
    photographed = _photographed(item.grey, same)
    agreeing = float((correlation[textured] > _AGREE).mean())
    greys, flat = _three_greys(item.grey[same]), _flat(item.grey, same)
    return Overlay(agreeing, photographed / count, greys, flat, elsewhere, coincide)


def drawn(item: Features) -> bool:
    """Is a picture drawn wherever it has texture? Then there is no scene that two viewpoints could show."""
    textured = _textured(item.grey)
    return _flat(item.grey, textured) >= _FLAT and _three_greys(item.grey[textured]) >= _FEW_GREYS


def photographed(grey: npt.NDArray[np.uint8]) -> bool:
    """Has a picture (h, w), at the working size of an item, the many greys of a photograph, over enough of it? Pages,
    scanned or not, screens and what is nearly empty have few.
    """
    return not empty(grey) and _three_greys(grey[_textured(grey)]) < _FEW_GREYS


def empty(grey: npt.NDArray[np.uint8]) -> bool:
    """Does a picture (h, w), at the working size of an item, show next to nothing?"""
    return float(_textured(grey).mean()) < _ENOUGH


def captions(item: Features, points: Points) -> bool:
    """Do most of these points (N, 2) lie on letters and signs, of which different ones look alike?"""
    found = 0
    for x, y in points.astype(int).tolist():
        around = item.grey[max(0, y - _GLYPH_PX) : y + _GLYPH_PX + 1, max(0, x - _GLYPH_PX) : x + _GLYPH_PX + 1]
        few, flat = _three_greys(around.ravel()), _flat(around, np.ones(around.shape, bool))
        found += few >= _GLYPH[0] and flat >= _GLYPH[1]
    return found >= _CAPTIONS * len(points)


def _side(picture: npt.NDArray[Any]) -> int:
    """The longer side of a picture (h, w); of a long one, that of a part twice as long as wide."""
    return min(max(picture.shape), 2 * min(picture.shape))


def _sigma(picture: npt.NDArray[Any]) -> float:
    return max(1.5, _WINDOW * _side(picture))


def _textured(picture: npt.NDArray[np.uint8]) -> Flags:
    grey = picture.astype(np.float32)
    sigma = _sigma(grey)
    mean = cv2.GaussianBlur(grey, (0, 0), sigma)
    found: Flags = cv2.GaussianBlur(grey**2, (0, 0), sigma) - mean**2 > _TEXTURE
    return found


def _flat(grey: npt.NDArray[np.uint8], where: Flags) -> float:
    """The share of pixels that have no grain."""
    across, down = (cv2.Sobel(grey, cv2.CV_32F, x, 1 - x, scale=1 / 8) for x in (1, 0))
    return float((np.hypot(across, down)[where] < _STEP).mean()) if where.any() else 1.0


def _from_elsewhere(matrix: Points, query: Features) -> bool:
    height, width = query.grey.shape
    scaled = matrix / matrix[2, 2]
    bend = float(np.hypot(scaled[2, 0] * width, scaled[2, 1] * height))
    lengths = np.hypot(scaled[0, :2], scaled[1, :2])
    return bend > _PERSPECTIVE or float(lengths.max() / max(lengths.min(), 1e-9)) > _STRETCH


def _laid(matrix: Points, query: Features, item: Features) -> tuple[Grey, Grey, Grey]:
    """The query laid over the item, the item, both as sharp as the less sharp of them, and where they overlap."""
    height, width = item.grey.shape
    laid, stored = query.grey.astype(np.float32), item.grey.astype(np.float32)
    scale = float(np.sqrt(max(abs(np.linalg.det(matrix[:2, :2] / matrix[2, 2])), 1e-6)))
    soft = 0.1 + 0.5 * float(np.sqrt(max(scale, 1 / scale) ** 2 - 1))
    if scale < 1:
        laid = cv2.GaussianBlur(laid, (0, 0), soft)
    else:
        stored = cv2.GaussianBlur(stored, (0, 0), soft)
    laid = cv2.warpPerspective(laid, matrix, (width, height), flags=cv2.INTER_LINEAR)
    shown = np.ones_like(query.grey) if query.left_out is None else (~query.left_out).astype(np.uint8)
    inside = cv2.warpPerspective(shown, matrix, (width, height), flags=cv2.INTER_NEAREST)
    # The edge of a frame is often no part of the picture: a line, or what was blurred into it.
    inside = cv2.erode(inside, np.ones((7, 7), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    laid, stored = (cv2.GaussianBlur(picture, (0, 0), 0.7) for picture in (laid, stored))
    return laid, stored, inside.astype(np.float32)


def _photographed(grey: npt.NDArray[np.uint8], same: Flags) -> int:
    """How many of the pixels that are the ``same`` lie in cells with the many greys of a photograph."""
    side = max(16, _side(grey) // _CELLS)
    step = side // 2
    found = np.zeros_like(same)
    for top in range(0, max(1, grey.shape[0] - step), step):
        for left in range(0, max(1, grey.shape[1] - step), step):
            cell = slice(top, top + side), slice(left, left + side)
            if same[cell].sum() >= side * side / 5 and _three_greys(grey[cell][same[cell]]) < _FEW_GREYS:
                found[cell] |= same[cell]
    return int(found.sum())


def _three_greys(values: npt.NDArray[np.uint8]) -> float:
    """The share of pixels (N,) that have one of their three commonest greys, or one within four levels of it."""
    if not len(values):
        return 1.0
    # A dark picture has few greys, whatever it shows.
    gain = min(6.0, 255 / max(1.0, float(np.percentile(values, 99))))
    counts = np.bincount(np.minimum(values * gain, 255).astype(np.uint8), minlength=256)
    total = 0
    for _ in range(3):
        near = np.convolve(counts, np.ones(9, np.intp), "same")
        place = int(near.argmax())
        total += int(near[place])
        counts[max(0, place - 4) : place + 5] = 0
    return total / len(values)
