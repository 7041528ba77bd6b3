"""What a service and its clients say to each other: types that both check, and that its description is made from.

A result is that of ``imgmatch search --format json`` (docs/formats.md), so that what reads the one reads the other.
Annotations are not put off here: as texts they do not tell which keys may be left out.
"""

import re
from typing import Annotated, Any, NotRequired, TypedDict

API = 1
"""Raised where a client of before would be wrong about what it is told."""
API_HEADER = "x-imgmatch-api"
KEY_HEADER = "idempotency-key"
MAX_UPLOAD_BYTES = 64 << 20
MAX_QUERIES = 50
"""In one set."""

Box = tuple[int, int, int, int]
Sha256 = Annotated[str, re.compile(r"[0-9a-f]{64}")]
Text = Annotated[str, range(4097)]
Name = Annotated[str, range(1, 4097)]
Number = float | int
Some = list[Text]


class Health(TypedDict):
    """The service is up."""

    state: str


class CaseTold(TypedDict):
    """A case that the person may search."""

    case: str
    items: int
    sightings: int
    issues: int
    model: str
    weights_sha256: str
    purpose: str
    created_utc: str
    reveal: bool


class CasesTold(TypedDict):
    """Who speaks, and the cases that whoever asks may search."""

    imgmatch: str
    api: int
    person: str
    cases: list[CaseTold]


class PictureTold(TypedDict):
    """A picture that was taken in, to be searched with for a few minutes."""

    sha256: Sha256
    size_bytes: int


class QueryAsked(TypedDict):
    """A picture that was sent before, and what it is called where it lies: its locator."""

    sha256: Sha256
    name: Name


class Within(TypedDict, total=False):
    """Which items may be found, as the options of ``imgmatch search`` of these names have it."""

    label: Some
    since: Text
    until: Text
    source: Some
    item: list[int]
    meta: Some
    on_list: Some
    exclude_label: Some
    exclude_source: Some
    exclude_item: list[int]
    exclude_list: Some


class SearchAsked(TypedDict):
    """A search with one picture, or with several as one set. ``cases``: all that the person may search, where it is
    left out; ``column``: a column of labels that must occur; ``reason``: why, kept in the log, which a case may demand.
    """

    queries: Annotated[list[QueryAsked], range(1, MAX_QUERIES + 1)]
    cases: NotRequired[list[Name]]
    k: NotRequired[Annotated[int, range(1, 10_001)]]
    regions: NotRequired[bool]
    verify_top: NotRequired[Annotated[int, range(10_001)]]
    max_fmr: NotRequired[Number | None]
    with_rejected: NotRequired[bool]
    together: NotRequired[bool]
    ignore_boxes: NotRequired[Annotated[list[Box], range(501)]]
    box: NotRequired[Box | None]
    within: NotRequired[Within]
    column: NotRequired[Text | None]
    reason: NotRequired[Text]


class SightingTold(TypedDict):
    """Where an item was found."""

    locator: str
    path: str | None
    place: str
    modified_utc: str | None
    own: bool
    deleted: bool


class CandidateTold(TypedDict):
    """A vector of an item that met the query."""

    similarity: Number
    query_region_px: Box | None
    region_px: Box | None


class SurfaceTold(TypedDict):
    """A surface that agrees."""

    points: int
    query: list[list[Number]]
    item: list[list[Number]]


class VerificationTold(TypedDict):
    """What geometry says."""

    verified: bool
    kind: str
    mirrored: bool
    tentative: int
    inliers: int
    transform: list[list[Number]] | None
    error_px: Number | None
    overlap: Number
    reason: str
    outline: list[list[Number]]
    void: bool
    features: str
    surfaces: list[SurfaceTold]


class RateTold(TypedDict):
    """A false-match rate."""

    rate: Number | None
    lower: Number
    upper: Number
    expected: Number | None
    expected_upper: Number | None
    text: str


class MatchTold(TypedDict):
    """One ranked item."""

    rank: int
    score: Number
    parts_score: Number | None
    case: str | None
    strength: str
    level: str
    item_id: int
    sha256: Sha256
    label: str | None
    labels: dict[str, list[str]]
    sightings: Annotated[list[SightingTold], range(1, 1 << 30)]
    candidates: Annotated[list[CandidateTold], range(1, 100)]
    verification: VerificationTold | None
    false_match: RateTold | None
    found_by: str | None
    reasons: list[str]
    metadata: dict[str, Any]
    decision: str | None
    decided_by: str | None
    decided_utc: str | None
    decision_note: str | None
    decision_waits: bool | None


class RejectedTold(TypedDict):
    """A match that an examiner rejected."""

    item_id: int
    sha256: Sha256
    path: str | None
    locator: str
    decision: str | None
    decided_by: str | None
    decided_utc: str | None
    decision_note: str | None
    case: str | None


class LeftOutTold(TypedDict):
    """What was found and is not listed."""

    rejected: list[RejectedTold]
    likelier_by_chance: int


class BackgroundTold(TypedDict):
    """What false-match rates come from."""

    source: str
    pictures: int
    pairs: int
    made_utc: str


class InCaseTold(TypedDict):
    """One of several cases that were searched."""

    case: str
    matches: int
    background: BackgroundTold | None


class IssueTold(TypedDict):
    """Why a query could not be searched."""

    stage: str
    error: str
    message: str


class ResultTold(TypedDict):
    """What was found with a query, or with a set: docs/formats.md."""

    query: str | None
    queries: list[str | None]
    locator: str
    sha256: Sha256 | None
    model: str
    elapsed_ms: Number
    masked: Number
    issue: IssueTold | None
    answer: str
    leads: int
    matches: list[MatchTold]
    left_out: LeftOutTold
    background: BackgroundTold | None
    cases: list[InCaseTold]


class SearchTold(TypedDict):
    """The results of a request by its id: of a set those that could not be searched first, then the one of the set."""

    request: str
    results: list[ResultTold]


class Refused(TypedDict):
    """Why a request was not answered. ``missing``: pictures that are to be sent again."""

    error: str
    missing: NotRequired[list[Sha256]]
