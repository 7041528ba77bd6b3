"""Is it the same room, or another one of the same hotel? In words, by two rates measured on rendered hotels.

Rooms of one hotel have the same furniture, and geometry agrees on a headboard or a print in either: how seldom it does
so was counted, and how seldom rooms of different hotels score so high (docs/scores.md, "Rooms and hotels").
"""

from __future__ import annotations

from imgmatch.types import SIFT, Match

POINTS = 30
"""From so many of SIFT's points that agree, upright: 1 in 200 pairs of different rooms of one hotel have them. Of
learned points no number is that rare."""
HOTEL = {"imgmatch-rooms": 0.608, "imgmatch-rooms-int8": 0.608}
"""From this score on, by model: 1 in 1,000 pairs of views of one kind of room in different hotels reach it."""
BEGINS = "as rooms go, "
_ROOM_WORDS = f"{BEGINS}same room likely: so many points agree in 1 of 200 pairs of rooms of one hotel"
_DESIGN_WORDS = (
    f"{BEGINS}same hotel likely, room not shown: geometry agrees in 1 of 30 pairs of different rooms of one hotel"
)
_HOTEL_WORDS = f"{BEGINS}same hotel likely, room not shown: 1 in 1,000 pairs of rooms of different hotels score so high"


def room_or_hotel(match: Match, model: str) -> str:
    """The words for a match by a model, empty where neither is likely, or nothing was measured of the model.

    They speak of photographs of rooms: what else is alike is not asked about.
    """
    if match.identical or model not in HOTEL:
        return ""
    found = match.verification
    if found is not None and found.void:
        return ""
    if found is not None and found.verified:
        many = found.features == SIFT and not found.mirrored and found.inliers >= POINTS
        return _ROOM_WORDS if many else _DESIGN_WORDS
    return _HOTEL_WORDS if match.score >= HOTEL[model] else ""
