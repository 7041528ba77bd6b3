"""The background of faces of a case: which score faces of different people reach, from pictures that the laboratory
has.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from imgmatch.lab.faces.evaluate import read_set
from imgmatch.lab.faces.layouts import read_faces
from imgmatch.models.base import FaceEmbedder
from indexer.case.case import Case
from indexer.catalogue import CalibrationRow
from indexer.catalogue.clock import now_utc
from indexer.index.protocol import Progress
from indexer.search.faces.asked import require_reason
from indexer.search.faces.scores import measured


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A background: where it lies, pictures, faces that count, people, and the lowest rate that it can show."""

    background: str
    pictures: int
    faces: int
    people: int
    lowest_rate_shown: float


def calibrate_faces(
    case: Case,
    reader: FaceEmbedder,
    background: Path,
    reason: str,
    *,
    layout: str = "folders",
    progress: Progress | None = None,
) -> Calibrated:
    """Measure how often faces of different people in ``background`` score high; from then on searches say a rate.

    Faces that are not fit to be compared count too: rates are told apart by quality. The pictures are not part of the
    case. Recorded. Raises UsageError where they show too few people, or are not of that layout.
    """
    shelf = case.face_shelf()
    case.require("calibrate faces", {"reason": reason})
    faces = read_faces(background, layout)
    read = read_set(faces, reader, progress=progress)
    known = [one.person for one, there in zip(faces.pictures, read.there.tolist(), strict=True) if there]
    record, rates = measured(read.vectors[read.there], known, read.quality[read.there].tolist())
    where = str(background.absolute())
    arguments = {"reason": require_reason(reason), "background": where, "layout": layout}
    with case.change("calibrate faces", arguments=arguments, model=shelf.spec) as change:
        change.face_shelf().set_calibration(change.writer, CalibrationRow(where, len(known), record, now_utc()))
        change.entry.counts = {"pictures": len(faces.pictures), "faces": rates.faces, "people": rates.people}
    bound = min(one.bound for one in rates.by_quality.values())
    return Calibrated(where, len(faces.pictures), rates.faces, rates.people, bound)
