"""What extractors are asked and what they give."""

from __future__ import annotations

import io
import time
from dataclasses import dataclass

from PIL import Image as Pillow

from imgmatch.errors import EvidenceError


@dataclass(frozen=True, slots=True)
class Settings:
    """What one file may cost and how it is read; the limits are those of ``imgmatch.evidence.SourceLimits``."""

    frames_per_minute: int
    max_frames: int
    max_frame_pixels: int
    max_video_bytes: int
    max_cpu_seconds: int
    max_memory_bytes: int
    max_member_bytes: int
    passwords: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """Something found in a file: ``kind`` and ``at`` of its locator, and the bytes of a file of its own."""

    kind: str
    at: str
    data: bytes
    modified_utc: str | None = None


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something in a file that can't be had: it becomes an Issue there. What ends a file is raised instead."""

    kind: str
    at: str
    error: str
    message: str


class Clock:
    """Processor time of one file: the time of the machine would tell how busy that is, not what the file costs."""

    def __init__(self, settings: Settings) -> None:
        self._limit = settings.max_cpu_seconds
        self._start = time.process_time()

    def check(self) -> None:
        """Raises EvidenceError of kind ``limit`` when it is used up."""
        if time.process_time() - self._start > self._limit:
            raise EvidenceError("limit", f"took more than max_cpu_seconds ({self._limit}); what came before is kept")


def png(picture: Pillow.Image) -> bytes:
    """A picture as a PNG (ISO/IEC 15948) without metadata: the same pixels give the same bytes, with one zlib."""
    picture.info.clear()
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
