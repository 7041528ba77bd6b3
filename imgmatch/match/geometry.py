"""Pure geometry of pairs of points: what moves them, how far they lie off, and what chance gives."""

from __future__ import annotations

from math import lgamma, log
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]


def usac(threshold: float) -> Any:
    """How OpenCV is to seek a geometry, the same every time; ``threshold`` in pixels."""
    parameters = cv2.UsacParams()
    parameters.threshold = threshold
    parameters.confidence = 0.999
    parameters.maxIterations = 2000
    parameters.score = cv2.SCORE_METHOD_MAGSAC
    parameters.sampler = cv2.SAMPLING_PROSAC  # pairs come the surest first
    parameters.loMethod = cv2.LOCAL_OPTIM_SIGMA
    parameters.final_polisher = cv2.MAGSAC
    parameters.randomGeneratorState = 7
    parameters.isParallel = False
    return parameters


def false_alarms(tentative: int, inliers: int, sample: int, chance: float) -> float:
    """-log10 of how many geometries this good are to be expected of random pairs (Moisan and Stival, IJCV 2004)."""
    tentative = max(tentative, inliers)
    log_comb = _log_choose(tentative, inliers) + _log_choose(inliers, sample) + np.log10(max(1, tentative - sample))
    return float(-(log_comb + (inliers - sample) * np.log10(min(1.0, chance))))


def _log_choose(n: int, k: int) -> float:
    return (lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)) / log(10) if 0 <= k <= n else 0.0


def carried(matrix: Points, points: Points) -> tuple[Points, Points]:
    """Points (N, 2) through a homography, and their depth (N,), which must keep the sign of the whole."""
    homogeneous = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    depth = homogeneous[:, 2] * np.sign(matrix[2, 2] or 1.0)
    return homogeneous[:, :2] / np.where(np.abs(homogeneous[:, 2:]) < 1e-9, 1e-9, homogeneous[:, 2:]), depth


def mode(directions: npt.NDArray[np.complex128], width: float) -> complex:
    """The direction near which most others lie."""
    near = np.abs(np.angle(directions[:, None] * directions[None].conj())) < width
    return complex(directions[near[near.sum(1).argmax()]].mean())


def sampson(matrix: Points, source: Points, target: Points) -> Points:
    """Sampson distance (N,) in pixels (Hartley and Zisserman, Multiple View Geometry, 11.4.3)."""
    one = np.column_stack([source, np.ones(len(source))])
    two = np.column_stack([target, np.ones(len(target))])
    lines, back = one @ matrix.T, two @ matrix
    product = (two * lines).sum(1)
    distance: Points = np.abs(product) / np.sqrt((lines[:, :2] ** 2).sum(1) + (back[:, :2] ** 2).sum(1) + 1e-12)
    return distance
