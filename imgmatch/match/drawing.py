"""A picture that shows why a query and an item match, or that nothing could be verified."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from imgmatch.match.faces import faces_to_hide, people_mask

if TYPE_CHECKING:
    from imgmatch.match.masking import Mask
    from imgmatch.models.base import Embedder
    from imgmatch.types import Pixels, Surface, Verification

Heat = npt.NDArray[np.float32]

_PANEL = (600, 450)
_LEAST_WIDTH = 800
_GAP, _MARGIN, _LINE, _FONT = 24, 20, 21, 15
_INK, _QUIET, _PAPER = (25, 25, 25), (110, 110, 110), (255, 255, 255)
_OUTLINE, _INLIER = (0, 200, 90), (255, 140, 0)
SURFACES = ((255, 140, 0), (0, 153, 255), (214, 51, 170), (240, 208, 0))
"""Of surfaces, the first one first; told apart by who sees red and green alike too."""
_SHOWN_LINES = 60
_GEM_P = 3.0


def heat_maps(embedder: Embedder, query: Pixels, item: Pixels) -> tuple[Heat, Heat] | None:
    """Split the similarity of two pictures over the cells of each, two (h, w) float32; None for models without cells.

    After Stylianou, Souvenir and Pless, "Visualizing deep similarity networks" (arXiv 1901.00536). There the split is
    exact, for mean pooling; here it is an approximation in two ways: each channel of the pooled features is split by
    the cells' shares of its generalised mean (exponent 3), and the projection that follows the pooling is left out.
    Each map is scaled to sum to the model's own cosine.
    """
    if embedder.grid[0] * embedder.grid[1] < 2:
        return None
    batch = np.stack([embedder.prepare(query), embedder.prepare(item)])
    vectors = embedder.embed(batch)
    powered = np.maximum(embedder.cells(batch), 1e-6) ** _GEM_P
    pooled = powered.mean((2, 3)) ** (1 / _GEM_P)
    channels = pooled[0] * pooled[1]
    shares = powered / powered.sum((2, 3), keepdims=True)
    maps = (shares * channels[None, :, None, None]).sum(1)
    maps *= float(vectors[0] @ vectors[1]) / max(float(channels.sum()), 1e-9)
    return maps[0].astype(np.float32), maps[1].astype(np.float32)


def hidden(pixels: Pixels) -> Pixels:
    """Coarsen (H, W, 3) uint8: people to blocks of a 14th of the longer side, the rest to a 110th, and a small picture
    to blocks of some pixels all the same.

    People are where faces are found, and what lies below them. Where the package that finds faces is not installed,
    what has the colour of skin is taken for people, by the chroma bounds of Chai and Ngan (1999), which also catch wood
    and warm walls, and miss skin in coloured light: hence the coarser rest. A picture without colour is then hidden as
    a whole, as nothing in it can be told apart.
    """
    height, width = pixels.shape[:2]
    longer = max(height, width)
    coarse, fine = (_blocks(pixels, max(least, longer // parts)) for least, parts in ((8, 14), (6, 110)))
    faces = faces_to_hide(pixels)
    people = _skin(pixels) if faces is None else people_mask(faces, (width, height))
    return np.where(people[..., None], coarse, fine).astype(np.uint8)


def _skin(pixels: Pixels) -> Mask:
    if int((pixels.max(axis=2).astype(int) - pixels.min(axis=2)).max(initial=0)) < 12:
        return np.ones(pixels.shape[:2], bool)
    chroma = cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb)[..., 1:]
    skin = ((chroma >= (133, 77)) & (chroma <= (173, 127))).all(axis=2).astype(np.uint8)
    side = max(3, max(pixels.shape) // 60) | 1
    skin = cv2.morphologyEx(skin, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    return cv2.dilate(skin, np.ones((side, side), np.uint8)) > 0


def draw(
    query: Pixels,
    item: Pixels,
    verification: Verification,
    heat: tuple[Heat, Heat] | None,
    lines: Sequence[str],
    sizes_px: tuple[tuple[int, int], tuple[int, int]],
) -> Pillow.Image:
    """Both pictures side by side with outline, surfaces and inliers, their heat maps below, ``lines`` of text beneath.

    ``query`` and ``item`` are (H, W, 3) uint8, as they may be shown; ``sizes_px`` their full upright (width, height),
    in which ``verification`` speaks.
    """
    shown = [_fitted(query), _fitted(item)]
    width = max(_MARGIN * 2 + _GAP + shown[0].width + shown[1].width, _LEAST_WIDTH)
    font = ImageFont.load_default(_FONT)
    text = [part for line in lines for part in _wrapped(line, font, width - 2 * _MARGIN)]
    row = max(picture.height for picture in shown)
    rows = 1 if heat is None else 2
    top = _MARGIN + _LINE + 4
    canvas = Pillow.new("RGB", (width, top + rows * (row + _LINE + 16) + len(text) * _LINE + _MARGIN), _PAPER)
    pen = ImageDraw.Draw(canvas)
    lefts = [_MARGIN, _MARGIN + shown[0].width + _GAP]
    for left, picture, title in zip(lefts, shown, ("query", "item"), strict=True):
        pen.text((left, _MARGIN), title, _QUIET, font)
        canvas.paste(picture, (left, top))
    scales = [p.width / s[0] for p, s in zip(shown, sizes_px, strict=True)]
    below = [p.height / s[1] for p, s in zip(shown, sizes_px, strict=True)]
    _geometry(canvas, shown, verification, lefts, top, scales, below, sizes_px)
    pen = ImageDraw.Draw(canvas)
    at = top + row + 8
    if heat is not None:
        pen.text((lefts[0], at), "where the similarity comes from (blue: little, red: much)", _QUIET, font)
        at += _LINE + 4
        # Two pictures that have next to nothing in common stay blue: red is at least what all cells of equal ones have.
        peak = max(float(heat[0].max()), float(heat[1].max()), 1 / max(heat[0].size, heat[1].size))
        for left, picture, values in zip(lefts, shown, heat, strict=True):
            canvas.paste(_heated(picture, values / peak), (left, at))
        at += row + 8
    for number, line in enumerate(text):
        pen.text((_MARGIN, at + number * _LINE), line, _INK, font)
    return canvas


def _geometry(
    canvas: Pillow.Image,
    shown: Sequence[Pillow.Image],
    verification: Verification,
    lefts: Sequence[int],
    top: int,
    scales: Sequence[float],
    below: Sequence[float],
    sizes_px: tuple[tuple[int, int], tuple[int, int]],
) -> None:
    if not verification.verified:
        return
    pen = ImageDraw.Draw(canvas, "RGBA")
    # The query's frame in the item, and the item's frame in the query (a collage, a page).
    for side, outline in ((0, item_in_query(verification, sizes_px)), (1, verification.outline)):
        if outline:
            # Drawn on a layer of the picture's size: an outline may reach far out of the picture.
            layer = Pillow.new("RGBA", shown[side].size, (0, 0, 0, 0))
            corners = [(x * scales[side], y * below[side]) for x, y in outline]
            ImageDraw.Draw(layer).line([*corners, corners[0]], fill=(*_OUTLINE, 255), width=4)
            canvas.paste(layer, (lefts[side], top), layer)
    places = [lambda x, y, n=n: (lefts[n] + x * scales[n], top + y * below[n]) for n in (0, 1)]
    for colour, surface in zip(SURFACES, several(verification), strict=False):
        for place, outline in zip(places, (surface.query, surface.item), strict=True):
            corners = [place(x, y) for x, y in outline]
            pen.polygon(corners, fill=(*colour, 50), outline=(*colour, 255), width=2)
    for number, (x1, y1, x2, y2) in some_lines(verification):
        colour = _INLIER if number is None else (_QUIET, *SURFACES)[number]
        one, two = places[0](x1, y1), places[1](x2, y2)
        pen.line([one, two], fill=(*colour, 110), width=1)
        for x, y in (one, two):
            pen.ellipse([x - 3, y - 3, x + 3, y + 3], outline=(*colour, 255), width=2)


def several(verification: Verification) -> tuple[Surface, ...]:
    """The surfaces that are drawn each by itself: none where there is but one."""
    return verification.surfaces[: len(SURFACES)] if len(verification.surfaces) > 1 else ()


def some_lines(verification: Verification) -> list[tuple[int | None, tuple[float, float, float, float]]]:
    """Of the points that agree as many as can be told apart in a drawing, each with the number of its surface among
    ``several`` from 1 on, 0 where it lies on none, None where there are not several.
    """
    shown = several(verification)
    named = [(number, line) for number, surface in enumerate(shown, 1) for line in surface.lines]
    known = {line for _, line in named}
    lines = [*named, *((0 if shown else None, line) for line in verification.lines if line not in known)]
    return lines[:: max(1, -(-len(lines) // _SHOWN_LINES))]


def item_in_query(
    verification: Verification, sizes_px: tuple[tuple[int, int], tuple[int, int]]
) -> tuple[tuple[float, float], ...]:
    """The four corners of the item in the query, full-size pixels; empty where no homography says, or it folds over."""
    if verification.kind != "homography" or verification.transform is None:
        return ()
    (query_width, _), (width, height) = sizes_px
    matrix = np.array(verification.transform)
    if abs(np.linalg.det(matrix)) < 1e-12:
        return ()
    corners = np.array([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1]], float)
    moved = corners @ np.linalg.inv(matrix).T
    # In front of the camera as the middle of what agrees is, or it is no outline.
    anchor = np.array([*np.mean([line[2:] for line in verification.lines], axis=0), 1.0]) @ np.linalg.inv(matrix)[2]
    if (moved[:, 2] * anchor <= 0).any():
        return ()
    moved = moved[:, :2] / moved[:, 2:]
    if verification.mirrored:
        moved[:, 0] = query_width - moved[:, 0]
    return tuple((float(x), float(y)) for x, y in moved)


def _wrapped(line: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> list[str]:
    """A line of text cut at spaces, or within a long name, into lines of at most ``width`` pixels."""
    rows, row = [], ""
    for word in line.split(" "):
        joined = f"{row} {word}" if row else word
        if font.getlength(joined) <= width:
            row = joined
            continue
        if row:
            rows.append(row)
        row = ""
        for character in word:
            if font.getlength(row + character) > width:
                rows.append(row)
                row = ""
            row += character
    return [*rows, row]


def _fitted(pixels: Pixels) -> Pillow.Image:
    height, width = pixels.shape[:2]
    factor = min(_PANEL[0] / width, _PANEL[1] / height)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return Pillow.fromarray(pixels).resize(size, Pillow.Resampling.BILINEAR)


def _heated(picture: Pillow.Image, values: Heat) -> Pillow.Image:
    size = (picture.width, picture.height)
    spread = np.clip(cv2.resize(values, size, interpolation=cv2.INTER_LINEAR), 0, 1)
    colours = cv2.cvtColor(cv2.applyColorMap((spread * 255).astype(np.uint8), cv2.COLORMAP_JET), cv2.COLOR_BGR2RGB)
    grey = np.asarray(picture.convert("L"), np.float32)[..., None]
    return Pillow.fromarray((0.55 * grey + 0.45 * colours).astype(np.uint8))


def _blocks(pixels: Pixels, side: int) -> Pixels:
    height, width = pixels.shape[:2]
    small = cv2.resize(pixels, (max(1, width // side), max(1, height // side)), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST).astype(np.uint8)
