"""Meshes of what hotels are furnished with beside the catalogue's models: boxes, cushions, cloth, lamp shades, walls.

Every mesh stands on z = 0 around the z axis, its front to the south (-y), `size` = (width, depth, height) large.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from imgmatch.lab.hotels.scene import Thing

    Floats = npt.NDArray[np.float64]

Faces = list[tuple[int, ...]]


class Mesh(NamedTuple):
    """Vertices (n, 3) in metres, faces, texture coordinates of the vertices (n, 2), smooth or faceted.

    Texture coordinates count in metres along the surface, or 0 to 1 for what is stretched over it once.
    ``parts`` numbers the finish of each face where there are several. ``boxed`` says that the texture is projected
    from six sides instead.
    """

    vertices: Floats
    faces: Faces
    uv: Floats
    smooth: bool = False
    boxed: bool = False
    parts: tuple[int, ...] = ()


def _grid(rows: int, cols: int, offset: int = 0) -> Faces:
    """The faces of a grid of rows x cols vertices, counter-clockwise seen from above (x right, y up)."""
    return [
        (offset + r * cols + c, offset + r * cols + c + 1, offset + (r + 1) * cols + c + 1, offset + (r + 1) * cols + c)
        for r in range(rows - 1)
        for c in range(cols - 1)
    ]


_CORNERS = np.array([(x, y, z) for z in (0, 1) for y in (-0.5, 0.5) for x in (-0.5, 0.5)])
_SIDES: Faces = [(0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (2, 6, 7, 3), (0, 4, 6, 2), (1, 3, 7, 5)]


def box(thing: Thing) -> Mesh:
    """A box with sharp edges."""
    vertices = _CORNERS * np.array(thing.size)
    return Mesh(vertices, list(_SIDES), vertices[:, :2], boxed=True)


def soft(thing: Thing) -> Mesh:
    """A box with round edges, of ``extra[0]`` metres or a third of its smallest side: mattresses, upholstery."""
    size = np.array(thing.size)
    radius = min([thing.extra[0] if thing.extra else 0.05, *(size / 2.2)])
    steps = np.array([-1, -0.97, -0.9, -0.5, 0, 0.5, 0.9, 0.97, 1])
    u, v = (axis.ravel() for axis in np.meshgrid(steps, steps))
    one = np.ones_like(u)
    sides = [(u, v, one), (-u, v, -one), (u, -one, v), (-u, one, v), (one, u, v), (-one, -u, v)]
    cube = np.concatenate([np.stack(side, axis=1) for side in sides])
    half = size / 2
    # Points run over a cube whose inner box is the size less the radius; each is pushed out along its offset.
    inner = half - radius
    at = cube * half
    core = np.clip(at, -inner, inner)
    away = at - core
    length = np.linalg.norm(away, axis=1, keepdims=True)
    vertices = core + away / np.maximum(length, 1e-9) * np.minimum(length, radius)
    vertices[:, 2] += half[2]
    count = len(steps)
    faces = [face for side in range(6) for face in _grid(count, count, side * count * count)]
    return Mesh(vertices, faces, vertices[:, :2], smooth=True, boxed=True)


def cylinder(thing: Thing, closed: bool = True) -> Mesh:
    """A cylinder or cone: ``extra[0]`` is the width of its top over that of its foot (1 where nothing is said)."""
    top = thing.extra[0] if thing.extra else 1.0
    count = 20
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1) * np.array(thing.size[:2]) / 2
    vertices = np.concatenate([np.c_[ring, np.zeros(count)], np.c_[ring * top, np.full(count, thing.size[2])]])
    faces: Faces = [(i, (i + 1) % count, count + (i + 1) % count, count + i) for i in range(count)]
    if closed:
        faces += [tuple(range(count))[::-1], tuple(range(count, 2 * count))]
    around = np.r_[angles, angles] * thing.size[0] / 2
    return Mesh(vertices, faces, np.c_[around, vertices[:, 2]], smooth=not closed, boxed=closed)


def shade(thing: Thing) -> Mesh:
    """A lamp shade: a cone without ends."""
    return cylinder(thing, closed=False)


def panel(thing: Thing) -> Mesh:
    """An upright rectangle that looks south, its texture once over it or counted in metres."""
    width, _, height = thing.size
    vertices = np.array([(-width / 2, 0, 0), (width / 2, 0, 0), (width / 2, 0, height), (-width / 2, 0, height)])
    scale = (1.0, 1.0) if thing.finishes and not thing.finishes[0].size_m else (width, height)
    return Mesh(vertices, [(0, 1, 2, 3)], np.array([(0, 0), (1, 0), (1, 1), (0, 1)]) * scale)


def sheet(thing: Thing) -> Mesh:
    """A level rectangle that looks up (at the height 0) or, with a negative height, down."""
    width, depth, height = thing.size
    flat = [
        (-width / 2, -depth / 2, 0),
        (width / 2, -depth / 2, 0),
        (width / 2, depth / 2, 0),
        (-width / 2, depth / 2, 0),
    ]
    scale = (1.0, 1.0) if thing.finishes and not thing.finishes[0].size_m else (width, depth)
    face: Faces = [(0, 1, 2, 3)] if height >= 0 else [(3, 2, 1, 0)]
    return Mesh(np.array(flat, float), face, np.array([(0, 0), (1, 0), (1, 1), (0, 1)]) * scale)


def wall(thing: Thing) -> Mesh:
    """An upright rectangle with holes: ``extra`` is (left, right, bottom, top) of each, in metres from the middle."""
    width, _, height = thing.size
    holes = np.array(thing.extra, float).reshape(-1, 4)
    across = np.unique(np.r_[-width / 2, width / 2, np.clip(holes[:, :2].ravel(), -width / 2, width / 2)])
    up = np.unique(np.r_[0, height, np.clip(holes[:, 2:].ravel(), 0, height)])
    x, z = (axis.ravel() for axis in np.meshgrid(across, up))
    vertices = np.stack([x, np.zeros_like(x), z], axis=1)
    faces = []
    for face in _grid(len(up), len(across)):
        middle = vertices[list(face)].mean(axis=0)
        if not any(a < middle[0] < b and c < middle[2] < d for a, b, c, d in holes):
            faces.append(face)
    return Mesh(vertices, faces, np.stack([x + width / 2, z], axis=1))


def frame(thing: Thing) -> Mesh:
    """A picture: frame, mount and picture are finishes 0, 1 and 2; ``extra`` = widths of frame and mount in metres."""
    width, depth, height = thing.size
    edge, mount = thing.extra
    insets = [(0.0, 0.0), (0.0, depth), (edge, depth), (edge, depth * 0.6), (edge + mount, depth * 0.6)]
    rings = []
    for inset, forward in insets:
        w, low, high = width / 2 - inset, inset, height - inset
        rings.append([(-w, -forward, low), (w, -forward, low), (w, -forward, high), (-w, -forward, high)])
    vertices = np.array([corner for ring in rings for corner in ring], float)
    faces: Faces = []
    parts: list[int] = []
    for ring, part in ((0, 0), (1, 0), (2, 0), (3, 1)):
        for i in range(4):
            a, b = ring * 4 + i, ring * 4 + (i + 1) % 4
            faces.append((a, b, b + 4, a + 4))
            parts.append(part)
    # The picture has corners of its own, for its texture coordinates.
    faces.append((20, 21, 22, 23))
    parts.append(2)
    vertices = np.concatenate([vertices, vertices[16:20]])
    uv = np.concatenate([vertices[:20, [0, 2]], np.array([(0, 0), (1, 0), (1, 1), (0, 1)], float)])
    return Mesh(vertices, faces, uv, parts=tuple(parts))


def _bumps(seed: int, rows: int, cols: int, cells: tuple[int, int]) -> Floats:
    """Smooth noise in about -1..1."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(-1, 1, (cells[0] + 3, cells[1] + 3)).astype(np.float32)
    fine = rng.uniform(-1, 1, (cells[0] * 3 + 3, cells[1] * 3 + 3)).astype(np.float32)
    size = (cols, rows)
    both = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC) + 0.4 * cv2.resize(
        fine, size, interpolation=cv2.INTER_CUBIC
    )
    return both.astype(np.float64)


