"""The fields of a match: how each is got, what it is as a column, and where it is shown.

Whatever shows matches takes its fields from here, in the order that stands here; docs/formats.md is held to it. A new
field is a line of FIELDS, its name in the lists of the places that show it, and a row in the docs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imgmatch.match.calibration import expected_text, false_match_text
from imgmatch.match.strength import strength
from imgmatch.types import SIFT, Box, FalseMatchRate, Match, Sighting, Verification

# Kinds of columns: text, whole numbers, numbers, truth values, lists of texts, boxes (x, y, width, height in pixels of
# the upright picture), and what has parts of its own.
TEXT, WHOLE, NUMBER, TRUTH, TEXTS, BOX, PARTS = "text", "whole", "number", "truth", "texts", "box", "parts"


def _same(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its kind, its value for a program, and how that value stands in a cell for a person."""

    kind: str
    value: Callable[[Match], Any]
    cell: Callable[[Any], Any] = _same


def elsewhere(match: Match) -> Sighting:
    """The first place of an item that is not the query itself, if there is one."""
    return next((sighting for sighting in match.sightings if not sighting.own), match.sightings[0])


def verification_record(verification: Verification | None) -> dict[str, Any] | None:
    """All but the lines, which ``imgmatch explain`` draws."""
    if verification is None:
        return None
    record = dataclasses.asdict(verification)
    for drawn in (record, *record["surfaces"]):
        del drawn["lines"]
    return record


def false_match_record(rate: FalseMatchRate | None) -> dict[str, Any] | None:
    """A false-match rate with ``text``, the sentence that an examiner can quote."""
    if rate is None:
        return None
    names = ("rate", "lower", "upper", "expected", "expected_upper")
    return {**{name: getattr(rate, name) for name in names}, "text": false_match_text(rate)}


def _sightings(match: Match) -> list[dict[str, Any]]:
    return [
        {
            "locator": str(sighting.locator),
            "path": sighting.locator.path,
            "place": sighting.locator.words,
            "modified_utc": sighting.modified_utc,
            "own": sighting.own,
            "deleted": sighting.locator.deleted,
        }
        for sighting in match.sightings
    ]


def _candidates(match: Match) -> list[dict[str, Any]]:
    return [
        {
            "similarity": round(candidate.similarity, 6),
            "query_region_px": candidate.query_region_px,
            "region_px": candidate.region_px,
        }
        for candidate in match.candidates
    ]


def _found_at(match: Match) -> str:
    more = f" (+{len(match.sightings) - 1} more)" if len(match.sightings) > 1 else ""
    return f"{elsewhere(match).locator.words}{more}"


def _context(match: Match) -> dict[str, list[str]]:
    return {name: list(values) for name, values in match.labels.items() if name != "label"}


def _box(box: Box | None) -> str:
    return "" if box is None else ",".join(map(str, box))


def _of(part: str, name: str) -> Callable[[Match], Any]:
    """A field of a part of a match that it may lack."""
    return lambda match: getattr(getattr(match, part), name, None)


