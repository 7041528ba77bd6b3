"""The faces of a picture, for an examiner's eyes: listed, and drawn with their numbers, all hidden but those that are
to be seen.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from imgmatch.errors import EvidenceError, UsageError
from imgmatch.evidence.read import Finder
from imgmatch.match.faces import hidden_faces, numbered, scaled
from imgmatch.models.base import FaceEmbedder
from imgmatch.models.face import DECODED_PX, Face
from imgmatch.types import Image
from indexer.case.case import Case
from indexer.case.handed import handed_out
from indexer.case.use import Use
from indexer.catalogue import FaceRow
from indexer.out.atomic import whole_file
from indexer.search.faces.asked import faces_of, look, require_reason

_SHOWN_PX = 1600


def show_faces(
    case: Case, reader: FaceEmbedder, picture: str, reason: str, draw: Path | None, reveal: tuple[int, ...]
) -> tuple[list[dict[str, Any]], str]:
    """The faces of a picture file, or of an item (``item:ID``), from left to right, and what is to be said where there
    is none; their drawing as PNG in ``draw``. Recorded with the reason before anything is shown. ``reveal``: numbers of
    faces that are shown clearly.

    Raises CaseError where the gate is closed, UsageError where there is no such picture, item or face.
    """
    shelf = case.face_shelf()
    arguments = {"reason": require_reason(reason), "drawn": draw is not None, "revealed": list(reveal)}
    with case.use("show faces", arguments=arguments, model=shelf.spec) as use:
        faces: list[Face | FaceRow]
        without = "no face was found in it"
        if picture.startswith("item:"):
            sha256, faces, image = _of_item(use, picture, draw is not None)
        else:
            looked = look(picture, reader)
            sha256, faces, image = looked.sha256, [found.face for found in looked.faces], looked.image
            without = looked.without_face
        wrong = [number for number in reveal if not 1 <= number <= len(faces)]
        if wrong:
            raise UsageError(
                f"{picture}: there is no face {wrong[0]}; it has {len(faces)}, numbered from left to right"
            )
        use.entry.subject = {"picture": picture, "sha256": sha256}
        use.entry.counts = {"faces": len(faces)}
        drawn = None if draw is None or image is None else _drawn(image, faces, reveal)
        if draw is not None and drawn is not None:
            use.handed_out = handed_out("faces", draw, io.BytesIO(drawn))
    if draw is not None and drawn is not None:
        with whole_file(draw) as file:
            file.write(drawn)
    return [_record(number, face) for number, face in enumerate(faces, start=1)], "" if faces else without


def _of_item(use: Use, text: str, draw: bool) -> tuple[str, list[Face | FaceRow], Image | None]:
    number = text.removeprefix("item:")
    item = (
        use.catalogue.items.by_id([int(number)]).get(int(number)) if number.isdecimal() and len(number) < 19 else None
    )
    if item is None:
        raise UsageError(f"{text}: not in {use.path}; give an item id as a search shows it")
    faces: list[Face | FaceRow] = [*faces_of(use, item.item_id)]
    if not draw:
        return item.sha256, faces, None
    places = [seen.locator for seen in use.catalogue.sightings.of([item.item_id])[item.item_id]]
    try:
        return item.sha256, faces, Finder(use.limits).image(item.sha256, places, DECODED_PX)
    except EvidenceError as error:
        raise UsageError(f"{text}: {error}; its faces can be listed without --draw") from error


def _drawn(image: Image, faces: list[Face | FaceRow], reveal: tuple[int, ...]) -> bytes:
    """A PNG of a picture with its faces numbered, all but those of ``reveal`` hidden."""
    tall, wide = image.pixels.shape[:2]
    boxes = [scaled(face.box, (wide, tall), image.upright_size_px) for face in faces]
    shown = hidden_faces(image.pixels, (box for number, box in enumerate(boxes, start=1) if number not in reveal))
    for x, y, width, height in (boxes[number - 1] for number in reveal):  # a neighbour's margin must not cover it
        part = slice(int(y), int(y + height)), slice(int(x), int(x + width))
        shown[part] = image.pixels[part]
    picture = numbered(shown, boxes, [bool(face.unfit) for face in faces])
    picture.thumbnail((_SHOWN_PX, _SHOWN_PX))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def _record(number: int, face: Face | FaceRow) -> dict[str, Any]:
    return {
        "number": number,
        "face_id": face.face_id if isinstance(face, FaceRow) else None,
        "box_px": face.box,
        "points_px": face.points,
        "size_px": face.size_px,
        "sharpness": face.sharpness,
        "yaw": face.yaw,
        "pitch": face.pitch,
        "roll": face.roll,
        "cut": face.cut,
        "confidence": face.confidence,
        "quality": face.quality,
        "unfit": face.unfit,
    }