def curtain(thing: Thing) -> Mesh:
    """A hanging curtain: ``extra`` = folds a metre and how deep they are, in metres."""
    width, _, height = thing.size
    folds, depth = thing.extra
    cols, rows = max(12, int(width * folds * 8)), 8
    across = np.linspace(0, 1, cols)
    rng = np.random.default_rng(thing.seed)
    wander = np.interp(across, np.linspace(0, 1, 6), rng.uniform(-0.6, 0.6, 6))
    phase = across * width * folds * 2 * np.pi + wander * 3
    down = np.linspace(0, 1, rows)[:, None]
    # Pleats are tight at the rail and swing out below.
    y = np.sin(phase)[None] * depth * (0.6 + 0.4 * (1 - down)) + 0.3 * depth * np.sin(phase * 0.37 + 2)[None] * (
        1 - down
    )
    x = np.broadcast_to((across - 0.5) * width, y.shape)
    z = np.broadcast_to(down * height, y.shape)
    vertices = np.stack([x, y, z], axis=2).reshape(-1, 3)
    along = np.concatenate([[0], np.cumsum(np.hypot(np.diff(x[0]), np.diff(y[0])))])
    uv = np.stack([np.broadcast_to(along, y.shape), z], axis=2).reshape(-1, 2)
    return Mesh(vertices, _grid(rows, cols), uv, smooth=True)