FIELDS = {
    "rank": Field(WHOLE, lambda m: m.rank),
    "score": Field(NUMBER, lambda m: round(m.score, 6), "{:.4f}".format),
    "parts_score": Field(NUMBER, lambda m: m.parts_score),
    "case": Field(TEXT, lambda m: m.case or None),
    "strength": Field(TEXT, lambda m: str(strength(m))),
    "level": Field(TEXT, lambda m: strength(m).level.value),
    "item_id": Field(WHOLE, lambda m: m.item_id),
    "sha256": Field(TEXT, lambda m: m.sha256),
    "label": Field(TEXT, lambda m: "; ".join(m.labels.get("label", ())) or None),
    "labels": Field(PARTS, lambda m: {name: list(values) for name, values in m.labels.items()}),
    "context": Field(PARTS, _context),
    "sightings": Field(PARTS, _sightings, len),
    "path": Field(TEXT, lambda m: elsewhere(m).locator.path),
    "locator": Field(TEXT, lambda m: str(elsewhere(m).locator)),
    "found_at": Field(TEXT, _found_at),
    "candidates": Field(PARTS, _candidates),
    "query_region_px": Field(BOX, lambda m: m.candidates[0].query_region_px, _box),
    "region_px": Field(BOX, lambda m: m.candidates[0].region_px, _box),
    "verification": Field(PARTS, lambda m: verification_record(m.verification)),
    "verified": Field(TRUTH, _of("verification", "verified")),
    "inliers": Field(WHOLE, _of("verification", "inliers")),
    "false_match": Field(PARTS, lambda m: false_match_record(m.false_match)),
    "false_match_rate": Field(NUMBER, _of("false_match", "rate")),
    "false_match_upper": Field(NUMBER, _of("false_match", "upper")),
    "expected_false_matches": Field(NUMBER, _of("false_match", "expected")),
    "by_chance": Field(TEXT, lambda m: false_match_text(m.false_match)),
    "expected": Field(TEXT, lambda m: expected_text(m.false_match) if m.false_match else ""),
    "found_by": Field(TEXT, lambda m: (m.query.path or m.query.words) if m.query else None),
    "reasons": Field(TEXTS, lambda m: list(m.reasons), "; ".join),
    "metadata": Field(PARTS, lambda m: m.metadata),
    "decision": Field(TEXT, _of("decision", "verdict")),
    "decided_by": Field(TEXT, _of("decision", "by")),
    "decided_utc": Field(TEXT, _of("decision", "decided_utc")),
    "decision_note": Field(TEXT, _of("decision", "note")),
    "decision_waits": Field(TRUTH, _of("decision", "waits")),
    "decided": Field(TEXT, _of("decision", "words")),
}
JSON = (
    "rank", "score", "parts_score", "strength", "level", "item_id", "sha256", "label", "labels", "sightings",
    "candidates", "verification", "false_match", "found_by", "reasons", "metadata", "decision", "decided_by",
    "decided_utc", "decision_note", "decision_waits", "case",
)  # fmt: skip
CSV = (
    "rank", "score", "parts_score", "strength", "level", "item_id", "label", "path", "sightings", "reasons",
    "sha256", "locator", "query_region_px", "region_px", "verified", "inliers", "decision", "decided_by", "decided_utc",
    "decision_note", "false_match_rate", "false_match_upper", "expected_false_matches", "found_by", "labels", "case",
)  # fmt: skip
EXPORTED = (
    "rank", "score", "strength", "level", "item_id", "sha256", "locator", "path", "reasons", "query_region_px",
    "region_px", "verified", "inliers", "false_match_rate", "false_match_upper", "expected_false_matches", "decision",
    "decided_by", "decided_utc", "decision_note",
)  # fmt: skip
EXPLAINED = (
    "item_id", "sha256", "score", "strength", "level", "query_region_px", "region_px", "by_chance", "false_match",
    "decision", "decided_by", "decided_utc", "decision_note",
)  # fmt: skip
"""What ``imgmatch explain`` says beside the geometry."""
TABLE = {
    "rank": "rank", "strength": "strength", "score": "score", "by_chance": "by chance", "expected": "expected",
    "case": "case", "item_id": "item", "label": "label", "found_at": "found at", "context": "context",
    "query_region_px": "query_region_px", "region_px": "region_px", "found_by": "found by", "decided": "decision",
    "reasons": "note",
}  # fmt: skip
"""With their headings; a column without anything in it is left out, other than the note."""


def values(match: Match, names: Sequence[str]) -> dict[str, Any]:
    """Fields for a program."""
    return {name: FIELDS[name].value(match) for name in names}


def cells(match: Match, names: Sequence[str]) -> dict[str, Any]:
    """Fields for a person, each a value that fits a cell."""
    return {name: FIELDS[name].cell(FIELDS[name].value(match)) for name in names}


def _verification_words(found: Verification) -> str:
    of = f" of {found.features}" if found.features != SIFT else ""
    return f"{found.inliers} points{of} agree of {found.tentative} pairs; {found.overlap:.0%} of the item covered"


def _rate_words(rate: FalseMatchRate) -> str:
    said = f"{false_match_text(rate)} unrelated pairs of pictures score this high"
    expected = "" if rate.expected_upper is None else f"; {expected_text(rate)} such false matches expected here"
    return said.replace("1 in ", "one in ", 1) + expected


def _metadata_words(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, tuple | list):
        return "; ".join(map(_metadata_words, value))
    if isinstance(value, Mapping):
        return "; ".join(f"{str(name).replace('_', ' ')}: {_metadata_words(part)}" for name, part in value.items())
    return str(value)


REPORT: dict[str, Callable[[Match], str]] = {
    "verification": lambda m: _verification_words(m.verification) if m.verification else "",
    "false match": lambda m: _rate_words(m.false_match) if m.false_match else "",
    "query": lambda m: m.query.words if m.query else "",
    "metadata": lambda m: _metadata_words(m.metadata),
}
"""What a report says of a match beside what its page shows in words of its own; nothing where it is empty."""


def further(match: Match) -> list[tuple[str, str]]:
    """The lines of REPORT that a match has something for: heading and words."""
    return [(heading, text) for heading, words in REPORT.items() if (text := words(match))]
