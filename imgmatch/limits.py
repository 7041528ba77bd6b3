"""What reading evidence may cost: a picture in its worker, and what a source unfolds to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SourceLimits:
    """What a file may unfold to. Each is checked before or while bytes are made, never after; going past one is an
    Issue of kind ``limit`` that names it.

    ``max_depth``: containers in containers below one file. ``max_members``, ``max_total_bytes``: all that one outermost
    file gives, at every depth together. ``max_members_per_kib``: members of one outermost file for each KiB of it, once
    there are more than ``members_per_kib_from``; a name longer than 256 letters counts as several. ``max_name_bytes``:
    all names in it. ``max_walk_seconds``: time to look into it, and one second more for each MiB of it; what is spent
    is said of time, and another run tries again. ``max_member_bytes``: one member that has to be unpacked before it
    can be read.
    ``max_ratio``: unpacked to packed bytes of one member, once it unpacks to more than ``ratio_from_bytes``; so are all
    bytes that are read of one outermost file to its own.
    ``max_carved_bytes``: the longest picture that carving takes out of unallocated space. ``max_temp_bytes``: unpacked
    bytes in temporary files at one time.

    Of a video, a moving picture or a document: ``max_frames``, ``max_frame_pixels`` each, ``max_video_bytes`` read of a
    video track, ``max_cpu_seconds`` and ``max_memory_bytes`` of the process that reads it. The last two hold of a disk
    image too, the first of each question to it.
    """

    max_depth: int = 8
    max_members: int = 5_000_000
    max_members_per_kib: int = 16
    members_per_kib_from: int = 10_000
    max_name_bytes: int = 1 << 30
    max_walk_seconds: int = 3_600
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
class WorkerLimits:
    """What one file may cost its worker: ``decode_seconds`` of wall time, ``worker_memory_bytes`` of address space.

    The largest pictures that imgmatch.picture.image.Limits lets through take up to 4.3 GB (docs/limits.md).
    """

    decode_seconds: int = 120
    worker_memory_bytes: int = 5 << 30


DEFAULT_WORKER_LIMITS = WorkerLimits()
