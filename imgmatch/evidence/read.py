"""The bytes of evidence: opened, hashed and bounded here and nowhere else, and found again by their SHA-256.

What goes wrong while a piece of evidence is read is an EvidenceError of stage ``read`` (``decode``, where it is too
large to be decoded); what this machine is at fault for is a MachineError.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import BinaryIO, cast

from imgmatch.errors import EvidenceError, ImgmatchError, MachineError, SourceDiskError, raise_if_machine, why
from imgmatch.evidence.limits import NOTHING_SET, AllLimits
from imgmatch.evidence.look import Look
from imgmatch.evidence.mended import Lost, Mended, said
from imgmatch.evidence.options import DEFAULT_OPTIONS, SourceOptions
from imgmatch.evidence.reopen import Reopener
from imgmatch.locator import Locator
from imgmatch.picture.hashes import digest
from imgmatch.streams import damage_of, one_line
from imgmatch.types import Digests, Evidence, Image, Issue
from imgmatch.workers import pictures
from imgmatch.workers.decode import Decoded, ReadPicture, Request
from imgmatch.workers.room import ROOM

_SHOWN_PIXELS = 16 << 20  # more than any part of the program compares or shows
_log = logging.getLogger(__name__)
_log.addHandler(logging.NullHandler())  # not on the terminal, unless who runs this asks for it


@dataclass(frozen=True, slots=True)
class Content:
    """What was read at a place, in one pass: what is decoded are the very bytes that were hashed."""

    evidence: Evidence
    digests: Digests
    data: bytes | None
    """None where it is longer than ``max_bytes`` of the limits."""
    limits: AllLimits
    lost: tuple[Lost, ...] = ()
    """What of it is damaged or missing where it lies; zeros stand for that in ``data``, and in what was hashed."""

    @property
    def whole(self) -> bytes:
        """All of it. Raises EvidenceError of kind ``too_large``."""
        if self.data is None:
            size, most = self.digests.size_bytes, self.limits.picture.max_bytes
            raise EvidenceError("too_large", f"{size:,} bytes are more than max_bytes ({most:,})", what="max_bytes")
        return self.data

    def decoded(self, request: Request, decoder: ReadPicture | None = None) -> Decoded:
        """As imgmatch.workers.pictures.read_picture, or ``decoder``, within its limits. Raises EvidenceError as that
        does, of kind ``unsupported`` where it is of another format that has a name.
        """
        within = replace(request, limits=self.limits.picture)
        try:
            if decoder is not None:
                return self._marked(decoder(self.whole, within))
            return self._marked(pictures.read_picture(self.whole, within, self.limits.worker))
        except EvidenceError as error:
            if self.lost:
                raise EvidenceError("unreadable", f"{said(self.lost)}; what is left: {error}", error.stage) from error
            from imgmatch.evidence.naming import named  # hundreds of signatures: not for what is a picture

            raise named(error, self._at, self.digests.size_bytes) from error.__cause__

    def damage(self) -> tuple[Issue, ...]:
        """What is said of the disk image that it lies in, where a part of the bytes is missing there."""
        from imgmatch.evidence.formats.disk_image import damage_issue  # its parsers: not for what is whole

        met = {each.damage.start: each.damage for each in self.lost if each.damage.place}
        return tuple(damage_issue(damage) for damage in met.values())

    def _marked(self, done: Decoded) -> Decoded:
        """What was decoded of it, said to be partial where a part of the bytes is missing."""
        if not self.lost:
            return done
        partial = "; ".join(filter(None, (said(self.lost), done.image.partial)))
        pictures_of = tuple(replace(picture, partial=partial) for picture in done.pictures)
        return replace(done, image=replace(done.image, partial=partial), pictures=pictures_of)

    def _at(self, offset: int, size: int) -> bytes:
        if self.data is None:
            try:
                with Look(self.evidence) as look:
                    return look.at(offset, size)
            except OSError:  # it was read to its end before
                return b""
        start = max(0, len(self.data) + offset) if offset < 0 else offset
        return self.data[start : start + size]

    def image(self, min_side_px: int) -> Image:
        """Its picture, of no more than 16 million pixels; else both sides are at least so long where it is that large.
        Raises EvidenceError as ``decoded``.
        """
        return self.decoded(Request(sides_px=(min_side_px,), most_pixels=_SHOWN_PIXELS)).pictures[0]


def read(evidence: Evidence, limits: AllLimits = NOTHING_SET, keep_bytes: int | None = None) -> Content:
    """Read a piece of evidence to its end, and keep what ``limits`` let through, where it is no longer than
    ``keep_bytes``. Raises EvidenceError.
    """
    most = limits.picture.max_bytes
    digests, data, lost = _digest(evidence, most if keep_bytes is None else min(keep_bytes, most))
    return Content(evidence, digests, data, limits, lost)


@contextmanager
def reading(evidence: Evidence, limits: AllLimits) -> Iterator[Content]:
    """As ``read``, for what many threads do at once: it waits until there is memory for all that is kept, and the
    content is to be let go of within. Raises EvidenceError.
    """
    most = limits.picture.max_bytes
    kept = evidence.size_bytes if evidence.size_bytes <= most else 0
    with ROOM.lent(kept):
        digests, data, lost = _digest(evidence, kept)
        if data is not None or digests.size_bytes > most:
            yield Content(evidence, digests, data, limits, lost)
            return
    with ROOM.lent(most):  # it is of another length than it said
        yield read(evidence, limits)


def hashed(evidence: Evidence) -> Digests:
    """The digests of a piece of evidence of any size; nothing of it is kept. Raises EvidenceError."""
    return _digest(evidence, 0)[0]


@contextmanager
def only_this_file(locator: Locator, stage: str) -> Iterator[None]:
    """Whatever is raised within is said of the evidence at a place, as EvidenceError: also what nobody foresaw, as kind
    ``internal``, with its traceback in the log. MachineError and other errors that imgmatch raises on purpose pass.
    """
    try:
        yield
    except ImgmatchError:
        raise
    except Exception as error:
        raise_if_machine(error)
        _log.exception("%s: not foreseen in stage %s", locator, stage)
        what = f"{type(error).__name__}: {one_line(error)}"
        text = f"internal error, of this file only ({what}); please report it; IMGMATCH_DEBUG=1 shows where"
        raise EvidenceError("internal", text, stage) from error


class Finder:
    """Finds again what was read before, by its SHA-256, in the places where it was seen, within the limits that it was
    read in. May be used by several threads: each opens an archive or a disk image once, not once a picture.
    """

    def __init__(self, limits: AllLimits = NOTHING_SET, options: SourceOptions = DEFAULT_OPTIONS) -> None:
        self.limits = limits
        self.options = replace(options, limits=self.limits.source)
        self._of_thread = threading.local()

    def at(self, place: Locator) -> Evidence:
        """The evidence at a place. Raises EvidenceError as Reopener does."""
        if not hasattr(self._of_thread, "reopener"):
            self._of_thread.reopener = Reopener(self.options)
        try:
            found: Evidence = self._of_thread.reopener.reopen(place)
        except EvidenceError as error:
            raise_if_machine(error)
            raise
        return found

    @contextmanager
    def holding(self, sha256: str, places: Iterable[Locator]) -> Iterator[Content]:
        """As ``content``, for what many threads do at once (``reading``)."""
        why, fault = "gone", None
        for place in places:
            with ExitStack() as held:
                try:
                    content = held.enter_context(reading(self.at(place), self.limits))
                except SourceDiskError as error:
                    fault = error
                    continue
                except MachineError:
                    raise
                except ImgmatchError as error:  # also where a package for this kind of source is missing
                    if why == "gone" and not gone(place, error):
                        why = "unreadable"
                    continue
                if content.digests.sha256 == sha256:
                    content.whole  # noqa: B018  (raises where there is more than may be kept)
                    yield content
                    return
            why = "changed"
        if fault is not None:
            raise fault
        said = {"gone": "source gone", "unreadable": "source can't be read", "changed": "source changed since ingest"}
        raise EvidenceError("source_unreadable" if why == "unreadable" else "source_gone", said[why], "read")

    def content(self, sha256: str, places: Iterable[Locator]) -> Content:
        """The content with this SHA-256, whole, from the first place that still holds it.

        Raises EvidenceError of kind ``source_gone`` when every place is gone or holds another content,
        ``source_unreadable`` when one can't be read, and ``too_large`` when it is there, but beyond the limits;
        SourceDiskError when it may lie where a disk does not answer, and nowhere else.
        """
        with self.holding(sha256, places) as content:
            return content

    def image(self, sha256: str, places: Iterable[Locator], min_side_px: int) -> Image:
        """The picture with this SHA-256, as Content.image. Raises EvidenceError as ``content`` and as that does."""
        with self.holding(sha256, places) as content:
            return content.image(min_side_px)


def gone(place: Locator, error: Exception) -> bool:
    """Is there nothing at a place that can't be read any more, nor what it lay in?"""
    return getattr(error, "kind", "") == "gone" or not os.path.lexists(place.outermost.at)


