"""Pictures that share a template: letterheads, frames of apps, forms, maps, codes, each around a content by number."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.draw import BLUE, DARK, GREY, INK, PAPER, WHITE, bar, logo, paragraphs, photograph, tile, words, write
from benchmarks.screens import SCREENS, SCREENS_PICTURED

if TYPE_CHECKING:
    from imgmatch.types import Pixels


def _letter(seed: int, px: int, mark: str) -> Callable[[int, bool], Image.Image]:
    def made(content: int, synthetic: bool) -> Image.Image:
        page = Image.new("RGB", (800, 1130), PAPER)
        pen = ImageDraw.Draw(page)
        logo(pen, 70, 50, 110, seed)
        fixed = np.random.default_rng(seed)
        write(pen, (210, 60), " ".join(words(fixed, 3)).title(), 34, BLUE)
        for row in range(3):
            write(pen, (210, 105 + 20 * row), " ".join(words(fixed, 4)), 15, GREY)
        pen.line((70, 180, 730, 180), fill=BLUE, width=3)
        for column in range(3):
            for row in range(4):
                write(pen, (70 + 230 * column, 1020 + 18 * row), " ".join(words(fixed, 3)), 13, GREY)
        if mark == "crest":
            logo(pen, 600, 50, 120, seed + 1)
        if mark == "side":
            for row in range(12):
                write(pen, (600, 230 + 22 * row), " ".join(words(fixed, 2)), 14, BLUE)
        rng = np.random.default_rng([seed, content])
        paragraphs(pen, rng, (70, 260, 580 if mark == "side" else 730, 980), px)
        return page

    return made


def _chat(seed: int, back: Any, inks: tuple[Any, Any], pictures: bool, pattern: bool) -> Callable[..., Image.Image]:
    def made(content: int, synthetic: bool) -> Image.Image:
        frame = Image.new("RGB", (540, 1100), back)
        pen = ImageDraw.Draw(frame)
        fixed, rng = np.random.default_rng(seed), np.random.default_rng([seed, content])
        if pattern:
            for x, y in fixed.integers(0, 1100, (220, 2)):
                shade = tuple(int(v * 0.93) for v in back)
                pen.arc((x, y, x + 30, y + 30), int(x) % 360, int(y) % 360 + 200, fill=shade, width=3)
        y = 110
        if pictures:
            frame.paste(photograph(content, (380, 300), synthetic), (20, 115))
            y = 435
        while y < 960:
            lines, mine = int(rng.integers(1, 5)), bool(rng.random() < 0.5)
            wide = int(rng.integers(120, 380))
            left = 520 - wide if mine else 20
            pen.rounded_rectangle((left, y, left + wide, y + 24 * lines + 16), 12, fill=inks[0] if mine else inks[1])
            for row in range(lines):
                text = " ".join(words(rng, 1 + wide // 80))[: wide // 9]
                write(pen, (left + 10, y + 8 + 24 * row), text, 16)
            y += 24 * lines + 30
        bar(pen, (0, 0, 540, 100), seed, BLUE, 3)
        bar(pen, (0, 1010, 540, 1100), seed + 1, (235, 235, 240), 4, INK)
        return frame

    return made


def _browser(seed: int, side: bool) -> Callable[[int, bool], Image.Image]:
    def made(content: int, synthetic: bool) -> Image.Image:
        frame = Image.new("RGB", (1100, 760), (245, 245, 247))
        pen = ImageDraw.Draw(frame)
        left = 220 if side else 30
        frame.paste(photograph(content, (1070 - left, 560), synthetic), (left, 140))
        bar(pen, (0, 0, 1100, 44), seed, (60, 64, 72), 9)
        bar(pen, (0, 44, 1100, 100), seed + 1, (225, 228, 232), 7, INK)
        bar(pen, (0, 720, 1100, 760), seed + 2, (60, 64, 72), 12)
        if side:
            fixed = np.random.default_rng(seed)
            for row in range(20):
                write(pen, (16, 130 + 28 * row), " ".join(words(fixed, 2)), 16, GREY)
        return frame

    return made


def _border(seed: int, stamps: bool, width: int = 50) -> Callable[[int, bool], Image.Image]:
    def made(content: int, synthetic: bool) -> Image.Image:
        frame = photograph(content, (900, 680), synthetic)
        cover = Image.new("RGBA", frame.size, (0, 0, 0, 0))
        pen, fixed = ImageDraw.Draw(cover), np.random.default_rng(seed)
        for x in range(0, 900, width):
            for top in (0, 680 - width):
                pen.rectangle((x, top, x + width, top + width), fill=(200, 170, 90, 255), outline=(80, 50, 10, 255))
                spots = fixed.integers(4, width - 4, (3, 2))
                pen.polygon([(x + int(a), top + int(b)) for a, b in spots], fill=(120, 30, 30, 255))
        if stamps:
            text = " ".join(words(fixed, 2)).upper()
            font = ImageFont.load_default(44)
            for row in range(5):
                pen.text((60 + 90 * (row % 2), 90 + 110 * row), text, font=font, fill=(255, 255, 255, 130))
        return Image.alpha_composite(frame.convert("RGBA"), cover).convert("RGB")

    return made


def _map(seed: int, shared: int) -> Callable[[int, bool], Image.Image]:
    def made(content: int, synthetic: bool) -> Image.Image:
        frame = Image.new("RGB", (800, 700), PAPER)
        pen = ImageDraw.Draw(frame)
        for number in range(12):
            rng = np.random.default_rng([seed, number] if number < shared else [seed, number, content])
            tile(pen, number % 4 * 200, 60 + number // 4 * 200, rng)
        bar(pen, (0, 0, 800, 60), seed, (250, 250, 250), 5, INK)
        bar(pen, (0, 660, 800, 700), seed + 1, (250, 250, 250), 8, BLUE)
        return frame

    return made


def _form(seed: int, lines: bool, px: int = 24) -> Callable[[int, bool], Image.Image]:
    def made(content: int, synthetic: bool) -> Image.Image:
        page = Image.new("RGB", (800, 1000), PAPER)
        pen = ImageDraw.Draw(page)
        fixed, rng = np.random.default_rng(seed), np.random.default_rng([seed, content])
        write(pen, (60, 40), " ".join(words(fixed, 3)).upper(), 30)
        for row in range(16):
            y = 110 + 52 * row
            write(pen, (66, y + 4), " ".join(words(fixed, 2)), 13, GREY)
            pen.rectangle((60, y + 47 if lines else y, 740, y + 48), outline=GREY, width=2)
            write(pen, (90, y + 20), " ".join(words(rng, int(rng.integers(3, 8)))), px, (20, 40, 130))
        return page

    return made


def _codes(seed: int, across: int) -> Callable[[int, bool], Image.Image]:
    def made(content: int, synthetic: bool) -> Image.Image:
        page = Image.new("RGB", (700, 780), PAPER)
        pen = ImageDraw.Draw(page)
        bar(pen, (0, 0, 700, 60), seed, (180, 30, 40), 4)
        rng = np.random.default_rng([seed, content])
        side = 600 // across
        for number in range(across * across):
            # What codes have in common: three corners; between them modules that say something else each time.
            modules = rng.random((29, 29)) < 0.5
            finder = np.zeros((8, 8), bool)
            finder[:7, :7] = True
            finder[1:6, 1:6] = False
            finder[2:5, 2:5] = True
            modules[:8, :8], modules[:8, -8:], modules[-8:, :8] = finder, finder[:, ::-1], finder[::-1]
            code = Image.fromarray(np.where(modules, 0, 255).astype(np.uint8))
            code = code.resize((side - 30, side - 30), Image.Resampling.NEAREST)
            page.paste(code, (50 + number % across * side, 110 + number // across * side))
        return page

    return made


def _slide(seed: int, back: Any, ink: Any, picture: bool) -> Callable[[int, bool], Image.Image]:
    def made(content: int, synthetic: bool) -> Image.Image:
        frame = Image.new("RGB", (960, 540), back)
        pen = ImageDraw.Draw(frame)
        rng, fixed = np.random.default_rng([seed, content]), np.random.default_rng(seed)
        bar(pen, (0, 0, 960, 70), seed, BLUE, 0)
        logo(pen, 860, 4, 60, seed)
        logo(pen, 20, 470, 60, seed + 1)
        write(pen, (100, 500), " ".join(words(fixed, 8)), 15, GREY)
        paragraphs(pen, rng, (60, 110, 460 if picture else 900, 450), 22, ink)
        if picture:
            frame.paste(photograph(content, (420, 330), synthetic), (500, 110))
        return frame

    return made


def _player(content: int, synthetic: bool) -> Image.Image:
    frame = photograph(content, (960, 540), synthetic)
    pen = ImageDraw.Draw(frame)
    bar(pen, (0, 0, 960, 50), 91, (10, 10, 10), 3)
    bar(pen, (0, 480, 960, 540), 92, (10, 10, 10), 9)
    pen.line((20, 486, 940, 486), fill=(200, 30, 30), width=4)
    return frame


def _invoice(content: int, synthetic: bool) -> Image.Image:
    page = Image.new("RGB", (800, 1100), PAPER)
    pen, fixed, rng = ImageDraw.Draw(page), np.random.default_rng(101), np.random.default_rng([101, content])
    logo(pen, 620, 40, 120, 101)
    write(pen, (60, 60), " ".join(words(fixed, 2)).upper(), 36)
    for row in range(4):
        write(pen, (60, 130 + 22 * row), " ".join(words(fixed if row == 0 else rng, 3)), 16)
    pen.rectangle((60, 250, 740, 290), fill=(210, 215, 225))
    for column, x in enumerate((70, 160, 480, 620)):
        write(pen, (x, 258), words(fixed, 1)[0].title(), 18)
        pen.line((x - 10, 250, x - 10, 950), fill=GREY, width=1)
        for row in range(int(rng.integers(8, 15)) if column == 0 else 12):
            text = " ".join(words(rng, 3)) if column == 1 else str(int(rng.integers(1, 9999)) / 100)
            write(pen, (x, 310 + 45 * row), text, 18)
    for row in range(3):
        write(pen, (60, 1000 + 20 * row), " ".join(words(fixed, 10)), 13, GREY)
    return page


def _feed(content: int, synthetic: bool) -> Image.Image:
    frame = Image.new("RGB", (540, 1150), WHITE)
    pen, rng = ImageDraw.Draw(frame), np.random.default_rng([103, content])
    for number, y in enumerate((90, 580)):
        pen.ellipse((16, y, 66, y + 50), fill=tuple(rng.integers(60, 220, 3).tolist()))
        write(pen, (80, y + 12), " ".join(words(rng, 2)), 20)
        frame.paste(photograph(2 * content + number + 40, (540, 340), synthetic), (0, y + 60))
        for x in range(3):
            logo(pen, 20 + 60 * x, y + 410, 36, 103 + x)
        write(pen, (20, y + 455), " ".join(words(rng, 5)), 16, GREY)
    bar(pen, (0, 0, 540, 80), 103, (250, 250, 252), 3, INK)
    bar(pen, (0, 1080, 540, 1150), 104, (250, 250, 252), 6, INK)
    return frame


def _certificate(content: int, synthetic: bool) -> Image.Image:
    page = Image.new("RGB", (1100, 780), (252, 248, 236))
    pen, fixed, rng = ImageDraw.Draw(page), np.random.default_rng(105), np.random.default_rng([105, content])
    along = [(step, y, step + 44, y + 30) for step in range(0, 1100, 22) for y in (20, 730)]
    for box in along + [(x, step, x + 30, step + 44) for step in range(20, 730, 22) for x in (10, 1060)]:
        pen.arc(box, 0, 300, fill=(150, 110, 40), width=3)
    write(pen, (320, 90), " ".join(words(fixed, 2)).upper(), 48, (120, 80, 20))
    logo(pen, 500, 160, 100, 105)
    write(pen, (250, 290), " ".join(words(rng, 3)).title(), 44)
    paragraphs(pen, rng, (160, 370, 940, 580), 22)
    write(pen, (160, 650), " ".join(words(rng, 2)), 20, BLUE)
    write(pen, (700, 650), " ".join(words(fixed, 3)), 20, GREY)
    return page


def _calendar(content: int, synthetic: bool) -> Image.Image:
    frame = Image.new("RGB", (1000, 760), PAPER)
    pen, fixed, rng = ImageDraw.Draw(frame), np.random.default_rng(107), np.random.default_rng([107, content])
    bar(pen, (0, 0, 1000, 60), 107, BLUE, 5)
    for day in range(35):
        x, y = day % 7 * 142 + 4, day // 7 * 130 + 100
        pen.rectangle((x, y, x + 142, y + 130), outline=GREY)
        write(pen, (x + 6, y + 4), str(day + 1), 16, GREY)
        if day < 7:
            write(pen, (x + 40, 72), words(fixed, 1)[0], 16)
        for row in range(int(rng.integers(0, 4))):
            colour = [(200, 225, 255), (255, 215, 200), (215, 240, 205)][int(rng.integers(3))]
            pen.rounded_rectangle((x + 4, y + 28 + 32 * row, x + 136, y + 54 + 32 * row), 6, fill=colour)
            write(pen, (x + 10, y + 32 + 32 * row), " ".join(words(rng, 2))[:16], 14)
    return frame


def _keyboard(content: int, synthetic: bool) -> Image.Image:
    frame = _chat(109, DARK, ((70, 90, 150), (80, 84, 92)), False, False)(content, synthetic)
    pen, fixed = ImageDraw.Draw(frame), np.random.default_rng(109)
    pen.rectangle((0, 680, 540, 1100), fill=(50, 52, 58))
    for key in range(40):
        x, y = key % 10 * 54, 700 + key // 10 * 96
        pen.rounded_rectangle((x + 3, y, x + 50, y + 84), 8, fill=(90, 92, 100))
        write(pen, (x + 17, y + 22), chr(65 + int(fixed.integers(26))), 30, PAPER)
    return frame


TEMPLATES: dict[str, Callable[[int, bool], Image.Image]] = {
    "letter": _letter(11, 16, ""),
    "letter_crest": _letter(12, 18, "crest"),
    "letter_side": _letter(13, 14, "side"),
    "chat": _chat(21, (228, 221, 210), ((220, 248, 198), PAPER), False, True),
    "chat_plain": _chat(22, WHITE, ((205, 230, 255), (232, 232, 236)), False, False),
    "chat_dark": _chat(23, DARK, ((90, 150, 130), (120, 125, 130)), False, True),
    "chat_picture": _chat(24, (228, 221, 210), ((220, 248, 198), PAPER), True, True),
    "browser": _browser(31, False),
    "browser_side": _browser(32, True),
    "border": _border(41, False),
    "border_stamp": _border(42, True),
    "stamp": _border(43, True, 20),
    "map": _map(51, 4),
    "map_more": _map(52, 6),
    "form": _form(61, False),
    "form_lines": _form(62, True),
    "codes": _codes(71, 1),
    "slide": _slide(81, WHITE, INK, True),
    "slide_dark": _slide(82, DARK, WHITE, False),
    "player": _player,
    "invoice": _invoice,
    "feed": _feed,
    "certificate": _certificate,
    "calendar": _calendar,
    "keyboard": _keyboard,
    "letter_large": _letter(14, 20, "side"),
    "chat_night": _chat(25, (16, 18, 30), ((60, 110, 190), (70, 74, 90)), True, True),
    "codes_four": _codes(72, 2),
    "map_most": _map(53, 8),
    "form_long": _form(63, False, 20),
    **SCREENS,
}
PICTURED = ("chat_picture", "browser", "browser_side", "border", "slide", "player", *SCREENS_PICTURED)
"""Templates around a picture, which says what is the same inside another one."""


SHARING = ("shop",)
"""Around each content lie the same photographs: two such pictures do show something that is the same."""


def picture(template: str, content: int, synthetic: bool = False) -> Pixels:
    """A content inside a template, (H, W, 3) uint8."""
    return np.asarray(TEMPLATES[template](content, synthetic))
