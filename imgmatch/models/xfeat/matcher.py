"""XFeat and LighterGlue, loaded: points of a picture, and which of them pair with those of another one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from imgmatch.errors import ModelError
from imgmatch.models.runtimes.onnx_model import open_session
from imgmatch.models.xfeat.weights import pairing_path, points_path

if TYPE_CHECKING:
    from pathlib import Path

    from imgmatch.types import Pixels

    Mask = npt.NDArray[np.bool_]

Floats = npt.NDArray[np.float32]
Indexes = npt.NDArray[np.intp]

_STEP = 32
LEAST = 8
"""Fewer points than this pair with nothing."""


@dataclass(frozen=True, slots=True)
class LearnedPoints:
    """Points of a picture at its working size, the surest first: ``points`` (N, 2) float32 x, y in working pixels,
    ``descriptors`` (N, 64) of unit length; ``working_px`` and ``size_px``, its full upright one, are (width, height).
    """

    points: Floats
    descriptors: Floats
    working_px: tuple[int, int]
    size_px: tuple[int, int]

    def __len__(self) -> int:
        return len(self.points)

    @property
    def scale(self) -> tuple[float, float]:
        """Full pixels a working pixel, along x and y."""
        return self.size_px[0] / self.working_px[0], self.size_px[1] / self.working_px[1]

    @property
    def spread(self) -> Floats:
        """The points in -1..1 of the longer side."""
        size = np.array(self.working_px, np.float32)
        return (self.points - size / 2) / (size.max() / 2)


class Matcher:
    """Both networks. Safe to use from several threads, a run each."""

    def __init__(self, points: Path | None = None, pairing: Path | None = None) -> None:
        """Raises ModelError where the graphs are not here, or altered."""
        self._points = open_session(points or points_path(), 1)
        self._pairing = open_session(pairing or pairing_path(), 1)

    def read(
        self, pixels: Pixels, size_px: tuple[int, int], side_px: int, limit: int, mask: Mask | None = None
    ) -> LearnedPoints:
        """The ``limit`` surest points of (H, W, 3) uint8 sRGB, its longer side brought to about ``side_px``.
        ``size_px`` is the picture's full upright size; ``mask`` (bool, any size of the same shape of picture) is true
        where no point may lie.
        """
        shown = _sized(pixels, side_px)
        grey = shown.astype(np.float32).mean(axis=2)
        found, scores, descriptors = self._run(self._points, {"grey": grey[np.newaxis, np.newaxis]})
        if mask is not None:
            free = cv2.resize((~mask).astype(np.uint8), grey.shape[::-1], interpolation=cv2.INTER_NEAREST)
            x, y = found.astype(int).T
            scores = np.where(free[y, x] > 0, scores, -1)
        order = np.argsort(-scores, kind="stable")[:limit]
        order = order[scores[order] > 0]
        return LearnedPoints(found[order], descriptors[order], (grey.shape[1], grey.shape[0]), size_px)

    def pair(self, a: LearnedPoints, b: LearnedPoints, least: float) -> tuple[Indexes, Indexes, Floats]:
        """Which points pair: each the other's likeliest, at least so likely (0..1). Indexes in ``a`` and ``b``, and how
        likely, (M,) each, the likeliest first.
        """
        if min(len(a), len(b)) < LEAST:
            return np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0, np.float32)
        fed = {
            "points_a": a.spread,
            "descriptors_a": a.descriptors,
            "points_b": b.spread,
            "descriptors_b": b.descriptors,
        }
        (likely,) = self._run(self._pairing, fed)
        nearest, best = likely.argmax(axis=1), likely.max(axis=1)
        mutual = likely.argmax(axis=0)[nearest] == np.arange(len(a))
        rows = np.flatnonzero(mutual & (best >= least))
        rows = rows[np.argsort(-best[rows], kind="stable")]
        return rows, nearest[rows], best[rows]

    @staticmethod
    def _run(session: object, fed: dict[str, Floats]) -> list[Floats]:
        try:
            made: list[Floats] = session.run(None, fed)  # type: ignore[attr-defined]
        except Exception as error:  # ONNX Runtime's errors share no base of their own
            raise ModelError(f"xfeat can't run ({' '.join(str(error).split())}); add it again") from error
        return made


def _sized(pixels: Pixels, side_px: int) -> Pixels:
    """A picture with both sides multiples of 32, the longer about ``side_px``."""
    height, width = pixels.shape[:2]
    factor = side_px / max(height, width)
    wide, tall = (max(_STEP, round(side * factor / _STEP) * _STEP) for side in (width, height))
    kind = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return cv2.resize(pixels, (wide, tall), interpolation=kind).astype(np.uint8, copy=False)
