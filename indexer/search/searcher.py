"""Queries against a case: decode, embed, find near vectors, rank items, say where each was seen."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from imgmatch.errors import CaseError, EvidenceError, UsageError
from imgmatch.evidence import walk
from imgmatch.locator import Locator
from imgmatch.match.masking import (
    Mask,
    Stroke,
    boxes_mask,
    cell_weights,
    checked_box,
    cut_mask,
    filled,
    read_mask,
    strokes_mask,
)
from imgmatch.match.regions import cut, query_boxes
from imgmatch.match.verify import query_features
from imgmatch.models.base import Embedder
from imgmatch.picture.hashes import digest
from imgmatch.picture.image import DEFAULT_LIMITS, Limits
from imgmatch.picture.metadata import Metadata, same_camera, values
from imgmatch.types import Box, Candidate, Evidence, Image, Issue, Match, Sighting, Verification
from imgmatch.workers import shared
from imgmatch.workers.work import Request
from indexer.case.case import Case
from indexer.catalogue.filters import Filter
from indexer.index.open import CaseIndex
from indexer.index.protocol import Ids, VectorIndex
from indexer.intake.known import lies_in
from indexer.out.exchange import vics
from indexer.search import decisions
from indexer.search.verification import ItemFeatures, verified_first

if TYPE_CHECKING:
    from imgmatch.models.base import Vectors
    from imgmatch.types import Vector
    from indexer.search.calibrate import Background

MAX_K = 10_000
CANDIDATES = 4
"""So many of its vectors does a match keep."""
QUERY_SCALE = 3
"""A query is decoded to so many times the network's input: for its regions, embedded one by one, and its points."""
READINGS = 1.5
"""The best of three readings of a whole picture passes a score that 1 in 100 to 1 in 10,000 unrelated pairs pass, 1.4
times as often as one reading does (500 room photographs)."""
PART_COST = 0.1
"""A match through a part of the query scores so much less: of several tries one is near by chance (docs/regions.md)."""
MOST_MASKED = 0.5
"""A region with more than this covered is not searched."""


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


NOTHING_LEFT_OUT = LeaveOut()
_Met = tuple[float, int, float]
"""How an item's vector met the query: score, number of the query's vector, similarity."""


@dataclass(frozen=True, slots=True)
class Query:
    """A query photograph: where it is, what it is, and its vectors (n, dim) float32.

    ``boxes`` says which part of it each vector shows (None: the whole picture, once for each size that it is read at);
    the first is all that was asked for.
    ``masked`` is the share left out, ``mask`` (H, W) bool at the upright full size all that must not be looked at.
    """

    locator: Locator
    sha256: str
    vectors: Vectors
    boxes: tuple[Box | None, ...]
    partial: str | None
    masked: float
    image: Image
    mask: Mask | None
    metadata: Metadata

    @property
    def tries(self) -> float:
        """How many independent queries this is as good as: its parts, the whole at all its sizes counting READINGS."""
        whole = sum(box == self.boxes[0] for box in self.boxes)
        return len(self.boxes) - whole + (READINGS if whole > 1 else 1)

    def cost(self, box: Box | None) -> float:
        """What is taken off the similarity of a vector of this part."""
        return 0.0 if box == self.boxes[0] else PART_COST

    @property
    def vector(self) -> Vector:
        """The vector of all that was asked for, (dim,) float32."""
        return self.vectors[0]


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


