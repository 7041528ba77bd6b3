"""Rugs, plants and other things that make a room its own."""

from __future__ import annotations

import cv2
import numpy as np

from imgmatch.lab.hotels import textures
from imgmatch.lab.hotels.textures import Material
from imgmatch.lab.rooms.furniture.parts import plain
from imgmatch.lab.rooms.scene import Builder, Finish, Place


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
    b.sheet(place, item, x, y, 0.012, Finish(sheet, alpha))
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
            Finish(sheet, alpha, two_sided=True),
            part=f"leaves{number}",
        )
    b.item(place, item, (-0.25, 0.25), (0.05, 0.55), (0, pot + tall), 1.0)


def radiator(b: Builder, place: Place, rng: np.random.Generator, width: float) -> None:
    """Hang a ribbed radiator on the wall."""
    item = b.unique("radiator")
    ribs = np.where(np.arange(96) % 8 < 2, 0.72, 1.0)[None, :, None] * textures.hsv(0.12, 0.04, rng.uniform(0.8, 0.95))
    front = np.ascontiguousarray(np.broadcast_to(ribs, (24, 96, 3))).astype(np.uint8)
    box = ((-width / 2, width / 2), (0.03, 0.11), (0.14, 0.68))
    b.block(place, item, *box, {"front": front, "all": plain(front.mean(axis=(0, 1)))}, skip="back")
    b.item(place, item, *box, 0.3)


def suitcase(b: Builder, place: Place, rng: np.random.Generator) -> None:
    """Leave a suitcase standing or lying about."""
    item = b.unique("suitcase")
    colour = textures.vivid(rng)
    ridges = np.where(np.arange(40) % 7 < 2, 0.75, 1.0)[None, :, None] * colour
    skin = np.ascontiguousarray(np.broadcast_to(ridges, (48, 40, 3))).astype(np.uint8)
    turned = place.moved(0, 0.3, float(rng.uniform(-40, 40)))
    if rng.random() < 0.6:
        box = ((-0.2, 0.2), (-0.12, 0.12), (0.04, 0.62))
        b.block(
            turned, item, (-0.12, 0.12), (-0.02, 0.02), (0.62, 0.9), plain(np.full(3, 60.0, np.float32)), part="grip_"
        )
    else:
        box = ((-0.33, 0.33), (-0.22, 0.22), (0.0, 0.24))
    b.block(turned, item, *box, skin)
    b.item(turned, item, *box, 0.9)


def clock(b: Builder, place: Place, rng: np.random.Generator, x: float, z: float) -> None:
    """Hang a round clock."""
    item = b.unique("clock")
    radius = float(rng.uniform(0.13, 0.2))
    alpha, face = np.zeros((64, 64), np.uint8), plain(textures.vivid(rng), 64, 64)
    cv2.circle(alpha, (32, 32), 31, 255, -1)
    cv2.circle(face, (32, 32), 26, (244, 242, 236), -1, cv2.LINE_AA)
    for length in (14, 22):
        angle = rng.uniform(0, 2 * np.pi)
        end = int(32 + np.sin(angle) * length), int(32 - np.cos(angle) * length)
        cv2.line(face, (32, 32), end, (30, 30, 30), 2, cv2.LINE_AA)
    span, rise = (x - radius, x + radius), (z - radius, z + radius)
    b.panel(place, item, span, rise, 0.025, Finish(face, alpha))
    b.item(place, item, span, (0, 0.03), rise, 0.8, solid=False)
