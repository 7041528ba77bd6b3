"""The surfaces of a room as arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from imgmatch.lab.rooms.scene import Surface


class Mesh:
    """The surfaces of a room as arrays, ready to be drawn."""

    def __init__(self, surfaces: Sequence[Surface]) -> None:
        self.surfaces = tuple(surfaces)
        self.by_name = {surface.name: surface for surface in surfaces}
        self.corners = np.stack([surface.corners_m for surface in surfaces])
        self.unit_to_world = np.zeros((len(surfaces), 4, 3))
        self.unit_to_world[:, :3, 0] = self.corners[:, 1] - self.corners[:, 0]
        self.unit_to_world[:, :3, 1] = self.corners[:, 3] - self.corners[:, 0]
        self.unit_to_world[:, :3, 2] = self.corners[:, 0]
        self.unit_to_world[:, 3, 2] = 1
        beyond = self.corners[:, 2] - self.corners[:, 1] - self.corners[:, 3] + self.corners[:, 0]
        for number in np.flatnonzero(np.abs(beyond).max(axis=1) > 1e-9):
            self.unit_to_world[number] = surfaces[int(number)].unit_to_world()
        self.two_sided = np.array([surface.two_sided for surface in surfaces])
        down = self.corners[:, 3] - self.corners[:, 0]
        normals = np.cross(down, self.corners[:, 1] - self.corners[:, 0])
        self.normals = normals / np.linalg.norm(normals, axis=1, keepdims=True)
        self.offsets = np.einsum("ni,ni->n", self.normals, self.corners[:, 0])
