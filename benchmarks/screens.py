"""More pictures that share a template: what phones, browsers, televisions and tills show, each around a content."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.draw import BLUE, GREY, INK, PAPER, WHITE, bar, logo, paragraphs, photograph, tile, words, write

if TYPE_CHECKING:
    from benchmarks.draw import Rng

RED = (190, 30, 40)


def _rngs(seed: int, content: int) -> tuple[Rng, Rng]:
    """What is the same on every picture of a template, and what is this one's own."""
    return np.random.default_rng(seed), np.random.default_rng([seed, content])


def _avatars(seed: int, back: Any, ink: Any, bubble: Any) -> Callable[[int, bool], Image.Image]:
    def made(content: int, synthetic: bool) -> Image.Image:
        frame = Image.new("RGB", (540, 1170), back)
        pen, (_, rng) = ImageDraw.Draw(frame), _rngs(seed, content)
        who = [tuple(rng.integers(40, 230, 3).tolist()) for _ in range(2)]
        y = 130
        while y < 1010:
            wide, lines = int(rng.integers(140, 360)), int(rng.integers(1, 4))
            pen.ellipse((14, y, 58, y + 44), fill=who[int(rng.integers(2))])
            write(pen, (28, y + 10), words(rng, 1)[0][:1].upper(), 22, PAPER)
            pen.rounded_rectangle((70, y, 70 + wide, y + 26 * lines + 14), 14, fill=bubble)
            for row in range(lines):
                write(pen, (82, y + 7 + 26 * row), " ".join(words(rng, 8))[: wide // 10], 17, ink)
            clock = f"{rng.integers(24):02}:{rng.integers(60):02}"
            write(pen, (76 + wide, y + 26 * lines - 8), clock, 13, GREY)
            y += 26 * lines + 34
        bar(pen, (0, 0, 540, 34), seed + 1, back, 5, ink)
        bar(pen, (0, 34, 540, 112), seed, bubble, 3, ink)
        bar(pen, (0, 1080, 540, 1170), seed + 2, bubble, 4, ink)
        return frame

    return made


def _pins(content: int, synthetic: bool) -> Image.Image:
    frame = Image.new("RGB", (800, 720), PAPER)
    pen, (fixed, rng) = ImageDraw.Draw(frame), _rngs(201, content)
    for number in range(12):
        tile(pen, number % 4 * 200, 60 + number // 4 * 200, fixed)
    for x, y in rng.integers((40, 120), (760, 600), (int(rng.integers(5, 12)), 2)).tolist():
        pen.polygon([(x, y), (x - 16, y - 38), (x + 16, y - 38)], fill=RED)
        pen.ellipse((x - 20, y - 66, x + 20, y - 26), fill=RED)
        write(pen, (x - 6, y - 58), str(int(rng.integers(10))), 22, PAPER)
    bar(pen, (0, 0, 800, 60), 201, WHITE, 5, INK)
    return frame


def _shop(content: int, synthetic: bool) -> Image.Image:
    page = Image.new("RGB", (1100, 900), PAPER)
    pen, (fixed, rng) = ImageDraw.Draw(page), _rngs(203, content)
    bar(pen, (0, 0, 1100, 70), 203, (20, 28, 44), 6)
    bar(pen, (0, 70, 1100, 110), 204, (40, 50, 70), 12)
    page.paste(photograph(content, (430, 430), synthetic), (40, 150))
    for row in range(12):
        write(pen, (1000, 150 + 30 * row), words(fixed, 1)[0], 15, BLUE)
    write(pen, (510, 150), " ".join(words(rng, 3)).title(), 32)
    write(pen, (510, 210), f"{rng.integers(3, 900)},{rng.integers(100):02}", 40, RED)
    paragraphs(pen, rng, (510, 280, 960, 480), 16)
    pen.rounded_rectangle((510, 510, 760, 560), 8, fill=(250, 190, 40))
    write(pen, (540, 520), " ".join(words(fixed, 2)), 22)
    for number in range(5):
        page.paste(photograph(60 + 7 * number, (180, 150), synthetic), (40 + 210 * number, 640))
        write(pen, (40 + 210 * number, 800), " ".join(words(fixed, 2)), 16)
    return page


def _card(content: int, synthetic: bool) -> Image.Image:
    card = Image.new("RGB", (860, 540), (226, 234, 240))
    pen, (fixed, rng) = ImageDraw.Draw(card), _rngs(205, content)
    for step in range(0, 1400, 9):
        pen.line((step, 0, step - 540, 540), fill=(205, 220, 232), width=2)
    for row in range(0, 540, 28):
        pen.arc((300, row - 200, 1000, row + 260), 120, 300, fill=(225, 205, 215), width=2)
    write(pen, (40, 26), " ".join(words(fixed, 4)).upper(), 30, BLUE)
    logo(pen, 740, 20, 90, 205)
    card.paste(photograph(content, (210, 270), synthetic), (40, 110))
    for row in range(6):
        write(pen, (290, 108 + 56 * row), " ".join(words(fixed, 2)), 13, GREY)
        write(pen, (290, 124 + 56 * row), " ".join(words(rng, 2)).upper(), 24)
    for row in range(2):
        text = "".join(rng.choice(list("ABCDEFGHKLMNPRSTUVXYZ0123456789<<<<"), 36))
        write(pen, (40, 450 + 36 * row), text, 27)
    return card


def _booking(content: int, synthetic: bool) -> Image.Image:
    page = Image.new("RGB", (1000, 1300), PAPER)
    pen, (fixed, rng) = ImageDraw.Draw(page), _rngs(207, content)
    bar(pen, (0, 0, 1000, 90), 207, (0, 60, 130), 5)
    write(pen, (40, 110), " ".join(words(rng, 3)).title(), 34)
    for number in range(3):
        place, size = ((40, 170), (600, 400)) if number == 0 else ((650, 170 + 203 * (number - 1)), (310, 197))
        page.paste(photograph((3 * content + number) % 100, size, synthetic), place)
    for row in range(10):
        logo(pen, 44, 606 + 46 * row, 26, 208 + row)
        write(pen, (90, 608 + 46 * row), " ".join(words(fixed, 3)), 19)
    paragraphs(pen, rng, (360, 606, 960, 860), 17)
    for row in range(4):
        pen.rectangle((360, 890 + 90 * row, 960, 970 + 90 * row), outline=(190, 200, 215), width=2)
        write(pen, (380, 905 + 90 * row), " ".join(words(fixed, 3)), 18)
        write(pen, (800, 905 + 90 * row), f"{rng.integers(40, 800)}", 26)
        pen.rounded_rectangle((880, 900 + 90 * row, 950, 950 + 90 * row), 6, fill=BLUE)
    return page


def _meme(content: int, synthetic: bool) -> Image.Image:
    frame = Image.new("RGB", (700, 860), PAPER)
    pen, (_, rng) = ImageDraw.Draw(frame), _rngs(211, content)
    pen.rectangle((0, 0, 700, 130), fill=(12, 12, 14))
    pen.rectangle((0, 760, 700, 860), fill=(12, 12, 14))
    write(pen, (40, 30), " ".join(words(rng, 4)).upper()[:26], 44, PAPER)
    frame.paste(photograph(content, (660, 620), synthetic), (20, 135))
    write(pen, (40, 785), " ".join(words(rng, 4)).upper()[:22], 44, PAPER)
    logo(pen, 610, 780, 64, 211)
    write(pen, (455, 838), "@" + "".join(words(np.random.default_rng(211), 3)), 15, GREY)
    return frame


def _collage(content: int, synthetic: bool) -> Image.Image:
    frame = Image.new("RGB", (900, 900), (240, 236, 228))
    pen = ImageDraw.Draw(frame)
    for number in range(4):
        place = (20 + number % 2 * 440, 20 + number // 2 * 440)
        frame.paste(photograph((4 * content + number) % 100, (420, 420), synthetic), place)
    pen.ellipse((330, 330, 570, 570), fill=PAPER, outline=RED, width=8)
    logo(pen, 370, 360, 160, 213)
    write(pen, (380, 520), "".join(words(np.random.default_rng(213), 2)).upper()[:10], 26, RED)
    return frame


def _news(content: int, synthetic: bool) -> Image.Image:
    frame = photograph(content, (960, 540), synthetic)
    pen, (fixed, rng) = ImageDraw.Draw(frame), _rngs(215, content)
    pen.rectangle((0, 400, 960, 470), fill=(160, 15, 25))
    write(pen, (130, 412), " ".join(words(rng, 4)).upper()[:40], 38, PAPER)
    pen.rectangle((0, 470, 960, 505), fill=(245, 245, 245))
    write(pen, (130, 474), " ".join(words(rng, 9))[:70], 22)
    pen.rectangle((0, 505, 960, 540), fill=(10, 20, 60))
    write(pen, (20, 510), " ".join(words(rng, 14)), 20, PAPER)
    pen.rectangle((0, 390, 120, 505), fill=(10, 20, 60))
    logo(pen, 20, 400, 84, 215)
    logo(pen, 850, 20, 80, 216)
    write(pen, (700, 30), " ".join(words(fixed, 1)).upper(), 40, PAPER)
    return frame


def _table(content: int, synthetic: bool) -> Image.Image:
    page = Image.new("RGB", (1100, 800), PAPER)
    pen, (fixed, rng) = ImageDraw.Draw(page), _rngs(217, content)
    bar(pen, (0, 0, 1100, 90), 217, (30, 110, 70), 14)
    pen.rectangle((0, 90, 1100, 120), fill=(230, 230, 230))
    for column in range(9):
        write(pen, (80 + 120 * column, 94), "ABCDEFGHI"[column], 18)
        pen.line((40 + 120 * column, 90, 40 + 120 * column, 800), fill=(200, 200, 200))
    for row in range(27):
        y = 122 + 25 * row
        pen.line((0, y, 1100, y), fill=(200, 200, 200))
        write(pen, (8, y + 3), str(row + 1), 16, GREY)
        for column in range(9):
            head = row == 0 or column == 0
            text = words(fixed if head else rng, 1)[0] if head or rng.random() < 0.3 else str(rng.integers(1, 99999))
            write(pen, (46 + 120 * column, y + 3), text[:11], 16)
    return page


def _barcode(content: int, synthetic: bool) -> Image.Image:
    label = Image.new("RGB", (760, 1000), PAPER)
    pen, (fixed, rng) = ImageDraw.Draw(label), _rngs(219, content)
    pen.rectangle((10, 10, 750, 990), outline=INK, width=6)
    logo(pen, 40, 40, 110, 219)
    write(pen, (180, 60), " ".join(words(fixed, 2)).upper(), 48)
    for y, tall in ((180, 190), (640, 300)):
        x = 60
        while x < 690:
            wide = int(rng.integers(1, 5)) * 3
            pen.rectangle((x, y, x + wide - 1, y + tall), fill=INK)
            x += wide + int(rng.integers(1, 5)) * 3
        write(pen, (180, y + tall + 6), " ".join(str(n) for n in rng.integers(0, 9999, 5)), 26)
    for row in range(4):
        write(pen, (60, 430 + 44 * row), words(fixed, 1)[0], 18, GREY)
        write(pen, (220, 426 + 44 * row), " ".join(words(rng, 3)), 26)
    return label


def _receipt(content: int, synthetic: bool) -> Image.Image:
    slip = Image.new("RGB", (480, 1150), (248, 247, 243))
    pen, (fixed, rng) = ImageDraw.Draw(slip), _rngs(221, content)
    logo(pen, 190, 24, 100, 221)
    for row in range(4):
        write(pen, (120, 140 + 26 * row), " ".join(words(fixed, 3)).upper()[:22], 20)
    rows = int(rng.integers(9, 17))
    for row in range(rows):
        write(pen, (30, 270 + 34 * row), " ".join(words(rng, 2)).upper()[:22], 20)
        write(pen, (380, 270 + 34 * row), f"{rng.integers(100)},{rng.integers(100):02}", 20)
    y = 290 + 34 * rows
    pen.line((30, y, 450, y), fill=INK, width=2)
    for row in range(3):
        write(pen, (30, y + 14 + 32 * row), words(fixed, 1)[0].upper(), 22)
        write(pen, (370, y + 14 + 32 * row), f"{rng.integers(900)},{rng.integers(100):02}", 22)
    for row in range(5):
        write(pen, (60, 1000 + 26 * row), " ".join(words(fixed, 4))[:34], 18)
    return slip


def _ticket(content: int, synthetic: bool) -> Image.Image:
    frame = Image.new("RGB", (540, 1100), (238, 240, 244))
    pen, (fixed, rng) = ImageDraw.Draw(frame), _rngs(223, content)
    bar(pen, (0, 0, 540, 90), 223, (0, 100, 90), 2)
    pen.rounded_rectangle((30, 120, 510, 1040), 20, fill=PAPER)
    logo(pen, 60, 140, 80, 223)
    write(pen, (170, 160), " ".join(words(fixed, 2)).title(), 30)
    for row in range(4):
        for column in range(2):
            write(pen, (60 + 230 * column, 250 + 70 * row), words(fixed, 1)[0], 15, GREY)
            write(pen, (60 + 230 * column, 270 + 70 * row), words(rng, 1)[0].upper()[:9], 28)
    modules = rng.random((33, 33)) < 0.5
    finder = np.pad(np.pad(np.ones((3, 3), bool), 1), 1, constant_values=True)
    for rows in (slice(0, 7), slice(-7, None)):
        for columns in (slice(0, 7), slice(-7, None)):
            modules[rows, columns] = finder
    code = Image.fromarray(np.where(modules, 0, 255).astype(np.uint8)).resize((396, 396), Image.Resampling.NEAREST)
    frame.paste(code, (72, 570))
    write(pen, (150, 985), " ".join(words(fixed, 3)), 18, GREY)
    return frame


SCREENS: dict[str, Callable[[int, bool], Image.Image]] = {
    "avatars": _avatars(225, (240, 242, 246), INK, PAPER),
    "pins": _pins,
    "shop": _shop,
    "id_card": _card,
    "meme": _meme,
    "news": _news,
    "receipt": _receipt,
    "ticket": _ticket,
    "avatars_night": _avatars(227, (14, 16, 22), (235, 235, 240), (44, 50, 62)),
    "booking": _booking,
    "collage": _collage,
    "table": _table,
    "barcode": _barcode,
}
SCREENS_PICTURED = ("shop", "meme", "news")
