"""Faces that were found in items, into a case whose gate is open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from imgmatch.errors import CaseError
from indexer.case.use import Shelves
from indexer.catalogue import FaceRow, Writer
from indexer.index.shelf import Shelf

if TYPE_CHECKING:
    from imgmatch.models.base import FaceEmbedder
    from imgmatch.models.face import FoundFace

FACES_PROFILE, THOROUGH_FACES = "faces", "faces thorough"
"""How an item was looked through for faces: as a whole, or in tiles at full size, too."""


def require_same_model(case: Shelves, reader: FaceEmbedder) -> Shelf:
    """The shelf of faces of a case. Raises CaseError where its gate is closed, or it was opened for other weights than
    those that were loaded.
    """
    shelf = case.face_shelf()
    if shelf.spec.weights_sha256 != reader.spec.weights_sha256:
        raise CaseError(
            f"{case.path}: its faces were made by {shelf.spec.name} with other weights than those installed, and the "
            "two can't be compared; use the imgmatch version that made them, or erase them and find them again"
        )
    return shelf


def add_faces(
    writer: Writer, shelf: Shelf, looked: Sequence[tuple[int, Sequence[FoundFace]]], profile: str
) -> dict[str, int]:
    """Add the faces of items in which none were found before, and note that those were looked through, within a
    transaction. ``shelf`` is that of the model of faces. Returns how many there were, and how many of them are unfit.
    """
    found = [(item_id, number, one) for item_id, faces in looked for number, one in enumerate(faces, start=1)]
    if found:
        vectors = np.stack([one.vector for _, _, one in found])
        ids = shelf.append(writer, vectors, [(item_id, *one.face.box) for item_id, _, one in found])
        writer.faces.add(
            FaceRow(
                face_id, item_id, number, one.face.box, one.face.points, one.face.confidence, one.face.size_px,
                one.face.sharpness, one.face.yaw, one.face.pitch, one.face.roll, one.face.cut, one.face.quality,
                one.face.unfit,
            )
            for face_id, (item_id, number, one) in zip(ids, found, strict=True)
        )  # fmt: skip
    shelf.set_profiles(writer, ((item_id, profile) for item_id, _ in looked))
    return {"faces": len(found), "unfit": sum(bool(one.face.unfit) for _, _, one in found)}