class Searcher:
    """Search over one case by one model. Holds the index in memory, so that many queries pay for it once."""

    def __init__(
        self,
        case: Case,
        embedder: Embedder,
        index: VectorIndex | None = None,
        warn: Callable[[str], None] | None = None,
        background: Background | None = None,
        max_fmr: float | None = None,
    ) -> None:
        """Load the index; ``warn`` is told when a built one can't be used. ``background`` gives each match its
        false-match rate; ``max_fmr`` then leaves out matches with a higher one.

        Raises CaseError when the case holds no vectors by this model, or a segment is damaged.
        """
        self._case = case
        self._embedder = embedder
        shelf = case.find_shelf(embedder.spec)
        if shelf is None or not shelf.segments():
            raise CaseError(_no_vectors(case, embedder))
        self._shelf = shelf
        self._background = background
        self.max_fmr = max_fmr
        self._allowed_of: tuple[Any, ...] = ()
        self._allowed_ids: Ids = np.empty(0, np.int64)
        self._features = ItemFeatures()
        self._index = index or CaseIndex(shelf, warn)

    def search(
        self,
        queries: Sequence[str | os.PathLike[str]],
        k: int = 10,
        leave_out: LeaveOut = NOTHING_LEFT_OUT,
        within: Filter | None = None,
        regions: bool = True,
        verify_top: int = 0,
        cut: bool = True,
    ) -> Iterator[SearchResult]:
        """Search with each query file, and each file in a query folder, in order; every use is recorded.

        ``within`` says which items may be returned; ``regions``: search with parts of each query too; ``verify_top``
        how many of the nearest are verified by geometry (``verification``), which puts the verified ones first;
        ``cut`` False keeps matches above ``max_fmr``, for who cuts later.

        One list of at most ``k`` matches a query, each item once, best first; equal scores in the order of items. A
        query that can't be read gives a result with its issue.

        Raises UsageError on a path that does not exist or a wrong k.
        """
        _check(k)
        for path in queries:
            for found in walk(path):
                yield self.search_one(found, k, leave_out, within, regions, verify_top, cut=cut)

    def search_one(
        self,
        found: Evidence | Issue,
        k: int = 10,
        leave_out: LeaveOut = NOTHING_LEFT_OUT,
        within: Filter | None = None,
        regions: bool = True,
        verify_top: int = 0,
        *,
        with_rejected: bool = False,
        cut: bool = True,
    ) -> SearchResult:
        """Search with one picture, wherever it is; as ``search``. ``with_rejected``: matches that an examiner rejected
        are returned too.
        """
        _check(k)
        within = within or Filter()
        started = time.perf_counter()
        query = read_query(found, self._embedder, leave_out, regions=regions)
        model = self._embedder.spec
        arguments: dict[str, Any] = {"k": k, "regions": regions, "verify_top": verify_top, "max_fmr": self.max_fmr}
        if leave_out.mask is not None:
            arguments["mask"] = os.fsdecode(leave_out.mask)
        if leave_out.boxes:
            arguments["ignore_boxes"] = leave_out.boxes
        if leave_out.strokes:
            arguments["strokes"] = len(leave_out.strokes)
        if leave_out.outside is not None:
            arguments["box"] = leave_out.outside
        if within:
            arguments["within"] = dataclasses.asdict(within)
        subject = {"query": str(found.locator)}
        if isinstance(query, Issue):
            self._case.record("search", {"issue": query.error}, arguments=arguments, subject=subject, model=model)
            return SearchResult(query.locator, None, model.name, _ms_since(started), issue=query)
        rejected = set() if with_rejected else decisions.rejected_items(self._case, query.sha256)
        near = self._nearest(query, max(k, verify_top) + len(rejected), self._allowed(within))
        kept = [found for found in near if found[0].item_id not in rejected]
        verifications: dict[int, Verification] = {}
        if verify_top and kept:
            features = query_features(query.image.pixels, query.image.upright_size_px, query.mask)
            kept, verifications = verified_first(self._case, features, kept, verify_top, self._features)
        matches = tuple(self._matches(query, kept[:k], verifications))
        if self._background is not None:
            gallery = self._shelf.item_count(within)
            self._background.check(self.max_fmr)
            limit = self.max_fmr if cut else None
            matches = self._background.judge(query.vector, query.sha256, matches, gallery, limit, query.tries)
        self._case.record(
            "search",
            {"masked": query.masked},
            arguments=arguments,
            subject={**subject, "query_sha256": query.sha256},
            model=model,
            counts={"matches": len(matches)},
        )
        return SearchResult(query.locator, query.sha256, model.name, _ms_since(started), matches, masked=query.masked)

    def _allowed(self, within: Filter) -> Ids | None:
        """Vector ids that a filter lets through; None: all. Kept until the case or the filter changes."""
        if not within:
            return None
        key = (within, *sorted(self._case.catalogue.state().items()), self._case.catalogue.data_version())
        if self._allowed_of != key:
            self._allowed_ids = self._shelf.matching(within)
            self._allowed_of = key
        return self._allowed_ids

    def _nearest(self, query: Query, k: int, allowed: Ids | None) -> list[tuple[Candidate, ...]]:
        """The k nearest items, each by its best few vectors over all regions of the query, the best first."""
        wanted = k
        total = self._index.rows if allowed is None else len(allowed)
        filtered: dict[str, Ids] = {} if allowed is None else {"within": allowed}
        while total:
            similarities, ids = self._index.search(query.vectors, min(wanted, total), **filtered)
            scores = similarities - np.array([[query.cost(box)] for box in query.boxes], np.float32)
            owners = self._case.catalogue.vectors.owners(i for i in np.unique(ids).tolist() if i >= 0)
            best: dict[int, dict[int, _Met]] = {}
            part, place = np.nonzero(ids >= 0)
            columns = (scores[part, place], ids[part, place], part, similarities[part, place])
            met = zip(*(column.tolist() for column in columns), strict=True)
            for score, vector_id, number, similarity in sorted(met, key=lambda m: (-m[0], m[1], m[2])):
                if vector_id in owners:
                    of_item = best.setdefault(owners[vector_id], {})
                    if len(of_item) < CANDIDATES:
                        of_item.setdefault(vector_id, (score, number, similarity))
            ranked = sorted((-next(iter(found.values()))[0], item_id) for item_id, found in best.items())
            # What no list reached is at most as near as the last of the nearest list: look further until k are above.
            floor = float(scores[:, -1].max()) if (ids[:, -1] >= 0).any() else -np.inf
            if sum(-near >= floor for near, _ in ranked) >= k or wanted >= total:
                return self._candidates(query, [(item_id, best[item_id]) for _, item_id in ranked[:k]])
            wanted *= 2
        return []

    def _candidates(self, query: Query, found: Sequence[tuple[int, dict[int, _Met]]]) -> list[tuple[Candidate, ...]]:
        """Vectors that met, with their rectangles in both pictures."""
        regions = self._case.catalogue.vectors.regions([vector_id for _, met in found for vector_id in met])
        return [
            tuple(
                Candidate(vector_id, item_id, similarity, query.boxes[number], regions.get(vector_id))
                for vector_id, (_, number, similarity) in met.items()
            )
            for item_id, met in found
        ]

    def _matches(
        self, query: Query, ranked: Sequence[tuple[Candidate, ...]], verifications: dict[int, Verification]
    ) -> Iterator[Match]:
        ids = [candidates[0].item_id for candidates in ranked]
        items = self._case.catalogue.items.by_id(ids)
        sightings = self._case.catalogue.sightings.of(ids)
        labels = self._case.catalogue.labels.of(ids)
        metadata = self._case.catalogue.facts.metadata(ids)
        lists: dict[int, list[str]] = {}
        for item_id, hit in self._case.catalogue.lists.item_hits(ids):
            lists.setdefault(item_id, []).append(hit.reason)
        for rank, candidates in enumerate(ranked, start=1):
            candidate = candidates[0]
            item = items[candidate.item_id]
            same = item.sha256 == query.sha256
            seen = tuple(
                Sighting(s.locator, s.modified_utc, own=same and s.locator == query.locator)
                for s in sightings[candidate.item_id]
            )
            reasons = []
            if any(s.own for s in seen):
                reasons.append("the query itself")
            if same:
                reasons.append("identical content (SHA-256)")
            parts = [
                name
                for name, box in (("query", candidate.query_region_px), ("item", candidate.region_px))
                if box is not None
            ]
            if parts:
                reasons.append(f"part of the {' and of the '.join(parts)}")
            verification = verifications.get(candidate.item_id)
            if verification is not None:
                reasons.append(verification.reason)
            camera = same_camera(query.metadata, metadata.get(candidate.item_id, {}))
            if camera is not None:
                reasons.append(f"same camera serial as the query ({camera})")
            reasons += lists.get(candidate.item_id, ())
            reasons += [f"in {outer}, {hit.reason}" for outer, hit in lies_in(self._case, seen)]
            reasons.extend(vics.reasons(labels[candidate.item_id]))
            if item.partial:
                reasons.append(f"item partly read: {item.partial}")
            if query.partial:
                reasons.append(f"query partly read: {query.partial}")
            yield Match(
                rank=rank,
                item_id=candidate.item_id,
                sha256=item.sha256,
                # Rounding of float16 can carry a cosine a hair past its bounds.
                score=max(-1.0, min(1.0, candidate.similarity) - query.cost(candidate.query_region_px)),
                sightings=seen,
                labels=labels[candidate.item_id],
                candidates=candidates,
                verification=verification,
                reasons=tuple(reasons),
                metadata=values(metadata.get(candidate.item_id, {})),
            )


