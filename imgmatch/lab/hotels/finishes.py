"""The pixels of a finish: every procedural texture by name, as (rows, cols, 3 or 4) uint8 sRGB."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from imgmatch.lab.hotels import pictures, textures

if TYPE_CHECKING:
    from imgmatch.lab.hotels.scene import Finish
    from imgmatch.types import Pixels

# What repeats without a seam, and over how many metres.
TILING = {
    "plaster": (textures.plaster, 2.6),
    "stripes": (textures.stripes, 2.4),
    "damask": (textures.damask, 2.4),
    "geometric": (textures.geometric, 2.4),
    "foliage": (textures.foliage, 2.4),
    "brick": (textures.brick, 1.8),
    "boards": (textures.boards, 2.2),
    "tiles": (textures.tiles, 2.0),
    "marble": (textures.marble, 2.4),
    "wood": (textures.wood, 1.2),
    "parquet": (textures.parquet, 2.0),
    "carpet": (textures.carpet, 2.4),
    "fabric": (textures.fabric, 0.8),
    "bedspread": (textures.bedspread, 1.3),
}
STAIN_PX = 64


def pixels(finish: Finish) -> Pixels | None:
    """Return a finish's texture, None for a plain colour. The same finish gives the same pixels."""
    rng = np.random.default_rng([finish.seed, 77])
    base = np.array(finish.colour, np.float32)
    kind, _, style = finish.kind.partition(":")
    if kind == "plain":
        return None
    if kind in TILING:
        return TILING[kind][0](rng, base)
    if kind == "painting":
        return pictures.painting(rng, 160, 200, style or None)
    if kind in ("day", "night"):
        return pictures.outside(rng, 288, 512)[kind == "night"]
    if kind == "screen":
        return pictures.painting(rng, 144, 256)
    if kind == "sign":
        return _sign(rng, base)
    if kind == "stain":
        return _stain(rng, base)
    raise ValueError(f"no finish is called {finish.kind!r}")


def _stain(rng: np.random.Generator, base: textures.Colour) -> Pixels:
    """A smudge: one colour, most opaque somewhere in the middle, with a ragged border."""
    y, x = np.mgrid[-1 : 1 : STAIN_PX * 1j, -1 : 1 : STAIN_PX * 1j]
    ragged = textures.fractal(rng, 3, 3, STAIN_PX)
    cover = np.clip(1.1 - np.hypot(x, y) * 1.4 + ragged * 0.4, 0, 1) * rng.uniform(0.15, 0.6)
    sheet = np.empty((STAIN_PX, STAIN_PX, 4), np.uint8)
    sheet[..., :3] = base
    sheet[..., 3] = cover * 255 * (np.maximum(np.abs(x), np.abs(y)) < 0.97)
    return sheet


def _sign(rng: np.random.Generator, base: textures.Colour) -> Pixels:
    """A printed notice as it hangs on the door: lines of writing and a plan."""
    sheet = np.full((96, 72, 3), 245, np.uint8)
    sheet[4:16, 6:66] = base
    for row in range(22, 46, 5):
        sheet[row : row + 2, 6 : int(rng.integers(30, 66))] = 110
    for _ in range(6):
        top, left = int(rng.integers(50, 78)), int(rng.integers(6, 46))
        high, wide = int(rng.integers(8, 14)), int(rng.integers(8, 20))
        sheet[top : top + high, left : left + wide] = base * 0.8 + 50
        sheet[top + 1 : top + high - 1, left + 1 : left + wide - 1] = 235
    return sheet
