"""Furniture made of boxes, frustums and panels. Each function builds one piece at a place, whose origin is on the floor.

Local axes: x to the right as seen from the front, y towards the viewer (0 at the wall), z up; metres.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from imgmatch.rooms import pictures, textures
from imgmatch.rooms.scene import Builder, Light, Place, polygon_alpha
from imgmatch.rooms.style import Style
from imgmatch.rooms.textures import Material

if TYPE_CHECKING:
    from imgmatch.rooms.textures import Colour
    from imgmatch.types import Pixels

LAMPS_ON = frozenset({"evening", "bright"})
DAYLIGHT = frozenset({"day", "bright"})
ALWAYS = frozenset({"day", "evening", "bright"})


def plain(colour: Colour, rows: int = 8, cols: int = 8) -> Pixels:
    """Return a texture of one colour."""
    return np.full((rows, cols, 3), np.clip(colour, 0, 255).astype(np.uint8), np.uint8)


def _rounded(rows: int, cols: int, colour: Colour) -> Pixels:
    """Return a cushion-like face: lighter in the middle, darker towards the seams."""
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : cols * 1j].astype(np.float32)
    puff = (1 - x**4) * (1 - y**4)
    return np.clip(np.asarray(colour) * (0.72 + 0.3 * puff[..., None]), 0, 255).astype(np.uint8)


def _fronts(
    wood: Material, rng: np.random.Generator, width: float, height: float, across: int, down: int, metal: Colour
) -> Pixels:
    """Return a cabinet front of ``across`` x ``down`` doors or drawers with handles."""
    sheet = np.ascontiguousarray(wood.cut(width, height, int(rng.integers(256))))
    rows, cols = sheet.shape[:2]
    ink = tuple(int(c) for c in metal)
    seam = tuple(int(c) for c in sheet.mean(axis=(0, 1)) * 0.4)
    for row in range(down):
        for col in range(across):
            x0, x1 = cols * col // across, cols * (col + 1) // across
            y0, y1 = rows * row // down, rows * (row + 1) // down
            cv2.rectangle(sheet, (x0, y0), (x1 - 1, y1 - 1), seam, max(1, cols // 150))
            if down > across:
                mid = (x0 + x1) // 2
                span = max(1, (x1 - x0) // 6)
                cv2.line(sheet, (mid - span, (y0 + y1) // 2), (mid + span, (y0 + y1) // 2), ink, max(1, rows // 40))
            else:
                x = x1 - max(2, (x1 - x0) // 10) if col % 2 == 0 else x0 + max(2, (x1 - x0) // 10)
                span = max(1, (y1 - y0) // 12)
                cv2.line(sheet, (x, (y0 + y1) // 2 - span), (x, (y0 + y1) // 2 + span), ink, max(1, cols // 60))
    return sheet


# --- lamps -----------------------------------------------------------------------------------------------------------


def _shade_textures(style: Style) -> tuple[Pixels, Pixels]:
    """A lamp shade unlit and lit."""
    colour = style.lamp_shade
    ramp = np.linspace(1, 0, 24, dtype=np.float32)[:, None, None]
    glow = 1 - np.abs(ramp - 0.45) * 0.5
    lit = np.clip(np.array([255, 226, 170], np.float32) * glow * (0.6 + 0.4 * colour / 255) * 1.12, 0, 255)
    return plain(colour, 24, 8), np.broadcast_to(lit, (24, 8, 3)).astype(np.uint8)


def shade(
    b: Builder,
    place: Place,
    item: str,
    centre: tuple[float, float],
    radius: tuple[float, float],
    z: tuple[float, float],
    style: Style,
    power: float,
    sides: int = 8,
) -> None:
    """Add a lamp shade that glows, and its light."""
    unlit, lit = _shade_textures(style)
    b.prism(
        place, item, centre, radius, z, unlit, sides, "shade", glows=frozenset({"evening"}), evening=lit, capped=False
    )
    cap = np.full((8, 8, 3), (255, 240, 205), np.uint8)
    disc = polygon_alpha(sides)
    r, top = radius[1], z[1] - 0.01
    x0, x1, y0, y1 = centre[0] - r, centre[0] + r, centre[1] - r, centre[1] + r
    corners = place.points([(x0, y0, top), (x1, y0, top), (x1, y1, top), (x0, y1, top)])
    b.face(
        f"{item}.glow", item, corners, plain(style.lamp_shade * 0.8), disc, cap, frozenset({"evening"}), two_sided=True
    )
    colour = np.array([1.0, 0.8, 0.52]) * power
    b.lights.append(Light(place.world(*centre, (z[0] + z[1]) / 2), colour, LAMPS_ON))


def table_lamp(b: Builder, place: Place, item: str, x: float, y: float, z: float, style: Style) -> None:
    """Stand a lamp on something of height ``z``."""
    kind = style.choice("table lamp", "cone", "drum", "box", "ball")
    metal = plain(style.metal)
    tall = 0.42
    b.prism(place, item, (x, y), (0.07, 0.06), (z, z + 0.02), metal, 8, "foot")
    if kind == "ball":
        body = plain(textures.vivid(style.rng("lamp body")))
        b.prism(place, item, (x, y), (0.04, 0.09), (z + 0.02, z + 0.1), body, 8, "body_low", capped=False)
        b.prism(place, item, (x, y), (0.09, 0.03), (z + 0.1, z + 0.2), body, 8, "body_high")
    else:
        b.prism(place, item, (x, y), (0.018, 0.018), (z + 0.02, z + 0.24), metal, 4, "stem", capped=False)
    radii = {"cone": (0.16, 0.08), "drum": (0.14, 0.14), "box": (0.13, 0.13), "ball": (0.17, 0.11)}[kind]
    shade(b, place, item, (x, y), radii, (z + 0.21, z + tall), style, 0.55, 4 if kind == "box" else 8)


def floor_lamp(b: Builder, place: Place, style: Style) -> None:
    """Stand a lamp of a man's height."""
    item = b.unique("floor_lamp")
    metal = plain(style.metal)
    b.prism(place, item, (0, 0.25), (0.15, 0.14), (0, 0.03), metal, 8, "foot")
    b.prism(place, item, (0, 0.25), (0.015, 0.015), (0.03, 1.45), metal, 4, "stem", capped=False)
    radii = (0.24, 0.16) if style.choice("floor lamp", "cone", "drum") == "cone" else (0.2, 0.2)
    shade(b, place, item, (0, 0.25), radii, (1.35, 1.65), style, 1.1)
    b.item(place, item, (-0.2, 0.2), (0.05, 0.45), (0, 1.65), 0.8)


