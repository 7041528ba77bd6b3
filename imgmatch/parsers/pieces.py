"""What extractors are asked and what they give."""

from __future__ import annotations

import io
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from imgmatch.errors import EvidenceError, over
from imgmatch.limits import SourceLimits

if TYPE_CHECKING:
    from PIL import Image as Pillow

_Any = TypeVar("_Any")


@dataclass(frozen=True, slots=True)
class Settings:
    """What one file may cost and how it is read."""

    frames_per_minute: int
    limits: SourceLimits
    passwords: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """Something found in a file: ``kind`` and ``at`` of its locator, and the bytes of a file of its own."""

    kind: str
    at: str
    data: bytes
    modified_utc: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes of the Piece that is told of next: what is long is given as it is unpacked."""

    data: bytes | bytearray


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something in a file that can't be had: it becomes an Issue there. What ends a file is raised instead."""

    kind: str
    at: str
    error: str
    message: str
    what: str = ""
    """As of an Issue."""

    @classmethod
    def of(cls, kind: str, at: str, error: EvidenceError) -> Trouble:
        """What kept it from being had (``errors.unsupported`` among them)."""
        return cls(kind, at, error.kind, str(error), error.what)


class Clock:
    """Processor time of one file: the time of the machine would tell how busy that is, not what the file costs."""

    def __init__(self, settings: Settings) -> None:
        self._limit = settings.limits.max_cpu_seconds
        self._start = time.process_time()

    def check(self) -> None:
        """Raises EvidenceError of kind ``limit`` when it is used up."""
        if time.process_time() - self._start > self._limit:
            raise over("max_cpu_seconds", f"took more than max_cpu_seconds ({self._limit}); what came before is kept")


def at_most(pictures: Iterable[_Any], settings: Settings) -> Iterator[_Any]:
    """Pictures up to ``max_frames``. Raises EvidenceError of kind ``limit`` after those where there are more."""
    most = settings.limits.max_frames
    for given, picture in enumerate(pictures):
        if given >= most:
            raise over("max_frames", f"gives more than max_frames ({most:,}); the rest is left")
        yield picture


def png(picture: Pillow.Image) -> bytes:
    """A picture as a PNG (ISO/IEC 15948) without metadata: the same pixels give the same bytes, with one zlib."""
    picture.info.clear()
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
