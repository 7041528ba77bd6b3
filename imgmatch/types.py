"""The types that every part speaks. Frozen, slotted, with units in the names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from imgmatch.errors import EvidenceError, ImgmatchError
from imgmatch.locator import Locator, readable

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Pixels = npt.NDArray[np.uint8]
    Vector = npt.NDArray[np.float32]

_INT64 = (1 << 63) - 1

Box = tuple[int, int, int, int]
"""x, y, width, height in pixels of the upright, full-size picture."""


class Siblings(Protocol):
    """What lies beside something, by its place there."""

    def met(self, at: str) -> bool:
        """Is there, as far as it was met so far, something that may be the first of a set?"""

    def size(self, at: str) -> int | None:
        """How long something is, in bytes; None where it is not there."""

    def named(self, at: str) -> Evidence | None:
        """What is called so."""

    def names(self) -> Iterable[str]:
        """What may be of a set."""

    def all(self) -> Iterator[Evidence]:
        """All that is there."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing that was found, not yet read. ``open()`` gives a read-only binary stream. ``beside``: what lies beside
    it in the same container.
    """

    locator: Locator
    size_bytes: int
    modified_utc: str | None
    modified_ns: int | None
    changed_ns: int | None
    open: Callable[[], BinaryIO]
    beside: Siblings | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Numbers come from file systems and headers: from here on, the 64 bits of a catalogue can hold them. A time
        before 1677 or after 2262 is only told, in ``modified_utc``: such a file is not known again, and read again.
        """
        if not 0 <= self.size_bytes <= _INT64:
            object.__setattr__(self, "size_bytes", max(0, min(self.size_bytes, _INT64)))
        for name in ("modified_ns", "changed_ns"):
            if not -_INT64 <= (getattr(self, name) or 0) <= _INT64:
                object.__setattr__(self, name, None)


@dataclass(frozen=True, slots=True)
class Digests:
    """Digests of one content, as lower-case hexadecimal, and its length."""

    sha256: str
    md5: str
    sha1: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Image:
    """A decoded picture: sRGB, upright, alpha over white.

    ``pixels`` is (H, W, 3) uint8, possibly smaller than stored; ``stored_size_px`` is (width, height) as stored in the
    file before orientation; ``orientation`` is the EXIF value 1..8 that was applied; ``partial`` is what is missing or
    damaged when only a part could be read, else None.
    """

    pixels: Pixels
    stored_size_px: tuple[int, int]
    orientation: int
    format: str
    partial: str | None = None

    @property
    def upright_size_px(self) -> tuple[int, int]:
        """(width, height) of the full-size picture as it is seen: what boxes and masks are given in."""
        width, height = self.stored_size_px
        return (height, width) if self.orientation >= 5 else (width, height)


FACES = "faces"
"""The task of a model that turns faces, not pictures, into vectors: used through the gate of a case alone."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What a model is, and what its weight file must be.

    ``dim`` is the length of its vectors; ``network`` holds the arguments of
    ``imgmatch.models.network.DescriptorNetwork`` as JSON, empty where no torch network is known (such a model runs on
    the CPU only). ``graph`` is what the ONNX file takes and gives: empty for pixels and cell weights in, vector and
    feature map out, ``plain`` for a picture in, a vector out (``imgmatch.models.runtimes``). ``query_px`` are further
    sides, as text with spaces between ("160 320"), at which a query is read besides ``input_px``: a crop shows larger
    what the picture it was cut from shows small. The first ``copy_dim`` dimensions say most of what is seen in a part
    of a picture, where a vector has several parts (0: all do).
    """

    name: str
    task: str
    dim: int
    input_px: int
    weights_file: str
    weights_sha256: str
    licence: str
    source: str
    description: str = ""
    network: str = ""
    graph: str = ""
    query_px: str = ""
    copy_dim: int = 0

    @property
    def of_faces(self) -> bool:
        """Does it turn faces into vectors?"""
        return self.task == FACES

    @property
    def query_sides_px(self) -> tuple[int, ...]:
        """The sides at which a query is read; the first is ``input_px``, at which every picture is."""
        return (self.input_px, *map(int, self.query_px.split()))


