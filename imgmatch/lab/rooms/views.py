"""Photographs of rendered rooms with their ground truth: where the camera stood, what it saw, how two views relate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from imgmatch.errors import UsageError
from imgmatch.lab.rooms.mesh import Mesh
from imgmatch.lab.rooms.render import Buffers, Camera, draw
from imgmatch.lab.rooms.scene import Item, Surface

if TYPE_CHECKING:
    import numpy.typing as npt

    from imgmatch.types import Pixels

    Doubles = npt.NDArray[np.float64]
    Floats = npt.NDArray[np.float32]

COARSE_PX = 64  # Longer side of the small depth maps that choose cameras and measure overlap.


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """A camera and what it sees, at a coarse resolution: surface numbers (h, w) and inverse depths (h, w)."""

    camera: Camera
    small: Camera
    buffers: Buffers

    @staticmethod
    def at(mesh: Mesh, camera: Camera) -> Look:
        """Look at a mesh through a camera."""
        small = camera.scaled(COARSE_PX / max(camera.size_px))
        return Look(camera, small, draw(mesh, small, None))

    def points_m(self) -> tuple[Doubles, npt.NDArray[np.int16]]:
        """Return the world points (N, 3) that the coarse pixels show, and their surface numbers (N,)."""
        index, inverse = self.buffers.index, self.buffers.inverse_depth
        rows, cols = np.nonzero(index >= 0)
        rays = np.stack([cols, rows, np.ones(len(rows))], axis=1) @ np.linalg.inv(self.small.K).T
        seen = rays / inverse[rows, cols][:, None]
        return np.asarray((seen - self.small.t) @ self.small.R, np.float64), index[rows, cols]

    def share_seen_by(self, other: Look) -> float:
        """Return the share of this picture whose points the other camera sees too, 0..1."""
        points, numbers = self.points_m()
        if len(points) == 0:
            return 0.0
        at, depth = other.small.project(points)
        width, height = other.small.size_px
        cols, rows = np.rint(at[:, 0]), np.rint(at[:, 1])
        inside = (depth > 0.05) & (cols >= 0) & (rows >= 0) & (cols < width) & (rows < height)
        rows, cols = rows[inside].astype(int), cols[inside].astype(int)
        same = other.buffers.index[rows, cols] == numbers[inside]
        near = np.abs(other.buffers.inverse_depth[rows, cols] * depth[inside] - 1) < 0.04
        return float((same | near).sum() / len(points))


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A photograph of a rendered room.

    ``pixels`` is (H, W, 3) uint8 sRGB. ``camera`` has K, R and t (world to camera, metres). ``visible`` gives the share
    of the picture that each surface in sight takes, by name, measured on a map of 64 pixels; ``surfaces`` has their
    corners. ``lighting`` is one of LIGHTINGS.
    """

    pixels: Pixels
    camera: Camera
    visible: Mapping[str, float]
    lighting: str
    mesh: Mesh = field(repr=False)
    look: Look = field(repr=False)

    @property
    def surfaces(self) -> dict[str, Surface]:
        """The surfaces in sight, by name."""
        return {name: self.mesh.by_name[name] for name in self.visible}

    def depth_m(self) -> Floats:
        """Return the depth along the optical axis of every pixel, (H, W) float32 metres."""
        with np.errstate(divide="ignore"):
            return np.reciprocal(draw(self.mesh, self.camera, None).inverse_depth)

    def surface_index(self) -> npt.NDArray[np.int16]:
        """Return for every pixel the number of its surface in ``mesh.surfaces``, (H, W) int16, -1 for none."""
        index = draw(self.mesh, self.camera, None).index
        return index


def overlap(first: View, second: View) -> float:
    """Return how much two views of one room share, 0..1, measured from geometry.

    The mean of the two shares of picture points whose spot on a surface the other camera sees as well, neither hidden
    nor out of its frame. Symmetric; 1 for the same camera. Raises UsageError for views of different rooms.
    """
    if first.mesh is not second.mesh:
        raise UsageError("overlap needs two views of the same room: pass views of one Room object")
    return overlap_of(first.look, second.look)


def overlap_of(first: Look, second: Look) -> float:
    """Return the overlap of two looks at one mesh."""
    return (first.share_seen_by(second) + second.share_seen_by(first)) / 2


