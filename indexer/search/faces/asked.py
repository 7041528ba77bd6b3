"""Whom a search for faces asks for: faces chosen in photographs or in items of the case, those of one person
together.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from imgmatch.errors import EvidenceError, UsageError
from imgmatch.evidence.read import read
from imgmatch.evidence.reopen import reopen
from imgmatch.locator import Locator
from imgmatch.models.base import FaceEmbedder
from imgmatch.models.face import DECODED_PX, FoundFace
from imgmatch.picture.metadata import values
from imgmatch.types import Box, Evidence
from imgmatch.workers.decode import Request
from indexer.case.use import Use
from indexer.catalogue import FaceRow
from indexer.search.request import MAX_K

if TYPE_CHECKING:
    from imgmatch.types import Image, Vector

_CHOSEN = re.compile(r"(.*)#([0-9]{1,4})", re.DOTALL)
_ITEM = re.compile(r"item:([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class ChosenFace:
    """A face that stands for a person: in which content (SHA-256), where in it, its vector (dim,) float32, how fit it
    is and why it may not be; when the picture was taken or changed, as far as it says so.
    """

    locator: Locator
    sha256: str
    number: int
    box: Box
    vector: Vector
    quality: float
    unfit: str
    date: str | None

    def told(self) -> dict[str, object]:
        """What the log says of it."""
        return {"query": str(self.locator), "query_sha256": self.sha256, "face": self.number, "box": self.box}


@dataclass(frozen=True, slots=True)
class Person:
    """One person, by one face or several."""

    faces: tuple[ChosenFace, ...]

    @property
    def vector(self) -> Vector:
        """The mean of the faces, the fitter ones counting more, of unit length: (dim,) float32."""
        weights = np.array([0.05 + face.quality for face in self.faces], np.float32)
        mean = (np.stack([face.vector for face in self.faces]) * weights[:, None]).sum(axis=0)
        made: Vector = (mean / max(float(np.linalg.norm(mean)), 1e-9)).astype(np.float32)
        return made

    @property
    def quality(self) -> float:
        """That of the fittest face."""
        return max(face.quality for face in self.faces)


@dataclass(frozen=True, slots=True)
class FaceRequest:
    """How to search: at most ``k`` items; ``unfit``: also faces that are not fit to be compared; none with a
    false-match rate above ``max_fmr``; ``with_rejected``: also what an examiner rejected. Raises UsageError for a
    ``k`` out of range and where ``reason`` says nothing.
    """

    reason: str
    k: int = 10
    unfit: bool = False
    max_fmr: float | None = None
    with_rejected: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.k <= MAX_K:
            raise UsageError(f"k is {self.k}; it must be between 1 and {MAX_K:,}")
        require_reason(self.reason)


def require_reason(reason: str) -> str:
    """The reason of a use of faces, on one line. Raises UsageError where it says nothing."""
    said = " ".join(reason.split())
    if not said:
        raise UsageError("--reason is empty; say why this person is looked for: it is kept in the log")
    return said


@dataclass(frozen=True, slots=True)
class Looked:
    """A picture that was looked through for faces; ``others``: it may hold more than the one that was (pages, frames),
    which is only found out where there is no face in that.
    """

    locator: Locator
    sha256: str
    image: Image
    faces: tuple[FoundFace, ...]
    date: str | None
    others: bool = False

    @property
    def without_face(self) -> str:
        """That there is none in it, in words that promise no more."""
        of_several = "; of pages or frames the first alone is looked at: ingest it, and give item:ID of another"
        return f"no face was found in it{of_several * self.others}"


def look(picture: str, reader: FaceEmbedder, *, thorough: bool = True) -> Looked:
    """The faces in a picture file, from left to right. Raises UsageError where it can't be read as a picture."""
    if not os.path.isfile(picture):
        what = "is a folder" if os.path.isdir(picture) else "no such file"
        raise UsageError(f"{picture!r}: {what}; give pictures, as PICTURE or PICTURE#N, or item:ID#N")
    try:
        return look_at(reopen(Locator.file(picture)), reader, thorough=thorough)
    except EvidenceError as error:
        raise UsageError(f"{picture}: {error}; give a readable picture") from error