@dataclass(frozen=True, slots=True)
class Embedding:
    """One vector of one picture: (dim,) float32 of unit length; ``region_px`` is None for the whole picture."""

    model: str
    vector: Vector
    region_px: Box | None = None


@dataclass(frozen=True, slots=True)
class Sighting:
    """One place where an item was found. ``own`` marks the query photograph itself."""

    locator: Locator
    modified_utc: str | None
    own: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """One near vector: cosine ``similarity`` in -1..1, and the regions that met (None: the whole picture)."""

    vector_id: int
    item_id: int
    similarity: float
    query_region_px: Box | None = None
    region_px: Box | None = None


Transform = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]
"""A 3 x 3 matrix by rows."""


SIFT, LEARNED = "SIFT", "XFeat"
"""Kinds of points by which pictures are verified."""


@dataclass(frozen=True, slots=True)
class Surface:
    """A part of a scene that is flat, or nearly, and agrees in two pictures: how many ``points`` lie on it, their
    outline in the ``query`` and in the ``item``, and ``lines``, the points (query x, y, item x, y), all in full-size
    pixels of the pictures as they are.
    """

    points: int
    query: tuple[tuple[float, float], ...]
    item: tuple[tuple[float, float], ...]
    lines: tuple[tuple[float, float, float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Verification:
    """What geometry says of a query and an item (docs/verification.md).

    ``kind`` is homography, planes, epipolar or none; ``tentative`` counts paired points, ``inliers`` those at places of
    their own that agree with the geometry. ``transform`` takes upright full-size pixels of the query to those of the
    item: a homography (of the largest plane where there are several), or the fundamental matrix for epipolar. Of a
    ``mirrored`` match it begins at the query mirrored left to right. ``error_px`` is the median distance of the inliers
    in the item's full-size pixels. ``overlap`` 0..1 is the share of the item that the query covers: by the warped
    outline for a homography, else by the hull of the inliers. ``outline`` are the four corners of the query in the item
    (homography only), ``lines`` the inliers (query x, y, item x, y), in full-size pixels of the pictures as they are.
    ``reason`` says in a plain sentence why it is verified or not. ``void``: what the two have in common is known to be
    no evidence, as it is a template's, or as next to nothing can be seen in one of them. ``features`` names the points
    that geometry was sought among: ``SIFT``, or ``LEARNED`` where those were asked too. ``surfaces`` are those that
    agree, the one with the most points first; beside the plane that verifies a match they have points that are no
    inliers.
    """

    verified: bool
    kind: str
    mirrored: bool
    tentative: int
    inliers: int
    transform: Transform | None
    error_px: float | None
    overlap: float
    reason: str
    outline: tuple[tuple[float, float], ...] = ()
    lines: tuple[tuple[float, float, float, float], ...] = ()
    void: bool = False
    features: str = SIFT
    surfaces: tuple[Surface, ...] = ()


@dataclass(frozen=True, slots=True)
class FalseMatchRate:
    """How often unrelated pictures score as high: a share of pairs, 0..1, with its 95 % interval.

    ``rate`` is None where no unrelated pair came near the score: then all that is said is "fewer than ``upper``".
    ``expected`` and ``expected_upper`` are false matches at this score or above to expect among all that was searched.
    Never a probability that two pictures show the same.
    """

    rate: float | None
    lower: float
    upper: float
    expected: float | None = None
    expected_upper: float | None = None
    normalised: float | None = None
    """The score less what is usual for the query in the background: comparable between queries."""

    @property
    def stated(self) -> float:
        """The rate, or the bound where there is none."""
        return self.upper if self.rate is None else self.rate

    def of_several(self, tries: float) -> FalseMatchRate:
        """The rate where the score is the best of several tries (Bonferroni): at most so many times as high.

        Tries that are much alike count less than one each.
        """

        def times(value: float | None, most: float = float("inf")) -> float | None:
            return None if value is None else min(most, value * tries)

        return replace(
            self,
            rate=times(self.rate, 1.0),
            upper=min(1.0, self.upper * tries),
            expected=times(self.expected),
            expected_upper=times(self.expected_upper),
        )


@dataclass(frozen=True, slots=True)
class Reference:
    """The background that false-match rates come from: which case, how many of its pictures, the ordered pairs of them
    that were compared, and when.
    """

    source: str
    pictures: int
    pairs: int
    made_utc: str

    @property
    def words(self) -> str:
        """All of it in one line."""
        return f"{self.pairs:,} pairs of {self.pictures:,} unrelated pictures of {self.source}, {self.made_utc[:10]}"


@dataclass(frozen=True, slots=True)
class Decision:
    """What stands of a pair of contents: the verdict (confirmed, possible, rejected or seen), who said so last, under
    which account, when, and why.
    """

    verdict: str
    examiner: str
    account: str
    decided_utc: str
    note: str = ""
    others: tuple[str, ...] = ()
    """Further examiners who confirmed it too."""
    waits: bool = False
    """It was confirmed, and is "possible" until a second examiner says so too."""

    @property
    def by(self) -> str:
        """Who decided, as far as that was said; the account beside it is the operating system's word."""
        return " and ".join((self.examiner or f"account {self.account}", *self.others))

    @property
    def words(self) -> str:
        """The decision in one line."""
        said = "confirmed, not yet by a second examiner," if self.waits else self.verdict
        return f"{said} by {self.by}, {self.decided_utc[:10]}" + (f": {self.note}" if self.note else "")


@dataclass(frozen=True, slots=True)
class Match:
    """One ranked item. ``rank`` starts at 1; ``score`` is a lead for an examiner, never a verdict.

    The stages of a search (indexer.search.searcher) fill it one after the other.
    """

    rank: int
    item_id: int
    sha256: str
    score: float
    sightings: tuple[Sighting, ...] = ()
    labels: dict[str, tuple[str, ...]] = field(default_factory=dict)
    candidates: tuple[Candidate, ...] = ()
    verification: Verification | None = None
    reasons: tuple[str, ...] = ()
    false_match: FalseMatchRate | None = None
    query: Locator | None = None
    """The query of a set that found it."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """Values by the names in imgmatch.picture.metadata.FIELDS."""
    identical: bool = False
    """The query's very content (SHA-256)."""
    partial: str | None = None
    """What could not be read of the item."""
    parts_score: float | None = None
    """How well parts of the query meet parts of the item, where that was looked at: to order by, the highest first."""
    decision: Decision | None = None
    """What stands of it and the query by an examiner's word."""
    case: str = ""
    """Where several cases were searched at once: the one that has the item."""


@dataclass(frozen=True, slots=True)
class Issue:
    """Evidence that could not be used: where, at which stage, what kind of error, and a sentence for a person.

    ``what`` is what issues of a kind are counted by: the format that is not supported, the limit, the missing package.
    """

    locator: Locator
    stage: str
    error: str
    message: str
    what: str = ""

    def __post_init__(self) -> None:
        """Messages quote evidence: from here on, anything can hold them."""
        object.__setattr__(self, "message", readable(self.message))
        object.__setattr__(self, "what", readable(self.what))

    @classmethod
    def of(cls, locator: Locator, error: EvidenceError) -> Issue:
        """What kept the evidence at a place from being used."""
        return cls(locator, error.stage, error.kind, str(error), error.what)

    @classmethod
    def walked(cls, locator: Locator, error: ImgmatchError, what: str = "") -> Issue:
        """What kept a place from being walked, or from being had of what it lies in; ``what`` where none is told."""
        return cls(locator, "walk", error.kind, str(error), error.what or what)
