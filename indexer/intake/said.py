"""What a case says of what is met, before it is read, opened or decoded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import imgmatch
from imgmatch.picture.facts import Facts
from imgmatch.types import Digests, Evidence
from indexer.case.use import Use
from indexer.index.shelf import Shelf
from indexer.intake.config import IngestConfig
from indexer.intake.known import KnownFiles, Listed
from indexer.intake.outcomes import Ignored, KeptOut, Known


@dataclass(frozen=True, slots=True)
class Said:
    """What a case says for one ingest. May be asked from any thread."""

    use: Use
    known: KnownFiles
    shelf: Shelf
    config: IngestConfig

    def is_unchanged(self, found: Evidence) -> bool:
        """Was this very file read before, and is it as it was? Never where files are to be read again."""
        if self.config.reread:
            return False
        return self.shelf.unchanged(found, imgmatch.__version__, self.config.beyond) is not None

    def of_container(self, found: Evidence, is_picture: bool) -> tuple[bool, Listed | None]:
        """Is a container to be passed over? And what lists say of it, where that is to be recorded: a picture is
        compared, and its hits are recorded, when it is read itself.
        """
        if not is_picture and not self.config.reread and self.use.catalogue.listed.is_ignored(found):
            return True, None
        container = self.known.of_container(found)
        if container is None:
            return False, None
        if is_picture:
            return container.ignored and not self.shelf.holds(container.digests.sha256), None
        return container.ignored, container

    def of(
        self, found: Evidence, digests: Digests, facts: Callable[[], Facts | None]
    ) -> KeptOut | Known | Ignored | None:
        """What becomes of a file whose content need not be decoded, or None. ``facts`` makes up for those that a known
        item lacks.
        """
        if self.known.keeps_out(digests):
            return KeptOut()
        if self.shelf.holds(digests.sha256, self.config.beyond):
            return Known(found, digests, facts() if self.lacks_facts(digests) else None)
        return Ignored(found, digests) if self.known.ignores(digests) else None

    def lacks_facts(self, digests: Digests) -> bool:
        """Was a known item read before facts were kept? They are made up for when files are read again."""
        return self.config.reread and self.use.catalogue.facts.lacking(digests.sha256)

    def deepens(self, digests: Digests) -> bool:
        """Are only the regions of a content new?"""
        return self.config.beyond is not None and self.shelf.holds(digests.sha256)
