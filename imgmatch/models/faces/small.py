"""What vectors of small faces have in common, whoever they are, taken off them.

A network that learned from larger faces sees a blur in small ones, and tells of it: those of different people come out
a little alike, and the less of a face is left, the more. What that is, is known by height, from faces that were seen
both large and brought down (``benchmarks.small_faces``; docs/faces.md); nobody can be told by it.
"""

from __future__ import annotations

import functools
import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from imgmatch.errors import ModelError
from imgmatch.models.faces.weights import SMALL_FACES

HEIGHTS_PX = (20.0, 24.0, 32.0, 48.0, 64.0, 96.0)
"""Where it is known; it changes evenly, by the logarithm, from each to the next, and is nothing from the last on."""
Vectors = npt.NDArray[np.float32]
Heights = Sequence[float] | npt.NDArray[np.float64]


class SmallFaces:
    """What is common to small faces by a network: (heights but the last, dim) float32."""

    def __init__(self, common: Vectors) -> None:
        self._common = np.concatenate([common, np.zeros((1, common.shape[1]), np.float32)])

    def taken_off(self, vectors: Vectors, heights_px: Heights) -> Vectors:
        """(N, dim) unit vectors of faces so high, without it, of unit length again; those of large ones as they are. A
        face's vector does not depend on the others.
        """
        low, share = _between(np.asarray(heights_px, np.float64))
        share = share[:, None]
        off = self._common[low] * (1 - share) + self._common[low + 1] * share
        made = vectors - off.astype(np.float32)
        made /= np.maximum(np.linalg.norm(made, axis=1, keepdims=True), 1e-12)
        return np.where(share + low[:, None] < len(HEIGHTS_PX) - 1, made, vectors)


@functools.cache
def of_network(name: str) -> SmallFaces | None:
    """What is known of a network; None where nothing is. Raises ModelError, naming the file, where that is altered."""
    if name not in SMALL_FACES:
        return None
    file, sha256 = SMALL_FACES[name]
    path = Path(__file__).with_name(file)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: can't be read ({error.strerror}); install imgmatch again") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ModelError(f"{path}: altered, its SHA-256 must be {sha256[:16]}...; install imgmatch again")
    return SmallFaces(np.load(io.BytesIO(content), allow_pickle=False))


def hats(heights_px: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(N, heights): how much what is common at each of the heights counts for faces so high."""
    low, share = _between(heights_px)
    made = np.zeros((len(heights_px), len(HEIGHTS_PX)))
    row = np.arange(len(heights_px))
    made[row, low], made[row, low + 1] = 1 - share, share
    return made


def _between(heights_px: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """The height at or below each, but for the last one, and how far it is from there to the next, 0..1."""
    steps = np.arange(len(HEIGHTS_PX), dtype=np.float64)
    place = np.interp(np.log(np.maximum(heights_px, 1)), np.log(HEIGHTS_PX), steps)
    low = np.minimum(place.astype(np.int64), len(HEIGHTS_PX) - 2)
    return low, place - low
