"""Files that begin where another one ends: behind a photograph, an animation, a PDF, a program that unpacks itself."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import BinaryIO, ClassVar, cast

from imgmatch.errors import EvidenceError
from imgmatch.evidence.container import Container
from imgmatch.evidence.formats.ends import BEGINNINGS, Ahead, end_of, program_end
from imgmatch.evidence.formats.zip_directory import DamagedError, Directory
from imgmatch.evidence.look import HEAD_BYTES, Look
from imgmatch.evidence.naming import signature_of
from imgmatch.locator import Locator
from imgmatch.parsers.pieces import Settings
from imgmatch.picture import directories as tags
from imgmatch.picture.brands import coding_of
from imgmatch.streams import BLOCK_BYTES, RandomAccess, Window
from imgmatch.types import Evidence, Issue
from imgmatch.workers import parse

_PLACE = re.compile(r"(\d{1,18})\+(\d{1,18})", re.ASCII)
# What is looked for among bytes of no known kind: long enough not to be met there by chance.
_STARTS = re.compile(
    rb"\xff\xd8\xff[\xc0\xc2\xc4\xdb\xe0-\xef\xfe]|\x89PNG\r\n\x1a\n|GIF8[79]a|RIFF.{4}(?:WEBP|AVI )|PK\x03\x04.{26}"
    rb"|7z\xbc\xaf\x27\x1c|Rar!\x1a\x07|%PDF-1|\0\0[\0-\1].ftyp[a-zA-Z0-9]|\x1a\x45\xdf\xa3.{1,40}(?:webm|matroska)"
    rb"|8BPS\0[\1\2]|\0\0\0\x0cJXL \r\n|\0\0\0\x0cjP  \r\n|\xfd7zXZ\0",
    re.DOTALL,
)
# What stands right behind an end may be of these too, which are too short to be looked for.
_PACKED = re.compile(rb"\x1f\x8b\x08[\0-\x1f]|BZh[1-9]1AY&SY|\x28\xb5\x2f\xfd|.{257}ustar", re.DOTALL)
_LONGEST, _HEADER_OF_TAR = 64, 512
_ARCHIVES = re.compile(rb"PK\x03\x04|7z\xbc\xaf\x27\x1c|Rar!\x1a\x07|MSCF\0\0\0\0")
# Behind the last line of a script.
_IN_SCRIPT = re.compile(
    rb"\n(\x1f\x8b\x08[\0-\x1f]|BZh[1-9]1AY&SY|\xfd7zXZ\0|\x28\xb5\x2f\xfd|7z\xbc\xaf\x27\x1c|Rar!\x1a\x07|PK\x03\x04|\x5d\0\0.{2}\xff"
    rb"|[^\n\0]{1,99}\0[^\n]{157}ustar|\xff\xd8\xff[\xdb\xe0-\xef]|\x89PNG\r)",
    re.DOTALL,
)
_END_OF_ZIP, _END_BYTES, _TAIL = b"PK\5\6", 22, 278
_PADDING = b"\0\xff\t\n\r "
_NEAR = 1 << 18
"""How far behind a program its archive begins: a text of instructions may stand before it."""
_FEW = 64
"""So few bytes hold no picture."""
# What cameras and programs leave behind a photograph: Samsung, Canon, FotoStation, Photo Mechanic, MIE, Insta360, Vivo.
_OF_MAKERS = re.compile(
    rb"SEFT\Z|CANON OPTIONAL DATA\0|AXS[!*]|cbipcbbl|~[\0\x10]\x04.zmie~|8db42d694ccc418790edff439fe026bf|vivo\{\"",
    re.DOTALL,
)
_MOST = 1_000
_MPF = b"MPF\0"
_JPEG = b"\xff\xd8\xff"
_MOST_COMPARED = 256 << 20


class Behind(Container):
    """Files behind the end, one after the other, called by where they begin and how long they are."""

    name = "file with others behind its end"
    kinds: ClassVar[tuple[str, ...]] = ("behind",)
    itself = True

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """Does anything stand behind its end but padding?"""
        if look.head.startswith(b"PK"):
            return False
        if _may_have_end(look.head):
            with look.stream() as stream:
                ahead = Ahead(stream, look.evidence.size_bytes)
                end = end_of(ahead)
                if end is not None:
                    return end != ahead.size and _is_more_than_padding(ahead, end)
        return _zip_at_end(look) or _unpacks_itself(look)

    def members(self) -> Iterator[Evidence | Issue]:
        """What begins there, and an issue for what is of no known kind."""
        source = self.access()
        with cast(BinaryIO, Window(source)) as stream:
            ahead = Ahead(stream, source.size)
            end, program = end_of(ahead), program_end(ahead)
        if end is not None:
            yield from self._files(source, end)
        elif (at := _archive_in(source, program)) is not None:
            yield self._from(source, at, source.size - at)

    def member(self, place: Locator) -> Evidence:
        """What lies at a place. Raises EvidenceError when that is none any more."""
        match = _PLACE.fullmatch(place.at)
        source = self.access()
        if match is None or (start := int(match[1])) + (length := int(match[2])) > source.size:
            raise EvidenceError("gone", f"nothing is at {place.at!r} behind its end any more")
        return self._from(source, start, length)

    def _files(self, source: RandomAccess, at: int) -> Iterator[Evidence | Issue]:
        indexed = dict(_indexed(source))
        head = source.read_at(0, _LONGEST)
        is_video = head.startswith(b"RIFF") or (head[4:8] == b"ftyp" and coding_of(head) is None)
        tail = source.read_at(max(at, source.size - _FEW), _FEW)
        for _ in range(_MOST):
            before, at = at, _without_padding(source, at)
            if at >= source.size:
                return
            if at in indexed:  # a picture that the index of the file names, and that is given as such
                at += max(1, min(indexed[at], _length_of(source, at)))  # programs write lengths that are too long
                continue
            if _known(source, at):
                length = _length_of(source, at)
                if not self._is_preview(source, at, length):
                    yield self._from(source, at, length)
                at += length
                continue
            start = _next_start(source, at + 1)
            junk = source.read_at(at, min(start - at, BLOCK_BYTES))
            of_makers = _OF_MAKERS.search(junk) or _OF_MAKERS.search(tail)
            said = is_video or any(before <= place < start for place in indexed)  # by whoever opens them
            if start - at >= _FEW and not of_makers and not said:
                says = f"{start - at:,} bytes of no known kind from {at:,} on, behind its end; not looked into"
                yield self.issue(f"{at}+{start - at}", "unsupported", says, what="bytes of no known kind behind an end")
            at = start
        raise EvidenceError("limit", f"holds more than {_MOST:,} files one behind the other; the rest is left")

    def _is_preview(self, source: RandomAccess, at: int, length: int) -> bool:
        """Is it a smaller JPEG of what the JPEG before it shows, as cameras leave there?"""
        if source.read_at(0, 3) != _JPEG or source.read_at(at, 3) != _JPEG or source.size > _MOST_COMPARED:
            return False
        settings = Settings(self.options.frames_per_minute, self.options.limits)
        try:
            return any(True for _ in list(parse.extract("behind", source, settings, f"{at}+{length}")))
        except EvidenceError:
            return False

    def _from(self, source: RandomAccess, start: int, length: int) -> Evidence:
        return self.extent(f"{start}+{length}", source, start, length, self.outer.modified_utc)


def _may_have_end(head: bytes) -> bool:
    return head.startswith(BEGINNINGS) or head[4:8] in (b"ftyp", b"jP  ", b"JXL ")


def _is_more_than_padding(ahead: Ahead, at: int) -> bool:
    kept = 0
    while block := ahead.at(at, 1 << 16):
        kept += len(block.strip(_PADDING)) if not kept else len(block)
        if kept >= _FEW:
            return True
        at += len(block)
    return False


def _unpacks_itself(look: Look) -> bool:
    if look.head.startswith(b"#!"):
        return _IN_SCRIPT.search(look.at(0, _NEAR)) is not None
    if look.head[:2] != b"MZ":
        return False
    with look.stream() as stream:
        ahead = Ahead(stream, look.evidence.size_bytes)
        end = program_end(ahead)
        return end is not None and _ARCHIVES.search(ahead.at(end, _NEAR)) is not None


def _zip_at_end(look: Look) -> bool:
    tail = look.head[-_TAIL:] if len(look.head) < HEAD_BYTES else look.at(-_TAIL, _TAIL)
    at = tail.rfind(_END_OF_ZIP)
    return 0 <= at <= len(tail) - _END_BYTES and at + _END_BYTES + int.from_bytes(
        tail[at + 20 : at + 22], "little"
    ) == len(tail)


def _archive_in(source: RandomAccess, program_ends: int | None) -> int | None:
    """Where an archive begins behind a program, or in any other file that ends as a ZIP archive does."""
    try:
        first = Directory(source).first
        if first > 0:
            return first
    except DamagedError:
        pass
    if source.read_at(0, 2) == b"#!":
        match = _IN_SCRIPT.search(source.read_at(0, _NEAR))
        return None if match is None else match.start(1)
    if program_ends is None:
        return None
    found = _ARCHIVES.search(source.read_at(program_ends, _NEAR))
    return None if found is None else program_ends + found.start()


def _without_padding(source: RandomAccess, at: int) -> int:
    while block := source.read_at(at, BLOCK_BYTES):
        left = block.lstrip(_PADDING)
        # A file may begin as padding does.
        if left:
            skipped = len(block) - len(left)
            for back in range(min(skipped, 4), 0, -1):
                if _STARTS.match(source.read_at(at + skipped - back, _LONGEST)):
                    return at + skipped - back
            return at + skipped
        at += len(block)
    return at


def _known(source: RandomAccess, at: int) -> bool:
    head = source.read_at(at, _HEADER_OF_TAR)
    if _STARTS.match(head) or _PACKED.match(head):
        return True
    return signature_of(lambda offset, size: source.read_at(at + offset, size) if offset >= 0 else b"") is not None


def _length_of(source: RandomAccess, at: int) -> int:
    left = source.size - at
    with cast(BinaryIO, Window(source, at, left)) as stream:
        end = end_of(Ahead(stream, left))
    return left if end is None else max(1, min(end, left))


def _next_start(source: RandomAccess, at: int) -> int:
    while len(block := source.read_at(at, BLOCK_BYTES)) > 3:
        found = _STARTS.search(block)
        if found is not None:
            return at + found.start()
        if len(block) < BLOCK_BYTES:
            break
        at += len(block) - _LONGEST
    return source.size


def _indexed(source: RandomAccess) -> Iterator[tuple[int, int]]:
    """Places and lengths of the pictures that the index of a JPEG names (CIPA DC-007)."""
    at = 2
    while len(head := source.read_at(at, 8)) == 8 and head[0] == 0xFF and head[1] not in (0xD9, 0xDA):
        length = int.from_bytes(head[2:4], "big")
        if head[1] == 0xE2 and head[4:] == _MPF:
            data = source.read_at(at + 8, length - 6)
            order = tags.order_of(data)
            try:
                entries = bytes(tags.first(data).tags.get(tags.MP_ENTRIES, ()))
                for entry in range(16, len(entries) - 15, 16):
                    size, place = struct.unpack_from((order or "<") + "II", entries, entry + 4)
                    if place:
                        yield at + 8 + place, size
            except (struct.error, ValueError):
                return
        at += 2 + length
