"""Windows and doors."""

from __future__ import annotations

import cv2
import numpy as np

from imgmatch.lab.hotels import pictures, textures
from imgmatch.lab.rooms.furniture.parts import ALWAYS, DAYLIGHT, plain
from imgmatch.lab.rooms.scene import Builder, Finish, Light, Place
from imgmatch.lab.rooms.style import Style


def window(
    b: Builder, place: Place, style: Style, rng: np.random.Generator, width: float, height: float, drawn: float
) -> None:
    """Add a window with its view and curtains; ``drawn`` 0..1 is how far these are closed."""
    item = b.unique("window")
    low = 0.1 if style.choice("window", "sill", "sill", "door") == "door" else 0.9
    high = min(height - 0.25, low + (1.35 if low > 0.5 else 2.1))
    half = width / 2
    rows, cols = int((high - low) * 90), int(width * 90)
    day, dark = pictures.outside(rng, rows, cols)
    frame = style.rng("window frame")
    ink = tuple(int(c) for c in (textures.wood_tone(frame) if frame.random() < 0.4 else textures.hsv(0, 0, 0.95)))
    bars_x, bars_y = int(frame.integers(1, 4)), int(frame.integers(1, 3))
    for sheet, gain in ((day, 0.9), (dark, 0.45)):
        bar = tuple(int(c * gain) for c in ink)
        for number in range(bars_x + 1):
            x = round(number * (cols - 1) / bars_x)
            cv2.line(sheet, (x, 0), (x, rows), bar, 9 if number in (0, bars_x) else 5)
        for number in range(bars_y + 1):
            y = round(number * (rows - 1) / bars_y)
            cv2.line(sheet, (0, y), (cols, y), bar, 9 if number in (0, bars_y) else 5)
    b.panel(place, item, (-half, half), (low, high), 0.01, Finish(day, evening=dark, glows=ALWAYS))
    if low > 0.5:
        sill = plain(np.array(ink, np.float32))
        b.block(place, item, (-half - 0.05, half + 0.05), (0, 0.12), (low - 0.04, low), sill, part="sill_", skip="back")
    if style.choice("curtain kind", "cloth", "cloth", "cloth", "blind") == "cloth":
        rail = high + 0.12
        bottom = 0.03 if style.choice("curtain length", "long", "long", "short") == "long" or low < 0.5 else low - 0.15
        reach = half + 0.25
        each = 0.3 + (reach - 0.3) * drawn
        for way in (-1, 1):
            span = (-reach, -reach + each) if way < 0 else (reach - each, reach)
            skin = style.curtain.cut(each * 1.5, rail - bottom, int(rng.integers(256)))
            b.panel(place, item, span, (bottom, rail), 0.14, skin, part=f"curtain_{'left' if way < 0 else 'right'}")
            edge = span[1] if way < 0 else span[0]
            b.panel(
                place.moved(edge, 0.14, 90 * way),
                item,
                (-0.08, 0.0) if way > 0 else (0.0, 0.08),
                (bottom, rail),
                0.0,
                Finish(skin[:, :16], two_sided=True),
                part=f"curtain_edge{way}",
            )
        b.block(
            place,
            item,
            (-reach - 0.06, reach + 0.06),
            (0.12, 0.16),
            (rail, rail + 0.035),
            plain(style.metal),
            part="rail_",
        )
    else:
        colour = textures.muted(style.rng("blind"), (0.6, 0.97), 0.5)
        bottom = high - (high - low) * (0.25 + 0.7 * drawn)
        lines = np.where(np.arange(64) % 4 == 0, 0.75, 1.0)[:, None, None]
        skin = np.broadcast_to(np.clip(colour * lines, 0, 255), (64, 8, 3)).astype(np.uint8)
        b.panel(
            place,
            item,
            (-half - 0.03, half + 0.03),
            (bottom, high + 0.05),
            0.05,
            np.ascontiguousarray(skin),
            part="blind",
        )
    b.item(place, item, (-half - 0.3, half + 0.3), (0, 0.2), (low, high), 1.2, solid=False)
    open_share = 1 - 0.7 * drawn
    shine = np.array([1.0, 1.02, 1.06]) * 2.6 * width * (high - low) / 2.5 * open_share
    b.lights.append(Light(place.world(0, 0.25, (low + high) / 2), shine, DAYLIGHT, place.out))


def door(b: Builder, place: Place, style: Style, rng: np.random.Generator) -> None:
    """Add a door in its frame."""
    item = b.unique("door")
    shape = style.rng("door")
    skin = np.ascontiguousarray(style.second_wood.cut(0.86, 2.02))
    if shape.random() < 0.5:
        skin = np.ascontiguousarray(np.rot90(style.second_wood.cut(2.02, 0.86)))
    rows, cols = skin.shape[:2]
    dark = tuple(int(c) for c in skin.mean(axis=(0, 1)) * 0.55)
    for panel in range(int(shape.integers(0, 4))):
        y0 = int(rows * (0.08 + 0.3 * panel))
        cv2.rectangle(skin, (cols // 6, y0), (cols * 5 // 6, y0 + int(rows * 0.25)), dark, 2)
    side = cols // 12 if rng.random() < 0.5 else cols - cols // 12
    ink = tuple(int(c) for c in style.metal)
    cv2.circle(skin, (side, rows // 2), 4, ink, -1)
    cv2.line(skin, (side, rows // 2), (side + (16 if side < cols / 2 else -16), rows // 2), ink, 4)
    frame = plain(skin.mean(axis=(0, 1)) * 0.8 if shape.random() < 0.5 else textures.hsv(0, 0, 0.92))
    b.panel(place, item, (-0.43, 0.43), (0, 2.02), 0.02, skin)
    for part, x in (("left", (-0.5, -0.43)), ("right", (0.43, 0.5))):
        b.block(place, item, x, (0, 0.05), (0, 2.09), frame, part=f"{part}_", skip="back")
    b.block(place, item, (-0.43, 0.43), (0, 0.05), (2.02, 2.09), frame, part="lintel_", skip="back left right")
    b.item(place, item, (-0.5, 0.5), (0, 0.06), (0, 2.1), 0.9, solid=False)
