"""On which surfaces of a scene do two pictures agree? Planes among the points that verify (docs/verification.md).

A wall, a headboard, a print seen from two sides each move by a homography of their own (Hartley and Zisserman, Multiple
View Geometry, 13.1). Not every plane that many points fit is a surface: some run across a room and through things at
all depths. So planes grow from points that are near to one another, and a point belongs to one where its neighbours do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from imgmatch.match.geometry import Points, carried, false_alarms, homography, places_of_their_own
from imgmatch.types import Surface

Flags = npt.NDArray[np.bool_]
Frames = tuple[tuple[int, int], tuple[int, int]]

_ERROR_PX = 2.0
"""How far a point may lie from where its plane puts it, in working pixels of the item."""
_SEEDS, _ROUNDS = 24, 4
_NEAR, _NEIGHBOURS = 10, 6
_LEAST = 8
_EVIDENCE = 2.0
"""So many of the points that agree lie on one plane by chance in less than one of a hundred pairs."""
_HELD = 0.6
_SMALLEST = 0.002


def surfaces(source: Points, target: Points, lines: Points, frames_px: Frames) -> tuple[Surface, ...]:
    """The surfaces that pairs of points which agree lie on, that with the most first; what lies on none is left out.

    ``source`` and ``target`` (N, 2) in working pixels of the query and the item, whose working sizes (width, height)
    are ``frames_px``; ``lines`` (N, 4) the same in full-size pixels of the pictures as they are.
    """
    found = []
    for flags in _planes(source, target, frames_px):
        points, seen = places_of_their_own(source[flags], target[flags]), lines[flags]
        found.append(Surface(points, _outline(seen[:, :2]), _outline(seen[:, 2:]), _rows(seen)))
    return tuple(sorted(found, key=lambda surface: -surface.points))


def which(found: Sequence[Surface]) -> str:
    """The words on several surfaces, to come behind those on the geometry; none where there is but one."""
    if len(found) < 2:
        return ""
    return f"; {len(found)} surfaces agree: {' + '.join(str(surface.points) for surface in found)} points"


def _planes(source: Points, target: Points, frames_px: Frames) -> Iterator[Flags]:
    """Planes one after the other, that with the most points first, each of points that those before do not hold."""
    free = np.ones(len(source), bool)
    while free.sum() >= _LEAST:
        rest = np.flatnonzero(free)
        on = rest[_largest(source[rest], target[rest])]
        if len(on) < _LEAST:
            return
        flags = np.zeros(len(source), bool)
        flags[on] = True
        if _stands(flags, free, (source, target), frames_px):
            yield flags
        free &= ~flags


def _largest(source: Points, target: Points) -> Flags:
    """Of the planes that grow about some of the pairs the one that holds the most."""
    near = source.astype(np.float32)
    nearest = cv2.batchDistance(near, near, cv2.CV_32F, K=min(_NEAR, len(near)))[1]  # itself first
    best = np.zeros(len(source), bool)
    # Pairs come the surest first, so these are of all kinds.
    for seed in np.linspace(0, len(source) - 1, min(_SEEDS, len(source))).astype(int):
        if best[seed]:
            continue
        on = np.zeros(len(source), bool)
        on[nearest[seed]] = True
        for _ in range(_ROUNDS):
            moved, depth = carried(homography(source[on], target[on]), source)
            held = (np.hypot(*(moved - target).T) <= _ERROR_PX) & (depth > 0)
            held &= held[nearest[:, 1 : _NEIGHBOURS + 1]].mean(axis=1) >= 0.5
            grown = held.sum() > on.sum()
            on = held
            if on.sum() > best.sum():
                best = on
            if on.sum() < 4 or not grown:
                break
    return best


def _stands(flags: Flags, free: Flags, pictures: tuple[Points, Points], frames_px: Frames) -> bool:
    """Is it more than chance, large enough in both pictures, and are most of the points there its own?"""
    spots = places_of_their_own(*(points[flags] for points in pictures))
    # They agree with a geometry already, so chance puts them anywhere on a line.
    chance = 2 * _ERROR_PX / float(np.hypot(*frames_px[1]))
    if spots < _LEAST or false_alarms(int(free.sum()), spots, 4, chance) < _EVIDENCE:
        return False
    for points, (width, height) in zip(pictures, frames_px, strict=True):
        hull = _hull(points[flags])
        inside = np.array([cv2.pointPolygonTest(hull, (float(x), float(y)), False) >= 0 for x, y in points])
        if cv2.contourArea(hull) < _SMALLEST * width * height or flags[inside].mean() < _HELD:
            return False
    return True


def _hull(points: Points) -> Points:
    return cv2.convexHull(points.astype(np.float32))[:, 0]


def _outline(points: Points) -> tuple[tuple[float, float], ...]:
    return tuple((round(float(x), 1), round(float(y), 1)) for x, y in _hull(points))


def _rows(lines: Points) -> tuple[tuple[float, float, float, float], ...]:
    return tuple((round(a, 1), round(b, 1), round(c, 1), round(d, 1)) for a, b, c, d in lines.tolist())
