"""How a source is read."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

from imgmatch.limits import SourceLimits

Switch = Literal["frames", "documents", "previews", "carve"]
"""Options that turn a kind of container off."""


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How sources are read. ``passwords`` are tried in order and are never shown (not in a repr, not in a log).

    ``inside``: look into containers; without it only files as they lie in folders are found. ``exclude``: patterns of
    names that are passed over (imgmatch.evidence.excluding), in folders and in containers. ``deleted``: of disk
    images also files that the file system still names but has let go of. ``carve``: look for pictures in unallocated
    space, and anywhere in files of no known kind. ``frames``: of videos and of pictures that hold several, at most
    ``frames_per_minute`` of what has a time. ``documents``: pictures in PDF, mail, Thumbs.db and other files that are
    no archives. ``previews``: previews in the EXIF data of JPEG files, where they show something else.
    """

    inside: bool = True
    exclude: tuple[str, ...] = ()
    deleted: bool = True
    carve: bool = False
    frames: bool = True
    frames_per_minute: int = 12
    documents: bool = True
    previews: bool = False
    passwords: tuple[str, ...] = field(default=(), repr=False)
    limits: SourceLimits = field(default_factory=SourceLimits)

    def record(self) -> dict[str, Any]:
        """What differs from the default, for a log: of passwords only how many there were."""
        switches = [f for f in dataclasses.fields(self) if f.name not in ("passwords", "limits")]
        said: dict[str, Any] = {f.name: getattr(self, f.name) for f in switches if getattr(self, f.name) != f.default}
        if self.passwords:
            said["passwords"] = len(self.passwords)
        return said


DEFAULT_OPTIONS = SourceOptions()
PLAIN_FILES = SourceOptions(inside=False)
