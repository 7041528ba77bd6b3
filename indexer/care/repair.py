"""Damaged segments made whole: their items embedded again from their sources, by the very model that made them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from imgmatch.errors import CaseError, EvidenceError
from imgmatch.evidence import DEFAULT_OPTIONS, Reopener, SourceOptions
from imgmatch.models.base import Embedder
from imgmatch.types import Sighting
from imgmatch.workers import shared
from imgmatch.workers.decode import Request
from indexer.case import segments
from indexer.case.case import Case, ids_of
from indexer.catalogue import SegmentRow
from indexer.clock import now_utc
from indexer.search.verification import content

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
    progress: Callable[[str, int, int], None] | None = None,
) -> Repaired:
    """Rewrite every damaged segment. An item counts as found only where a source still has its very content (SHA-256).

    ``load`` gives a model by name; ``options`` hold passwords of sources. Vectors keep their ids. What can't be made
    again is taken out and named: its item stays, without a vector, and ingesting it again brings it back. Raises
    CaseError, changing nothing, when the installed model is not the one that made the vectors.
    """
    done = Repaired()
    reopener = Reopener(options)
    with case.writing():
        specs = dict(case.catalogue.models())
        used: dict[str, str] = {}
        for segment in case.catalogue.segments():
            if segments.check(case.segments_folder, segment) is None:
                continue
            spec = specs[segment.model_id]
            embedder = load(spec.name)
            if embedder.spec.weights_sha256 != spec.weights_sha256:
                raise CaseError(
                    f"{case.segments_folder / segment.name}: was made by {spec.name} with other weights than those "
                    "installed; repair it with the imgmatch version that made it"
                )
            used[spec.name] = spec.weights_sha256
            _repair(case, segment, embedder, reopener, done, progress)
            done.segments += 1
        if done.segments:
            counts = {"segments": done.segments, "vectors": done.vectors, "lost": len(done.lost)}
            case.record("repair", {"models": used}, subject={"lost_sha256": done.lost[:1000]}, counts=counts)
    return done


def _repair(
    case: Case,
    segment: SegmentRow,
    embedder: Embedder,
    reopener: Reopener,
    done: Repaired,
    progress: Callable[[str, int, int], None] | None,
) -> None:
    ids = ids_of(segment).tolist()
    owners = case.catalogue.item_ids(ids)
    regions = case.catalogue.regions(ids)
    items = case.catalogue.items(owners.values())
    sightings = case.catalogue.sightings(owners.values())
    kept, vectors, gone = [], [], []
    for number, vector_id in enumerate(ids, start=1):
        if vector_id in owners:
            item = items[owners[vector_id]]
            # A part of a picture was embedded in a way that only the run which made it knows.
            whole = vector_id not in regions
            vector = _again(sightings[item.item_id], item.sha256, embedder, reopener) if whole else None
            if vector is None:
                done.lost.append(item.sha256)
                gone.append(vector_id)
            else:
                kept.append(vector_id)
                vectors.append(vector)
        if progress:
            progress(segment.name, number, len(ids))
    dead = [vector_id for vector_id in ids if vector_id not in owners]
    with case.catalogue.transaction() as writer:
        made = None
        if kept:
            name = f"{embedder.spec.name}/{writer.next_number('segments'):06d}.npy"
            sha256 = segments.write(case.segments_folder, name, np.stack(vectors))
            blob = None if kept[-1] - kept[0] == len(kept) - 1 else np.array(kept, dtype="<i8").tobytes()
            made = SegmentRow(segment.model_id, name, kept[0], len(kept), sha256, segment.dim, blob)
        writer.drop_vectors(gone)
        writer.replace_segments([segment.name], made, [*gone, *dead], now_utc())
    done.vectors += len(kept)


def _again(places: list[Sighting], sha256: str, embedder: Embedder, reopener: Reopener) -> Vector | None:
    """The vector of an item from the first of its sources that still holds it, made as ingest makes it."""
    try:
        data = content(sha256, (place.locator for place in places), reopener.reopen)
        prepared = shared.read_picture(data, Request(embedder.spec.input_px)).prepared
    except EvidenceError:
        return None
    assert prepared is not None
    vector: Vector = embedder.embed(prepared[np.newaxis])[0]
    return vector
