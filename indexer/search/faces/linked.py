"""Which faces of a case are like those of a pack that holds faces."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from imgmatch.errors import UsageError
from imgmatch.match.calibration import false_match_text
from imgmatch.models.face import LIKENESS
from imgmatch.types import FalseMatchRate
from indexer.case.case import Case
from indexer.case.use import Use
from indexer.catalogue import FaceRow
from indexer.index.protocol import Ids
from indexer.search.faces.asked import require_reason
from indexer.search.faces.scores import rates_of
from indexer.search.fields import false_match_record

_BLOCK = 2048


@dataclass(frozen=True, slots=True)
class FaceLink:
    """A face of the case and one of the pack: cosine, the quality of the less fit, places and contents of both."""

    face: FaceRow
    other: FaceRow
    score: float
    quality: float
    false_match: FalseMatchRate | None
    paths: tuple[str, str]
    sha256s: tuple[str, str]

    def record(self) -> dict[str, Any]:
        """As every format gives it."""
        return {
            "item_id": self.face.item_id,
            "face": self.face.number,
            "other_item_id": self.other.item_id,
            "other_face": self.other.number,
            "score": round(self.score, 6),
            "by_chance": false_match_text(self.false_match),
            "quality": self.quality,
            "path": self.paths[0],
            "other_path": self.paths[1],
            "box_px": self.face.box,
            "other_box_px": self.other.box,
            "sha256": self.sha256s[0],
            "other_sha256": self.sha256s[1],
            "false_match": false_match_record(self.false_match),
        }


def link_faces(
    case: Case,
    pack: Case,
    reason: str,
    *,
    opened_from: str | os.PathLike[str],
    least: float | None = None,
    top: int = 100,
) -> tuple[list[FaceLink], int]:
    """The nearest pairs of faces, fit ones alone, and how many there are with a cosine of ``least`` or more (None: the
    threshold of the model's makers). Recorded with its reason before they are given.

    Raises CaseError where the gate of the case is closed, UsageError where pack and case are one, and for a ``least``
    out of range.
    """
    shelf, about = case.face_shelf(), pack.catalogue.meta.all()
    if case.catalogue.meta.all().get("case_id") == about.get("case_id"):
        raise UsageError(f"{opened_from}: is of the same case as {case.path}; search it: imgmatch faces search")
    least = LIKENESS[shelf.spec.name].alike if least is None else least
    if not 0 <= least <= 1:
        raise UsageError(f"--least is {least}; it must be between 0 and 1")
    arguments = {"reason": require_reason(reason), "least": least, "top": top}
    subject = {
        "other": os.fspath(opened_from),
        "other_case_id": about.get("case_id"),
        "pack_sha256": about.get("pack_sha256"),
    }
    with case.use("link faces", arguments=arguments, subject=subject, model=shelf.spec) as use:
        theirs = pack.beside(use)
        pairs, count, compared = _nearest(use, theirs, least, top)
        rates = rates_of(shelf.calibration())
        ours_known = use.catalogue.faces.by_id(one for one, _, _ in pairs)
        theirs_known = theirs.catalogue.faces.by_id(other for _, other, _ in pairs)
        sides = [(use, ours_known), (theirs, theirs_known)]
        told = [_places(side, {face.item_id for face in known.values()}) for side, known in sides]
        found = []
        for one, other, score in pairs:
            faces = ours_known[one], theirs_known[other]
            (path, sha256), (other_path, other_sha256) = (
                said[face.item_id] for said, face in zip(told, faces, strict=True)
            )
            quality = min(face.quality for face in faces)
            rate = rates.of(score, quality, compared)
            found.append(FaceLink(*faces, score, quality, rate, (path, other_path), (sha256, other_sha256)))
        use.entry.counts = {"links": len(found), "of": count, "compared": compared}
    return found, count


def _nearest(use: Use, theirs: Use, least: float, top: int) -> tuple[list[tuple[int, int, float]], int, int]:
    """The nearest pairs (face, other face, cosine), how many there are, and how many were compared."""
    (ids, rows), (others, other_rows) = _fit(use), _fit(theirs)
    kept: list[tuple[float, int, int]] = []
    count = 0
    columns = other_rows.astype(np.float32)
    for start in range(0, len(ids), _BLOCK):
        part = rows[start : start + _BLOCK].astype(np.float32)
        mine, other = np.nonzero(part @ columns.T >= least)
        count += len(mine)
        scores = np.einsum("nd,nd->n", part[mine], columns[other]).round(6)
        best = np.lexsort((others[other], ids[start + mine], -scores))[:top]
        kept += zip(
            (-scores[best]).tolist(), ids[start + mine[best]].tolist(), others[other[best]].tolist(), strict=True
        )
        kept = sorted(kept)[:top]
    return [(one, other, -score) for score, one, other in kept], count, len(ids) * len(others)


def _fit(use: Use) -> tuple[Ids, npt.NDArray[np.float16]]:
    """Faces that are fit to be compared: ids and rows."""
    ids = np.array(use.catalogue.faces.ids(), np.int64)
    rows, there = use.face_shelf().store().gather(ids)
    return ids[there], rows[there]


def _places(use: Use, items: set[int]) -> dict[int, tuple[str, str]]:
    """Where each item was seen first, and its SHA-256."""
    seen, known = use.catalogue.sightings.of(sorted(items)), use.catalogue.items.by_id(sorted(items))
    return {
        item: (str(seen[item][0].locator.path or seen[item][0].locator) if seen[item] else "", known[item].sha256)
        for item in items
    }
