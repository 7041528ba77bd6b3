"""Furniture built from boxes and cloth. Each function returns things around (0, 0, 0), the back at y = 0, front south.

`place` carries them to their place in the room.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from imgmatch.lab.hotels.scene import Finish, Thing

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np

    from imgmatch.lab.hotels.design import Design

DARK = Finish(colour=(12, 12, 14), roughness=0.15)
WHITE = Finish(colour=(235, 235, 232), roughness=0.35)


def place(things: Iterable[Thing], x: float, y: float, turn: float = 0.0, z: float = 0.0) -> list[Thing]:
    """Return things turned about the origin and moved to (x, y, z)."""
    cos, sin = math.cos(turn), math.sin(turn)
    return [
        replace(
            thing,
            at=(x + thing.at[0] * cos - thing.at[1] * sin, y + thing.at[0] * sin + thing.at[1] * cos, z + thing.at[2]),
            turn=thing.turn + turn,
        )
        for thing in things
    ]


def _box(name: str, at: tuple[float, float, float], size: tuple[float, float, float], finish: Finish) -> Thing:
    return Thing(name, "box", at, size, (finish,))


def headboard(design: Design, name: str, width: float) -> list[Thing]:
    """The head of a bed as wide as ``width``: its back at y = 0."""
    cloth, wood, metal = (design.finishes[key] for key in ("headboard", "wood", "metal"))
    shape = "soft" if cloth.kind != "wood" else "box"
    top = design.bed_height

    def pad(x: float, low: float, wide: float, high: float, thick: float = 0.08) -> Thing:
        return Thing(name, shape, (x, -thick / 2, low), (wide, thick, high), (cloth,), extra=(0.03,))

    kind = design.headboard
    if kind == "panel":
        return [pad(0, 0.1, width + 0.1, top + 0.45)]
    if kind == "split":
        count = max(2, round(width / 0.5))
        each = (width + 0.1) / count
        return [pad((i - (count - 1) / 2) * each, 0.25, each - 0.015, top + 0.5) for i in range(count)]
    if kind == "tall":
        rows = [pad(0, 0.2 + i * 0.32, width + 0.2, 0.31) for i in range(5)]
        return rows
    if kind == "wall":
        return [_box(name, (0, -0.025, 0), (width + 1.7, 0.05, top + 0.62), wood), pad(0, 0.3, width, top + 0.3, 0.12)]
    if kind == "slats":
        posts = [_box(name, (s * width / 2, -0.03, 0), (0.06, 0.06, top + 0.55), wood) for s in (-1, 1)]
        return posts + [_box(name, (0, -0.03, 0.3 + i * 0.16), (width, 0.03, 0.09), wood) for i in range(5)]
    if kind == "bars":
        count = int(width / 0.14)
        rails = [_box(name, (0, -0.02, top + h), (width, 0.025, 0.025), metal) for h in (0.05, 0.5)]
        bars = [((i - (count - 1) / 2) * width / count, -0.02, 0.2) for i in range(count)]
        return rails + [Thing(name, "cylinder", at, (0.018, 0.018, top + 0.32), (metal,)) for at in bars]
    if kind == "arch":
        steps = 9
        each = (width + 0.1) / steps
        heights = [top + 0.3 + 0.3 * math.cos((i - (steps - 1) / 2) / steps * 2.6) for i in range(steps)]
        return [pad((i - (steps - 1) / 2) * each, 0.1, each + 0.03, high) for i, high in enumerate(heights)]
    return []


def bed(design: Design, name: str, width: float) -> list[Thing]:
    """Frame, mattress and head of a bed, which stay as they are; `bedding` lies on it."""
    wood, linen, cloth = design.finishes["wood"], design.finishes["linen"], design.finishes["headboard"]
    length, top = 2.0, design.bed_height
    thick = min(0.26, top - 0.2)
    base = top - thick
    parts = headboard(design, f"{name} head", width)
    parts.append(
        _box(name, (0, -0.1 - length / 2, 0.07), (width, length, base - 0.07), wood if wood.seed % 2 else cloth)
    )
    legs = ((sx * (width / 2 - 0.08), -0.16 - sy * (length - 0.12)) for sx in (-1, 1) for sy in (0, 1))
    parts += [_box(name, (x, y, 0), (0.07, 0.07, 0.08), design.finishes["metal"]) for x, y in legs]
    parts.append(Thing(name, "soft", (0, -0.1 - length / 2, base), (width, length, thick), (linen,), extra=(0.06,)))
    return parts


def bedding(design: Design, name: str, width: float, rng: np.random.Generator, made: bool) -> list[Thing]:
    """Duvet, pillows, runner and cushions, made by the maid or left by a guest."""
    top = design.bed_height
    seed = int(rng.integers(2**31))
    parts: list[Thing] = []

    def add(shape: str, at: tuple[float, float, float], size: tuple[float, float, float], look: str, *extra: float,
            turn: float = 0.0) -> None:  # fmt: skip
        parts.append(Thing(f"{name} {look}", shape, at, size, (design.finishes[look],), turn, seed=seed + len(parts),
                           movable=True, solid=False, extra=extra))  # fmt: skip

    if made:
        add(
            "duvet",
            (0, -0.1 - 1.2, 0.012),
            (width, 1.6, top),
            "duvet",
            design.duvet_drop,
            design.duvet_drop,
            0.006,
            0.0,
        )
    else:
        length, shift = float(rng.uniform(0.9, 1.5)), float(rng.uniform(-0.12, 0.12))
        where = (shift, -0.1 - 2.0 + length / 2 + 0.02, 0.03)
        drop, high = float(rng.uniform(0.15, 0.4)), float(rng.uniform(0.02, 0.04))
        add("duvet", where, (width, length, top), "duvet", drop, 0.2, high, float(rng.uniform(0.06, 0.14)),
            turn=float(rng.normal(0, 0.09)))  # fmt: skip
    columns = 2 if width > 1.2 else 1
    wide = min(0.72, width / columns - 0.04)
    for column in range(columns):
        x = (column - (columns - 1) / 2) * width / columns
        for row in range(design.pillows):
            lean = 62.0 - 14 * row if made else float(rng.uniform(0, 25))
            y = -0.2 - 0.13 * row - (0.13 if not made else 0)
            if made:
                add("pillow", (x, y, top), (wide, 0.46, 0.17), "linen", 0.004, lean)
            else:
                add("pillow", (x + rng.normal(0, 0.08), y - 0.12, top + 0.1 * row), (wide, 0.46, 0.15), "linen", 0.02,
                    lean, turn=float(rng.normal(0, 0.3)))  # fmt: skip
    if made and design.runner:
        at = (0.0, -0.1 - 2.0 + design.runner / 2 + 0.12, 0.028)
        add("duvet", at, (width + 0.03, design.runner, top), "runner", max(design.duvet_drop, 0.22), 0.0, 0.003, 0.0)
    for index in range(design.cushions if made else 0):
        x = (index - (design.cushions - 1) / 2) * 0.4
        add("pillow", (x, -0.45 - 0.1 * design.pillows, top + 0.02), (0.42, 0.42, 0.16), "cushion", 0.004, 58.0)
    return parts


def nightstand(design: Design, name: str) -> list[Thing]:
    """A bedside table, its top at about the mattress."""
    wood, metal, high = design.finishes["wood"], design.finishes["metal"], design.bed_height + 0.02
    if design.nightstand == "model":
        return [Thing(name, "model", (0, -0.24, 0), (0.48, 0.46, high), model=design.models["nightstand"])]
    if design.nightstand == "shelf":
        return [_box(name, (0, -0.17, high - 0.14), (0.42, 0.34, 0.14), wood)]
    if design.nightstand == "round":
        plate = Thing(name, "cylinder", (0, -0.22, high - 0.03), (0.42, 0.42, 0.03), (wood,))
        foot = Thing(name, "cylinder", (0, -0.22, 0), (0.3, 0.3, 0.02), (metal,))
        return [plate, foot, Thing(name, "cylinder", (0, -0.22, 0.02), (0.05, 0.05, high - 0.05), (metal,))]
    body = [_box(name, (0, -0.2, 0.1), (0.45, 0.38, high - 0.1), wood)]
    body += [
        _box(name, (sx * 0.19, -0.2 + sy * 0.15, 0), (0.035, 0.035, 0.1), metal) for sx in (-1, 1) for sy in (-1, 1)
    ]
    drawers = 2 if design.nightstand == "drawers" else 1
    each = (high - 0.14) / drawers
    for row in range(drawers):
        front = (0, -0.4, 0.12 + row * each)
        body.append(_box(name, front, (0.42, 0.02, each - 0.02), design.finishes["wood two"]))
        body.append(_box(name, (0, -0.42, front[2] + each * 0.7), (0.12, 0.02, 0.012), metal))
    return body


def desk(design: Design, name: str, width: float) -> list[Thing]:
    """A writing desk, 0.55 m deep, 0.75 m high."""
    wood, metal = design.finishes["wood"], design.finishes["metal"]
    parts = [_box(name, (0, -0.275, 0.71), (width, 0.55, 0.04), wood)]
    sides = (-1, 1)
    if design.desk == "legs":
        parts += [
            _box(name, (s * (width / 2 - 0.04), y, 0), (0.04, 0.04, 0.71), metal) for s in sides for y in (-0.06, -0.49)
        ]
    elif design.desk == "panel":
        parts += [_box(name, (s * (width / 2 - 0.02), -0.275, 0), (0.04, 0.53, 0.71), wood) for s in sides]
    elif design.desk == "drawers":
        parts.append(_box(name, (-width / 2 + 0.02, -0.275, 0), (0.04, 0.53, 0.71), wood))
        parts.append(_box(name, (width / 2 - 0.22, -0.275, 0.04), (0.44, 0.5, 0.67), wood))
        for row in range(3):
            low = 0.07 + row * 0.215
            parts.append(_box(name, (width / 2 - 0.22, -0.535, low), (0.4, 0.02, 0.2), design.finishes["wood two"]))
            parts.append(_box(name, (width / 2 - 0.22, -0.55, low + 0.13), (0.12, 0.02, 0.012), metal))
    else:
        parts.append(_box(name, (0, -0.02, 0.5), (width, 0.04, 0.25), wood))
    return parts


def wardrobe(design: Design, name: str, width: float) -> list[Thing]:
    """A wardrobe, 0.6 m deep: with doors, with sliding mirrors, or open with a rail."""
    wood, two, metal = (design.finishes[key] for key in ("wood", "wood two", "metal"))
    high = min(2.2, design.height - 0.05)
    if design.wardrobe == "model":
        return [Thing(name, "model", (0, -0.31, 0), (width, 0.6, min(high, 2.05)), model=design.models["cupboard"])]
    if design.wardrobe == "open":
        parts = [_box(name, (s * (width / 2 - 0.02), -0.3, 0), (0.03, 0.58, high), wood) for s in (-1, 1)]
        parts += [_box(name, (0, -0.3, z), (width, 0.58, 0.03), wood) for z in (0.3, high - 0.03)]
        parts.append(_box(name, (0, -0.02, 0), (width, 0.02, high), two))
        parts.append(_box(name, (0, -0.3, high - 0.35), (width - 0.06, 0.025, 0.025), metal))
        return parts
    parts = [_box(name, (0, -0.29, 0), (width, 0.58, high), wood)]
    doors = max(2, round(width / 0.55))
    each = width / doors
    mirror = Finish(colour=(235, 238, 238), roughness=0.02, metallic=1.0)
    for index in range(doors):
        x = (index - (doors - 1) / 2) * each
        sliding = design.wardrobe == "sliding"
        front = mirror if sliding and index == doors - 1 else two if sliding else wood
        parts.append(
            _box(name, (x, -0.595 - 0.02 * (index % 2) * sliding, 0.06), (each - 0.01, 0.02, high - 0.1), front)
        )
        if not sliding:
            side = 1 if index % 2 == 0 else -1
            parts.append(_box(name, (x + side * (each / 2 - 0.06), -0.625, 1.0), (0.015, 0.025, 0.2), metal))
    return parts


def bench(design: Design, name: str, width: float) -> list[Thing]:
    """A luggage bench: a board or cushion on legs, 0.45 m high."""
    metal, soft_top = design.finishes["metal"], design.finishes["upholstery"]
    legs = [(sx * (width / 2 - 0.04), -0.2 + sy * 0.15, 0.0) for sx in (-1, 1) for sy in (-1, 1)]
    parts = [_box(name, at, (0.03, 0.03, 0.36), metal) for at in legs]
    parts.append(Thing(name, "soft", (0, -0.2, 0.36), (width, 0.4, 0.09), (soft_top,), extra=(0.03,)))
    return parts


def suitcase(name: str, rng: np.random.Generator) -> list[Thing]:
    """A guest's trolley case, standing."""
    colour = tuple(float(value) for value in rng.uniform(15, 200, 3))
    shell = Finish(colour=(colour[0], colour[1], colour[2]), roughness=0.4)
    wide, high = float(rng.uniform(0.36, 0.5)), float(rng.uniform(0.5, 0.75))
    parts = [
        Thing(name, "soft", (0, -0.14, 0.04), (wide, 0.26, high), (shell,), movable=True, extra=(0.05,)),
        Thing(name, "box", (0, -0.06, high + 0.3), (wide * 0.4, 0.03, 0.025), (DARK,), movable=True),
    ]
    parts += [
        Thing(name, "box", (sx * wide * 0.18, -0.06, high), (0.012, 0.012, 0.3), (DARK,), movable=True)
        for sx in (-1, 1)
    ]
    parts += [
        Thing(name, "box", (sx * wide * 0.4, -0.14, 0), (0.04, 0.2, 0.05), (DARK,), movable=True) for sx in (-1, 1)
    ]
    return parts
