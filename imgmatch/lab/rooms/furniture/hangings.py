"""What hangs on walls: pictures, mirrors, screens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from imgmatch.lab.hotels import pictures
from imgmatch.lab.hotels.textures import Material
from imgmatch.lab.rooms.furniture.parts import ALWAYS, plain
from imgmatch.lab.rooms.scene import Builder, Finish, Place

if TYPE_CHECKING:
    from imgmatch.lab.hotels.textures import Colour
    from imgmatch.types import Pixels


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
    at: tuple[float, float],
    size: tuple[float, float],
    behind: Material,
    metal: Colour,
) -> None:
    """Hang a mirror, its middle at (x, z), that shows a pale, blurred version of the wall across the room."""
    (x, z), (width, height) = at, size
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
    b.panel(place, item, (x - width / 2, x + width / 2), (z - height / 2, z + height / 2), 0.03, Finish(skin, alpha))
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
    b.panel(place, item, box[0], box[2], y + 0.05, Finish(skin, glows=glows), part="screen")
    b.item(place, item, *box, 1.2, solid=False)
