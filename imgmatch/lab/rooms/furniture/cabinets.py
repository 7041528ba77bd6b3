"""Tables and storage."""

from __future__ import annotations

import cv2
import numpy as np

from imgmatch.lab.hotels import textures
from imgmatch.lab.rooms.furniture.lamps import table_lamp
from imgmatch.lab.rooms.furniture.parts import fronts, legs, plain, small_things
from imgmatch.lab.rooms.scene import Builder, Place
from imgmatch.lab.rooms.style import Style


def desk(b: Builder, place: Place, style: Style, rng: np.random.Generator, width: float) -> None:
    """Add a writing desk with things on it, and a lamp perhaps."""
    item = b.unique("desk")
    half, d, h = width / 2, 0.55, 0.74
    b.block(place, item, (-half, half), (0.0, d), (h - 0.05, h), style.wood, part="top_", skip="back")
    if style.choice("desk", "legs", "drawers") == "legs":
        legs(b, place, item, (-half + 0.03, half - 0.03), (0.03, d - 0.03), h - 0.05, 0.05, style.wood)
    else:
        front = fronts(style.wood, style.rng("desk front"), 0.45, 0.65, 1, 3, style.metal)
        b.block(
            place,
            item,
            (half - 0.47, half - 0.02),
            (0.02, d - 0.02),
            (0.03, h - 0.05),
            {"front": front, "all": style.wood},
            part="drawers_",
            skip="back top",
        )
        b.block(
            place, item, (-half, -half + 0.04), (0, d - 0.02), (0, h - 0.05), style.wood, part="side_", skip="back top"
        )
    if rng.random() < 0.6:
        table_lamp(b, place, item, rng.choice([-1, 1]) * (half - 0.2), 0.2, h, style)
    small_things(b, place, item, (-half + 0.3, half - 0.3), (0.15, 0.4), h, rng, int(rng.integers(1, 5)))
    b.item(place, item, (-half, half), (0, d), (0, h), 1.2)


def coffee_table(b: Builder, place: Place, style: Style, rng: np.random.Generator, width: float) -> None:
    """Add a low table, round or square."""
    item = b.unique("table")
    if style.choice("coffee table", "round", "square", "block") == "round":
        r = min(width, 0.8) / 2
        b.prism(place, item, (0, 0), (r, r), (0.4, 0.44), style.wood, 12, "top")
        b.tube(place, item, (0, 0), (0.05, 0.04), (0, 0.4), plain(style.metal), 6, "stem")
        b.prism(place, item, (0, 0), (r * 0.6, r * 0.55), (0, 0.03), plain(style.metal), 10, "foot")
    else:
        b.block(place, item, (-width / 2, width / 2), (-0.28, 0.28), (0.36, 0.42), style.wood, part="top_")
        if style.choice("coffee table", "round", "square", "block") == "square":
            legs(b, place, item, (-width / 2 + 0.02, width / 2 - 0.02), (-0.26, 0.26), 0.36, 0.05, plain(style.metal))
        else:
            b.block(
                place,
                item,
                (-width / 2 + 0.1, width / 2 - 0.1),
                (-0.2, 0.2),
                (0, 0.36),
                style.wood,
                part="foot_",
                skip="top",
            )
    small_things(b, place, item, (-0.2, 0.2), (-0.15, 0.15), 0.44, rng, int(rng.integers(1, 4)))
    b.item(place, item, (-width / 2, width / 2), (-0.28, 0.28), (0, 0.44), 1.0)


def wardrobe(b: Builder, place: Place, style: Style, width: float, height: float) -> None:
    """Add a wardrobe with two or three doors."""
    item = b.unique("wardrobe")
    high = min(height - 0.1, 2.1)
    doors = 2 if width < 1.3 else 3
    front = fronts(style.second_wood, style.rng("wardrobe front"), width, high, doors, 1, style.metal)
    if style.choice("wardrobe", "plain", "mirrored", "panelled") == "mirrored":
        rows, cols = front.shape[:2]
        glass = np.linspace(215, 150, rows, dtype=np.float32)[:, None, None] * np.array([0.95, 1.0, 1.0], np.float32)
        front[8:-8, cols // doors + 8 : 2 * cols // doors - 8] = glass[8:-8].astype(np.uint8)
    half = width / 2
    b.block(place, item, (-half, half), (0, 0.58), (0, high), {"front": front, "all": style.second_wood}, skip="back")
    b.item(place, item, (-half, half), (0, 0.58), (0, high), 1.6)


def sideboard(b: Builder, place: Place, style: Style, rng: np.random.Generator, width: float) -> float:
    """Add a low chest and return its height."""
    item = b.unique("sideboard")
    shape = style.rng("sideboard")
    high, half = float(shape.uniform(0.5, 0.85)), width / 2
    front = fronts(style.wood, shape, width, high, int(shape.integers(2, 5)), int(shape.integers(1, 4)), style.metal)
    b.block(place, item, (-half, half), (0, 0.45), (0.04, high), {"front": front, "all": style.wood}, skip="back")
    small_things(b, place, item, (-half + 0.1, half - 0.1), (0.3, 0.4), high, rng, int(rng.integers(1, 4)))
    b.item(place, item, (-half, half), (0, 0.45), (0, high), 1.4)
    return high


def bookshelf(b: Builder, place: Place, style: Style, rng: np.random.Generator, width: float) -> None:
    """Add open shelves full of books and things."""
    item = b.unique("bookshelf")
    high, half, shelves = 1.9, width / 2, 5
    sheet = np.ascontiguousarray(style.wood.cut(width, high)).astype(np.float32)
    rows, cols = sheet.shape[:2]
    board = tuple(float(c) for c in sheet.mean(axis=(0, 1)))
    for shelf in range(shelves):
        y0, y1 = rows * shelf // shelves + 5, rows * (shelf + 1) // shelves - 2
        cv2.rectangle(sheet, (5, y0), (cols - 6, y1), tuple(c * 0.35 for c in board), -1)
        x = 7.0
        while x < cols - 14:
            thick = rng.uniform(4, 10)
            if rng.random() < 0.75:
                top = int(y1 - (y1 - y0) * rng.uniform(0.6, 0.95))
                colour = tuple(float(c) for c in textures.vivid(rng))
                cv2.rectangle(sheet, (int(x), top), (int(x + thick), y1), colour, -1)
                cv2.line(sheet, (int(x), top), (int(x), y1), tuple(c * 0.5 for c in colour), 1)
            else:
                thick = rng.uniform(4, 24)
            x += thick
    front = np.clip(sheet, 0, 255).astype(np.uint8)
    b.block(place, item, (-half, half), (0, 0.3), (0, high), {"front": front, "all": style.wood}, skip="back")
    b.item(place, item, (-half, half), (0, 0.3), (0, high), 2.0)
