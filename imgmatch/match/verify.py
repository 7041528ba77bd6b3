"""Do a query and an item show the same thing? Geometry over local features; docs/verification.md has the rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from imgmatch.match import overlay
from imgmatch.match.features import QUERY_LIMIT, QUERY_PX, Features, extract, mirrored, pairs
from imgmatch.match.geometry import Points, carried, false_alarms, mode, places_of_their_own, sampson, usac
from imgmatch.match.strength import POINTS
from imgmatch.match.surfaces import surfaces, which
from imgmatch.types import Verification

if TYPE_CHECKING:
    from imgmatch.match.masking import Mask
    from imgmatch.types import Pixels, Transform

Flags = npt.NDArray[np.bool_]

_ERROR_PX = 3.0
"""How far an inlier may lie from where the geometry puts it, in working pixels of the item."""
_TURN_DEGREES, _SCALE_FACTOR = 30.0, 1.7
_MAX_SCALE = 12.0
_EVIDENCE = 6.0
"""Least -log10 of the number of false alarms of a homography."""
_EVIDENCE_EPIPOLAR = 14.0
_LEAST, _LEAST_PLANES, _LEAST_EPIPOLAR = 8, 16, 24
_HULL, _THICKNESS = 0.01, 0.06
_PLANES = 4
_SAME_PLACE = 0.02
_AGREE = 0.35
_TEMPLATES = 3
"""So many times what only a template explains is set aside, and a geometry sought in the rest."""
_NEAR_PX = 8.0
_SHARED = (
    "the pictures agree only in what lies at the same place of both frames, as a bar, a date or a logo does",
    "what agrees is drawn and the rest differs, as in pages with one letterhead or pictures of one app",
)
_MIRRORED_LEAD = 1.5
"""So many times the inliers of the upright reading must the mirrored one have where both are verified: a symmetric
front agrees with its mirror image too."""


@dataclass(frozen=True, slots=True)
class QueryFeatures:
    """Features of a query as it is and mirrored left to right; made once a search."""

    upright: Features
    mirrored: Features


@dataclass(frozen=True, slots=True)
class _Reading:
    """The pairs of points of one reading of a query, as it is or ``mirrored``, and an item, in working pixels of each;
    how far each pair turns (radians) and by what it scales.
    """

    query: Features
    item: Features
    mirrored: bool
    source: Points
    target: Points
    turns: Points
    scales: Points

    def tells(self, flags: Flags) -> bool:
        """Whether pairs cover enough of both pictures, and agree in more than captions and what lies on top of them."""
        spread = _spread(self.source[flags], self.query) and _spread(self.target[flags], self.item)
        spread = spread and not overlay.captions(self.item, self.target[flags])
        if not spread or not _same_place(self, flags):
            return spread
        frames = [np.array(f.grey.shape[::-1], float) for f in (self.query, self.item)]
        return overlay.overlay(np.diag([*(frames[1] / frames[0]), 1.0]), self.query, self.item).agreeing >= _AGREE

    def without(self, matrices: Sequence[Points]) -> _Reading:
        """The pairs that none of these homographies explains, nor nearly."""
        near = [np.hypot(*(carried(m, self.source)[0] - self.target).T) <= _NEAR_PX for m in matrices]
        free = ~np.any(near, axis=0)
        rest = (self.source[free], self.target[free], self.turns[free], self.scales[free])
        return _Reading(self.query, self.item, self.mirrored, *rest)

    def spots(self, flags: Flags) -> int:
        """How many inliers lie at places of their own in both pictures."""
        return places_of_their_own(self.source[flags], self.target[flags])


@dataclass(frozen=True, slots=True)
class _Plane:
    """A homography in working pixels, which pairs it explains, and its evidence (-log10 of false alarms)."""

    matrix: Points
    flags: Flags
    spots: int
    evidence: float


def query_features(pixels: Pixels, size_px: tuple[int, int], mask: Mask | None = None) -> QueryFeatures:
    """Features of a query, (H, W, 3) uint8; ``mask`` (H', W') bool is true where it is left out."""
    upright = extract(pixels, size_px, mask, QUERY_PX, QUERY_LIMIT)
    return QueryFeatures(upright, mirrored(upright))


def without(query: QueryFeatures, left_out: Flags) -> QueryFeatures:
    """A query (h, w) at its working size of which a part tells nothing: neither its points nor how it looks."""
    upright = query.upright.without(left_out)
    return QueryFeatures(upright, mirrored(upright))


def verify(query: QueryFeatures, item: Features) -> Verification:
    """Seek a geometry that takes the query, or its mirror image, to the item. The same input gives the same answer."""
    if min(len(query.upright), len(item)) < _LEAST:
        whose = "the query" if len(query.upright) < _LEAST else "the item"
        return Verification(
            False, "none", False, 0, 0, None, None, 0.0, f"nothing to verify: {whose} has too little texture", void=True
        )
    upright = _one_way(query.upright, item, False)
    least = _MIRRORED_LEAD * upright.inliers if upright.verified else 0.0
    flipped = _one_way(query.mirrored, item, True, least, _SHARED[1] in upright.reason)
    if flipped.verified:
        return flipped if flipped.inliers > least else upright
    return upright if upright.verified or upright.inliers >= flipped.inliers else flipped


def _one_way(query: Features, item: Features, mirrored: bool, least: float = 0.0, drawn: bool = False) -> Verification:
    """One reading; no geometry is sought where there are no more than ``least`` pairs of points, and only that of a
    plane where the pictures are known to be ``drawn`` after one template: its lines and letters resemble each other.
    """
    rows, columns = pairs(query, item)
    tentative = len(rows)
    if tentative < _LEAST or tentative <= least:
        reason = f"not verified: only {tentative} pair{'s' * (tentative != 1)} of points"
        return Verification(False, "none", mirrored, tentative, 0, None, None, 0.0, reason)
    reading = _Reading(
        query,
        item,
        mirrored,
        query.points[rows].astype(np.float64),
        item.points[columns].astype(np.float64),
        np.deg2rad((item.angles[columns] - query.angles[rows]).astype(np.float64)),
        (item.sizes[columns] / query.sizes[rows]).astype(np.float64),
    )
    common: tuple[_Reading, _Plane, str] | None = None
    for _ in range(_TEMPLATES):
        planes = _planes(reading)
        fault = _fault(planes[0], reading) if planes else None
        if planes and fault is None:
            sound = [planes[0], *(plane for plane in planes[1:] if _fault(plane, reading) is None)]
            return _said(reading, "homography", planes[0].flags, planes[0].matrix, planes=sound)
        shared = [(reading, plane, why) for plane in planes if (why := _fault(plane, reading)) in _SHARED]
        if not shared:
            break
        common = common or shared[0]
        reading = reading.without([plane.matrix for _, plane, _ in shared])
    else:
        planes = []
    drawn = drawn or (common is not None and common[2] == _SHARED[1]) or overlay.drawn(item)
    if not drawn and (found := _of_several(reading, planes)) is not None:
        return found
    if common is not None:
        return _said(common[0], "none", common[1].flags, common[1].matrix, common[2])
    if not planes:
        reason = f"not verified: {tentative} pairs of points share no geometry"
        return Verification(False, "none", mirrored, tentative, 0, None, None, 0.0, reason)
    return _said(reading, "none", planes[0].flags, planes[0].matrix, fault)


def _of_several(reading: _Reading, planes: Sequence[_Plane]) -> Verification | None:
    """What several planes, or two views of one scene, verify where no plane alone does."""
    together = np.any([p.flags for p in planes], axis=0) if len(planes) > 1 else None
    if (
        together is not None
        and reading.spots(together) >= _LEAST_PLANES
        and sum(p.evidence for p in planes) >= _EVIDENCE_EPIPOLAR
        and reading.tells(together)
    ):
        return _said(reading, "planes", together, planes[0].matrix, planes=planes)
    epipolar = _epipolar(reading)
    if epipolar is not None and reading.tells(epipolar[1]):
        return _said(reading, "epipolar", epipolar[1], epipolar[0])
    return None


def _planes(reading: _Reading) -> list[_Plane]:
    """Homographies one after the other, each from the pairs that those before do not explain; the best first."""
    free = np.ones(len(reading.source), bool)
    planes: list[_Plane] = []
    while len(planes) < _PLANES and free.sum() >= 6:
        plane = _plane(reading, free)
        if plane is None:
            break
        planes.append(plane)
        free &= ~plane.flags
    return sorted(planes, key=lambda p: -p.evidence)


def _plane(reading: _Reading, free: Flags) -> _Plane | None:
    try:
        matrix, _ = cv2.findHomography(reading.source[free], reading.target[free], usac(_ERROR_PX))
    except cv2.error:  # fewer distinct points than a model needs
        return None
    if matrix is None or not np.isfinite(matrix).all():
        return None
    moved, depth = carried(matrix, reading.source)
    near = np.hypot(*(moved - reading.target).T) <= _ERROR_PX
    flags = free & near & (depth > 0) & _alike(matrix, reading)
    spots = reading.spots(flags)
    if spots < 5:
        return None
    height, width = reading.item.grey.shape
    chance = np.pi * _ERROR_PX**2 / (height * width)
    return _Plane(matrix, flags, spots, false_alarms(int(free.sum()), spots, 4, chance))


def _alike(matrix: Points, reading: _Reading) -> Flags:
    """Whether the turn and scale of each pair of points are those that the homography has there."""
    points, step = reading.source, 1.0
    here, _ = carried(matrix, points)
    right = carried(matrix, points + np.array([step, 0.0]))[0] - here
    down = carried(matrix, points + np.array([0.0, step]))[0] - here
    area = right[:, 0] * down[:, 1] - right[:, 1] * down[:, 0]
    # The rotation nearest to the local map: a mirrored one (area below 0) can't come from points that pair.
    turn = np.arctan2(right[:, 1] - down[:, 0], right[:, 0] + down[:, 1])
    off = np.abs((reading.turns - turn + np.pi) % (2 * np.pi) - np.pi)
    with np.errstate(divide="ignore", invalid="ignore"):
        stretch = np.abs(np.log(reading.scales / np.sqrt(np.abs(area))))
    kept: Flags = (area > 0) & (off <= np.deg2rad(_TURN_DEGREES)) & (stretch <= np.log(_SCALE_FACTOR))
    return kept


def _spread(points: Points, features: Features) -> bool:
    """Whether points cover enough of a picture, and not a line only."""
    if len(points) < 3:
        return False
    height, width = features.grey.shape
    hull = cv2.contourArea(cv2.convexHull(points.astype(np.float32)))
    thickness = min(cv2.minAreaRect(points.astype(np.float32))[1])
    return bool(hull >= _HULL * height * width and thickness >= _THICKNESS * min(height, width))


def _same_place(reading: _Reading, flags: Flags) -> bool:
    """Whether points sit at the same place of both frames: as burned-in bars, dates, logos and true copies do."""
    frames = [np.array(f.grey.shape[::-1], float) for f in (reading.query, reading.item)]
    off = np.abs(reading.source[flags] / frames[0] - reading.target[flags] / frames[1]).max(axis=1)
    return bool(np.median(off) <= _SAME_PLACE)


def _fault(plane: _Plane, reading: _Reading) -> str | None:
    """Why a homography is no match, as a plain phrase; None when it may be one."""
    inner, outer = reading.source[plane.flags], reading.target[plane.flags]
    if plane.spots < _LEAST or plane.evidence < _EVIDENCE:
        return f"only {plane.spots} point{'s agree' if plane.spots != 1 else ' agrees'}, which chance can give"
    if not (_spread(inner, reading.query) and _spread(outer, reading.item)):
        return "the points that agree lie close together or in a line"
    height, width = reading.query.grey.shape
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], float)
    moved, depth = carried(plane.matrix, corners)
    sides = np.roll(moved, -1, axis=0) - moved
    turns = sides[:, 0] * np.roll(sides[:, 1], -1) - sides[:, 1] * np.roll(sides[:, 0], -1)
    if (depth <= 0).any() or (turns <= 0).any():
        # A wide plane may leave the query's corners behind the camera; the part that agrees must keep its shape.
        hull = cv2.convexHull(inner.astype(np.float32))[:, 0].astype(float)
        if (carried(plane.matrix, hull)[1] <= 0).any():
            return "the geometry folds the picture over"
        if plane.evidence < 2 * _EVIDENCE:
            return "the outline of the query is no quadrilateral in the item"
    hull_in = cv2.contourArea(cv2.convexHull(inner.astype(np.float32)))
    hull_out = cv2.contourArea(cv2.convexHull(outer.astype(np.float32)))
    scale = float(np.sqrt(hull_out / max(hull_in, 1e-9)))
    if not 1 / _MAX_SCALE <= scale <= _MAX_SCALE:
        return f"the geometry scales by {scale:.2g}"
    seen = overlay.overlay(plane.matrix, reading.query, reading.item)
    if (seen.laid_on and not seen.template) or (seen.agreeing < _AGREE and _same_place(reading, plane.flags)):
        return _SHARED[0]
    if seen.agreeing < _AGREE and overlay.captions(reading.item, outer):
        return _SHARED[1]
    return _SHARED[1] if seen.template else None


def _epipolar(reading: _Reading) -> tuple[Points, Flags] | None:
    """A fundamental matrix that far more pairs agree with than chance gives, and which; None when there is none."""
    turns, scales = reading.turns, reading.scales
    # A room seen from elsewhere turns and scales all points alike, or nearly: what differs is noise.
    turn = np.angle(mode(np.exp(1j * turns), 0.35))
    size = np.exp(float(np.median(np.log(scales[np.abs(np.angle(np.exp(1j * (turns - turn)))) < 0.5]))))
    fitting = (np.abs(np.angle(np.exp(1j * (turns - turn)))) < 0.5) & (np.abs(np.log(scales / size)) < np.log(2.2))
    if fitting.sum() < _LEAST_EPIPOLAR:
        return None
    try:
        matrix, _ = cv2.findFundamentalMat(reading.source[fitting], reading.target[fitting], usac(1.5))
    except cv2.error:
        return None
    if matrix is None or matrix.shape != (3, 3) or not np.isfinite(matrix).all():
        return None
    flags = fitting & (sampson(matrix, reading.source, reading.target) <= 1.5)
    spots = reading.spots(flags)
    height, width = reading.item.grey.shape
    chance = 2 * 1.5 * 2**0.5 * float(np.hypot(height, width)) / (height * width)
    if spots < _LEAST_EPIPOLAR or false_alarms(int(fitting.sum()), spots, 7, chance) < _EVIDENCE_EPIPOLAR:
        return None
    return matrix, flags


def _said(
    reading: _Reading,
    kind: str,
    flags: Flags,
    matrix: Points,
    fault: str | None = None,
    planes: Sequence[_Plane] = (),
) -> Verification:
    """The verification in full-size pixels of the pictures as they are; ``planes`` are those that agree, if known."""
    query, item, mirrored, verified = reading.query, reading.item, reading.mirrored, kind != "none"
    to_query, to_item = np.diag([*query.scale, 1.0]), np.diag([*item.scale, 1.0])
    inner, outer = reading.source[flags], reading.target[flags]
    spots = reading.spots(flags)
    height, width = item.grey.shape
    outline: tuple[tuple[float, float], ...] = ()
    if kind == "epipolar":
        full = np.linalg.inv(to_item) @ matrix @ np.linalg.inv(to_query)
        errors = sampson(matrix, inner, outer)
    else:
        full = to_item @ matrix @ np.linalg.inv(to_query)
        full = full / full[2, 2] if abs(full[2, 2]) > 1e-12 else full
        errors = np.hypot(*(carried(matrix, inner)[0] - outer).T)
    covered = cv2.convexHull(outer.astype(np.float32)) if len(outer) > 2 else None
    if kind == "homography":
        corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], float) * query.grey.shape[::-1]
        moved, depth = carried(matrix, corners)
        if (depth > 0).all():
            if mirrored:  # corners in the order of the query as it is
                moved = moved[[1, 0, 3, 2]]
            outline = tuple((round(x, 1), round(y, 1)) for x, y in (moved * item.scale).tolist())
            covered = cv2.convexHull(moved.astype(np.float32))
    frame = np.array([[[0, 0]], [[width, 0]], [[width, height]], [[0, height]]], np.float32)
    overlap = (
        0.0 if covered is None or not verified else cv2.intersectConvexConvex(frame, covered)[0] / (width * height)
    )
    lines = _full_size(reading, flags)
    every = flags if not planes else np.any([plane.flags for plane in planes], axis=0)
    frames = (query.grey.shape[::-1], item.grey.shape[::-1])
    agreeing = (reading.source[every], reading.target[every], _full_size(reading, every))
    parts = surfaces(*agreeing, frames) if verified else ()
    ways = {"homography": "one plane", "planes": "several planes", "epipolar": "two views of one scene", "none": ""}
    if verified:
        agree = "verified: {} points agree" if spots >= POINTS else "verified by few points: {} agree"
        reason = f"{agree.format(spots)} as {ways[kind]}{', mirrored' if mirrored else ''}{which(parts)}"
    else:
        reason = f"not verified: {fault or 'the points that agree are too few'}"
    transform: Transform = tuple(tuple(float(v) for v in row) for row in full.tolist())  # type: ignore[assignment]
    return Verification(
        verified=verified,
        kind=kind,
        mirrored=mirrored,
        tentative=len(reading.source),
        inliers=spots,
        transform=transform if verified else None,
        error_px=round(float(np.median(errors)) * float(np.mean(item.scale)), 2) if len(errors) else None,
        overlap=round(float(np.clip(overlap, 0, 1)), 4),
        reason=reason,
        outline=outline if verified else (),
        lines=tuple(tuple(round(v, 1) for v in row) for row in lines.tolist()),
        void=fault in _SHARED,
        surfaces=parts,
    )


def _full_size(reading: _Reading, flags: Flags) -> Points:
    """Pairs of points (N, 4) in full-size pixels of the pictures as they are."""
    starts = reading.source[flags] * reading.query.scale
    if reading.mirrored:
        starts[:, 0] = reading.query.size_px[0] - starts[:, 0]
    return np.column_stack([starts, reading.target[flags] * reading.item.scale])
