"""What the catalogue hands out: one frozen row type a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from imgmatch.locator import Locator
from imgmatch.types import Issue


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """A committed segment: ``name`` is its path below ``segments/``; ``first_vector_id`` is the lowest of its ids."""

    model_id: int
    name: str
    first_vector_id: int
    rows: int
    sha256: str
    dim: int
    ids: bytes | None = None
    """Little-endian int64 vector ids of the rows, ascending; None: ``first_vector_id`` + row."""


@dataclass(frozen=True, slots=True)
class GenerationRow:
    """The index of a model that is in use: its folder below ``indexes/`` and the hash of its manifest."""

    name: str
    manifest_sha256: str


@dataclass(frozen=True, slots=True)
class RemoteRow:
    """Where a Milvus server keeps this case's vectors; ``namespace`` begins each of their keys."""

    uri: str
    collection: str
    namespace: str


@dataclass(frozen=True, slots=True)
class ItemRow:
    """Unique content as the catalogue holds it."""

    item_id: int
    sha256: str
    md5: str
    sha1: str | None
    """None in cases that were made before it was kept, until the file is read again."""
    size_bytes: int
    format: str
    width_px: int
    height_px: int
    partial: str | None


@dataclass(frozen=True, slots=True)
class SightingRow:
    """A sighting together with what its item's content was."""

    locator: Locator
    item_id: int
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class CalibrationRow:
    """A stored calibration: path of the background case ("" for the case itself), items there when it was made."""

    background: str
    items: int
    record: dict[str, Any]
    made_utc: str


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """What an examiner said of a pair of contents (SHA-256), who and when."""

    decision_id: int
    query_sha256: str
    item_sha256: str
    verdict: str
    note: str
    examiner: str
    account: str
    decided_utc: str


@dataclass(frozen=True, slots=True)
class IssueRow:
    """A recorded issue, with when it was seen and by which run."""

    issue: Issue
    sha256: str | None
    seen_utc: str
    run_id: int