def look_at(found: Evidence, reader: FaceEmbedder, *, thorough: bool = True) -> Looked:
    """The faces in a picture, wherever it is. Raises EvidenceError where it can't be read."""
    content = read(found)
    decoded = content.decoded(Request(sides_px=(DECODED_PX,), metadata=True))
    (image,) = decoded.pictures
    said = values(decoded.facts.metadata)
    date = said.get("taken") or said.get("changed")
    faces = tuple(reader.read(image, thorough=thorough))
    others = not faces and _of_several(found)
    return Looked(content.evidence.locator, content.digests.sha256, image, faces, str(date) if date else None, others)


def _of_several(found: Evidence) -> bool:
    from imgmatch.evidence.formats.animation import Animation  # for the few that show no face
    from imgmatch.evidence.look import Look

    with Look(found) as seen:
        return Animation.recognise(seen)


def person(use: Use, named: Sequence[str | ChosenFace], reader: FaceEmbedder) -> Person:
    """A person by faces that were chosen, or are named: ``PICTURE``, ``PICTURE#N`` for one of several, ``item:ID#N``
    for one of an item of the case. Raises UsageError where no face is found, or it must be said which.
    """
    return Person(tuple(_chosen(use, one, reader) if isinstance(one, str) else one for one in named))


def _chosen(use: Use, name: str, reader: FaceEmbedder) -> ChosenFace:
    parts = None if os.path.exists(name) else _CHOSEN.fullmatch(name)
    place, number = (parts[1], int(parts[2])) if parts else (name, None)
    item = _ITEM.fullmatch(place)
    if item is not None:
        return _of_item(use, int(item[1]), number)
    return chosen_of(look(place, reader), place, number)


def chosen_of(looked: Looked, place: str, number: int | None) -> ChosenFace:
    """A face of a picture that was looked through, by its number; None: the one that is meant. Raises UsageError."""
    if looked.others:
        raise UsageError(f"{place}: {looked.without_face}")
    at = _which(place, number, [found.face.unfit for found in looked.faces])
    found = looked.faces[at]
    face = found.face
    return ChosenFace(
        looked.locator, looked.sha256, at + 1, face.box, found.vector, face.quality, face.unfit, looked.date
    )


def _of_item(use: Use, item_id: int, number: int | None) -> ChosenFace:
    item = use.catalogue.items.by_id([item_id]).get(item_id)
    if item is None:
        raise UsageError(f"item:{item_id}: not in {use.path}; give an item id as a search shows it")
    faces = faces_of(use, item_id)
    at = _which(f"item:{item_id}", number, [face.unfit for face in faces])
    rows, there = use.face_shelf().store().gather(np.array([faces[at].face_id], np.int64))
    if not there.all():
        raise UsageError(f"item:{item_id}: the vector of its face {at + 1} is missing; run: imgmatch check {use.path}")
    seen = use.catalogue.sightings.of([item_id])[item_id]
    date = date_of(values(use.catalogue.facts.metadata([item_id]).get(item_id, {})), None)
    return ChosenFace(
        seen[0].locator, item.sha256, at + 1, faces[at].box, rows[0].astype(np.float32), faces[at].quality,
        faces[at].unfit, date,
    )  # fmt: skip


def faces_of(use: Use, item_id: int) -> list[FaceRow]:
    """The faces of an item, from left to right. Raises UsageError where they were not looked for yet."""
    faces = use.catalogue.faces.of([item_id])[item_id]
    if not faces and use.catalogue.faces.unread_count(use.face_shelf().model_id, item_id):
        raise UsageError(f"item:{item_id}: was not looked through for faces yet; run: imgmatch faces find {use.path}")
    return faces


def _which(place: str, number: int | None, unfit: Sequence[str]) -> int:
    """Which of the faces of a picture is meant: the one that is named, the only one, or the only one that is fit."""
    if not unfit:
        raise UsageError(f"{place}: no face was found in it; give a picture that shows one, larger or less turned away")
    if number is not None:
        if not 1 <= number <= len(unfit):
            many = "1 face" if len(unfit) == 1 else f"{len(unfit)} faces"
            raise UsageError(f"{place}#{number}: it has {many}, numbered from left to right from 1")
        return number - 1
    fit = [place for place, why in enumerate(unfit) if not why]
    if len(unfit) == 1 or len(fit) == 1:
        return fit[0] if fit else 0
    raise UsageError(
        f"{place}: {len(unfit)} faces; say which with {place}#1 to {place}#{len(unfit)}, from left to right: "
        "imgmatch faces show draws them with their numbers"
    )


def date_of(metadata: dict[str, object], modified_utc: str | None) -> str | None:
    """When a picture was taken, by its own account; else when its file was changed."""
    said = metadata.get("taken") or modified_utc
    return str(said) if said else None
