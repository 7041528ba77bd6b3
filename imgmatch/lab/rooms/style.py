"""The design of a room or of a whole hotel chain: finishes, woods, cloths and the shapes of furniture."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from imgmatch.lab.hotels import textures
from imgmatch.lab.hotels.textures import Material

if TYPE_CHECKING:
    from imgmatch.lab.hotels.textures import Colour
    from imgmatch.types import Pixels

_FLOORS: tuple[tuple[Callable[[np.random.Generator, Colour], Pixels], float], ...] = (
    (textures.carpet, 2.0),
    (textures.boards, 1.6),
    (textures.parquet, 1.8),
    (textures.tiles, 2.4),
    (textures.marble, 3.2),
)


class Style:
    """Everything that rooms of one chain share; each part is drawn from its own seed, when it is first needed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def rng(self, part: str) -> np.random.Generator:
        """Return the generator of one part, so that a part doesn't change when others are added."""
        return np.random.default_rng([self.seed, zlib.crc32(part.encode())])

    def choice(self, part: str, *options: str) -> str:
        """Choose one of the shapes for a part."""
        return str(options[int(self.rng(part).integers(len(options)))])

    @cached_property
    def wall_colour(self) -> Colour:
        """The main paint."""
        return textures.muted(self.rng("wall colour"), (0.62, 0.95), 0.35)

    @cached_property
    def wall(self) -> Material:
        """The finish of most walls."""
        rng = self.rng("wall")
        kinds = ("plaster", "stripes", "damask", "geometric", "foliage")
        make, size = textures.WALLS[kinds[rng.choice(5, p=[0.64, 0.1, 0.1, 0.08, 0.08])]]
        return Material(make(rng, self.wall_colour), size)

    @cached_property
    def accent(self) -> Material:
        """The finish of the wall behind the bed or the sofa."""
        rng = self.rng("accent")
        if rng.random() < 0.4:
            return self.wall
        kinds = sorted(textures.WALLS)
        kind = kinds[rng.integers(len(kinds))]
        make, size = textures.WALLS[kind]
        base = textures.muted(rng, (0.3, 0.8), 0.75)
        if kind == "brick":
            base = textures.hsv(rng.uniform(0.01, 0.1), rng.uniform(0.1, 0.6), rng.uniform(0.45, 0.9))
        elif kind == "boards":
            base = textures.wood_tone(rng)
        return Material(make(rng, base), size)

    @cached_property
    def ceiling(self) -> Material:
        """Painted plaster, rarely boards."""
        rng = self.rng("ceiling")
        if rng.random() < 0.1:
            return Material(textures.boards(rng, textures.wood_tone(rng)), 2.4)
        return Material(textures.plaster(rng, textures.muted(rng, (0.85, 0.97), 0.1)), 3.2)

    @cached_property
    def floor(self) -> Material:
        """Carpet, boards, parquet, tiles or stone."""
        rng = self.rng("floor")
        make, size = _FLOORS[rng.choice(len(_FLOORS), p=[0.4, 0.22, 0.16, 0.12, 0.1])]
        if make in (textures.boards, textures.parquet):
            base = textures.wood_tone(rng)
        elif make is textures.carpet:
            base = textures.muted(rng, (0.25, 0.75), 0.8)
        else:
            base = textures.muted(rng, (0.4, 0.92), 0.2)
        return Material(make(rng, base), size)

    @cached_property
    def wet_wall(self) -> Material:
        """The tiles of the bathroom's walls."""
        rng = self.rng("wet wall")
        make = textures.marble if rng.random() < 0.25 else textures.tiles
        return Material(make(rng, textures.muted(rng, (0.45, 0.97), 0.4)), float(rng.choice([1.2, 1.8, 2.4])))

    @cached_property
    def wet_floor(self) -> Material:
        """The tiles of the bathroom's floor."""
        rng = self.rng("wet floor")
        make = textures.marble if rng.random() < 0.25 else textures.tiles
        return Material(make(rng, textures.muted(rng, (0.25, 0.9), 0.35)), float(rng.choice([1.2, 1.8, 2.4])))

    @cached_property
    def wood(self) -> Material:
        """The wood of the furniture."""
        rng = self.rng("wood")
        return Material(textures.wood(rng, textures.wood_tone(rng)), 1.3)

    @cached_property
    def second_wood(self) -> Material:
        """The wood of door and wardrobe."""
        rng = self.rng("second wood")
        return self.wood if rng.random() < 0.5 else Material(textures.wood(rng, textures.wood_tone(rng)), 1.3)

    @cached_property
    def upholstery(self) -> Material:
        """The cloth of headboard, sofa and chairs."""
        rng = self.rng("upholstery")
        base = textures.muted(rng, (0.2, 0.85), 0.9)
        make = textures.fabric if rng.random() < 0.7 else textures.bedspread
        return Material(make(rng, base), 1.0)

    @cached_property
    def linen(self) -> Material:
        """Sheets and pillows."""
        rng = self.rng("linen")
        return Material(textures.fabric(rng, textures.hsv(0.11, rng.uniform(0, 0.08), rng.uniform(0.88, 0.98))), 1.2)

    @cached_property
    def curtain(self) -> Material:
        """Curtains, hanging in folds."""
        rng = self.rng("curtain")
        return Material(textures.folds(rng, textures.muted(rng, (0.25, 0.95), 0.8)), 1.6)

    @cached_property
    def metal(self) -> Colour:
        """The metal of lamps and handles: steel, brass or black."""
        tones = ((190, 192, 196), (190, 150, 80), (38, 38, 40), (120, 88, 60))
        return np.array(tones[self.rng("metal").integers(4)], np.float32)

    @cached_property
    def lamp_shade(self) -> Colour:
        """The colour of the shades of lamps."""
        rng = self.rng("lamp shade")
        return textures.hsv(rng.normal(0.1, 0.03), rng.uniform(0.02, 0.4), rng.uniform(0.75, 0.97))
