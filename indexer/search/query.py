"""A query photograph: read once, decoded, embedded whole and by its parts, without what an examiner leaves out."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from imgmatch.errors import EvidenceError
from imgmatch.evidence.limits import NOTHING_SET, AllLimits
from imgmatch.evidence.read import reading
from imgmatch.locator import Locator
from imgmatch.match import overlay
from imgmatch.match.features import ITEM_PX, working
from imgmatch.match.masking import Mask, boxes_mask, checked_box, cut_mask, prepared
from imgmatch.match.parts import QueryParts, has_parts, query_parts
from imgmatch.match.regions import cut, query_boxes
from imgmatch.match.verify import QueryFeatures, query_features
from imgmatch.models.base import Embedder
from imgmatch.picture.metadata import Metadata
from imgmatch.types import Box, Evidence, Image, Issue
from imgmatch.workers.decode import Decoded, Request
from indexer.search.request import ANYTHING, SearchRequest

if TYPE_CHECKING:
    from imgmatch.models.base import Cells, Vectors
    from imgmatch.types import Pixels, Vector

QUERY_SCALE = 3
"""A query is decoded to so many times the network's input: for its regions, embedded one by one, and its points."""
READINGS = 1.5
"""The best of three readings of a whole picture passes a score that 1 in 100 to 1 in 10,000 unrelated pairs pass, 1.4
times as often as one reading does (500 room photographs)."""
PART_COST = 0.1
"""A match through a part of the query scores so much less, and so does one through a part of the item: of several tries
one is near by chance (docs/regions.md). What is left is as common among unrelated pictures as if none had parts."""
MOST_MASKED = 0.5
"""A region with more than this covered is not searched."""


@dataclass(frozen=True)
class Query:
    """A query photograph: where it is, what it is, and its vectors (n, dim) float32.

    ``boxes`` says which part of it each vector shows (None: the whole picture, once for each size that it is read at);
    the first is all that was asked for.
    ``masked`` is the share left out, ``mask`` (H, W) bool at the upright full size all that must not be looked at.
    ``parts`` are its windows, for a closer look at candidates, by a model that has some.
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
    parts: QueryParts | None = None

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

    @cached_property
    def empty(self) -> bool:
        """Does it show next to nothing, as a blank page does?"""
        return overlay.empty(working(self.image.pixels, ITEM_PX))

    @cached_property
    def photographed(self) -> bool:
        """Is it a photograph, not drawn nor nearly empty?"""
        return overlay.photographed(working(self.image.pixels, ITEM_PX))

    def features(self) -> QueryFeatures:
        """Its points, made anew at each call; none lies under the mask."""
        return query_features(self.image.pixels, self.image.upright_size_px, self.mask)


def read_query(
    found: Evidence | Issue, embedder: Embedder, request: SearchRequest = ANYTHING, limits: AllLimits = NOTHING_SET
) -> Query | Issue:
    """Read, decode and embed one query photograph, as ``request`` leaves out parts of it and asks for its regions; an
    Issue says why it can't be used.

    Raises UsageError when what is to be left out does not fit the picture.
    """
    if isinstance(found, Issue):
        return found
    try:
        side_px = embedder.spec.input_px
        # The whole picture as ingest reads it, so that the same file has the same vector; and larger.
        wanted = Request(sides_px=(side_px, QUERY_SCALE * side_px), metadata=True)
        with reading(found, limits) as content:
            sha256, decoded = content.digests.sha256, content.decoded(wanted)
    except EvidenceError as error:
        return Issue.of(found.locator, error)
    return _embedded(found.locator, sha256, decoded, embedder, request)


def _embedded(locator: Locator, sha256: str, decoded: Decoded, embedder: Embedder, request: SearchRequest) -> Query:
    image, larger = decoded.pictures
    side_px = embedder.spec.input_px
    mask, only = request.leave_out.of(image), request.leave_out.outside
    masked = 0.0 if mask is None else round(float(mask.mean()), 4)
    shown, unseen = larger, mask
    if only is not None:
        checked_box(only, image.upright_size_px)
        outside = ~boxes_mask((only,), image.upright_size_px)
        unseen = outside if mask is None else mask | outside
        larger, mask = _part(larger, mask, only)
        image = larger
    # The whole at several sizes: a crop shows larger what the picture it was cut from shows small.
    wholes = {
        side: prepared(embedder, (larger if side > side_px else image).pixels, mask, side)
        for side in embedder.spec.query_sides_px
    }
    parts = None
    if has_parts(embedder):
        vectors, parts = query_parts(embedder, wholes)
    else:
        vectors = [_vector(embedder, *seen) for seen in wholes.values()]
    boxes: list[Box | None] = [None] * len(vectors)
    if request.regions:
        for box in query_boxes(larger):
            if mask is None or cut_mask(mask, box).mean() < MOST_MASKED:
                boxes.append(box)
                part, left = _part(larger, mask, box)
                vectors.append(_vector(embedder, *prepared(embedder, part.pixels, left, side_px)))
    if only is not None:
        boxes = [only if b is None else (b[0] + only[0], b[1] + only[1], b[2], b[3]) for b in boxes]
    metadata, found = decoded.facts.metadata, np.stack(vectors)
    return Query(locator, sha256, found, tuple(boxes), image.partial, masked, shown, unseen, metadata, parts)


def _part(image: Image, mask: Mask | None, box: Box) -> tuple[Image, Mask | None]:
    """A part of a picture as a picture of its own, upright."""
    pixels = cut(image.pixels, image.upright_size_px, box)
    part = dataclasses.replace(image, pixels=pixels, stored_size_px=(box[2], box[3]), orientation=1)
    return part, None if mask is None else cut_mask(mask, box)


def _vector(embedder: Embedder, pixels: Pixels, left: Cells | None) -> Vector:
    vector: Vector = embedder.embed(pixels[np.newaxis], None if left is None else left[np.newaxis])[0]
    return vector
