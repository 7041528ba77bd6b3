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
from indexer.catalogue import NO_PICTURE
from indexer.intake.config import IngestConfig
from indexer.intake.finding import Entry
from indexer.intake.known import Listed
from indexer.intake.outcomes import Failed, Ignored, KeptOut, Known, Prepared, Unread
from indexer.intake.said import Said

# Twelve megabytes: larger than the tiles need, and small enough for those that wait to be embedded.
_REGIONS_PIXELS = 4 << 20
_ENDING = re.compile(r"[^./\\]\.([0-9A-Za-z_-]{1,12})\Z")


def ending(place: Locator) -> str:
    """How a file's name ends, for counting: ``pdf``, or what says that it has no such end."""
    found = _ENDING.search(place.at)
    return found[1].lower() if found else "no ending"


def failed(
    found: Evidence, error: EvidenceError | SourceDiskError, digests: Digests | None, damage: tuple[Issue, ...]
) -> Failed | Unread:
    """What becomes of a file over an error that is met as it is read."""
    if isinstance(error, SourceDiskError):
        return Unread(found.locator, str(error))
    if error.kind == NO_PICTURE and not error.what:
        error.what = ending(found.locator)
    return Failed(Issue.of(found.locator, error), found, digests, damage=damage)


@dataclass(frozen=True, slots=True)
class Decoding:
    """Decodes what is new for a network that takes ``input_px``."""

    input_px: int
    config: IngestConfig
    decoder: ReadPicture
    faces: FaceEmbedder | None = None
    """Looks for faces in what is new."""

    def new(self, found: Evidence, content: Content, deepens: bool) -> Prepared:
        """New content. Raises EvidenceError."""
        config = self.config
        look = self.faces is not None and not deepens
        sides = (*((2 * self.input_px,) if config.beyond else ()), *((DECODED_PX,) if look else ()))
        request = Request(self.input_px, sides, True, True, config.limits, _REGIONS_PIXELS)
        done = content.decoded(request, self.decoder)
        assert done.prepared is not None  # asked for
        larger = done.pictures[0] if config.beyond else None
        faces = self.faces.read(done.pictures[-1]) if self.faces is not None and look else None
        return Prepared(
            found, content.digests, done.image, done.facts, deepens, done.prepared, larger, content.damage(), faces
        )

    def facts(self, content: Content, input_px: int) -> Facts | None:
        """Only the facts of a content; None where it can't be decoded."""
        if content.data is None:
            return None
        try:
            request = Request(input_px, metadata=True, pdq=True, limits=self.config.limits)
            return self.decoder(content.data, request).facts
        except EvidenceError:
            return None


@dataclass(frozen=True, slots=True)
class Reading:
    """Reads one entry after another, in any thread."""

    said: Said
    decoding: Decoding

    def __call__(self, entry: Entry) -> Prepared | KeptOut | Known | Ignored | Failed | Unread | Listed | Walked:
        """What becomes of it. Whatever is raised about this file alone is an issue of this file."""
        if not isinstance(entry, Evidence):
            return entry
        digests: Digests | None = None
        damage: tuple[Issue, ...] = ()
        try:
            with reading(entry, self.said.config.all_limits) as content:
                digests, damage = content.digests, content.damage()
                with only_this_file(entry.locator, "decode"):
                    return self._of(entry, content)
        except (EvidenceError, SourceDiskError) as error:
            return failed(entry, error, digests, damage)

    def _of(self, found: Evidence, content: Content) -> Prepared | KeptOut | Known | Ignored:
        input_px = self.said.use.default_model.input_px
        done = self.said.of(found, content.digests, lambda: self.decoding.facts(content, input_px))
        return done or self.decoding.new(found, content, self.said.deepens(content.digests))