def homography(first: View, second: View, surface: str) -> Doubles:
    """Return the (3, 3) matrix that takes pixels of ``first`` to pixels of ``second`` on a surface; H[2, 2] is 1.

    Both cameras see a plane through H = M2 M1^-1, where M = K [R|t] (right, down, corner): Hartley and Zisserman,
    Multiple View Geometry, 2nd ed., section 13.1. Raises UsageError for a surface that the room doesn't have, or views
    of different rooms.
    """
    if first.mesh is not second.mesh:
        raise UsageError("a homography needs two views of the same room: pass views of one Room object")
    if surface not in first.mesh.by_name:
        raise UsageError(f"no surface {surface!r} in this room: see View.visible for the names in sight")
    frame = first.mesh.by_name[surface].unit_to_world()

    def onto(camera: Camera) -> Doubles:
        return camera.K @ np.hstack([camera.R, camera.t[:, None]]) @ frame

    matrix = onto(second.camera) @ np.linalg.inv(onto(first.camera))
    return matrix / matrix[2, 2]


# --- choosing a camera -----------------------------------------------------------------------------------------------


def propose(
    rng: np.random.Generator, items: Sequence[Item], room_m: tuple[float, float, float], size_px: tuple[int, int]
) -> Camera:
    """Draw a camera that a person could hold: free of furniture, aimed at some, with several things ahead."""
    interest = np.array([item.interest for item in items])
    middles = np.array([(item.low_m + item.high_m) / 2 for item in items])
    wanted = min(4, len(items))
    camera = _aimed(rng, items, middles, interest / interest.sum(), room_m, size_px)
    for _ in range(6):
        at, depth = camera.project(middles)
        if ((depth > 0.3) & (at > 0).all(axis=1) & (at < size_px).all(axis=1)).sum() >= wanted:
            break
        camera = _aimed(rng, items, middles, interest / interest.sum(), room_m, size_px)
    return camera


def _aimed(
    rng: np.random.Generator,
    items: Sequence[Item],
    middles: Doubles,
    weights: Doubles,
    room_m: tuple[float, float, float],
    size_px: tuple[int, int],
) -> Camera:
    aim = middles[rng.choice(len(items), p=weights)] + rng.normal(0, 0.25, 3)
    small_room = min(room_m[:2]) < 2.8
    solid = [item for item in items if item.solid]
    lows = np.stack([item.low_m for item in solid]) - 0.18
    highs = np.stack([item.high_m for item in solid]) + 0.18
    spots = rng.uniform((0.2, 0.2, 0), (room_m[0] - 0.2, room_m[1] - 0.2, 1), (24, 3))
    spots[:, 2] = np.clip(rng.normal(1.45, 0.22, 24), 0.85, 1.95)
    hit = np.any(np.all((spots[:, None] > lows) & (spots[:, None] < highs), axis=2), axis=1)
    spots = spots[~hit]
    if len(spots) == 0:
        spots = np.array([[room_m[0] / 2, room_m[1] / 2, 1.7]])
    distances = np.hypot(*(spots - aim)[:, :2].T)
    far = np.flatnonzero(distances > (0.8 if small_room else 1.3))
    # Now the first free spot, now the farther of two, now the farthest of six: people step back to show a room.
    tried = (far if len(far) else np.arange(len(spots)))[: int(rng.choice([1, 2, 6]))]
    best = spots[tried[distances[tried].argmax()]]
    distance = float(np.hypot(*(aim - best)[:2]))
    # Photographers hold the camera nearly level.
    aim[2] = best[2] + np.clip((aim[2] - best[2]) * rng.uniform(0.4, 0.9), -0.45 * distance, 0.3 * distance)
    if distance < 0.3:
        aim[:2] = room_m[0] / 2, room_m[1] / 2 + 0.31
    wide = rng.random() < (0.6 if small_room else 0.25)
    fov = rng.uniform(88, 108) if wide else rng.uniform(58, 86)
    return Camera.looking(best, aim, fov, float(rng.normal(0, 1.8)), size_px)


