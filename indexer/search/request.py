"""What is asked of a case with a query, and what it answers."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imgmatch.errors import UsageError
from imgmatch.locator import Locator
from imgmatch.match import strength
from imgmatch.match.masking import Mask, Stroke, boxes_mask, read_mask, strokes_mask
from imgmatch.types import Box, Image, Issue, Match, Reference
from indexer.catalogue.filters import EVERYTHING, Filter

MAX_K = 10_000


@dataclass(frozen=True, slots=True)
class LeaveOut:
    """What an examiner wants left out of a query: the white part of a mask picture, boxes in its upright pixels, and
    what was painted over by hand.
    """

    mask: Path | None = None
    boxes: tuple[Box, ...] = ()
    outside: Box | None = None
    """Search with this part of the query only."""
    strokes: tuple[Stroke, ...] = ()

    def of(self, image: Image) -> Mask | None:
        """(H, W) bool at the full upright size, or None. Raises UsageError when it does not fit the picture."""
        if self.mask is None and not self.boxes and not self.strokes:
            return None
        mask = boxes_mask(self.boxes, image.upright_size_px) | strokes_mask(self.strokes, image.upright_size_px)
        return mask if self.mask is None else mask | read_mask(self.mask, image.upright_size_px)


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """What is asked with each query. Raises UsageError when ``k`` is not between 1 and MAX_K."""

    k: int = 10
    """At most so many items, each once."""
    leave_out: LeaveOut = LeaveOut()
    within: Filter = EVERYTHING
    """Which items may be returned."""
    regions: bool = True
    """Search with parts of the query too."""
    verify_top: int = 0
    """How many of the nearest are verified by geometry, which puts the verified ones first."""
    max_fmr: float | None = None
    """No match with a higher false-match rate."""
    cut: bool = True
    """False: ``max_fmr`` is held against the matches later, by who asks (of a set, when all its queries are fused)."""
    with_rejected: bool = False
    """Also what an examiner rejected as a match of the query."""

    def __post_init__(self) -> None:
        if not 1 <= self.k <= MAX_K:
            raise UsageError(f"k is {self.k}; it must be between 1 and {MAX_K:,}")

    def arguments(self) -> dict[str, Any]:
        """What the audit log says of it."""
        said: dict[str, Any] = {
            "k": self.k, "regions": self.regions, "verify_top": self.verify_top, "max_fmr": self.max_fmr
        }  # fmt: skip
        if self.leave_out.mask is not None:
            said["mask"] = os.fsdecode(self.leave_out.mask)
        if self.leave_out.boxes:
            said["ignore_boxes"] = self.leave_out.boxes
        if self.leave_out.strokes:
            said["strokes"] = len(self.leave_out.strokes)
        if self.leave_out.outside is not None:
            said["box"] = self.leave_out.outside
        if self.with_rejected:
            said["with_rejected"] = True
        if self.within:
            said["within"] = dataclasses.asdict(self.within)
        return said


ANYTHING = SearchRequest()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What a search found and does not list: what an examiner rejected as a match of the query, each with the decision
    on it, and how many of the first ``k`` are likelier by chance than was asked for.
    """

    rejected: tuple[Match, ...] = ()
    by_rate: int = 0

    @property
    def words(self) -> str:
        """How much of each, in one line; empty where there is nothing."""
        counts = ((len(self.rejected), "rejected by an examiner"), (self.by_rate, "likelier by chance than asked for"))
        return ", ".join(f"{count:,} {why}" for count, why in counts if count)


@dataclass(frozen=True, slots=True)
class InCase:
    """What one of several cases that were searched at once gave: how many matches of the ranking are its own, and what
    its false-match rates come from.
    """

    case: str
    matches: int
    background: Reference | None


@dataclass(frozen=True, slots=True)
class SearchResult:
    """One query's ranked matches, or the issue that kept it from being searched."""

    locator: Locator
    sha256: str | None
    model: str
    elapsed_ms: float
    matches: tuple[Match, ...] = ()
    issue: Issue | None = None
    masked: float = 0.0
    queries: tuple[Locator, ...] = ()
    """The queries of a set that was searched together."""
    contents: tuple[str, ...] = ()
    """The SHA-256 of each of these."""
    left_out: LeftOut = LeftOut()
    background: Reference | None = None
    """What the false-match rates come from."""
    cases: tuple[InCase, ...] = ()
    """Those that were searched, where they are several; each match names its own."""

    @property
    def answer(self) -> str:
        """What it comes to, in words: how many leads, nothing convincing, or not searched."""
        return "not searched" if self.issue is not None else strength.answer(self.matches)
