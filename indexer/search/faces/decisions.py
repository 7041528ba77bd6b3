"""What an examiner says of two faces: only after both were looked at, and, where the case wants it, by two
examiners.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from imgmatch.errors import UsageError
from imgmatch.models.base import FaceEmbedder
from indexer.case.account import account
from indexer.case.case import Case
from indexer.catalogue import FaceDecisionRow
from indexer.catalogue.clock import now_utc
from indexer.catalogue.decisions import VERDICTS, WITHDRAWN, DecisionRow, who
from indexer.search.faces.asked import ChosenFace, person, require_reason


def decide_faces(
    case: Case, reader: FaceEmbedder, one: str, other: str, verdict: str, reason: str, *, examiner: str = ""
) -> dict[str, Any]:
    """Add a decision on two faces, named as a search names them. ``examiner`` defaults to the case's. Recorded.

    Raises UsageError on a verdict that is none, a face with itself, a face that this account has not been shown
    clearly, and where nobody is named though two examiners must agree.
    """
    if verdict not in (*VERDICTS, WITHDRAWN):
        raise UsageError(f"{verdict!r} is no verdict; say {', '.join(VERDICTS)} or {WITHDRAWN}")
    shelf = case.face_shelf()
    named = examiner or case.catalogue.meta.all().get("examiner", "")
    arguments = {"reason": require_reason(reason), "faces": [one, other], "examiner": named}
    with case.writing(), case.change("decide faces", arguments=arguments, model=shelf.spec) as change:
        first, second = (person(change, [name], reader).faces[0] for name in (one, other))
        if (first.sha256, first.box) == (second.sha256, second.box):
            raise UsageError(f"{one} and {other}: are one face; nothing to decide")
        if verdict != WITHDRAWN:
            for name, face in ((one, first), (other, second)):
                _require_seen(case, name, face)
        row = DecisionRow(0, first.sha256, second.sha256, verdict, reason, named, case.whose(), now_utc())
        wants_two = change.catalogue.decisions.second_reader()
        if not who(row) and wants_two:
            raise UsageError("two examiners must agree in this case; say who decides with --examiner")
        change.writer.faces.decide(FaceDecisionRow(first.box, second.box, row))
        stands = change.writer.faces.standing((first.sha256, first.box), second_reader=wants_two)
        known = stands.get((second.sha256, second.box))
        change.entry.details = {"verdict": verdict}
        change.entry.subject = {"faces": [first.told(), second.told()]}
    similarity = float(first.vector @ second.vector)
    return {
        "verdict": verdict,
        "stands": None if known is None else known.verdict,
        "waits_for_a_second_examiner": known is not None and known.waits,
        "examiner": named,
        "similarity": round(similarity, 6),
        "faces": [first.told(), second.told()],
    }


def list_decisions(case: Case, reason: str) -> list[dict[str, Any]]:
    """Every decision on two faces, oldest first. Recorded."""
    shelf = case.face_shelf()
    with case.use("list face decisions", arguments={"reason": require_reason(reason)}, model=shelf.spec) as use:
        found = list(_records(use.catalogue.faces.decisions()))
        use.entry.counts = {"decisions": len(found)}
    return found


def _records(rows: Iterator[FaceDecisionRow]) -> Iterator[dict[str, Any]]:
    for said in rows:
        row = said.row
        yield {
            "verdict": row.verdict, "query_sha256": row.query_sha256, "query_box": said.query_box,
            "item_sha256": row.item_sha256, "item_box": said.item_box, "examiner": row.examiner, "account": row.account,
            "decided_utc": row.decided_utc, "note": row.note,
        }  # fmt: skip


def _require_seen(case: Case, name: str, face: ChosenFace) -> None:
    """Has this account been shown the face clearly, by the log's word?"""
    for entry in case.log.entries(action="show faces"):
        seen = entry.get("subject", {}).get("sha256") == face.sha256 and entry.get("actor") == account()
        if seen and face.number in entry.get("arguments", {}).get("revealed", []):
            return
    place = name.partition("#")[0]
    raise UsageError(
        f"{name}: look at both faces before you decide: imgmatch faces show {case.path} {place} --reveal {face.number} "
        "--draw PNG --reason TEXT"
    )
