"""Damaged segments made whole: their items embedded again from their sources, by the very model that made them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from imgmatch.errors import CaseError, EvidenceError
from imgmatch.evidence import DEFAULT_OPTIONS, SourceOptions
from imgmatch.evidence.read import Finder
from imgmatch.models.base import Embedder
from imgmatch.types import Sighting
from imgmatch.workers.decode import Request
from indexer.case.case import Case
from indexer.case.use import Use
from indexer.catalogue import SegmentRow
from indexer.index.protocol import Progress
from indexer.index.segments import ids_of
from indexer.index.shelf import Shelf

if TYPE_CHECKING:
    from imgmatch.types import Vector


@dataclass(slots=True)
class Repaired:
    """Segments that were rewritten, vectors made again, and those that no source gives any more."""

    segments: int = 0
    vectors: int = 0
    lost: list[str] = field(default_factory=list)


def repair(
    case: Case,
    load: Callable[[str], Embedder],
    *,
    options: SourceOptions = DEFAULT_OPTIONS,
    progress: Progress | None = None,
) -> Repaired:
    """Rewrite every damaged segment. An item counts as found only where a source still has its very content (SHA-256).

    ``load`` gives a model by name; ``options`` hold passwords of sources. Vectors keep their ids. What can't be made
    again is taken out and named: its item stays, without a vector, and ingesting it again brings it back. Raises
    CaseError, changing nothing, when the installed model is not the one that made the vectors.
    """
    done = Repaired()
    finder = Finder(case.limits, options)
    with case.writing(), case.use("repair", ends="repaired") as use:
        used: dict[str, str] = {}
        damaged = ((s, segment) for s in case.every_shelf() for segment in s.segments() if s.check(segment) is not None)
        for shelf, segment in damaged:
            spec = shelf.spec
            embedder = None if spec.of_faces else load(spec.name)
            if embedder is not None and embedder.spec.weights_sha256 != spec.weights_sha256:
                raise CaseError(
                    f"{shelf.folder / segment.name}: was made by {spec.name} with other weights than those "
                    "installed; repair it with the imgmatch version that made it"
                )
            used[spec.name] = spec.weights_sha256
            _repair(use, shelf, segment, embedder, finder, done, progress)
            done.segments += 1
        use.entry.details, use.entry.subject = {"models": used}, {"lost_sha256": done.lost[:1000]}
        use.entry.counts = {"segments": done.segments, "vectors": done.vectors, "lost": len(done.lost)}
    return done


def _repair(
    use: Use,
    shelf: Shelf,
    segment: SegmentRow,
    embedder: Embedder | None,
    finder: Finder,
    done: Repaired,
    progress: Progress | None,
) -> None:
    ids = ids_of(segment).tolist()
    owners = use.catalogue.vectors.owners(ids)
    regions = use.catalogue.vectors.regions(ids)
    items = use.catalogue.items.by_id(owners.values())
    sightings = use.catalogue.sightings.of(owners.values())
    kept, vectors, gone = [], [], []
    for number, vector_id in enumerate(ids, start=1):
        if vector_id in owners:
            item = items[owners[vector_id]]
            # A part of a picture was embedded in a way that only the run which made it knows. Faces are looked for
            # anew.
            made_by = None if vector_id in regions else embedder
            vector = None if made_by is None else _again(sightings[item.item_id], item.sha256, made_by, finder)
            if vector is None:
                done.lost.append(item.sha256)
                gone.append(vector_id)
            else:
                kept.append(vector_id)
                vectors.append(vector)
        if progress:
            progress(segment.name, number, len(ids))
    made = np.stack(vectors) if vectors else np.empty((0, shelf.spec.dim), np.float32)
    shelf.replace([segment], np.array(kept, dtype=np.int64), made, lost=gone)
    done.vectors += len(kept)


def _again(places: list[Sighting], sha256: str, embedder: Embedder, finder: Finder) -> Vector | None:
    """The vector of an item from the first of its sources that still holds it, made as ingest makes it."""
    try:
        content = finder.content(sha256, (place.locator for place in places))
        prepared = content.decoded(Request(embedder.spec.input_px)).prepared
    except EvidenceError:
        return None
    assert prepared is not None
    vector: Vector = embedder.embed(prepared[np.newaxis])[0]
    return vector