def _check(k: int) -> None:
    if not 1 <= k <= MAX_K:
        raise UsageError(f"k is {k}; it must be between 1 and {MAX_K:,}")


def read_query(
    found: Evidence | Issue,
    embedder: Embedder,
    leave_out: LeaveOut = NOTHING_LEFT_OUT,
    limits: Limits = DEFAULT_LIMITS,
    regions: bool = True,
) -> Query | Issue:
    """Read, decode and embed one query photograph, with its ``regions``; an Issue says why it can't be used.

    Raises UsageError when what is to be left out does not fit the picture.
    """
    if isinstance(found, Issue):
        return found
    try:
        with found.open() as stream:
            digests, data = digest(stream, limits.max_bytes)
        if data is None:
            raise EvidenceError("too_large", f"{digests.size_bytes:,} bytes are more than {limits.max_bytes:,}")
        side_px = embedder.spec.input_px
        # The whole picture as ingest reads it, so that the same file has the same vector; and larger.
        wanted = Request(sides_px=(side_px, QUERY_SCALE * side_px), metadata=True, limits=limits)
        decoded = shared.read_picture(data, wanted)
    except OSError as error:
        return Issue(
            found.locator, "read", "unreadable", f"the file can't be read: {(error.strerror or str(error)).lower()}"
        )
    except EvidenceError as error:
        return Issue(found.locator, "decode", error.kind, str(error))
    image, larger = decoded.pictures
    sides = embedder.spec.query_sides_px
    mask = leave_out.of(image)
    masked = 0.0 if mask is None else round(float(mask.mean()), 4)
    size, only = image.upright_size_px, leave_out.outside
    shown, unseen = larger, mask
    if only is not None:
        checked_box(only, size)
        unseen = ~boxes_mask((only,), size) if mask is None else mask | ~boxes_mask((only,), size)
        larger, mask = _part(larger, mask, only)
        image = larger
    # The whole at several sizes: a crop shows larger what the picture it was cut from shows small.
    vectors = [_embed_part(larger if side > side_px else image, mask, None, embedder, side) for side in sides]
    boxes: list[Box | None] = [None] * len(vectors)
    if regions:
        for box in query_boxes(larger):
            if mask is None or cut_mask(mask, box).mean() < MOST_MASKED:
                boxes.append(box)
                vectors.append(_embed_part(larger, mask, box, embedder, side_px))
    if only is not None:
        boxes = [only if b is None else (b[0] + only[0], b[1] + only[1], b[2], b[3]) for b in boxes]
    return Query(
        found.locator,
        digests.sha256,
        np.stack(vectors),
        tuple(boxes),
        image.partial,
        masked,
        shown,
        unseen,
        decoded.facts.metadata,
    )


