"""What reading a source may cost and how it is read: the one table of limits on containers."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

Switch = Literal["frames", "documents", "previews"]
"""Options that turn a kind of container off."""


@dataclass(frozen=True, slots=True)
class SourceLimits:
    """What a file may unfold to. Each is checked before or while bytes are made, never after; going past one is an
    Issue of kind ``limit`` that names it.

    ``max_depth``: containers in containers below one file. ``max_members``, ``max_total_bytes``: all that one outermost
    file gives, at every depth together. ``max_member_bytes``: one member that has to be unpacked before it can be read.
    ``max_ratio``: unpacked to packed bytes of one member, once it unpacks to more than ``ratio_from_bytes``.
    ``max_carved_bytes``: the longest picture that carving takes out of unallocated space. ``max_temp_bytes``: unpacked
    bytes in temporary files at one time.

    Of a video, a moving picture or a document: ``max_frames``, ``max_frame_pixels`` each, ``max_video_bytes`` read of a
    video track, ``max_cpu_seconds`` and ``max_memory_bytes`` of the process that reads it. The last two hold of a disk
    image too, the first of each question to it.
    """

    max_depth: int = 8
    max_members: int = 5_000_000
    max_total_bytes: int = 16 << 40
    max_member_bytes: int = 64 << 30
    max_ratio: int = 250
    ratio_from_bytes: int = 64 << 20
    max_carved_bytes: int = 32 << 20
    max_frames: int = 2_000
    max_frame_pixels: int = 64 << 20
    max_video_bytes: int = 64 << 30
    max_cpu_seconds: int = 600
    max_memory_bytes: int = 4 << 30
    max_temp_bytes: int = 256 << 30


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How sources are read. ``passwords`` are tried in order and are never shown (not in a repr, not in a log).

    ``inside``: look into containers; without it only files as they lie in folders are found. ``deleted``: of disk
    images also files that the file system still names but has let go of. ``carve``: look for pictures in unallocated
    space. ``frames``: of videos and of pictures that hold several, at most ``frames_per_minute`` of what has a time.
    ``documents``: pictures in PDF, mail and Thumbs.db. ``previews``: previews in the EXIF data of JPEG files, where
    they show something else.
    """

    inside: bool = True
    deleted: bool = True
    carve: bool = False
    frames: bool = True
    frames_per_minute: int = 12
    documents: bool = True
    previews: bool = False
    passwords: tuple[str, ...] = field(default=(), repr=False)
    limits: SourceLimits = SourceLimits()

    def record(self) -> dict[str, Any]:
        """What differs from the default, for a log: of passwords only how many there were."""
        switches = [f for f in dataclasses.fields(self) if f.name not in ("passwords", "limits")]
        said: dict[str, Any] = {f.name: getattr(self, f.name) for f in switches if getattr(self, f.name) != f.default}
        if self.passwords:
            said["passwords"] = len(self.passwords)
        return said


DEFAULT_OPTIONS = SourceOptions()
PLAIN_FILES = SourceOptions(inside=False)
