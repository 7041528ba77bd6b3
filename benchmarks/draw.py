"""What pictures of a template are drawn with: words, marks, toolbars, tiles of maps, photographs."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from benchmarks import photographs
from imgmatch.errors import UsageError

Rng = np.random.Generator
Draw = ImageDraw.ImageDraw
INK, GREY, PAPER, BLUE = (25, 25, 30), (120, 120, 128), (255, 255, 255), (30, 90, 180)
WHITE, DARK = (250, 250, 250), (28, 32, 38)
_SYLLABLES = ("ba", "lo", "ri", "ten", "mu", "sa", "kor", "vi", "pel", "na", "dro", "ge", "hul", "is", "ta", "we")


def words(rng: Rng, count: int) -> list[str]:
    """Words that mean nothing, of one to four syllables."""
    return ["".join(rng.choice(_SYLLABLES, rng.integers(1, 5))) for _ in range(count)]


def photograph(number: int, size: tuple[int, int], synthetic: bool = False) -> Image.Image:
    """A picture to put into a frame, (width, height) ``size``: of a room where there are photographs, else drawn."""
    if not synthetic:
        try:
            path = photographs.rooms(100)[number]
            pixels = next(photographs.pictures([path])).pixels
            return _filling(Image.fromarray(pixels), size)
        except UsageError:
            pass
    rng = np.random.default_rng(5_000 + number)
    made = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize((512, 384), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(made)
    for x, y in rng.integers(0, (512, 384), (120, 2)):
        corners = [(int(x + dx), int(y + dy)) for dx, dy in rng.integers(-36, 37, (int(rng.integers(3, 6)), 2))]
        pen.polygon(corners, fill=tuple(rng.integers(0, 256, 3).tolist()))
    grain = rng.normal(0, 5, (384, 512, 1))
    pixels = np.clip(np.asarray(made.filter(ImageFilter.GaussianBlur(1))) + grain, 0, 255).astype(np.uint8)
    return _filling(Image.fromarray(pixels), size)


def _filling(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The middle of a picture, brought to a size."""
    factor = max(size[0] / picture.width, size[1] / picture.height)
    scaled = picture.resize((round(picture.width * factor) + 1, round(picture.height * factor) + 1))
    x, y = (scaled.width - size[0]) // 2, (scaled.height - size[1]) // 2
    return scaled.crop((x, y, x + size[0], y + size[1]))


def write(pen: Draw, at: tuple[float, float], text: str, px: int, ink: tuple[int, int, int] = INK) -> None:
    """A line of text from its upper left corner on, ``px`` high."""
    pen.text(at, text, fill=ink, font=ImageFont.load_default(px))


def paragraphs(pen: Draw, rng: Rng, box: tuple[int, int, int, int], px: int = 16, ink: Any = INK) -> None:
    """Lines of text within a box (left, top, right, bottom), with paragraphs of their own lengths."""
    left, y, right, bottom = box
    while y + px < bottom:
        for _ in range(int(rng.integers(1, 7))):
            line, room = "", (right - left) * (1 if rng.random() < 0.8 else rng.uniform(0.3, 0.9))
            while pen.textlength(line, ImageFont.load_default(px)) < room - 60:
                line += words(rng, 1)[0] + " "
            if y + px > bottom:
                return
            write(pen, (left, y), line, px, ink)
            y += round(px * 1.5)
        y += px


def logo(pen: Draw, x: int, y: int, side: int, seed: int) -> None:
    """A mark of a firm: shapes that are the same whatever stands below."""
    rng = np.random.default_rng(seed)
    for _ in range(7):
        colour = tuple(rng.integers(0, 200, 3).tolist())
        corners = [(x + int(a), y + int(b)) for a, b in rng.integers(0, side, (int(rng.integers(3, 6)), 2))]
        pen.polygon(corners, fill=colour)
    pen.ellipse((x + side * 0.3, y + side * 0.3, x + side * 0.7, y + side * 0.7), outline=INK, width=3)


def bar(pen: Draw, box: tuple[int, int, int, int], seed: int, colour: Any, icons: int = 6, ink: Any = PAPER) -> None:
    """A toolbar with a title and icons."""
    pen.rectangle(box, fill=colour)
    rng, (left, top, right, bottom) = np.random.default_rng(seed), box
    side = bottom - top
    write(pen, (left + side, top + side * 0.25), " ".join(words(rng, 2)).title(), max(10, side // 2), ink)
    for number in range(icons):
        x = right - (number + 1) * side
        shape = [(x + int(a), top + int(b)) for a, b in rng.integers(side // 5, side * 4 // 5, (4, 2))]
        pen.line([*shape, shape[0]], fill=ink, width=3)


def tile(pen: Draw, x: int, y: int, rng: Rng) -> None:
    """200 x 200 pixels of a map: woods, streets, names."""
    pen.rectangle((x, y, x + 200, y + 200), fill=(238, 234, 224))
    for _ in range(4):
        a, b = rng.integers(0, 200, (2, 2))
        low, high = np.minimum(a, b), np.maximum(a, b)
        pen.rectangle((x + low[0], y + low[1], x + high[0], y + high[1]), fill=(216, 228, 200))
    for _ in range(6):
        a, b = rng.integers(0, 200, (2, 2))
        pen.line((x + int(a[0]), y + int(a[1]), x + int(b[0]), y + int(b[1])), fill=(250, 200, 90), width=5)
    for _ in range(4):
        at = rng.integers(0, 140, 2)
        write(pen, (x + int(at[0]), y + int(at[1])), words(rng, 1)[0].title(), 15, GREY)
