"""A query and a match side by side, as a drawing of why they are taken for alike: in units of the drawing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from imgmatch.match.drawing import item_in_query, several, some_lines
from imgmatch.types import Box, Match, Surface
from indexer.out.report.pictures import Thumbnail

SIDE = (400, 300)
"""The room of one picture."""
_GAP = 20
WIDTH = 2 * SIDE[0] + _GAP

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two: its picture (None where it can't be had) and how large it is drawn; ``outline`` are the corners
    of the other one in it, ``part`` the part of it that met, ``surfaces`` the outlines of what agrees, where that is
    several surfaces, all in its full-size pixels.
    """

    name: str
    left: float
    picture: Thumbnail | None
    size: tuple[float, float]
    outline: Sequence[Point]
    part: Box | None
    surfaces: Sequence[Sequence[Point]] = ()


@dataclass(frozen=True, slots=True)
class Pair:
    """Both sides, and the lines between the points that agree: the number of their surface, as ``some_lines`` gives it,
    and x, y, x, y.
    """

    height: float
    sides: tuple[Side, Side]
    lines: Sequence[tuple[int | None, float, float, float, float]]

    @property
    def revealable(self) -> bool:
        """Has either a picture that may be shown as it is?"""
        return any(side.picture is not None and side.picture.clear for side in self.sides)


def pair(query: Thumbnail | None, item: Thumbnail | None, match: Match | None) -> Pair:
    """A query and a match; the query alone where there is no match."""
    found = None if match is None else match.verification
    met = next(iter(match.candidates), None) if match is not None else None
    parts = (None, None) if met is None else (met.query_region_px, met.region_px)
    inside: Sequence[Point] = ()
    outline: Sequence[Point] = ()
    lines: list[tuple[int | None, float, float, float, float]] = []
    surfaces: Sequence[Surface] = ()
    right = SIDE[0] + _GAP
    if found is not None and found.verified:
        outline, surfaces = found.outline, several(found)
        if query is not None and item is not None:
            inside = item_in_query(found, (query.size_px, item.size_px))
            one, two = _scale(query), _scale(item)
            lines = [
                (of, round(a * one, 1), round(b * one, 1), round(right + c * two, 1), round(d * two, 1))
                for of, (a, b, c, d) in some_lines(found)
            ]
    sides = (
        Side("query", 0, query, fitted(query), inside, parts[0], [surface.query for surface in surfaces]),
        Side("match", right, item, fitted(item), outline, parts[1], [surface.item for surface in surfaces]),
    )
    return Pair(max(side.size[1] for side in sides), sides, lines)


def _scale(picture: Thumbnail) -> float:
    return min(SIDE[0] / picture.size_px[0], SIDE[1] / picture.size_px[1])


def fitted(picture: Thumbnail | None) -> tuple[float, float]:
    """How large a picture is drawn."""
    if picture is None:
        return SIDE[0], SIDE[1] / 3
    return round(picture.size_px[0] * _scale(picture), 1), round(picture.size_px[1] * _scale(picture), 1)
