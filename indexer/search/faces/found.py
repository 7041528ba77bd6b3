"""What a search for faces answers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from imgmatch.match.calibration import false_match_text
from imgmatch.types import Box, Candidate, Decision, FalseMatchRate, Match, Sighting
from indexer.catalogue import FaceRow
from indexer.search.faces.asked import ChosenFace
from indexer.search.request import SearchResult

WARNING = (
    "A candidate list, never an identification: look at both faces before a decision. Rates measured on adults say "
    "nothing of children, and groups of people differ."
)


@dataclass(frozen=True, slots=True)
class FaceMatch:
    """One item with a face like that which was asked for. ``faces`` are, for each person asked for, the face that met
    and its similarity (cosine); ``score`` is the lowest of those. ``quality`` is that of the least fit of all faces
    that were compared. ``frames`` counts near frames of one video that show the same face: they stand as one, by the
    best. ``years`` lie between the pictures, as far as both say when they were taken.
    """

    rank: int
    item_id: int
    sha256: str
    score: float
    faces: tuple[tuple[FaceRow, float], ...]
    quality: float
    sightings: tuple[Sighting, ...] = ()
    labels: dict[str, tuple[str, ...]] = field(default_factory=dict)
    false_match: FalseMatchRate | None = None
    years: float | None = None
    frames: int = 1
    frame_items: tuple[int, ...] = ()
    date: str | None = None
    decision: Decision | None = None
    person: int | None = None
    partial: str | None = None

    def with_(self, **changed: Any) -> FaceMatch:
        """The same with some fields changed."""
        return replace(self, **changed)

    @property
    def said(self) -> list[str]:
        """What an examiner is to know of it, in words."""
        found = [f"face {face.number}: {face.unfit}" for face, _ in self.faces if face.unfit]
        if self.frames > 1:
            found.append(f"{self.frames} near frames of one video")
        if self.years is not None and self.years >= 1:
            count = f"{self.years:.0f} years" if self.years >= 1.5 else "1 year"
            found.append(f"{count} between the pictures: the longer, the less a low score says")
        if self.decision:
            waits = ", and waits for a second examiner" if self.decision.waits else ""
            found.append(f"{self.decision.verdict} by {self.decision.examiner or self.decision.account}{waits}")
        if self.partial:
            found.append(f"item partly read: {self.partial}")
        return found

    def record(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "rank": self.rank,
            "score": round(self.score, 6),
            "item_id": self.item_id,
            "sha256": self.sha256,
            "quality": self.quality,
            "faces": [
                {
                    "face_id": face.face_id, "number": face.number, "box_px": face.box, "similarity": round(near, 6),
                    "size_px": face.size_px, "quality": face.quality, "unfit": face.unfit or None,
                    "confidence": face.confidence,
                }
                for face, near in self.faces
            ],
            "by_chance": false_match_text(self.false_match),
            "false_match": None if self.false_match is None else _rate(self.false_match),
            "years": self.years,
            "frames": self.frames,
            "frame_items": list(self.frame_items),
            "date": self.date,
            "person": self.person,
            "decision": None if self.decision is None else self.decision.verdict,
            "reasons": self.said,
            "labels": {name: list(values) for name, values in self.labels.items()},
            "path": self.sightings[0].locator.path if self.sightings else None,
            "sightings": [
                {"locator": str(seen.locator), "path": seen.locator.path, "modified_utc": seen.modified_utc}
                for seen in self.sightings
            ],
        }  # fmt: skip

    def as_match(self, query_box: Box) -> Match:
        """As a report shows it; the query's face lies in ``query_box``."""
        met = tuple(
            Candidate(face.face_id, self.item_id, near, query_box if number == 0 else None, face.box)
            for number, (face, near) in enumerate(self.faces)
        )
        return Match(
            self.rank, self.item_id, self.sha256, self.score, self.sightings, self.labels, met,
            reasons=tuple(self.said), false_match=self.false_match, partial=self.partial, decision=self.decision,
        )  # fmt: skip


def _rate(rate: FalseMatchRate) -> dict[str, float | None]:
    return {name: getattr(rate, name) for name in ("rate", "lower", "upper", "expected", "expected_upper")}


@dataclass(frozen=True, slots=True)
class FaceResult:
    """The ranked items of a search; ``compared`` faces, ``unfit`` ones that were left out, whom was asked for
    (``asked``), and what was to be said of it (``notes``).
    """

    model: str
    matches: tuple[FaceMatch, ...]
    compared: int
    unfit: int
    elapsed_ms: float
    asked: tuple[ChosenFace, ...] = ()
    notes: tuple[str, ...] = ()
    warning: str = WARNING

    def as_search(self) -> SearchResult:
        """As a report shows it: under the first face that was asked for."""
        first = self.asked[0]
        matches = tuple(match.as_match(first.box) for match in self.matches)
        return SearchResult(first.locator, first.sha256, self.model, self.elapsed_ms, matches)