def _digest(evidence: Evidence, keep_bytes: int) -> tuple[Digests, bytes | None, tuple[Lost, ...]]:
    with only_this_file(evidence.locator, "read"):
        try:
            try:
                with evidence.open() as stream:
                    return *digest(stream, keep_bytes), ()
            except OSError as error:
                if damage_of(error) is None:
                    raise
                return _mended(evidence, keep_bytes)
        except EvidenceError as error:
            raise_if_machine(error)
            raise EvidenceError(error.kind, str(error), "read", error.what) from error
        except OSError as error:
            raise_if_machine(error)
            raise EvidenceError("unreadable", f"the file can't be read: {why(error)}", "read") from error


def _mended(evidence: Evidence, keep_bytes: int) -> tuple[Digests, bytes | None, tuple[Lost, ...]]:
    """Evidence of which a part is damaged. OSError where it can only be read forwards, or nothing of it is left."""
    with evidence.open() as stream:
        if not stream.seekable():
            stream.read()
        whole = Mended(stream, evidence.size_bytes)
        digests, data = digest(cast(BinaryIO, whole), keep_bytes)
    if sum(each.end - each.start for each in whole.lost) == digests.size_bytes:
        raise whole.lost[0].damage.again()
    return digests, data, tuple(whole.lost)
