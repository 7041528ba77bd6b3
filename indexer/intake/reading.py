"""The second stage of ingest: a file is read and hashed once, and decoded unless its content is known or ignored."""

from __future__ import annotations

import re
from dataclasses import dataclass

from imgmatch.errors import EvidenceError, SourceDiskError
from imgmatch.evidence import Walked
from imgmatch.evidence.read import Content, only_this_file, reading
from imgmatch.locator import Locator
from imgmatch.models.base import FaceEmbedder
from imgmatch.models.face import DECODED_PX
from imgmatch.picture.facts import Facts
from imgmatch.types import Digests, Evidence, Issue
from imgmatch.workers.decode import ReadPicture, Request
from indexer.case.use import Use
from indexer.catalogue import NO_PICTURE
from indexer.index.shelf import Shelf
from indexer.intake.config import IngestConfig
from indexer.intake.finding import Entry
from indexer.intake.known import KnownFiles, Listed
from indexer.intake.outcomes import Failed, Ignored, KeptOut, Known, Prepared, Unread

# Twelve megabytes: larger than the tiles need, and small enough for those that wait to be embedded.
_REGIONS_PIXELS = 4 << 20
_ENDING = re.compile(r"[^./\\]\.([0-9A-Za-z_-]{1,12})\Z")


def ending(place: Locator) -> str:
    """How a file's name ends, for counting: ``pdf``, or what says that it has no such end."""
    found = _ENDING.search(place.at)
    return found[1].lower() if found else "no ending"


@dataclass(frozen=True, slots=True)
class Reading:
    """Reads one entry after another, in any thread."""

    use: Use
    known: KnownFiles
    shelf: Shelf
    config: IngestConfig
    decoder: ReadPicture
    faces: FaceEmbedder | None = None
    """Looks for faces in what is new."""

    def __call__(self, entry: Entry) -> Prepared | KeptOut | Known | Ignored | Failed | Unread | Listed | Walked:
        """What becomes of it. Whatever is raised about this file alone is an issue of this file."""
        if not isinstance(entry, Evidence):
            return entry
        digests: Digests | None = None
        damage: tuple[Issue, ...] = ()
        try:
            with reading(entry, self.config.all_limits) as content:
                digests, damage = content.digests, content.damage()
                with only_this_file(entry.locator, "decode"):
                    return self._of(entry, content)
        except SourceDiskError as fault:
            return Unread(entry.locator, str(fault))
        except EvidenceError as error:
            if error.kind == NO_PICTURE and not error.what:
                error.what = ending(entry.locator)
            return Failed(Issue.of(entry.locator, error), entry, digests, damage=damage)

    def _of(self, found: Evidence, content: Content) -> Prepared | KeptOut | Known | Ignored:
        digests, config = content.digests, self.config
        if self.known.keeps_out(digests):
            return KeptOut()
        if self.shelf.holds(digests.sha256, config.beyond):
            return Known(found, digests, self._facts_lacking(content))
        if self.known.ignores(digests):
            return Ignored(found, digests)
        deepens = config.beyond is not None and self.shelf.holds(digests.sha256)
        input_px = self.shelf.spec.input_px
        look = self.faces is not None and not deepens
        sides = (*((2 * input_px,) if config.beyond else ()), *((DECODED_PX,) if look else ()))
        request = Request(input_px, sides, True, True, config.limits, _REGIONS_PIXELS)
        done = content.decoded(request, self.decoder)
        assert done.prepared is not None  # asked for
        larger = done.pictures[0] if config.beyond else None
        faces = self.faces.read(done.pictures[-1]) if self.faces is not None and look else None
        return Prepared(found, digests, done.image, done.facts, deepens, done.prepared, larger, content.damage(), faces)

    def _facts_lacking(self, content: Content) -> Facts | None:
        """Facts of a known item that was read before they were kept: made up for when files are read again."""
        lacking = self.config.reread and self.use.catalogue.facts.lacking(content.digests.sha256)
        if content.data is None or not lacking:
            return None
        try:
            request = Request(self.use.default_model.input_px, metadata=True, pdq=True, limits=self.config.limits)
            return self.decoder(content.data, request).facts
        except EvidenceError:
            return None
