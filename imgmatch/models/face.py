"""What is known of a face in a picture: where it is, how it is shown, and whether it is fit to be compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from imgmatch.types import Box

if TYPE_CHECKING:
    from imgmatch.types import Vector

DECODED_PX = 1024
"""Both sides of a picture are decoded to at least so much: faces are cut out of it, not out of what was looked at."""
LEAST_PX = 24
"""Faces of less height are kept and shown, not compared (docs/faces.md)."""
LEAST_SHARPNESS = 0.14
MOST_YAW, MOST_PITCH = 0.6, 0.3
MOST_CUT = 0.25
LEAST_LIGHT = 0.6
"""Burnt out or faded further than so, faces are no more like themselves than those of 24 pixels (docs/faces.md)."""
LEAST_SURE = 0.7
"""Finds of less confidence are faces about as often as they are none."""
# What is as good as it gets: beyond it more pixels or detail make no better match.
_FULL_PX, _FULL_SHARPNESS = 64, 0.3


class Likeness(NamedTuple):
    """From which cosine on two faces are alike by a model: ``alike``, the makers' threshold for one person's; ``edge``
    and ``mean``, the least of two faces that a group is joined by, and of all pairs of two groups that are joined.
    """

    alike: float
    edge: float
    mean: float


LIKENESS = {"sface": Likeness(0.363, 0.5, 0.45), "dlib-resnet": Likeness(0.915, 0.96, 0.94)}
"""By model (docs/faces.md). dlib's author gives a distance, 0.6, of vectors whose length is about 1.45."""


@dataclass(frozen=True, slots=True)
class Face:
    """A face: its box and its five points (right eye, left eye, nose, right and left corner of the mouth, as the person
    has them) in pixels of the upright full-size picture.

    ``confidence`` 0..1 that it is one: of a drawing, a mask, a statue or a mirror the detector knows no difference.
    ``size_px`` is its height in the pixels that were looked at; ``sharpness``, ``yaw``, ``pitch``, ``roll`` and
    ``light`` are those of ``imgmatch.models.faces.chips``; ``cut`` is the share of it that lies beyond the picture's
    edge.
    """

    box: Box
    points: tuple[tuple[float, float], ...]
    confidence: float
    size_px: float
    sharpness: float
    yaw: float
    pitch: float
    roll: float
    cut: float
    light: float = 1.0

    @property
    def unfit(self) -> str:
        """Why it is not fit to be compared; empty where it is."""
        reasons = (
            (self.confidence < LEAST_SURE, "hardly a face"),
            (self.size_px < LEAST_PX, f"too small ({self.size_px:.0f} px, less than {LEAST_PX})"),
            (self.sharpness < LEAST_SHARPNESS, "blurred"),
            (abs(self.yaw) > MOST_YAW or abs(self.pitch) > MOST_PITCH, "turned away"),
            (self.cut > MOST_CUT, "cut off"),
            (self.light < LEAST_LIGHT, "burnt out or faded"),
        )
        return ", ".join(why for holds, why in reasons if holds)

    @property
    def quality(self) -> float:
        """How fit it is to be compared, 0..1: the product of how large, sharp, frontal, whole and well lit it is."""
        parts = (
            min(1.0, self.size_px / _FULL_PX),
            min(1.0, self.sharpness / _FULL_SHARPNESS),
            max(0.0, 1 - abs(self.yaw)) * max(0.0, 1 - abs(self.pitch)),
            max(0.0, 1 - self.cut),
            self.light,
        )
        made = 1.0
        for part in parts:
            made *= part
        return round(made, 4)


@dataclass(frozen=True, slots=True)
class FoundFace:
    """A face and its vector, (dim,) float32 of unit length."""

    face: Face
    vector: Vector
