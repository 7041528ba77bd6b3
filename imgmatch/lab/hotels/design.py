"""What the rooms of one hotel share: its furniture, textiles, colours, lamps, floors, layout and kind of pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from imgmatch.lab.hotels import pictures, textures
from imgmatch.lab.hotels.models import role_keys
from imgmatch.lab.hotels.scene import Finish

if TYPE_CHECKING:
    from imgmatch.lab.hotels.scene import RGB

LAYOUTS = ("long", "square", "wide")
HEADBOARDS = ("panel", "split", "tall", "wall", "slats", "bars", "arch", "none")
HUES = (0.0, 0.03, 0.06, 0.08, 0.1, 0.13, 0.22, 0.33, 0.45, 0.52, 0.57, 0.6, 0.64, 0.75, 0.93)
"""The hues of textiles: reds, browns and golds, blues and greens more than others, as decorators have it."""
LAMP_COLOURS: tuple[RGB, ...] = ((255, 197, 143), (255, 180, 107), (255, 214, 170), (255, 228, 206), (255, 244, 229))
"""White light from 2,200 to 4,500 kelvin."""


@dataclass(frozen=True)
class Design:
    """One hotel. ``finishes`` and ``models`` are what each role looks like; the rest says how rooms are laid out."""

    seed: int
    layout: str
    width: float
    depth: float
    height: float
    finishes: dict[str, Finish]
    models: dict[str, str]
    headboard: str
    bed_width: float
    bed_height: float
    duvet_drop: float
    runner: float
    cushions: int
    pillows: int
    nightstand: str
    desk: str
    wardrobe: str
    bedside_lamp: str
    ceiling_lamp: str
    lamp_colour: RGB
    curtain: tuple[float, float]
    sheer: bool
    window: tuple[float, float, float]
    skirting: float
    accent: bool
    wainscot: float
    television: tuple[float, float]
    art: tuple[str, ...]
    art_shared: bool
    art_size: tuple[float, float]
    art_count: int
    art_frame: tuple[float, float]
    rug: bool
    shower: str
    vanity: str
    tiled: float
    corridor: float


def generator(seed: int, *path: int | str) -> np.random.Generator:
    """Return a generator for one purpose: the same seed and path give the same numbers, others independent ones."""
    words = [part if isinstance(part, int) else int.from_bytes(part.encode()[:8], "big") for part in path]
    return np.random.default_rng([seed, *words])


def hotel(seed: int, number: int, only_cc0: bool = False) -> Design:
    """Draw the design of hotel ``number`` of a collection; ``only_cc0`` keeps to models in the public domain."""
    rng = generator(seed, "hotel", number)
    layout = str(rng.choice(LAYOUTS, p=[0.45, 0.35, 0.2]))
    sizes = {"long": (3.3, 4.3, 5.4, 7.2), "square": (4.0, 5.2, 4.0, 5.2), "wide": (4.4, 6.0, 3.6, 4.6)}[layout]
    art_width = float(rng.uniform(0.35, 1.3))
    return Design(
        seed=int(rng.integers(2**31)),
        layout=layout,
        width=float(rng.uniform(*sizes[:2])),
        depth=float(rng.uniform(*sizes[2:])),
        height=float(rng.choice([2.4, 2.5, 2.6, 2.75, 3.0], p=[0.2, 0.25, 0.3, 0.15, 0.1])),
        finishes=_finishes(rng),
        models=_models(rng, only_cc0),
        headboard=str(rng.choice(HEADBOARDS, p=[0.2, 0.15, 0.12, 0.17, 0.1, 0.06, 0.1, 0.1])),
        bed_width=float(rng.choice([1.4, 1.6, 1.8, 2.0])),
        bed_height=float(rng.uniform(0.46, 0.66)),
        duvet_drop=float(rng.choice([0.08, 0.2, 0.34])),
        runner=float(rng.choice([0, 0.45, 0.6, 0.8], p=[0.35, 0.2, 0.25, 0.2])),
        cushions=int(rng.choice([0, 1, 2, 3], p=[0.35, 0.25, 0.25, 0.15])),
        pillows=int(rng.choice([1, 2], p=[0.6, 0.4])),
        nightstand=str(rng.choice(["box", "drawers", "shelf", "round", "model"], p=[0.25, 0.3, 0.15, 0.15, 0.15])),
        desk=str(rng.choice(["legs", "panel", "drawers", "shelf"])),
        wardrobe=str(rng.choice(["doors", "open", "sliding", "model"], p=[0.45, 0.15, 0.25, 0.15])),
        bedside_lamp=str(rng.choice(["model", "shade", "wall", "hanging"], p=[0.35, 0.35, 0.2, 0.1])),
        ceiling_lamp=str(rng.choice(["disc", "spots", "hanging", "none"], p=[0.4, 0.25, 0.2, 0.15])),
        lamp_colour=LAMP_COLOURS[rng.integers(len(LAMP_COLOURS))],
        curtain=(float(rng.uniform(3, 7)), float(rng.uniform(0.03, 0.06))),
        sheer=bool(rng.random() < 0.4),
        window=(float(rng.uniform(1.1, 2.6)), float(rng.choice([0.05, 0.5, 0.85, 1.0])), float(rng.uniform(2.0, 2.3))),
        skirting=float(rng.choice([0, 0.06, 0.1, 0.15])),
        accent=bool(rng.random() < 0.55),
        wainscot=float(rng.choice([0, 0.9, 1.1], p=[0.8, 0.12, 0.08])),
        television=(float(rng.uniform(0.65, 1.25)), float(rng.choice([0, 0.9, 1.15]))),
        art=tuple(str(name) for name in rng.choice(list(pictures.STYLES), int(rng.integers(1, 3)), replace=False)),
        art_shared=bool(rng.random() < 0.3),
        art_size=(art_width, art_width * float(rng.choice([0.7, 1.0, 1.35]))),
        art_count=int(rng.choice([1, 2, 3])),
        art_frame=(float(rng.uniform(0.015, 0.05)), float(rng.choice([0, 0.05, 0.09]))),
        rug=bool(rng.random() < 0.25),
        shower=str(rng.choice(["glass", "curtain", "bath"])),
        vanity=str(rng.choice(["counter", "model"], p=[0.65, 0.35])),
        tiled=float(rng.choice([1.3, 2.1, 9.0], p=[0.2, 0.25, 0.55])),
        corridor=float(rng.uniform(1.4, 2.1)),
    )


def _models(rng: np.random.Generator, only_cc0: bool) -> dict[str, str]:
    """One model a role; a role without a model in the public domain is left out where only those are wanted."""
    roles = (
        "chair", "office chair", "armchair", "sofa", "coffee table", "table lamp", "nightstand", "cupboard", "plant",
        "small plant", "radiator", "kettle", "phone", "toilet", "washbasin", "vanity", "bath", "bidet", "shower",
        "towel", "toilet paper", "brush", "bin", "vase", "air conditioner", "extinguisher", "exit sign",
    )  # fmt: skip
    chosen = {}
    for role in roles:
        draw = rng.random()
        keys = role_keys(role, only_cc0)
        if keys:
            chosen[role] = keys[int(draw * len(keys))]
    return chosen


def _colour(values: textures.Colour) -> RGB:
    red, green, blue = (float(min(max(value, 0), 255)) for value in values)
    return red, green, blue


def _finishes(rng: np.random.Generator) -> dict[str, Finish]:
    """The palette: two or three hues run through the textiles, one or two woods through the furniture."""

    def finish(kind: str, colour: textures.Colour, **options: float) -> Finish:
        return Finish(kind, _colour(colour), int(rng.integers(2**31)), **options)

    hues = [float(HUES[rng.integers(len(HUES))] + rng.normal(0, 0.02)) % 1 for _ in range(2)]
    hues.append((hues[0] + float(rng.choice([0.5, 0.33, 0.08]))) % 1)
    strength = float(rng.choice([0.15, 0.3, 0.45, 0.7]))

    def textile(low: float, high: float) -> textures.Colour:
        hue = hues[rng.integers(3)] + rng.normal(0, 0.015)
        return textures.hsv(hue, strength * rng.uniform(0.5, 1.1), rng.uniform(low, high))

    wood, wood_two = textures.wood_tone(rng), textures.wood_tone(rng)
    wall = textures.muted(rng, (0.72, 0.95), 0.3)
    pick = rng.choice
    accent_kind = str(pick(["plaster", "stripes", "damask", "geometric", "foliage", "brick", "boards"]))
    accent = textile(0.3, 0.85) if accent_kind not in ("brick", "boards") else wood * np.float32(0.9)
    floor_kind = str(pick(["carpet", "boards", "parquet", "tiles", "marble"], p=[0.5, 0.25, 0.1, 0.1, 0.05]))
    floor = wood_two if floor_kind in ("boards", "parquet") else textile(0.25, 0.7)
    tiles_kind = str(pick(["tiles", "marble"], p=[0.75, 0.25]))
    bath_tile = textures.muted(rng, (0.45, 0.95), 0.4)
    metal: textures.Colour = np.array(pick([[200, 200, 205], [60, 60, 62], [190, 150, 90], [120, 95, 70]]), np.float32)
    white: textures.Colour = textures.hsv(0.1, rng.uniform(0, 0.08), rng.uniform(0.86, 0.95))
    spread = textile(0.3, 0.85)
    cover = white if rng.random() < 0.7 else textile(0.5, 0.9)
    made = {
        "wall": finish(str(pick(["plaster", "stripes", "damask"], p=[0.75, 0.13, 0.12])), wall, size_m=2.6),
        "accent": finish(accent_kind, accent, size_m=float(rng.uniform(1.6, 2.6))),
        "ceiling": finish("plaster", textures.hsv(0.1, 0.03, rng.uniform(0.9, 0.97)), size_m=2.6),
        "floor": finish(floor_kind, floor, size_m=2.4, roughness=0.95 if floor_kind == "carpet" else 0.35),
        "skirting": finish("plain", white if rng.random() < 0.6 else wood, roughness=0.4),
        "wood": finish("wood", wood, size_m=1.2, roughness=float(rng.uniform(0.25, 0.6))),
        "wood two": finish("wood", wood_two, size_m=1.2, roughness=0.45),
        "metal": finish("plain", metal, roughness=0.3, metallic=1.0),
        "upholstery": finish(str(pick(["fabric", "bedspread"], p=[0.7, 0.3])), textile(0.25, 0.75), size_m=0.8),
        "headboard": finish(str(pick(["fabric", "wood"])), textile(0.2, 0.7), size_m=0.9),
        "curtain": finish(str(pick(["fabric", "bedspread"], p=[0.65, 0.35])), textile(0.25, 0.85), size_m=1.1),
        "sheer": finish("fabric", white, size_m=0.8, alpha=0.45),
        "linen": finish("fabric", white, size_m=0.9, roughness=0.9),
        "duvet": finish("fabric" if cover is white else "bedspread", cover, size_m=1.4, roughness=0.9),
        "runner": finish("bedspread", spread, size_m=float(rng.uniform(0.6, 1.3)), roughness=0.9),
        "cushion": finish("bedspread", textile(0.3, 0.85), size_m=0.5, roughness=0.9),
        "rug": finish("carpet", textile(0.2, 0.8), size_m=1.6, roughness=1.0),
        "door": finish("wood", wood if rng.random() < 0.6 else white, size_m=1.6, roughness=0.5),
        "shade": finish("fabric", textures.hsv(0.11, rng.uniform(0, 0.35), rng.uniform(0.75, 0.95)), size_m=0.5),
        "lamp foot": finish("plain", metal if rng.random() < 0.5 else textile(0.2, 0.8), roughness=0.3),
        "art frame": finish("wood", textures.wood_tone(rng) * np.float32(pick([0.3, 1])), size_m=0.6, roughness=0.4),
        "tiles": finish(tiles_kind, bath_tile, size_m=float(rng.uniform(1.0, 2.4)), roughness=0.15),
        "bath floor": finish("tiles", textures.muted(rng, (0.25, 0.85), 0.4), size_m=1.6, roughness=0.25),
        "counter": finish("marble", textures.muted(rng, (0.3, 0.95), 0.3), size_m=1.5, roughness=0.12),
        "towel": finish("fabric", white if rng.random() < 0.7 else textile(0.3, 0.8), size_m=0.5, roughness=1.0),
        "corridor floor": finish("carpet", textile(0.2, 0.6), size_m=2.4, roughness=1.0),
    }
    if made["headboard"].kind == "wood":
        made["headboard"] = finish("wood", wood, size_m=1.2, roughness=0.45)
    return made
