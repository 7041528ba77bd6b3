"""A run: a long change of a case, made in many transactions, each all or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from imgmatch.errors import UNPROVEN
from imgmatch.picture.facts import Facts
from imgmatch.types import Box, Digests, Embedding, Evidence, Image, Issue
from indexer.case.faces import FACES_PROFILE, add_faces
from indexer.case.use import Entry, Use
from indexer.catalogue import Catalogue, ListHit
from indexer.catalogue.clock import now_utc
from indexer.index.shelf import Shelf

if TYPE_CHECKING:
    from imgmatch.evidence import Walked
    from imgmatch.models.face import FoundFace


@dataclass(slots=True)
class NewItem:
    """Content to add, with its whole picture's vector (dim,) float32 and every place where it was found.

    ``regions`` are the vectors of its parts, ``profile`` is how they were chosen (match.regions). ``vector`` is None
    for content whose whole picture the case already has: only its parts are added.
    """

    digests: Digests
    image: Image
    vector: npt.NDArray[np.float32] | None
    found_at: list[Evidence] = field(default_factory=list)
    regions: tuple[Embedding, ...] = ()
    profile: str | None = None
    faces: Sequence[FoundFace] | None = None
    """Those that were found in it; None where none were looked for."""

    @property
    def vectors(self) -> list[tuple[npt.NDArray[np.float32], Box | None]]:
        """Every vector with its part of the picture, the whole one first."""
        whole: list[tuple[npt.NDArray[np.float32], Box | None]] = [] if self.vector is None else [(self.vector, None)]
        return whole + [(region.vector, region.region_px) for region in self.regions]


@dataclass(slots=True)
class Batch:
    """What one commit adds, all or nothing. ``seen`` are further sightings of content that the case already has,
    ``listed`` files that hash lists name and that are no items, with whether they were ignored for it, ``facts`` what
    is to be kept of contents that are items by then. With ``issues`` come the SHA-256, where the file was read, what
    was found, and whether its place counts as a file by something else; ``walked`` are places that were walked without
    a fault.
    """

    items: list[NewItem] = field(default_factory=list)
    seen: list[tuple[str, Evidence]] = field(default_factory=list)
    issues: list[tuple[Issue, str | None, Evidence | None, bool]] = field(default_factory=list)
    listed: list[tuple[Digests, Evidence, tuple[ListHit, ...], bool]] = field(default_factory=list)
    walked: list[Walked] = field(default_factory=list)
    facts: list[tuple[str, Facts]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.items) + len(self.seen) + len(self.issues) + len(self.listed) + len(self.walked)


class Run(Use):
    """A use that changes the case as it goes; what it counts goes into ``entry.counts``."""

    def __init__(self, path: Path, catalogue: Catalogue, entry: Entry, run_id: int) -> None:
        super().__init__(path, catalogue, entry)
        self.run_id = run_id
        self.stopped = ""
        """Who stopped it before it was done, where somebody did: a signal's name."""

    def commit(self, batch: Batch, shelf: Shelf) -> dict[str, int]:
        """Add a batch: the segment file first, then one transaction that names it. Returns what was new."""
        now = now_utc()
        counts = {"items": 0, "sightings": 0, "issues": 0, "partial": 0}
        with self.catalogue.transaction() as writer:
            item_ids = [writer.items.add(item.digests, item.image) for item in batch.items]
            read_as = list(zip(item_ids, batch.items, strict=True))
            rows = [(item_id, *vector) for item_id, item in read_as for vector in item.vectors]
            if rows:
                owners = [(item_id, *(box or (None,) * 4)) for item_id, _, box in rows]
                shelf.append(writer, np.stack([vector for _, vector, _ in rows]), owners)
            shelf.set_profiles(writer, ((i, item.profile) for i, item in read_as if item.profile))
            looked = [(item_id, item.faces) for item_id, item in read_as if item.faces is not None]
            if looked:
                add_faces(writer, self.face_shelf(), looked, FACES_PROFILE)
            counts["items"] = sum(item.vector is not None for item in batch.items)
            for item in batch.items:
                for evidence in item.found_at:
                    counts["sightings"] += writer.sightings.add(item.digests.sha256, evidence, now, self.run_id)
            for content, evidence in batch.seen:
                counts["sightings"] += writer.sightings.add(content, evidence, now, self.run_id)
            for issue, content_of, evidence_of, beside in batch.issues:
                counts["issues"] += writer.issues.add(issue, now, self.run_id, content_of, evidence_of, beside)
                if issue.error == UNPROVEN:
                    counts["partial"] += writer.items.doubt(issue.locator, issue.message)
            for place in batch.walked:
                writer.issues.walked(place.locator, self.run_id, itself=place.itself, left_closed=place.left_closed)
            for content, facts in batch.facts:
                writer.facts.add(content, facts)
            for digests, evidence, hits, ignored in batch.listed:
                writer.listed.add(digests, evidence, hits, ignored, now, self.run_id)
        return counts

    def set_labels(self, labels: Sequence[tuple[int, str, dict[str, str]]]) -> None:
        """Set labels: item id, which source says so, and its columns."""
        with self.catalogue.transaction() as writer:
            for item_id, source, columns in labels:
                writer.labels.set(item_id, source, columns)
