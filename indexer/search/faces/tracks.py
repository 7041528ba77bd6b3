"""Near frames of one video that show the same face count once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from imgmatch.locator import Locator
from indexer.search.faces.found import FaceMatch

if TYPE_CHECKING:
    from imgmatch.types import Vector

_GAP_MS = 30_000
_SAME = 0.5
"""Faces of neighbouring frames that are so alike are one person's: the same camera, light and hour."""


def folded(matches: Sequence[FaceMatch], vectors: Sequence[Vector]) -> list[FaceMatch]:
    """Matches in their order, those that continue the track of a better one told of there. ``vectors`` are those of the
    first face of each.
    """
    tracks: dict[Locator, list[_Track]] = {}
    places: list[_Track | FaceMatch] = []
    for match, vector in zip(matches, vectors, strict=True):
        frame = match.sightings[0].locator
        if len(match.sightings) != 1 or frame.kind != "frame" or frame.parent is None:
            places.append(match)
            continue
        at = _time(frame)
        known = tracks.setdefault(frame.parent, [])
        track = next((one for one in known if one.continues(at, vector)), None)
        if track is None:
            track = _Track()
            known.append(track)
            places.append(track)
        track.add(match, at, vector)
    return [place if isinstance(place, FaceMatch) else place.best() for place in places]


class _Track:
    """Frames that show one face, the best first."""

    def __init__(self) -> None:
        self._matches: list[FaceMatch] = []
        self._times: list[float] = []
        self._vectors: list[Vector] = []

    def continues(self, at: float, vector: Vector) -> bool:
        near = (other for time, other in zip(self._times, self._vectors, strict=True) if abs(time - at) <= _GAP_MS)
        return any(float(other @ vector) >= _SAME for other in near)

    def add(self, match: FaceMatch, at: float, vector: Vector) -> None:
        self._matches.append(match)
        self._times.append(at)
        self._vectors.append(vector)

    def best(self) -> FaceMatch:
        """The best frame, with how many there are."""
        others = tuple(match.item_id for match in self._matches[1:])
        return self._matches[0].with_(frames=len(self._matches), frame_items=others)


def frame_of(place: Locator) -> tuple[str | None, float | None]:
    """The video that a frame lies in, and when, in ms; None, None for what is no frame."""
    if place.kind != "frame" or place.parent is None:
        return None, None
    return str(place.parent), _time(place)


def _time(frame: Locator) -> float:
    """Of a video in ms; of other moving pictures the number of the frame, which is as good."""
    return float(frame.at.partition(";")[0].partition(".")[0])
