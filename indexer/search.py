"""Queries against a case: decode, embed, find near vectors, rank items, say where each was seen."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from imgmatch.errors import CaseError, EvidenceError, UsageError
from imgmatch.hashes import digest
from imgmatch.image import DEFAULT_LIMITS, Limits, decode
from imgmatch.locator import Locator
from imgmatch.masking import Mask, boxes_mask, cell_weights, filled, read_mask
from imgmatch.models.base import Embedder
from imgmatch.sources import walk
from imgmatch.types import Box, Candidate, Evidence, Image, Issue, Match, Sighting, Verification
from imgmatch.verify import query_features
from indexer.case import Case
from indexer.filters import Filter
from indexer.index import Ids, VectorIndex
from indexer.index.open import CaseIndex
from indexer.verification import verified_first

if TYPE_CHECKING:
    from imgmatch.types import Vector

MAX_K = 10_000


@dataclass(frozen=True, slots=True)
class LeaveOut:
    """What an examiner wants left out of a query: the white part of a mask picture, and boxes in its upright pixels."""

    mask: Path | None = None
    boxes: tuple[Box, ...] = ()

    def of(self, image: Image) -> Mask | None:
        """(H, W) bool at the full upright size, or None. Raises UsageError when it does not fit the picture."""
        if self.mask is None and not self.boxes:
            return None
        mask = boxes_mask(self.boxes, image.upright_size_px)
        return mask if self.mask is None else mask | read_mask(self.mask, image.upright_size_px)


NOTHING_LEFT_OUT = LeaveOut()


@dataclass(frozen=True, slots=True)
class Query:
    """A query photograph: where it is, what it is, its vector (dim,) float32, its pixels, and the share left out."""

    locator: Locator
    sha256: str
    vector: Vector
    partial: str | None
    masked: float
    image: Image
    mask: Mask | None


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


class Searcher:
    """Search over one case by one model. Holds the index in memory, so that many queries pay for it once."""

    def __init__(
        self,
        case: Case,
        embedder: Embedder,
        index: VectorIndex | None = None,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        """Load the index; ``warn`` is told when a built one can't be used.

        Raises CaseError when the case holds no vectors by this model, or a segment is damaged.
        """
        self._case = case
        self._embedder = embedder
        model_id = case.catalogue.model_id(embedder.spec)
        if model_id is None or not case.catalogue.segments(model_id):
            raise CaseError(_no_vectors(case, embedder))
        self._model_id = model_id
        self._allowed_of: tuple[Any, ...] = ()
        self._allowed_ids: Ids = np.empty(0, np.int64)
        self._index = index or CaseIndex(case, embedder.spec, warn)

    def search(
        self,
        queries: Sequence[str | os.PathLike[str]],
        k: int = 10,
        leave_out: LeaveOut = NOTHING_LEFT_OUT,
        within: Filter | None = None,
        verify_top: int = 0,
    ) -> Iterator[SearchResult]:
        """Search with each query file, and each file in a query folder, in order; every use is recorded.

        ``within`` says which items may be returned; ``verify_top`` how many of the nearest are verified by geometry
        (``indexer.verification``), which puts the verified ones first.

        One list of at most ``k`` matches a query, each item once, best first; equal scores in the order of items. A
        query that can't be read gives a result with its issue.

        Raises UsageError on a path that does not exist or a wrong k.
        """
        if not 1 <= k <= MAX_K:
            raise UsageError(f"k is {k}; it must be between 1 and {MAX_K:,}")
        for path in queries:
            for found in walk(path):
                yield self._search_one(found, k, leave_out, within or Filter(), verify_top)

    def _search_one(
        self, found: Evidence | Issue, k: int, leave_out: LeaveOut, within: Filter, verify_top: int
    ) -> SearchResult:
        started = time.perf_counter()
        query = read_query(found, self._embedder, leave_out)
        model = self._embedder.spec
        details: dict[str, Any] = {
            "model": model.name,
            "weights_sha256": model.weights_sha256,
            "query": str(found.locator),
            "k": k,
            "verify_top": verify_top,
        }
        if within:
            details["within"] = dataclasses.asdict(within)
        if isinstance(query, Issue):
            self._case.record("search", {**details, "issue": query.error})
            return SearchResult(query.locator, None, model.name, _ms_since(started), issue=query)
        candidates = self._nearest(query, max(k, verify_top), self._allowed(within))
        verifications: dict[int, Verification] = {}
        if verify_top:
            features = query_features(query.image.pixels, query.image.upright_size_px, query.mask)
            candidates, verifications = verified_first(self._case, features, candidates, verify_top)
        matches = tuple(self._matches(query, candidates[:k], verifications))
        self._case.record(
            "search", {**details, "query_sha256": query.sha256, "masked": query.masked, "matches": len(matches)}
        )
        return SearchResult(query.locator, query.sha256, model.name, _ms_since(started), matches, masked=query.masked)

    def _allowed(self, within: Filter) -> Ids | None:
        """Vector ids that a filter lets through; None: all. Kept until the case or the filter changes."""
        if not within:
            return None
        key = (within, *sorted(self._case.catalogue.state().items()), self._case.catalogue.data_version())
        if self._allowed_of != key:
            self._allowed_ids = np.fromiter(self._case.catalogue.matching(self._model_id, within), dtype=np.int64)
            self._allowed_of = key
        return self._allowed_ids

    def _nearest(self, query: Query, k: int, allowed: Ids | None) -> list[Candidate]:
        """The best vector of each of the k nearest items."""
        wanted = k
        total = self._index.rows if allowed is None else len(allowed)
        filtered: dict[str, Ids] = {} if allowed is None else {"within": allowed}
        while total:
            similarities, ids = self._index.search(query.vector[np.newaxis], min(wanted, total), **filtered)
            owners = self._case.catalogue.item_ids(i for i in ids[0] if i >= 0)
            best: dict[int, Candidate] = {}
            for similarity, vector_id in zip(similarities[0].tolist(), ids[0].tolist(), strict=True):
                if vector_id in owners:
                    item_id = owners[vector_id]
                    best.setdefault(item_id, Candidate(vector_id, item_id, similarity))
            # An item may own several vectors: look further until k items are there or nothing is left.
            if len(best) >= k or wanted >= total:
                return sorted(best.values(), key=lambda c: (-c.similarity, c.item_id))[:k]
            wanted *= 2
        return []

    def _matches(
        self, query: Query, candidates: Iterable[Candidate], verifications: dict[int, Verification]
    ) -> Iterator[Match]:
        ranked = list(candidates)
        ids = [candidate.item_id for candidate in ranked]
        items = self._case.catalogue.items(ids)
        sightings = self._case.catalogue.sightings(ids)
        labels = self._case.catalogue.labels(ids)
        for rank, candidate in enumerate(ranked, start=1):
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
            verification = verifications.get(candidate.item_id)
            if verification is not None:
                reasons.append(verification.reason)
            if item.partial:
                reasons.append(f"item partly read: {item.partial}")
            if query.partial:
                reasons.append(f"query partly read: {query.partial}")
            yield Match(
                rank=rank,
                item_id=candidate.item_id,
                sha256=item.sha256,
                # Rounding of float16 can carry a cosine a hair past its bounds.
                score=max(-1.0, min(1.0, candidate.similarity)),
                sightings=seen,
                labels=labels[candidate.item_id],
                candidates=(candidate,),
                verification=verification,
                reasons=tuple(reasons),
            )


def read_query(
    found: Evidence | Issue,
    embedder: Embedder,
    leave_out: LeaveOut = NOTHING_LEFT_OUT,
    limits: Limits = DEFAULT_LIMITS,
) -> Query | Issue:
    """Read, decode and embed one query photograph; an Issue says why it can't be used.

    Raises UsageError when what is to be left out does not fit the picture.
    """
    if isinstance(found, Issue):
        return found
    try:
        with found.open() as stream:
            digests, data = digest(stream, limits.max_bytes)
        if data is None:
            raise EvidenceError("too_large", f"{digests.size_bytes:,} bytes are more than {limits.max_bytes:,}")
        image = decode(data, min_side_px=embedder.spec.input_px, limits=limits)
    except OSError as error:
        return Issue(
            found.locator, "read", "unreadable", f"the file can't be read: {(error.strerror or str(error)).lower()}"
        )
    except EvidenceError as error:
        return Issue(found.locator, "decode", error.kind, str(error))
    mask = leave_out.of(image)
    pixels, weights, masked = image.pixels, None, 0.0
    if mask is not None:
        weights = cell_weights(mask, embedder.grid)[np.newaxis]
        pixels = filled(pixels, mask)
        masked = round(float(mask.mean()), 4)
    vector = embedder.embed(embedder.prepare(pixels)[np.newaxis], weights)[0]
    return Query(found.locator, digests.sha256, vector, image.partial, masked, image, mask)


def _no_vectors(case: Case, embedder: Embedder) -> str:
    others = sorted({model.name for model_id, model in case.catalogue.models() if case.catalogue.segments(model_id)})
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
