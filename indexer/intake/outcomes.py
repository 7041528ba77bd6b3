"""What becomes of what ingest meets: of a file, exactly one of these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgmatch.evidence import Walked
from imgmatch.locator import Locator
from imgmatch.picture.facts import Facts
from imgmatch.types import Digests, Embedding, Evidence, Image, Issue
from indexer.intake.known import Listed

if TYPE_CHECKING:
    from imgmatch.models.face import FoundFace
    from imgmatch.types import Pixels, Vector


@dataclass(frozen=True, slots=True)
class Failed:
    """It can't be used: an issue, with what was found and read before it was met. ``beside``: its place counts as
    a file by something else that this run met there.
    """

    issue: Issue
    evidence: Evidence | None = None
    digests: Digests | None = None
    beside: bool = False
    damage: tuple[Issue, ...] = ()
    """Of the disk image that it lies in, as far as it was met."""


@dataclass(frozen=True, slots=True)
class Unread:
    """The disk that it lies on did not give it: nothing is kept of it, so that the next run asks for it again.
    ``beside`` as in Failed.
    """

    locator: Locator
    why: str
    beside: bool = False


@dataclass(frozen=True, slots=True)
class Ignored:
    """A hash list names its content, and it is left out."""

    evidence: Evidence
    digests: Digests


@dataclass(frozen=True, slots=True)
class Known:
    """A further sighting of what the case holds. ``facts``: those that it lacks."""

    evidence: Evidence
    digests: Digests
    facts: Facts | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """New content on its way: decoded to the network's input, not yet embedded.

    ``image`` is what it is, without pixels; ``larger`` the picture whose regions are to be embedded too. ``deepens``:
    its whole picture is in the case, of this content only the regions are new.
    """

    evidence: Evidence
    digests: Digests
    image: Image
    facts: Facts
    deepens: bool
    pixels: Pixels
    larger: Image | None
    damage: tuple[Issue, ...]
    faces: Sequence[FoundFace] | None = None
    """Those that were found in it; None where none were looked for."""


@dataclass(frozen=True, slots=True)
class New:
    """Content that was embedded. ``regions`` is None where none were asked for; the rest as in Prepared."""

    evidence: Evidence
    digests: Digests
    image: Image
    facts: Facts
    deepens: bool
    vector: Vector
    regions: tuple[Embedding, ...] | None
    damage: tuple[Issue, ...]
    faces: Sequence[FoundFace] | None = None


@dataclass(frozen=True, slots=True)
class KeptOut:
    """Its content was erased from the case: nothing is kept of it, and of its name neither."""


Outcome = New | KeptOut | Known | Ignored | Failed | Unread | Listed | Walked
"""The end of a file's way; or a place that had issues, and was walked without a fault now."""
