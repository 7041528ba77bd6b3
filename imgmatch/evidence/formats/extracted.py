"""Videos, moving pictures and documents as containers: what ``imgmatch.parsers`` finds in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, ClassVar, cast

from imgmatch.errors import EvidenceError
from imgmatch.evidence.container import Container
from imgmatch.locator import Locator
from imgmatch.parsers.pieces import Settings, Trouble
from imgmatch.streams import Spool
from imgmatch.types import Evidence, Issue
from imgmatch.workers import process


class _Extracted(Container):
    """``task`` names the module of ``imgmatch.parsers`` that knows this kind of file."""

    task: ClassVar[str]

    def members(self) -> Iterator[Evidence | Issue]:
        """What is in it, in the order in which it is found."""
        return self._extract(None)

    def _extract(self, at: str | None) -> Iterator[Evidence | Issue]:
        options, limits = self.options, self.options.limits
        settings = Settings(
            frames_per_minute=options.frames_per_minute,
            max_frames=limits.max_frames,
            max_frame_pixels=limits.max_frame_pixels,
            max_video_bytes=limits.max_video_bytes,
            max_cpu_seconds=limits.max_cpu_seconds,
            max_memory_bytes=limits.max_memory_bytes,
            max_member_bytes=limits.max_member_bytes,
            passwords=options.passwords,
        )
        for found in process.extract(self.task, self.access(), settings, at):
            if isinstance(found, Trouble):
                yield self.issue(found.at, found.error, found.message, found.kind)
            else:
                kept = Spool(limits)
                try:
                    kept.write(found.data)
                except EvidenceError as error:
                    yield self.issue(found.at, error.kind, str(error), found.kind)
                    continue
                # A frame, or a picture in a document, is as old as what it lies in where nothing else is said.
                yield self.kept(
                    found.at, cast(IO[bytes], kept), found.modified_utc or self.outer.modified_utc, found.kind
                )


class _Moving(_Extracted):
    """A frame is found by its place alone, whatever the options were that chose it."""

    kind: ClassVar[str] = "frame"

    def member(self, place: Locator) -> Evidence:
        """The frame at a place. Raises EvidenceError when it is not there."""
        for found in list(self._extract(place.at)):  # to its end, or the process that found it is not kept
            if found.locator == place and isinstance(found, Evidence):
                return found
        raise EvidenceError("gone", f"no frame called {place.at!r} is in it any more")


class Video(_Moving):
    """Key frames, called by their time in ms."""

    task: ClassVar[str] = "video"


class Animation(_Moving):
    """Animated GIF, WebP, PNG; TIFF and HEIF of several pictures; previews in a TIFF: all but the first picture."""

    task: ClassVar[str] = "animation"


class Previews(_Moving):
    """Previews in the EXIF data of a JPEG that show something else than the picture does."""

    kind: ClassVar[str] = "preview"
    task: ClassVar[str] = "previews"


class Pdf(_Extracted):
    """Pictures and attached files of a PDF (ISO 32000)."""

    kind: ClassVar[str] = "pdf"
    task: ClassVar[str] = "pdf"


class Mail(_Extracted):
    """Attachments and inline pictures of a message (RFC 5322) or a mailbox of them (RFC 4155)."""

    kind: ClassVar[str] = "mail"
    task: ClassVar[str] = "mail"


class Thumbs(_Extracted):
    """Thumbnails that Windows kept of a folder (Thumbs.db)."""

    kind: ClassVar[str] = "thumb"
    task: ClassVar[str] = "thumbs"
