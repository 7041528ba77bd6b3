"""Faces in a pack, where they are asked for by name: written from a case whose gate is open, and read into the
temporary case of a pack for one whose gate is open too. Nothing else of a pack says anything of a face.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgmatch.errors import UsageError
from indexer.case.case import spec_json
from indexer.case.gate import Gate
from indexer.catalogue import FaceRow, Writer
from indexer.catalogue.clock import now_utc
from indexer.out.exchange import packed

if TYPE_CHECKING:
    from imgmatch.types import ModelSpec
    from indexer.case.case import Case
    from indexer.case.use import Use
    from indexer.index.shelf import Shelf
    from indexer.out.exchange.packed import Chosen, Members

FACES = "faces.jsonl"
MODEL = "face_model"
"""What a manifest says of them: the model, its blocks of vectors as those of a model of pictures, and the file with a
line for each row of all blocks.
"""
_NUMBERS = ("confidence", "size_px", "sharpness", "yaw", "pitch", "roll", "cut", "quality")
_MOST_SAID = 200


def write_faces(use: Use, members: Members, chosen: Chosen) -> dict[str, Any]:
    """Faces of the items that go, fit to be compared or not: vectors, boxes, points, how they are shown; no person, no
    decision. Raises CaseError where the gate of the case is closed.
    """
    shelf = use.face_shelf()
    told = packed.write_model(use, members, shelf, chosen)
    with members.member(FACES) as member:
        for ids, _ in shelf.store().blocks():
            known = use.catalogue.faces.by_id(ids.tolist())
            for face in (known[number] for number in ids.tolist()):
                if face.item_id in chosen:
                    shown = {name: getattr(face, name) for name in (*_NUMBERS, "unfit")}
                    member.line({"item_id": face.item_id, "number": face.number, "points": face.points, **shown})
    return {**told, "faces": FACES}


def require_faces(path: Path, manifest: Mapping[str, Any], spec: ModelSpec) -> None:
    """Raises UsageError where a pack has no faces by this model."""
    told = manifest.get(MODEL)
    made = told["spec"] if isinstance(told, dict) and isinstance(told.get("spec"), dict) else {}
    if not made:
        raise UsageError(f"{path}: holds no faces; ask its sender for a pack with them (export --format pack --faces)")
    if (made.get("name"), made.get("weights_sha256")) != (spec.name, spec.weights_sha256):
        raise UsageError(
            f"{path}: holds faces by {str(made.get('name'))[:80]}, not by {spec.name} with the weights of this case; "
            "faces of two models can't be compared: ask for a pack by this one"
        )


def shelf_of_faces(case: Case, spec: ModelSpec) -> Shelf:
    """A shelf for faces in the temporary case of a pack, whose gate is that of the case which it is read for."""
    gate = Gate("that of the pack's receiver", "to link with it", now_utc(), "", spec.name, spec.weights_sha256)
    with case.change("model_added", model=spec) as change:
        change.writer.models.add(spec, spec_json(spec), now_utc())
        change.writer.meta.set(gate.told())
    return case.face_shelf()


def restore(writer: Writer, first: int, owners: list[tuple[Any, ...]], lines: Iterator[dict[str, Any]]) -> None:
    """Take in the faces of a block whose vectors bear ids from ``first`` on. Raises ValueError, KeyError or TypeError
    where a line is not as it must be.
    """
    rows = []
    for place, (item_id, *box) in enumerate(owners):
        line = next(lines, None)
        if line is None or line["item_id"] != item_id or not all(isinstance(side, int) for side in box):
            raise ValueError(f"{FACES} does not fit the vectors")
        rows.append(_face(first + place, item_id, box, line))
    writer.faces.add(rows)


def _face(face_id: int, item_id: int, box: list[Any], line: Mapping[str, Any]) -> FaceRow:
    points = tuple((_number(x), _number(y)) for x, y in line["points"])
    number, unfit = line["number"], line["unfit"]
    if len(points) != 5 or type(number) is not int or number < 1 or not isinstance(unfit, str):
        raise ValueError(f"{FACES}: no face")
    numbers = {name: _number(line[name]) for name in _NUMBERS}
    return FaceRow(
        face_id, item_id, number, (box[0], box[1], box[2], box[3]), points, unfit=unfit[:_MOST_SAID], **numbers
    )


def _number(value: Any) -> float:
    made = float(value)
    if isinstance(value, str) or not math.isfinite(made) or abs(made) > 2**31:
        raise ValueError(f"{str(value)[:40]!r} is no number of a face")
    return made