def ceiling_lamp(b: Builder, place: Place, height: float, style: Style) -> None:
    """Hang a lamp from the ceiling."""
    item = b.unique("ceiling_lamp")
    kind = style.choice("ceiling lamp", "flush", "pendant", "spots")
    if kind == "pendant":
        drop = height - 0.55
        b.prism(place, item, (0, 0), (0.008, 0.008), (drop, height), plain(style.metal), 4, "cord", capped=False)
        shade(b, place, item, (0, 0), (0.26, 0.14), (drop - 0.22, drop), style, 1.5)
    elif kind == "flush":
        shade(b, place, item, (0, 0), (0.2, 0.24), (height - 0.1, height - 0.002), style, 1.7)
    else:
        for number in range(4):
            at = ((number % 2 - 0.5) * 1.5, (number // 2 - 0.5) * 1.5)
            shade(b, place, f"{item}_{number}", at, (0.05, 0.05), (height - 0.04, height - 0.002), style, 0.45, 6)


def wall_lamp(b: Builder, place: Place, x: float, z: float, style: Style) -> None:
    """Fix a lamp to the wall."""
    item = b.unique("wall_lamp")
    b.block(place, item, (x - 0.03, x + 0.03), (0, 0.1), (z, z + 0.08), plain(style.metal), part="arm_")
    shade(b, place, item, (x, 0.13), (0.09, 0.06), (z + 0.04, z + 0.22), style, 0.5, 6)


# --- bedroom ---------------------------------------------------------------------------------------------------------


def _headboard(b: Builder, place: Place, item: str, width: float, style: Style) -> None:
    kind = style.choice("headboard", "panel", "tufted", "tall", "slats", "frame", "columns")
    rng = style.rng("headboard shape")
    high = rng.uniform(0.95, 1.3)
    half = width / 2 + rng.uniform(0.0, 0.12)
    if kind in ("panel", "frame"):
        b.block(place, item, (-half, half), (0, 0.06), (0, high), style.wood, part="headboard_", skip="back")
        if kind == "frame":
            inner = style.upholstery.cut(width - 0.2, high - 0.6)
            b.panel(place, item, (-half + 0.1, half - 0.1), (0.5, high - 0.1), 0.07, inner, part="headboard_inset")
    elif kind in ("tufted", "tall"):
        high = 1.65 if kind == "tall" else high
        half += 0.55 if kind == "tall" else 0.0
        cloth = style.upholstery.cut(2 * half, high).astype(np.float32)
        rows, cols = cloth.shape[:2]
        pitch = cols / max(3, round(2 * half / rng.uniform(0.2, 0.5)))
        y, x = np.mgrid[0:rows, 0:cols].astype(np.float32)
        if kind == "tufted":
            pad = np.abs(np.sin((x + y) * np.pi / pitch)) * np.abs(np.sin((x - y) * np.pi / pitch))
        else:
            pad = np.abs(np.sin(x * np.pi / pitch))
        cloth = np.clip(cloth * (0.6 + 0.5 * np.sqrt(pad))[..., None], 0, 255).astype(np.uint8)
        skin = {"front": cloth, "all": style.upholstery}
        b.block(place, item, (-half, half), (0, 0.1), (0, high), skin, part="headboard_", skip="back")
    elif kind == "slats":
        for number, z in enumerate(np.arange(0.45, high, 0.17)):
            b.block(
                place, item, (-half, half), (0.01, 0.05), (z, z + 0.11), style.wood, part=f"slat{number}_", skip="back"
            )
    else:
        count = 7
        pitch = 2 * half / count
        for number in range(count):
            x = -half + number * pitch
            b.block(
                place,
                item,
                (x, x + pitch - 0.02),
                (0, 0.07),
                (0.25, high),
                style.upholstery,
                part=f"pad{number}_",
                skip="back",
            )


def _pillow(
    b: Builder, place: Place, item: str, x: float, width: float, z: float, y: float, skin: Pixels, tilt: float
) -> None:
    tall = width * 0.62
    sides = plain(skin.reshape(-1, 3).mean(axis=0) * 0.85)
    b.block(
        place,
        item,
        (x - width / 2, x + width / 2),
        (y, y + 0.16),
        (z, z + tall),
        {"front": skin, "back": skin, "all": sides},
        top=(x - width / 2 + 0.03, x + width / 2 - 0.03, y - tilt, y + 0.09 - tilt),
        part=f"{b.unique('pillow')}_",
    )


def bed(b: Builder, place: Place, style: Style, rng: np.random.Generator, width: float, item: str) -> None:
    """Add a bed whose head is at the wall: headboard, mattress, blanket, runner, pillows and cushions."""
    long, top = 2.05, rng.uniform(0.5, 0.6)
    half = width / 2
    _headboard(b, place, item, width, style)
    based = style.choice("bed base", "skirt", "frame")
    base = style.upholstery if based == "skirt" else style.wood
    b.block(place, item, (-half, half), (0.1, long), (0, 0.28), base, part="base_", skip="back top")
    b.block(
        place, item, (-half, half), (0.1, long), (0.28, top - 0.03), style.linen, part="mattress_", skip="back bottom"
    )
    cover_rng = style.rng("bedspread")
    cover = Material(textures.bedspread(cover_rng, textures.muted(cover_rng, (0.35, 0.97), 0.8)), 1.1)
    start = rng.uniform(0.55, 0.8)
    hang = rng.uniform(0.1, 0.4)
    wide = half + 0.025
    b.block(place, item, (-wide, wide), (start, long + 0.03), (top - hang, top), cover, part="blanket_", skip="bottom")
    if style.rng("runner").random() < 0.5:
        runner_rng = style.rng("runner cloth")
        cloth = Material(textures.bedspread(runner_rng, textures.vivid(runner_rng)), 0.8)
        at = long - 0.75
        b.block(
            place,
            item,
            (-wide - 0.012, wide + 0.012),
            (at, at + 0.5),
            (top - hang * 0.8, top + 0.012),
            cloth,
            part="runner_",
            skip="bottom",
        )
    count = 1 if width < 1.2 else 2
    linen = _rounded(40, 64, style.linen.tile.reshape(-1, 3).mean(axis=0) * np.float32(rng.uniform(0.93, 1.0)))
    for number in range(count):
        x = (number - (count - 1) / 2) * width / count
        _pillow(b, place, item, x + rng.normal(0, 0.02), min(0.7, width / count - 0.06), top - 0.02, 0.26, linen, 0.1)
        if rng.random() < 0.5:
            _pillow(b, place, item, x + rng.normal(0, 0.03), 0.6, top - 0.02, 0.5, linen, 0.12)
    for _ in range(int(rng.integers(0, 3))):
        cushion_rng = np.random.default_rng(int(rng.integers(1 << 30)))
        cloth = textures.bedspread(cushion_rng, textures.vivid(cushion_rng))[:128, :128]
        puff = _rounded(128, 128, np.full(3, 1.0) * 255).astype(np.float32) / 255
        skin = (cloth * puff).astype(np.uint8)[::2, ::2]
        _pillow(b, place, item, rng.uniform(-0.5, 0.5) * half, 0.42, top - 0.01, 0.78, np.ascontiguousarray(skin), 0.14)
    b.item(place, item, (-half - 0.05, half + 0.05), (0, long + 0.05), (0, 1.0), 4.0)


def bedside(b: Builder, place: Place, style: Style, rng: np.random.Generator, x: float, lamp: bool) -> None:
    """Add a bedside table, perhaps with a lamp, a telephone or books."""
    item = b.unique("bedside_table")
    kind = style.choice("bedside table", "drawers", "shelf", "legs")
    w, d, h = 0.23, 0.4, 0.52
    if kind == "drawers":
        front = _fronts(style.wood, style.rng("bedside front"), 0.46, 0.45, 1, 2, style.metal)
        b.block(place, item, (x - w, x + w), (0.02, d), (0.04, h), {"front": front, "all": style.wood}, skip="back")
    elif kind == "shelf":
        b.block(place, item, (x - w, x + w), (0.0, d), (h - 0.14, h), style.wood, skip="back")
    else:
        b.block(place, item, (x - w, x + w), (0.02, d), (h - 0.16, h), style.wood, skip="back")
        for lx in (x - w, x + w - 0.04):
            b.block(
                place,
                item,
                (lx, lx + 0.04),
                (d - 0.05, d - 0.01),
                (0, h - 0.16),
                style.wood,
                part=b.unique("leg"),
                skip="top",
            )
    b.item(place, item, (x - w, x + w), (0, d), (0, h), 0.7)
    if lamp:
        table_lamp(b, place, item, x, 0.2, h, style)
    if rng.random() < 0.6:
        _small_things(b, place, item, (x - w + 0.05, x + w - 0.05), (0.27, d - 0.03), h, rng, 2)


def _small_things(
    b: Builder,
    place: Place,
    item: str,
    x: tuple[float, float],
    y: tuple[float, float],
    z: float,
    rng: np.random.Generator,
    count: int,
) -> None:
    """Leave books, bottles and boxes on something."""
    for _ in range(count):
        at_x, at_y, name = rng.uniform(*x), rng.uniform(*y), b.unique("thing")
        skin = plain(textures.vivid(rng))
        kind = rng.integers(3)
        if kind == 0:
            b.block(
                place.moved(at_x, at_y, rng.uniform(-30, 30)),
                item,
                (-0.09, 0.09),
                (-0.06, 0.06),
                (z, z + rng.uniform(0.02, 0.06)),
                skin,
                part=f"{name}_",
            )
        elif kind == 1:
            b.prism(place, item, (at_x, at_y), (0.03, 0.025), (z, z + rng.uniform(0.1, 0.24)), skin, 6, f"{name}_")
        else:
            b.block(
                place.moved(at_x, at_y, rng.uniform(-20, 20)),
                item,
                (-0.05, 0.05),
                (-0.03, 0.03),
                (z, z + rng.uniform(0.07, 0.16)),
                skin,
                part=f"{name}_",
            )


# --- walls: openings, pictures, mirrors ------------------------------------------------------------------------------


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
    b.panel(place, item, (-half, half), (low, high), 0.01, day, evening=dark, glows=ALWAYS)
    if low > 0.5:
        sill = plain(np.array(ink, np.float32))
        b.block(place, item, (-half - 0.05, half + 0.05), (0, 0.12), (low - 0.04, low), sill, part="sill_", skip="back")
    if style.choice("curtain kind", "cloth", "cloth", "cloth", "blind") == "cloth":
        rail = high + 0.12
        bottom = 0.03 if style.choice("curtain length", "long", "long", "short") == "long" or low < 0.5 else low - 0.15
        reach = half + 0.25
        each = 0.3 + (reach - 0.3) * drawn
        for way in (-1, 1):
            x = (-reach, -reach + each) if way < 0 else (reach - each, reach)
            skin = style.curtain.cut(each * 1.5, rail - bottom, int(rng.integers(256)))
            b.panel(place, item, x, (bottom, rail), 0.14, skin, part=f"curtain_{'left' if way < 0 else 'right'}")
            edge = x[1] if way < 0 else x[0]
            b.panel(
                place.moved(edge, 0.14, 90 * way),
                item,
                (-0.08, 0.0) if way > 0 else (0.0, 0.08),
                (bottom, rail),
                0.0,
                skin[:, :16],
                two_sided=True,
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


def picture(
    b: Builder,
    place: Place,
    rng: np.random.Generator,
    x: float,
    z: float,
    width: float,
    height: float,
    content: Pixels | None,
) -> None:
    """Hang a framed picture, centred at (x, z)."""
    item = b.unique("picture")
    rows, cols = max(8, int(height * 150)), max(8, int(width * 150))
    skin = pictures.framed(content if content is not None else pictures.painting(rng, rows, cols), rng, rows, cols)
    edge = plain(skin[0].mean(axis=0))
    box = ((x - width / 2, x + width / 2), (0, 0.03), (z - height / 2, z + height / 2))
    b.block(place, item, *box, {"front": skin, "all": edge}, skip="back")
    b.item(place, item, *box, 1.5, solid=False)


def mirror(
    b: Builder,
    place: Place,
    rng: np.random.Generator,
    x: float,
    z: float,
    width: float,
    height: float,
    behind: Material,
    metal: Colour,
) -> None:
    """Hang a mirror that shows a pale, blurred version of the wall across the room."""
    item = b.unique("mirror")
    sheet = cv2.GaussianBlur(behind.cut(width * 1.5, height * 1.5), (0, 0), 2.0).astype(np.float32)
    rows, cols = sheet.shape[:2]
    y, x_grid = np.mgrid[0:rows, 0:cols].astype(np.float32)
    streak = np.clip(1 - np.abs((x_grid + y * 0.6) / cols - rng.uniform(0.4, 1.1)) * 4, 0, 1)[..., None]
    sheet = sheet * 0.7 + 60 + streak * 40
    sheet[int(rows * 0.8) :] *= 0.75
    skin = np.clip(sheet, 0, 255).astype(np.uint8)
    if rng.random() < 0.6:
        cv2.rectangle(skin, (0, 0), (cols - 1, rows - 1), tuple(int(c) for c in metal), max(2, cols // 25))
    alpha = None
    if rng.random() < 0.25 and abs(width - height) < 0.3:
        alpha = np.zeros((rows, cols), np.uint8)
        cv2.ellipse(alpha, (cols // 2, rows // 2), (cols // 2 - 1, rows // 2 - 1), 0, 0, 360, 255, -1)
        cv2.ellipse(
            skin, (cols // 2, rows // 2), (cols // 2 - 2, rows // 2 - 2), 0, 0, 360, tuple(int(c) for c in metal), 5
        )
    b.panel(place, item, (x - width / 2, x + width / 2), (z - height / 2, z + height / 2), 0.03, skin, alpha)
    b.item(place, item, (x - width / 2, x + width / 2), (0, 0.03), (z - height / 2, z + height / 2), 1.0, solid=False)


def television(b: Builder, place: Place, rng: np.random.Generator, x: float, z: float, y: float, width: float) -> None:
    """Add a flat screen, mostly off."""
    item = b.unique("television")
    height = width * 0.58
    rows, cols = 72, 124
    if rng.random() < 0.2:
        inner, glows = pictures.painting(rng, rows - 8, cols - 8), ALWAYS
    else:
        ramp = np.linspace(30, 14, rows - 8, dtype=np.float32)[:, None] + np.linspace(0, 16, cols - 8, dtype=np.float32)
        inner, glows = np.repeat(ramp[..., None], 3, axis=2).astype(np.uint8), frozenset()
    skin = np.full((rows, cols, 3), 14, np.uint8)
    skin[4:-4, 4:-4] = inner
    box = ((x - width / 2, x + width / 2), (y, y + 0.05), (z, z + height))
    b.block(place, item, *box, plain(np.full(3, 18.0)), part="case_", skip="front")
    b.panel(place, item, box[0], box[2], y + 0.05, skin, glows=glows, part="screen")
    b.item(place, item, *box, 1.2, solid=False)


# --- tables, seats, storage ------------------------------------------------------------------------------------------


def _legs(
    b: Builder,
    place: Place,
    item: str,
    x: tuple[float, float],
    y: tuple[float, float],
    height: float,
    thick: float,
    skin: Material | Pixels,
) -> None:
    for lx in (x[0], x[1] - thick):
        for ly in (y[0], y[1] - thick):
            b.block(
                place, item, (lx, lx + thick), (ly, ly + thick), (0, height), skin, part=b.unique("leg"), skip="top"
            )


def desk(b: Builder, place: Place, style: Style, rng: np.random.Generator, width: float) -> None:
    """Add a writing desk with things on it, and a lamp perhaps."""
    item = b.unique("desk")
    half, d, h = width / 2, 0.55, 0.74
    b.block(place, item, (-half, half), (0.0, d), (h - 0.05, h), style.wood, part="top_", skip="back")
    if style.choice("desk", "legs", "drawers") == "legs":
        _legs(b, place, item, (-half + 0.03, half - 0.03), (0.03, d - 0.03), h - 0.05, 0.05, style.wood)
    else:
        front = _fronts(style.wood, style.rng("desk front"), 0.45, 0.65, 1, 3, style.metal)
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
    _small_things(b, place, item, (-half + 0.3, half - 0.3), (0.15, 0.4), h, rng, int(rng.integers(1, 5)))
    b.item(place, item, (-half, half), (0, d), (0, h), 1.2)


def chair(b: Builder, place: Place, style: Style) -> None:
    """Add a chair with its back at y = 0.45 and its seat towards the wall (y = 0)."""
    item = b.unique("chair")
    kind = style.choice("chair", "wood", "padded", "low back")
    seat = style.upholstery if kind != "wood" else style.wood
    b.block(place, item, (-0.22, 0.22), (0, 0.44), (0.4, 0.47), seat, part="seat_")
    _legs(b, place, item, (-0.22, 0.22), (0, 0.44), 0.4, 0.035, style.wood)
    high = 0.78 if kind == "low back" else 0.95
    if kind == "wood":
        for number, x in enumerate((-0.22, -0.1, 0.06, 0.18)):
            b.block(
                place,
                item,
                (x, x + 0.04),
                (0.4, 0.43),
                (0.47, high - 0.08),
                style.wood,
                part=f"slat{number}_",
                skip="top",
            )
        b.block(place, item, (-0.22, 0.22), (0.39, 0.44), (high - 0.08, high), style.wood, part="rail_")
    else:
        b.block(place, item, (-0.22, 0.22), (0.38, 0.45), (0.47, high), seat, top=(-0.2, 0.2, 0.41, 0.46), part="back_")
    b.item(place, item, (-0.22, 0.22), (0, 0.46), (0, high), 0.8)


def armchair(
    b: Builder, place: Place, style: Style, rng: np.random.Generator, width: float = 0.8, seats: int = 1
) -> None:
    """Add an armchair or, with more seats, a sofa; its back is at y = 0."""
    item = b.unique("armchair" if seats == 1 else "sofa")
    skin = style.upholstery
    half, arm, d = width / 2, 0.14, 0.85
    kind = style.choice("sofa", "boxy", "low", "legs")
    arm_high = {"boxy": 0.62, "low": 0.5, "legs": 0.58}[kind]
    foot = 0.14 if kind == "legs" else 0.03
    mean = skin.tile.reshape(-1, 3).mean(axis=0)
    b.block(place, item, (-half, half), (0.02, d), (foot, 0.3), skin, part="base_", skip="top")
    b.block(
        place,
        item,
        (-half + arm, half - arm),
        (0.0, 0.25),
        (0.3, 0.85),
        skin,
        top=(-half + arm, half - arm, 0, 0.17),
        part="back_",
    )
    for part, x in (("left", (-half, -half + arm)), ("right", (half - arm, half))):
        b.block(place, item, x, (0.0, d), (foot, arm_high), skin, part=f"arm_{part}_")
    each = (width - 2 * arm) / seats
    cushion = _rounded(48, 64, mean * 1.04)
    for seat in range(seats):
        x0 = -half + arm + seat * each
        b.block(
            place,
            item,
            (x0 + 0.008, x0 + each - 0.008),
            (0.2, d + 0.02),
            (0.3, 0.44),
            {"top": skin, "all": cushion},
            part=f"seat{seat}_",
            skip="back",
        )
    if foot > 0.1:
        _legs(b, place, item, (-half + 0.03, half - 0.03), (0.05, d - 0.03), foot, 0.05, style.wood)
    for _ in range(int(rng.integers(0, 1 + seats))):
        cloth = textures.bedspread(rng, textures.vivid(rng))[:96:2, :96:2]
        _pillow(
            b,
            place,
            item,
            rng.uniform(-half + 0.35, half - 0.35) if seats > 1 else 0.0,
            0.42,
            0.44,
            0.36,
            np.ascontiguousarray(cloth),
            0.13,
        )
    b.item(place, item, (-half, half), (0, d), (0, 0.85), 1.5 if seats == 1 else 3.0)


def coffee_table(b: Builder, place: Place, style: Style, rng: np.random.Generator, width: float) -> None:
    """Add a low table, round or square."""
    item = b.unique("table")
    if style.choice("coffee table", "round", "square", "block") == "round":
        r = min(width, 0.8) / 2
        b.prism(place, item, (0, 0), (r, r), (0.4, 0.44), style.wood, 12, "top")
        b.prism(place, item, (0, 0), (0.05, 0.04), (0, 0.4), plain(style.metal), 6, "stem", capped=False)
        b.prism(place, item, (0, 0), (r * 0.6, r * 0.55), (0, 0.03), plain(style.metal), 10, "foot")
    else:
        b.block(place, item, (-width / 2, width / 2), (-0.28, 0.28), (0.36, 0.42), style.wood, part="top_")
        if style.choice("coffee table", "round", "square", "block") == "square":
            _legs(b, place, item, (-width / 2 + 0.02, width / 2 - 0.02), (-0.26, 0.26), 0.36, 0.05, plain(style.metal))
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
    _small_things(b, place, item, (-0.2, 0.2), (-0.15, 0.15), 0.44, rng, int(rng.integers(1, 4)))
    b.item(place, item, (-width / 2, width / 2), (-0.28, 0.28), (0, 0.44), 1.0)


def wardrobe(b: Builder, place: Place, style: Style, width: float, height: float) -> None:
    """Add a wardrobe with two or three doors."""
    item = b.unique("wardrobe")
    high = min(height - 0.1, 2.1)
    doors = 2 if width < 1.3 else 3
    front = _fronts(style.second_wood, style.rng("wardrobe front"), width, high, doors, 1, style.metal)
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
    front = _fronts(style.wood, shape, width, high, int(shape.integers(2, 5)), int(shape.integers(1, 4)), style.metal)
    b.block(place, item, (-half, half), (0, 0.45), (0.04, high), {"front": front, "all": style.wood}, skip="back")
    _small_things(b, place, item, (-half + 0.1, half - 0.1), (0.3, 0.4), high, rng, int(rng.integers(1, 4)))
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
    skin = {"front": np.clip(sheet, 0, 255).astype(np.uint8), "all": style.wood}
    b.block(place, item, (-half, half), (0, 0.3), (0, high), skin, skip="back")
    b.item(place, item, (-half, half), (0, 0.3), (0, high), 2.0)


def rug(b: Builder, place: Place, rng: np.random.Generator, x: tuple[float, float], y: tuple[float, float]) -> None:
    """Lay a rug: bordered, patterned, rectangular or oval."""
    item = b.unique("rug")
    base = textures.muted(rng, (0.3, 0.9), 0.9)
    make = (textures.geometric, textures.foliage, textures.damask, textures.stripes, textures.carpet)[rng.integers(5)]
    sheet = Material(make(rng, base), 1.6).cut(x[1] - x[0], y[1] - y[0])
    sheet = np.ascontiguousarray(sheet)
    rows, cols = sheet.shape[:2]
    if rng.random() < 0.6:
        cv2.rectangle(
            sheet, (0, 0), (cols - 1, rows - 1), tuple(int(c) for c in textures.vivid(rng)), max(2, rows // 10)
        )
    alpha = None
    if rng.random() < 0.25:
        alpha = np.zeros((rows, cols), np.uint8)
        cv2.ellipse(alpha, (cols // 2, rows // 2), (cols // 2, rows // 2), 0, 0, 360, 255, -1)
    b.sheet(place, item, x, y, 0.012, sheet, alpha)
    b.item(place, item, x, y, (0, 0.012), 0.8, solid=False)


def plant(b: Builder, place: Place, rng: np.random.Generator) -> None:
    """Add a potted plant: three crossed cut-outs."""
    item = b.unique("plant")
    tall, wide = rng.uniform(0.7, 1.3), rng.uniform(0.5, 0.8)
    pot = rng.uniform(0.25, 0.4)
    b.prism(place, item, (0, 0.3), (0.12, 0.16), (0, pot), plain(textures.vivid(rng)), 8, "pot")
    size = 128
    alpha, sheet = np.zeros((size, size), np.uint8), np.zeros((size, size, 3), np.uint8)
    hue, slim = rng.uniform(0.22, 0.4), rng.uniform(0.12, 0.4)
    for _ in range(int(rng.integers(20, 42))):
        angle, reach = rng.uniform(-1.2, 1.2), rng.uniform(0.4, 0.95) * size
        end = np.array([size / 2 + np.sin(angle) * reach * 0.6, size - np.cos(angle) * reach])
        ink = tuple(int(c) for c in textures.hsv(hue + rng.normal(0, 0.02), 0.65, rng.uniform(0.25, 0.6)))
        root, leaf = (size // 2, size), np.hypot(end[0] - size / 2, end[1] - size) * 0.28
        axes = (max(2, int(leaf)), max(1, int(leaf * slim)))
        way = float(np.degrees(np.arctan2(end[1] - size, end[0] - size / 2)))
        for target, value in ((sheet, ink), (alpha, 255)):
            cv2.line(target, root, (int(end[0]), int(end[1])), value, 2)
            cv2.ellipse(target, (int(end[0]), int(end[1])), axes, way, 0, 360, value, -1)
    for number in range(3):
        turned = place.moved(0, 0.3, 60 * number)
        b.panel(
            turned,
            item,
            (-wide / 2, wide / 2),
            (pot - 0.03, pot + tall),
            0.0,
            sheet,
            alpha,
            two_sided=True,
            part=f"leaves{number}",
        )
    b.item(place, item, (-0.25, 0.25), (0.05, 0.55), (0, pot + tall), 1.0)


# --- bathroom --------------------------------------------------------------------------------------------------------

_CERAMIC = np.array([240, 241, 240], np.float32)


def washstand(b: Builder, place: Place, style: Style, rng: np.random.Generator, width: float, behind: Material) -> None:
    """Add a washbasin on a cabinet, with tap, mirror and lamp above."""
    item = b.unique("washbasin")
    half, h = width / 2, 0.84
    white = plain(_CERAMIC)
    front = _fronts(style.second_wood, style.rng("vanity"), width, 0.5, 2, 1, style.metal)
    b.block(
        place,
        item,
        (-half, half),
        (0, 0.48),
        (0.3, h - 0.05),
        {"front": front, "all": style.second_wood},
        part="cabinet_",
        skip="back",
    )
    slab = Material(textures.marble(style.rng("slab"), textures.muted(style.rng("slab tone"), (0.3, 0.97), 0.2)), 1.2)
    b.block(place, item, (-half, half), (0, 0.5), (h - 0.05, h), slab, part="slab_", skip="back")
    bowl = np.full((64, 64, 3), _CERAMIC.astype(np.uint8), np.uint8)
    cv2.ellipse(bowl, (32, 32), (26, 22), 0, 0, 360, (190, 194, 198), -1)
    cv2.ellipse(bowl, (32, 34), (20, 16), 0, 0, 360, (214, 217, 219), -1)
    cv2.circle(bowl, (32, 32), 2, (70, 70, 70), -1)
    x = 0.0 if width < 1.1 else rng.choice([-0.2, 0.0, 0.2])
    if style.choice("basin", "sunk", "standing") == "standing":
        b.prism(place, item, (x, 0.26), (0.15, 0.22), (h, h + 0.13), white, 10, "bowl", capped=False)
        z = h + 0.125
    else:
        z = h + 0.004
    disc = np.zeros((64, 64), np.uint8)
    cv2.circle(disc, (32, 32), 31, 255, -1)
    b.sheet(place, item, (x - 0.22, x + 0.22), (0.04, 0.48), z, bowl, disc, part="basin")
    steel = plain(np.array([175, 180, 186], np.float32))
    b.block(place, item, (x - 0.015, x + 0.015), (0.03, 0.06), (h, h + 0.3), steel, part="tap_")
    b.block(place, item, (x - 0.015, x + 0.015), (0.06, 0.18), (h + 0.27, h + 0.3), steel, part="spout_")
    _small_things(b, place, item, (-half + 0.06, half - 0.06), (0.08, 0.14), h, rng, int(rng.integers(2, 6)))
    mirror(b, place, style.rng("bath mirror"), 0.0, 1.5, min(width, 1.0), 0.85, behind, style.metal)
    for side in (-1, 1) if width > 0.9 else (0,):
        wall_lamp(b, place, side * (half - 0.1), 1.62 if side else 2.0, style)
    b.item(place, item, (-half, half), (0, 0.5), (0, h), 3.0)


def toilet(b: Builder, place: Place, rng: np.random.Generator) -> None:
    """Add a toilet with cistern or flush plate."""
    item = b.unique("toilet")
    white = plain(_CERAMIC)
    if rng.random() < 0.5:
        b.block(place, item, (-0.19, 0.19), (0, 0.18), (0.38, 0.8), white, part="cistern_", skip="back")
    else:
        b.panel(place, item, (-0.12, 0.12), (0.95, 1.1), 0.01, plain(_CERAMIC * 0.8), part="plate")
    b.prism(place, item, (0, 0.38), (0.13, 0.19), (0.05, 0.4), white, 10, "bowl")
    b.block(place, item, (-0.12, 0.12), (0, 0.3), (0.05, 0.38), white, part="foot_", skip="back")
    lid = plain(_CERAMIC * 0.97 if rng.random() < 0.8 else textures.wood_tone(rng))
    b.prism(place, item, (0, 0.38), (0.2, 0.2), (0.41, 0.44), lid, 12, "lid")
    b.item(place, item, (-0.2, 0.2), (0, 0.6), (0, 0.8), 1.5)


def bathtub(b: Builder, place: Place, style: Style, rng: np.random.Generator, width: float) -> None:
    """Add a tub along the wall, with a curtain or a glass pane perhaps."""
    item = b.unique("bathtub")
    half, d, h = width / 2, 0.75, 0.55
    skin = plain(_CERAMIC) if rng.random() < 0.5 else style.wet_wall
    b.block(
        place, item, (-half, half), (0, d), (0, h), {"front": skin, "left": skin, "right": skin}, skip="back top bottom"
    )
    hollow = np.full((48, 120, 3), _CERAMIC.astype(np.uint8), np.uint8)
    cv2.rectangle(hollow, (7, 7), (112, 40), (202, 206, 210), -1)
    cv2.rectangle(hollow, (13, 11), (106, 36), (222, 225, 227), -1)
    b.sheet(place, item, (-half, half), (0, d), h, hollow)
    if rng.random() < 0.55:
        skin = Material(textures.folds(rng, textures.muted(rng, (0.5, 0.97), 0.8)), 1.4)
        reach = rng.uniform(0.25, 0.6) * width
        b.panel(
            place,
            item,
            (-half, -half + reach),
            (0.25, 2.0),
            d - 0.05,
            skin.cut(reach * 1.6, 1.75),
            part="curtain",
            two_sided=True,
        )
        b.block(place, item, (-half, half), (d - 0.06, d - 0.03), (2.0, 2.03), plain(style.metal), part="rail_")
    b.item(place, item, (-half, half), (0, d), (0, h), 2.5)


def shower(b: Builder, place: Place, style: Style, rng: np.random.Generator) -> None:
    """Add a shower in a corner to the left: tray, rail, head and a framed, tiled screen."""
    item = b.unique("shower")
    steel = plain(np.array([175, 180, 186], np.float32))
    b.block(place, item, (-0.45, 0.45), (0, 0.9), (0, 0.08), plain(_CERAMIC * 0.95), part="tray_", skip="back")
    b.block(place, item, (-0.02, 0.02), (0.03, 0.06), (0.9, 2.05), steel, part="pole_")
    b.block(place, item, (-0.02, 0.02), (0.06, 0.35), (2.03, 2.06), steel, part="arm_")
    b.prism(place, item, (0, 0.35), (0.12, 0.03), (1.98, 2.03), steel, 8, "head")
    frame = np.zeros((120, 64), np.uint8)
    cv2.rectangle(frame, (0, 0), (63, 119), 255, 5)
    pane = plain(style.metal, 16, 16)
    b.panel(place.moved(0.45, 0, 90), item, (0.0, 0.9), (0.08, 2.0), 0.0, pane, frame, two_sided=True, part="screen")
    low = rng.uniform(0.3, 1.1)
    frosted = plain(np.array([205, 216, 218], np.float32))
    b.panel(
        place.moved(0.45, 0, 90), item, (0.0, 0.9), (low, low + 0.45), 0.005, frosted, two_sided=True, part="frosting"
    )
    b.item(place, item, (-0.45, 0.46), (0, 0.9), (0, 2.05), 2.0)


def towels(b: Builder, place: Place, rng: np.random.Generator, x: float) -> None:
    """Hang towels on a rail, or stack them on a shelf."""
    item = b.unique("towel")
    cloth = Material(textures.fabric(rng, textures.muted(rng, (0.5, 0.98), 0.7)), 0.6)
    z = rng.uniform(1.1, 1.5)
    b.block(
        place, item, (x - 0.3, x + 0.3), (0.06, 0.08), (z, z + 0.02), plain(np.array([175.0, 180, 186])), part="rail_"
    )
    for number in range(int(rng.integers(1, 3))):
        x0 = x - 0.28 + number * 0.28
        b.block(
            place,
            item,
            (x0, x0 + 0.25),
            (0.045, 0.095),
            (z - rng.uniform(0.4, 0.7), z + 0.03),
            cloth,
            part=f"cloth{number}_",
        )
    b.item(place, item, (x - 0.3, x + 0.3), (0, 0.1), (z - 0.5, z), 1.0, solid=False)
