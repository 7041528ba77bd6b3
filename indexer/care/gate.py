"""Opening and closing the gate of a case for faces, and erasing all that is known of them."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from imgmatch.errors import UsageError
from imgmatch.models import model_spec, verify_model
from indexer.case.account import account
from indexer.case.case import Case, spec_json
from indexer.case.gate import KEYS, Gate, gate_of
from indexer.catalogue.clock import now_utc
from indexer.index.disk import wipe
from indexer.index.shelf import Shelf


@dataclass(frozen=True, slots=True)
class Closed:
    """What closing a gate has removed: faces with their vectors, people, files of vectors."""

    faces: int
    people: int
    files: int


def open_gate(case: Case, authority: str, reason: str, *, model: str) -> Gate:
    """Let faces be looked for in a case, from now on. Only its owner may; recorded.

    Raises UsageError where authority or reason is empty, or the gate is open already; CaseError where who asks does not
    own the case; ModelError or MissingPackageError where there is no such model.
    """
    case.require("open face gate")
    authority, reason = _said("--authority", authority), _said("--reason", reason)
    case.require_owner("open or close its gate for faces")
    spec = model_spec(model)
    if not spec.of_faces:
        raise UsageError(f"{model}: no model of faces; see: imgmatch models list")
    verify_model(spec.name)
    known = gate_of(case.catalogue.meta.all())
    if known is not None:
        raise UsageError(f"{case.path}: faces are looked for since {known.enabled_utc}, by {known.enabled_by}")
    made = Gate(authority, reason, now_utc(), account(), spec.name, spec.weights_sha256)
    arguments = {"authority": authority, "reason": reason}
    with case.writing(), case.change("open face gate", arguments=arguments, model=spec) as change:
        if change.catalogue.models.id_of(spec) is None:
            _refuse_another(change.every_shelf(), spec.name, case)
            change.writer.models.add(spec, spec_json(spec), now_utc())
        change.writer.meta.set(made.told())
    return made


def close_gate(case: Case, reason: str, *, erase: bool) -> Closed:
    """Let no face be looked for or compared any more; with ``erase`` all that is known of faces is removed for good:
    boxes, vectors, groups, labels and decisions. Only the owner of the case may; recorded.

    The files of vectors are overwritten before they are removed, and the catalogue overwrites what it lets go of; a
    disk may keep copies of its own. Raises UsageError where there is nothing to close and nothing to erase.
    """
    case.require("close face gate")
    reason = _said("--reason", reason)
    case.require_owner("open or close its gate for faces")
    shelves = [shelf for shelf in case.every_shelf() if shelf.spec.of_faces]
    if gate_of(case.catalogue.meta.all()) is None and not (erase and shelves):
        raise UsageError(f"{case.path}: faces are not looked for in this case; nothing to do")
    with case.writing():
        files = [shelf.folder / segment.name for shelf in shelves for segment in shelf.segments()] if erase else []
        with case.change("close face gate", arguments={"reason": reason, "erase": erase}) as change:
            people = len(change.catalogue.faces.people())
            change.writer.meta.remove(KEYS.values())
            faces = change.writer.faces.erase([shelf.model_id for shelf in shelves]) if erase else 0
            done = Closed(faces, people if erase else 0, len(files))
            change.entry.counts = {"faces": done.faces, "people": done.people, "files": done.files}
        for file in files:
            wipe(file)
        case.tidy()
        if erase:
            case.catalogue.checkpoint()
            for folder in {file.parent for file in files}:
                with contextlib.suppress(OSError):
                    folder.rmdir()  # where it is empty
    return done


def _said(option: str, text: str) -> str:
    text = " ".join(text.split())
    if not text:
        raise UsageError(f"{option} is empty; say it in words: it is kept with the case")
    return text


def _refuse_another(shelves: Sequence[Shelf], name: str, case: Case) -> None:
    if any(shelf.spec.of_faces for shelf in shelves):
        raise UsageError(
            f"{case.path}: holds faces by another model than {name} or other weights, and the two can't be compared; "
            f"first: imgmatch faces disable {case.path} --erase"
        )
