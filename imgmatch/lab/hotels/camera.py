"""Where people hold their phones: places free of furniture and walls, looking at something."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgmatch.lab.hotels.scene import Floats, Point, Scene

CLEARANCE = 0.22
"""Metres between a camera and the nearest furniture or wall."""
NEAR = 0.55
"""Metres below which a surface counts as filling the lens."""
SHARED = 0.25
"""The least share of a view that another view of its place looks at too."""
FURNISHED = 0.2
"""The least share of a picture that shows furniture, where a scene allows it."""


@dataclass(frozen=True)
class Camera:
    """A pinhole at ``at``, looking at ``target``, tilted by ``roll``; ``field_of_view`` runs along the longer side."""

    at: Point
    target: Point
    roll: float
    field_of_view: float
    width: int
    height: int

    def heading(self) -> float:
        """Return the direction it looks in on the floor plan, from east, anticlockwise."""
        return math.atan2(self.target[1] - self.at[1], self.target[0] - self.at[0])

    def focal(self) -> float:
        """Return the focal length in pixels."""
        return max(self.width, self.height) / 2 / math.tan(self.field_of_view / 2)

    def intrinsics(self) -> Floats:
        """Return K (3, 3); pixel centres lie at halves."""
        focal = self.focal()
        return np.array([[focal, 0, self.width / 2], [0, focal, self.height / 2], [0, 0, 1.0]])

    def rotation(self) -> Floats:
        """Return world-from-camera (3, 3): columns are right, down and forward."""
        forward = np.array(self.target) - self.at
        forward = forward / np.linalg.norm(forward)
        right = np.cross(forward, (0, 0, 1.0))
        right = right / np.linalg.norm(right)
        down = np.cross(forward, right)
        cos, sin = math.cos(self.roll), math.sin(self.roll)
        return np.stack([right * cos + down * sin, down * cos - right * sin, forward], axis=1)

    def pose(self) -> Floats:
        """Return world-from-camera (4, 4): x right, y down, z forward, in metres."""
        pose = np.eye(4)
        pose[:3, :3] = self.rotation()
        pose[:3, 3] = self.at
        return pose

    def rays(self, rows: int, cols: int) -> Floats:
        """Return unit rays through a grid of the picture, (rows * cols, 3)."""
        y, x = np.meshgrid((np.arange(rows) + 0.5) / rows * self.height, (np.arange(cols) + 0.5) / cols * self.width,
                           indexing="ij")  # fmt: skip
        pixels = np.stack([x.ravel(), y.ravel(), np.ones(x.size)], axis=1)
        rays = pixels @ np.linalg.inv(self.intrinsics()).T @ self.rotation().T
        return rays / np.linalg.norm(rays, axis=1, keepdims=True)

    def sees(self, point: Floats) -> bool:
        """Whether a point lies in the picture (whatever stands before it)."""
        x, y, z = (np.asarray(point) - self.at) @ self.rotation()
        if z <= 0.1:
            return False
        u, v = self.focal() * x / z + self.width / 2, self.focal() * y / z + self.height / 2
        return bool(0 <= u < self.width and 0 <= v < self.height)


def cameras(
    scene: Scene, count: int, px: int, rng: np.random.Generator, earlier: Sequence[Camera] = ()
) -> list[Camera]:
    """Draw cameras for a scene, as many as asked for: each free, none with its lens full of furniture.

    Each is somewhere else than the others, and most see a part of what another (or one of ``earlier``) sees.
    """
    found: list[Camera] = []
    patience = 500
    while len(found) < count and patience:
        patience -= 1
        camera = _draw(scene, px, rng)
        strict = patience > 200
        if not free(camera, scene, CLEARANCE if strict else 0.12) or (strict and _crowded(camera, scene)):
            continue
        others = [*earlier, *found]
        if strict and any(math.dist(camera.at, other.at) < 0.35 for other in others):
            continue
        alone = rng.random() < 0.15
        if strict and others and not alone and max(_shared(camera, other, scene) for other in others) < SHARED:
            continue
        found.append(camera)
    return found


def _draw(scene: Scene, px: int, rng: np.random.Generator) -> Camera:
    width, depth, height = scene.size
    margin = min(0.3, width / 6)
    standing = rng.random() < 0.75
    z = float(rng.uniform(1.25, 1.7) if standing else rng.uniform(0.75, 1.2))
    at = (float(rng.uniform(margin, width - margin)), float(rng.uniform(margin, depth - margin)), min(z, height - 0.4))
    names = list(scene.marks)
    weights = np.array([3.0 if name.startswith(("bed", "washbasin", "reception", "end")) else 1.0 for name in names])
    x, y, z = (
        scene.marks[names[rng.choice(len(names), p=weights / weights.sum())]] if names else (width / 2, depth / 2, 1.0)
    )
    target = (x + float(rng.normal(0, 0.35)), y + float(rng.normal(0, 0.35)), z + 0.15 + float(rng.normal(0, 0.25)))
    lens = float(rng.choice([68, 80, 100, 46], p=[0.55, 0.15, 0.15, 0.15])) + float(rng.normal(0, 2))
    short = px * 3 // 4
    size = (short, px) if rng.random() < 0.35 else (px, short)
    return Camera(at, target, float(rng.normal(0, 0.035)), math.radians(lens), *size)


def free(camera: Camera, scene: Scene, clearance: float = CLEARANCE) -> bool:
    """Whether a camera stands in the room, off the walls and off all furniture, and looks neither far up nor down."""
    x, y, z = camera.at
    width, depth, height = scene.size
    if not (clearance <= x <= width - clearance and clearance <= y <= depth - clearance and 0.3 < z < height - 0.2):
        return False
    flat = math.hypot(camera.target[0] - x, camera.target[1] - y)
    if flat < 0.9 or abs(math.atan2(camera.target[2] - z, flat)) > 0.65:
        return False
    return scene.solids().distance(camera.at) >= clearance


def _crowded(camera: Camera, scene: Scene) -> bool:
    """Whether too much of the picture is one near surface, a wall looked at from nearby, or bare walls alone."""
    rays = camera.rays(9, 12)
    furniture, walls = scene.solids().hits(np.array(camera.at), rays), _walls(camera, scene, rays)
    reach = np.minimum(furniture, walls)
    return bool(
        (reach < NEAR).mean() > 0.12
        or (reach < 0.9).mean() > 0.35
        or np.median(reach) < 1.1
        or (furniture < walls).mean() < FURNISHED
    )


def _shared(camera: Camera, other: Camera, scene: Scene) -> float:
    """The share of a grid of what one camera looks at that lies in the other's picture too, whatever hides it."""
    rays = camera.rays(6, 8)
    reach = np.minimum(scene.solids().hits(np.array(camera.at), rays), _walls(camera, scene, rays))
    points = np.array(camera.at) + rays * reach[:, None]
    return float(np.mean([other.sees(point) for point in points]))


def _walls(camera: Camera, scene: Scene, rays: Floats) -> Floats:
    """How far rays go until they meet the room's shell."""
    size = np.array(scene.size)
    with np.errstate(divide="ignore", invalid="ignore"):
        out = np.where(rays > 0, (size - camera.at) / rays, np.where(rays < 0, -np.array(camera.at) / rays, np.inf))
    return out.min(axis=1)