def duvet(thing: Thing) -> Mesh:
    """A cover over a bed of ``size``, lying at its height; ``extra`` = (sides, foot, wrinkles, roll).

    ``sides`` and ``foot`` are how far it hangs down, ``wrinkles`` how high they are, ``roll`` how much the upper end
    is thrown back (0 for a made bed), all in metres.
    """
    width, depth, height = thing.size
    sides, foot, wrinkles, roll = thing.extra
    cols, rows = 44, 44
    u = np.linspace(-width / 2 - sides, width / 2 + sides, cols)[None, :]
    v = np.linspace(-depth / 2 - foot, depth / 2, rows)[:, None]
    over_u = np.maximum(np.abs(u) - width / 2, 0) + 0 * v
    over_v = np.maximum(-v - depth / 2, 0) + 0 * u
    hang = np.maximum(over_u, over_v)
    soften = 0.03
    drop = np.sqrt(hang * hang + soften * soften) - soften
    x = np.clip(u, -width / 2, width / 2) + np.sign(u) * np.minimum(over_u, 0.035) + 0 * v
    y = np.clip(v, -depth / 2, None) - np.minimum(over_v, 0.035) + 0 * u
    bumps = _bumps(thing.seed, rows, cols, (5, 5))
    z = height - drop + np.where(hang > 0, 0, 1) * wrinkles * bumps
    flutter = np.where(hang > 0.02, 1, 0) * (wrinkles * 0.7 + 0.008) * bumps
    x, y = x + np.sign(u) * flutter * (over_u >= over_v), y - flutter * (over_v > over_u)
    if roll:
        end = np.clip((v + 0 * u - (depth / 2 - 0.45)) / 0.45, 0, 1)
        z = z + roll * np.sin(end * np.pi) * (1 + 0.5 * bumps)
        y = y - end * end * 0.25 - wrinkles * 4 * bumps * end
    vertices = np.stack([x, y, z], axis=2).reshape(-1, 3)
    uv = np.stack([u + 0 * v, v + 0 * u], axis=2).reshape(-1, 2)
    return Mesh(vertices, _grid(rows, cols), uv, smooth=True)


def pillow(thing: Thing) -> Mesh:
    """A pillow, thin at the seam: ``extra`` = how crumpled it is (metres), how far leaned back (degrees)."""
    width, depth, height = thing.size
    count = 18
    u, v = np.meshgrid(np.linspace(-1, 1, count), np.linspace(-1, 1, count))
    # Seams run in a little between the corners, as filled cloth does.
    x, y = u * (1 - 0.07 * (1 - v * v)) * width / 2, v * (1 - 0.07 * (1 - u * u)) * depth / 2
    full = np.maximum((1 - u**4) * (1 - v**4), 0) ** 0.5
    crumpled = thing.extra[0] * _bumps(thing.seed, count, count, (3, 3)) * full
    top = np.stack([x, y, height * (0.3 + 0.7 * full) + crumpled], axis=2).reshape(-1, 3)
    low = np.stack([x, y, height * 0.3 * (1 - full)], axis=2).reshape(-1, 3)
    faces = _grid(count, count) + [face[::-1] for face in _grid(count, count, count * count)]
    vertices = np.concatenate([top, low])
    uv = vertices[:, :2] + (width / 2, depth / 2)
    angle = math.radians(thing.extra[1])
    x, y, z = vertices.T
    lean = np.stack([x, y * math.cos(angle) - z * math.sin(angle), y * math.sin(angle) + z * math.cos(angle)], axis=1)
    lean[:, 2] -= lean[:, 2].min()
    rim = [r * count + c for r, c in _rim(count)]
    for a, b in zip(rim, rim[1:] + rim[:1], strict=True):
        faces.append((a, a + count * count, b + count * count, b))
    return Mesh(lean, faces, uv, smooth=True)


def _rim(count: int) -> list[tuple[int, int]]:
    last = count - 1
    south, north = [(0, c) for c in range(last)], [(last, c) for c in range(last, 0, -1)]
    return south + [(r, last) for r in range(last)] + north + [(r, 0) for r in range(last, 0, -1)]


SHAPES: dict[str, Callable[[Thing], Mesh]] = {
    "box": box,
    "soft": soft,
    "cylinder": cylinder,
    "shade": shade,
    "panel": panel,
    "sheet": sheet,
    "wall": wall,
    "frame": frame,
    "curtain": curtain,
    "duvet": duvet,
    "pillow": pillow,
}
"""The mesh of each `Thing.shape` but "model"."""