def quality(look: Look, owners: npt.NDArray[np.intp], shell: int) -> float:
    """Return how much there is to see, at least 1 for a view worth keeping.

    ``owners`` (N,) gives the item number of each surface and ``shell`` the number of the bare room.
    """
    index = look.buffers.index
    counts = np.bincount(owners[index[index >= 0]], minlength=shell + 1).astype(float) / index.size
    bare = counts[shell]
    things = counts.copy()
    things[shell] = 0
    several = (things > 0.006).sum()
    near = float((look.buffers.inverse_depth > 1 / 0.55).mean())
    crowded = things.max()
    return float(
        min(several / 4, 1) * min((1 - bare) / 0.22, 1) * min((1 - near) / 0.85, 1) * min((1 - crowded) / 0.35, 1)
    )


def stepped(rng: np.random.Generator, camera: Camera, step: float) -> Camera:
    """Return a camera moved by about ``step`` metres and turned by about 12 x ``step`` degrees."""
    turn, _ = cv2.Rodrigues(rng.normal(0, 0.2, 3) * step)
    position = camera.position_m + rng.normal(0, 0.3, 3) * step
    rotation = turn @ camera.R
    return Camera(camera.K, rotation, -rotation @ position, camera.size_px)


# --- developing a photograph -----------------------------------------------------------------------------------------


@lru_cache(maxsize=8)
def _vignette(width: int, height: int) -> Floats:
    """Squared distance from the centre, 1 in the corners, (height, width)."""
    x, y = np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32)
    return np.add.outer(y * y, x * x) / 2


@lru_cache(maxsize=1)
def _grain() -> Floats:
    """A fixed sheet of Gaussian noise, (512, 512, 3): a random window of it costs a tenth of drawing anew."""
    return np.random.default_rng(0).standard_normal((512, 512, 3), dtype=np.float32)


def develop(rng: np.random.Generator, pixels: Pixels, inverse_depth: Floats, lighting: str) -> Pixels:
    """Turn rendered pixels into a photograph: flash, exposure, white balance, tone, vignetting, blur, noise."""
    height, width = pixels.shape[:2]
    if rng.random() < 0.12:
        # A flash on the camera falls off with the square of the distance; the display's 2.2 makes it nearly linear.
        flash = np.float32(0.45) + np.float32(rng.uniform(0.5, 1.0)) * np.minimum(inverse_depth * np.float32(1.6), 1.5)
        pixels = cv2.multiply(pixels, cv2.merge([flash] * 3), dtype=cv2.CV_8U)
    mean = np.maximum(np.array(cv2.mean(pixels)[:3]) / 255, 1e-3)
    # Automatic white balance undoes part of the colour of the light.
    balance = (mean.mean() / mean) ** rng.uniform(0.05, 0.45) * np.exp(rng.normal(0, 0.05, 3) * (1.0, 0.5, 1.0))
    goal = rng.uniform(0.42, 0.62) if lighting != "evening" else rng.uniform(0.36, 0.56)
    level = np.arange(256)[:, None] / 255 * balance * goal / max(mean.mean(), 0.02)
    # Highlights roll off instead of clipping; then an S-curve of the strength of the camera's taste.
    level = np.where(level > 0.8, 0.8 + np.minimum(level - 0.8, 0.55) * 0.364, level)
    level += rng.uniform(0.0, 0.45) * (level * level * (3 - 2 * level) - level)
    pixels = cv2.LUT(pixels, np.rint(np.clip(level, 0, 1) * 255).astype(np.uint8)[:, None, :])
    sigma = rng.uniform(0.0, 0.75) * max(width, height) / 320
    if sigma > 0.3:
        pixels = cv2.GaussianBlur(pixels, (0, 0), sigma)
    fade = 1 - np.float32(rng.uniform(0.0, 0.35)) * _vignette(width, height)
    light = cv2.multiply(pixels, cv2.merge([fade] * 3), dtype=cv2.CV_32F)
    strength = 255 * rng.uniform(0.003, 0.03 if lighting == "evening" else 0.018)
    sheet = _grain()
    if height > sheet.shape[0] or width > sheet.shape[1]:
        sheet = cv2.repeat(sheet, height // sheet.shape[0] + 1, width // sheet.shape[1] + 1)
    rows = int(rng.integers(0, sheet.shape[0] - height + 1))
    cols = int(rng.integers(0, sheet.shape[1] - width + 1))
    noise = sheet[rows : rows + height, cols : cols + width]
    return cv2.addWeighted(light, 1.0, noise, strength, 0.0, dtype=cv2.CV_8U)
