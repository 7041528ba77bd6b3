"""Beds and bedside tables."""

from __future__ import annotations

import numpy as np

from imgmatch.lab.hotels import textures
from imgmatch.lab.hotels.textures import Material
from imgmatch.lab.rooms.furniture.lamps import table_lamp
from imgmatch.lab.rooms.furniture.parts import cushion_cover, fronts, pillow, rounded, small_things
from imgmatch.lab.rooms.scene import Builder, Place
from imgmatch.lab.rooms.style import Style


def _headboard(b: Builder, place: Place, item: str, width: float, style: Style, spare: float) -> None:
    kind = style.choice("headboard", "panel", "tufted", "tall", "slats", "frame", "columns")
    rng = style.rng("headboard shape")
    high = rng.uniform(0.95, 1.3)
    half = width / 2 + min(rng.uniform(0.0, 0.12), spare)
    if kind in ("panel", "frame"):
        b.block(place, item, (-half, half), (0, 0.06), (0, high), style.wood, part="headboard_", skip="back")
        if kind == "frame":
            inner = style.upholstery.cut(width - 0.2, high - 0.6)
            b.panel(place, item, (-half + 0.1, half - 0.1), (0.5, high - 0.1), 0.07, inner, part="headboard_inset")
    elif kind in ("tufted", "tall"):
        high = 1.65 if kind == "tall" else high
        half = width / 2 + min(0.55, spare) if kind == "tall" else half
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


def bed(
    b: Builder, place: Place, style: Style, rng: np.random.Generator, width: float, item: str, spare: float = 1.0
) -> None:
    """Add a bed whose head is at the wall: headboard, mattress, blanket, runner, pillows and cushions.

    ``spare`` is how far the headboard may reach beyond the bed on each side.
    """
    long, top = 2.05, rng.uniform(0.5, 0.6)
    half = width / 2
    _headboard(b, place, item, width, style, spare)
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
    linen = rounded(40, 64, style.linen.tile.reshape(-1, 3).mean(axis=0) * np.float32(rng.uniform(0.93, 1.0)))
    for number in range(count):
        x = (number - (count - 1) / 2) * width / count
        pillow(b, place, item, (x + rng.normal(0, 0.02), 0.26, top - 0.02), min(0.7, width / count - 0.06), linen, 0.1)
        if rng.random() < 0.5:
            pillow(b, place, item, (x + rng.normal(0, 0.03), 0.5, top - 0.02), 0.6, linen, 0.12)
    for _ in range(int(rng.integers(0, 3))):
        pillow(b, place, item, (rng.uniform(-0.5, 0.5) * half, 0.78, top - 0.01), 0.42, cushion_cover(rng), 0.14)
    b.item(place, item, (-half - 0.05, half + 0.05), (0, long + 0.05), (0, 1.0), 4.0)


def bedside(b: Builder, place: Place, style: Style, rng: np.random.Generator, x: float, lamp: bool) -> None:
    """Add a bedside table, perhaps with a lamp, a telephone or books."""
    item = b.unique("bedside_table")
    kind = style.choice("bedside table", "drawers", "shelf", "legs")
    w, d, h = 0.23, 0.4, 0.52
    if kind == "drawers":
        front = fronts(style.wood, style.rng("bedside front"), 0.46, 0.45, 1, 2, style.metal)
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
        small_things(b, place, item, (x - w + 0.05, x + w - 0.05), (0.27, d - 0.03), h, rng, 2)
