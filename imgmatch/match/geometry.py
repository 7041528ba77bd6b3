"""Pure geometry of pairs of points: what moves them, how far they lie off, and what chance gives."""

from __future__ import annotations

from math import lgamma, log
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]

_SPOT_PX = 6.0
"""Points nearer than this in either picture count once: one corner often gives several."""


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


def places_of_their_own(source: Points, target: Points) -> int:
    """How many pairs of points lie at places of their own in both pictures, in working pixels."""
    return min(len({tuple(c) for c in np.floor(points / _SPOT_PX).astype(int).tolist()}) for points in (source, target))


def homography(source: Points, target: Points) -> Points:
    """The homography (3, 3) that takes points (N, 2), four and more, to others: all of them, by the normalised direct
    linear transformation (Hartley and Zisserman, 4.4). OpenCV's goes on to refine it, which takes longer where points
    are wrong, as those that planes grow over are.
    """
    (one, to_one), (two, to_two) = (_normalised(points) for points in (source, target))
    zeros = np.zeros_like(one)
    rows = np.concatenate(
        [np.hstack([one, zeros, -two[:, :1] * one]), np.hstack([zeros, one, -two[:, 1:2] * one])]
    )  # fmt: skip
    matrix: Points = np.linalg.inv(to_two) @ np.linalg.eigh(rows.T @ rows)[1][:, 0].reshape(3, 3) @ to_one
    return matrix / np.linalg.norm(matrix)


def _normalised(points: Points) -> tuple[Points, Points]:
    """Homogeneous points about their middle and some 1.4 from it, and the matrix that took them there."""
    middle = points.mean(axis=0)
    scale = 2**0.5 / max(float(np.linalg.norm(points - middle, axis=1).mean()), 1e-9)
    matrix = np.array([[scale, 0, -scale * middle[0]], [0, scale, -scale * middle[1]], [0, 0, 1]])
    return np.column_stack([points, np.ones(len(points))]) @ matrix.T, matrix


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
