"""Do two photographs show one scene from two sides? Geometry over learned points; docs/verification.md has the rule.

Asked where SIFT's rule says neither yes nor that a template is shared. A network says how likely each pair is to be
right: the sum over the pairs that one epipolar geometry explains is how many right ones are to be expected, and that
is what is held against pairs of different houses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from imgmatch.match import overlay
from imgmatch.match.geometry import Points, sampson, usac
from imgmatch.match.surfaces import surfaces, which
from imgmatch.types import LEARNED, Verification

if TYPE_CHECKING:
    from imgmatch.match.features import Features
    from imgmatch.match.masking import Mask
    from imgmatch.models.xfeat.matcher import LearnedPoints, Matcher
    from imgmatch.types import Pixels, Transform

Flags = npt.NDArray[np.bool_]

SIDE_PX, LIMIT = 448, 512
"""Longer side to which a picture is brought, and how many points it keeps."""
ASKED = 24
"""So many of the candidates that are verified, the nearest, are asked: a pair takes some 90 ms of a core."""
EXPECTED = 26.0
"""So many right pairs are to be expected, at places of their own, of what is verified."""
_LIKELY = 0.05
_ERROR_PX = 1.5
_SPOT_PX = 8.0
_HULL, _THICKNESS = 0.01, 0.06
_SAME_PLACE = 0.02
_LEAST = 8


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of ``tentative`` pairs of points those, ``source`` and ``target`` (N, 2) in working pixels, that a fundamental
    ``matrix`` explains, at places of their own, and how many of them are ``expected`` to be right.
    """

    tentative: int
    matrix: Points
    source: Points
    target: Points
    expected: float


def points(matcher: Matcher, pixels: Pixels, size_px: tuple[int, int], mask: Mask | None = None) -> LearnedPoints:
    """Points of a picture, (H, W, 3) uint8; none where ``mask`` is true."""
    return matcher.read(pixels, size_px, SIDE_PX, LIMIT, mask)


def agreement(matcher: Matcher, query: LearnedPoints, item: LearnedPoints) -> Agreement:
    """The geometry of two views of one scene that most pairs agree in; ``expected`` is 0 where there is none."""
    rows, columns, likely = matcher.pair(query, item, _LIKELY)
    source, target = query.points[rows].astype(np.float64), item.points[columns].astype(np.float64)
    matrix = _fundamental(source, target)
    if matrix is None:
        return Agreement(len(rows), np.zeros((3, 3)), source[:0], target[:0], 0.0)
    flags: Flags = sampson(matrix, source, target) <= _ERROR_PX
    flags[flags] = _each_spot_once(source[flags], target[flags])
    return Agreement(len(rows), matrix, source[flags], target[flags], float(likely[flags].sum()))


def verify_learned(matcher: Matcher, query: LearnedPoints, item: LearnedPoints, seen: Features) -> Verification:
    """Is there a geometry of two views of one scene? ``seen`` is the item as SIFT read it; mirror images are not
    sought.
    """
    found = agreement(matcher, query, item)
    why = _fault(found, query, item, seen)
    return _said(query, item, found) if why is None else _not(found.tentative, why)


def _fault(found: Agreement, query: LearnedPoints, item: LearnedPoints, seen: Features) -> str | None:
    """Why an agreement verifies nothing, as a plain phrase; None where it does."""
    if found.expected < EXPECTED:
        return f"of {len(found.source)} points that agree {found.expected:.0f} are likely to be right"
    if not (_spread(found.source, query) and _spread(found.target, item)):
        return "the points that agree lie close together or in a line"
    off = np.abs(found.source / query.working_px - found.target / item.working_px).max(axis=1)
    if np.median(off) <= _SAME_PLACE:
        return "the pictures agree in what lies at the same place of both frames"
    if overlay.captions(seen, found.target * item.scale / seen.scale):
        return "the pictures agree in letters and signs"
    return None


def _fundamental(source: Points, target: Points) -> Points | None:
    """A fundamental matrix of pairs that come the likeliest first; None where they have none."""
    if len(source) < _LEAST:
        return None
    try:
        matrix, _ = cv2.findFundamentalMat(source, target, usac(_ERROR_PX))
    except cv2.error:  # fewer distinct points than a model needs
        return None
    return None if matrix is None or matrix.shape != (3, 3) or not np.isfinite(matrix).all() else matrix


def _each_spot_once(source: Points, target: Points) -> Flags:
    """Which pairs lie at places of their own in both pictures; of those that share one the first counts."""
    kept = np.zeros(len(source), bool)
    taken: tuple[set[tuple[int, ...]], set[tuple[int, ...]]] = (set(), set())
    for number, pair in enumerate(zip(source, target, strict=True)):
        spots = [tuple((point // _SPOT_PX).astype(int).tolist()) for point in pair]
        if all(spot not in there for spot, there in zip(spots, taken, strict=True)):
            kept[number] = True
            for spot, there in zip(spots, taken, strict=True):
                there.add(spot)
    return kept


def _spread(points: Points, picture: LearnedPoints) -> bool:
    """Whether points cover enough of a picture, and not a line only."""
    if len(points) < 3:
        return False
    wide, tall = picture.working_px
    hull = cv2.contourArea(cv2.convexHull(points.astype(np.float32)))
    thickness = min(cv2.minAreaRect(points.astype(np.float32))[1])
    return bool(hull >= _HULL * wide * tall and thickness >= _THICKNESS * min(wide, tall))


def _not(tentative: int, why: str) -> Verification:
    return Verification(False, "none", False, tentative, 0, None, None, 0.0, f"not verified: {why}", features=LEARNED)


def _said(query: LearnedPoints, item: LearnedPoints, found: Agreement) -> Verification:
    """The verification in full-size pixels."""
    matrix, source, target = found.matrix, found.source, found.target
    to_query, to_item = (np.diag([1 / x, 1 / y, 1.0]) for x, y in (query.scale, item.scale))
    full = to_item @ matrix @ to_query
    lines = np.column_stack([source * query.scale, target * item.scale])
    covered = cv2.contourArea(cv2.convexHull(target.astype(np.float32))) / np.prod(item.working_px)
    parts = surfaces(source, target, lines, (query.working_px, item.working_px))
    transform: Transform = tuple(tuple(float(v) for v in row) for row in full.tolist())  # type: ignore[assignment]
    return Verification(
        True,
        "epipolar",
        False,
        found.tentative,
        len(source),
        transform,
        round(float(np.median(sampson(matrix, source, target))) * float(np.mean(item.scale)), 2),
        round(float(np.clip(covered, 0, 1)), 4),
        f"verified: {len(source)} points of {LEARNED} agree as two views of one scene{which(parts)}",
        lines=tuple(tuple(round(v, 1) for v in row) for row in lines.tolist()),
        features=LEARNED,
        surfaces=parts,
    )