def _part(image: Image, mask: Mask | None, box: Box) -> tuple[Image, Mask | None]:
    """A part of a picture as a picture of its own, upright."""
    pixels = cut(image.pixels, image.upright_size_px, box)
    part = dataclasses.replace(image, pixels=pixels, stored_size_px=(box[2], box[3]), orientation=1)
    return part, None if mask is None else cut_mask(mask, box)


def _embed_part(image: Image, mask: Mask | None, box: Box | None, embedder: Embedder, side_px: int) -> Vector:
    """The vector of a picture or of a box in it, without what the mask covers, read at ``side_px``."""
    if box is not None:
        image, mask = _part(image, mask, box)
    if mask is None or not mask.any():
        vector: Vector = embedder.embed(embedder.prepare(image.pixels, side_px)[np.newaxis])[0]
        return vector
    rows, columns = embedder.grid
    share = side_px / embedder.spec.input_px
    weights = cell_weights(mask, (round(rows * share), round(columns * share)))[np.newaxis]
    prepared = embedder.prepare(filled(image.pixels, mask), side_px)
    masked: Vector = embedder.embed(prepared[np.newaxis], weights)[0]
    return masked


def _no_vectors(case: Case, embedder: Embedder) -> str:
    others = sorted({shelf.spec.name for shelf in case.shelves() if shelf.segments()})
    if embedder.spec.name in others:
        return (
            f"{case.path}: its vectors were made by a model {embedder.spec.name!r} with other weights than the one "
            "installed; use the imgmatch version that made it, or make a new case"
        )
    if others:
        return f"{case.path}: holds no vectors by {embedder.spec.name!r}; search with --model {others[0]}"
    return f"{case.path}: nothing to search yet; add pictures with: imgmatch ingest {case.path} FOLDER"


def _ms_since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 1)
