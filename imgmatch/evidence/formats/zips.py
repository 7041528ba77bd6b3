"""ZIP archives, and the documents that are ZIP archives (DOCX, PPTX, XLSX, ODT, XPS): what in them is no markup."""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import IO, BinaryIO, cast

from imgmatch.errors import (
    UNPROVEN,
    EvidenceError,
    ImgmatchError,
    disk_fault,
    locked,
    over,
    raise_if_machine,
    unsupported,
)
from imgmatch.evidence.container import Container
from imgmatch.evidence.formats import phones
from imgmatch.evidence.formats.zip_directory import LOCAL_HEADER, DamagedError, Directory, Entry, local_entry
from imgmatch.evidence.look import read
from imgmatch.locator import Locator, Names
from imgmatch.parsers import carried
from imgmatch.parsers.pieces import Settings
from imgmatch.picture.extents import BEGIN
from imgmatch.streams import BLOCK_BYTES, RandomAccess, Shared, Spool, Unpacked, Window, access, check_ratio, one_line
from imgmatch.types import Evidence, Issue
from imgmatch.workers import parse
from imgmatch.workers.parse import Found

_PICTURE = re.compile(r"(^|/)(media|pictures|thumbnails?|docProps/thumbnail[^/]*)(/|$)", re.IGNORECASE)
_MARKUP = re.compile(r"\.(xml|rels|vml|rdf|fpage|fdoc|fdseq)\Z", re.IGNORECASE)
_OWN = ("mimetype", "layout-cache")
_STORED, _DEFLATED = 0, 8
_MOST_ARCHIVES = 1_000
_MOST_MARKUP = 32 << 20
"""A longer part is looked into as any file is."""
_OF_AFF4 = "information.turtle"
_LEAST_GAP = 64
_DESCRIPTOR_MAGIC = b"PK\x07\x08"


class Zip(Container):
    """Names are names only; nothing is ever written under them."""

    name = "ZIP archive"
    kinds = ("zip", "phone", "deleted")
    magic = (LOCAL_HEADER, b"PK\x05\x06", b"PK\x07\x08")  # an empty one begins with its end

    def members(self) -> Iterator[Evidence | Issue]:
        """Files in the order of the directory; without one, what local headers still say."""
        return self._members(lambda entry: entry.name, told=True)

    def member(self, place: Locator) -> Evidence:
        """The member at a place, by its name or as it was named where only DOS's letters were known."""
        try:
            return super().member(place)
        except EvidenceError:
            for name_of in (lambda entry: entry.name), (lambda entry: entry.cp437):
                for member in self._members(name_of):
                    if member.locator == place and isinstance(member, Evidence):
                        return member
            raise

    def _members(self, name_of: Callable[[Entry], str], *, told: bool = False) -> Iterator[Evidence | Issue]:
        """The last archive in the file, then those before it, one behind the other."""
        whole, place_of = self.access(), Names()
        end = whole.size
        for _ in range(_MOST_ARCHIVES):
            source = whole if end == whole.size else Shared(cast(IO[bytes], Window(whole, 0, end)))
            try:
                directory = Directory(source)
            except DamagedError as error:
                if end == whole.size or source.read_at(0, 4) == LOCAL_HEADER:
                    yield from self._salvage(source, place_of, str(error))
                return  # no archive, but what stands before one: a program that unpacks it
            yield from self._entries(source, directory, place_of, name_of, told=told)
            if directory.end < end:
                says = f"{end - directory.end:,} bytes from {directory.end:,} on are behind its end; not looked into"
                yield Issue(self.outer.locator, "walk", "unsupported", says, "data behind a ZIP archive")
            end = directory.first
            if not end:
                return
        says = f"is more than {_MOST_ARCHIVES:,} archives one behind the other; the rest is left"
        raise over("archives in one file", says)

    def _entries(
        self,
        source: RandomAccess,
        directory: Directory,
        place_of: Names,
        name_of: Callable[[Entry], str],
        *,
        told: bool,
    ) -> Iterator[Evidence | Issue]:
        keys = _Keys(source, self.options.passwords)
        index = phones.Index(self.options)
        for entry in directory.about_phones if told else ():
            try:
                self._note(index, entry, source, keys)
            except ImgmatchError as error:
                raise_if_machine(error)
                if getattr(error, "kind", "") != "not_a_picture":
                    yield self.failed(entry.name, error)
        before: Entry | None = None
        for entry in directory.entries():
            if before is not None and entry.offset - before.likely_end > _LEAST_GAP:
                yield from self._between(source, before, entry.offset, place_of)
            before = entry
            if entry.is_folder:
                continue
            at = place_of(name_of(entry))
            if directory.is_office and _is_own_part(entry, source):
                continue
            try:
                if entry.unsupported is not None:
                    raise unsupported(entry.unsupported, "not unpacked")
                check_ratio(self.options.limits, entry.size_bytes, entry.packed_bytes)
                member = self._file(at, entry, source, keys.of(entry) if entry.encrypted else None)
                if entry.name == _OF_AFF4:
                    yield Issue.walked(self.outer.locator, unsupported("AFF4 disk image"))
                said = index.of(entry.name)
                if said is None:
                    yield member
                    continue
                own = self.place(place_of(f"{said.path}@{entry.name}"), said.kind)
                member = replace(member, locator=own, modified_utc=said.modified or member.modified_utc)
                yield member
                if (wrong := phones.compared(member, said)) is not None:
                    yield wrong
            except ImgmatchError as error:
                yield self.failed(at, disk_fault(error) or error)
        if before is not None and directory.start - before.likely_end > _LEAST_GAP:
            yield from self._between(source, before, directory.start, place_of)
        if directory.comment_bytes >= _LEAST_GAP:
            data = source.read_at(directory.end - directory.comment_bytes, directory.comment_bytes)
            if (match := BEGIN.search(data)) is not None:
                yield self.unpacked(place_of("comment"), io.BytesIO(data[match.start() :]))

    def _between(self, source: RandomAccess, before: Entry, end: int, place_of: Names) -> Iterator[Evidence | Issue]:
        """Files that stand between two that the directory names, and that it does not: taken out of it, or hidden."""
        found = local_entry(source, before.offset)
        start = before.likely_end if found is None else found[1] + before.packed_bytes
        start += next((size for size in (0, 12, 16, 20, 24) if source.read_at(start + size, 4) == LOCAL_HEADER), end)
        if found is None or start >= end:
            return
        try:
            yield from self._salvage(Shared(cast(IO[bytes], Window(source, start, end - start))), place_of, "")
        except EvidenceError as error:
            raise_if_machine(error)
            says = f"files that its directory does not name stand from byte {start:,} on; they are given too"
            yield Issue(self.outer.locator, "walk", "unsupported", says, "files that no directory of a ZIP names")

    def _note(self, index: phones.Index, entry: Entry, source: RandomAccess, keys: _Keys) -> None:
        """What a report or manifest in the archive says of what else is in it."""
        before = entry.name.rpartition("/")[0]
        about = self._file(entry.name, entry, source, keys.of(entry) if entry.encrypted else None)
        for told in phones.told_in(access(about.open(), self.options.limits), self.options):
            index.add(replace(told, local=f"{before}/{told.local}".lstrip("/")))

    def _file(self, at: str, entry: Entry, source: RandomAccess, password: bytes | None) -> Evidence:
        limit = self.options.limits.max_member_bytes

        def open_it() -> BinaryIO:
            if entry.in_a_worker:
                return self._by_worker(entry, source)
            try:
                stream = entry.open(source, password)
            except Exception as error:
                raise OSError(one_line(error)) from error
            return cast(BinaryIO, Unpacked(stream, limit))

        return self.entry(at, entry.size_bytes, open_it, entry.modified)

    def _by_worker(self, entry: Entry, source: RandomAccess) -> BinaryIO:
        """What libraries unpack that are kept out of this process; OSError where it is damaged."""
        settings = Settings(self.options.frames_per_minute, self.options.limits)
        packed, how = Shared(cast(IO[bytes], entry.packed(source))), f"{entry.method}+{entry.size_bytes}+{entry.crc}"
        try:
            for found in parse.extract("zipped", packed, settings, how):
                if isinstance(found, Found):
                    found.content.seek(0)
                    return cast(BinaryIO, found.content)
        except EvidenceError as error:
            if error.kind == "broken_archive":
                raise OSError(str(error)) from error
            raise
        raise OSError("nothing of it can be unpacked")

    def _salvage(self, source: RandomAccess, place_of: Names, reason: str) -> Iterator[Evidence | Issue]:
        """What the local headers of an archive without a readable directory still give."""
        offset, keys = 0, _Keys(source, self.options.passwords)
        while (offset := self._next(source, offset)) >= 0 and (found := local_entry(source, offset)):
            entry, offset = found
            if entry.is_folder:
                continue
            at = place_of(entry.name)
            as_ever = entry.encrypted or entry.method not in (_STORED, _DEFLATED)
            if as_ever and entry.packed_bytes and entry.unsupported is None:  # its size does not follow it
                try:
                    yield self._file(at, entry, source, keys.of(entry) if entry.encrypted else None)
                except EvidenceError as error:
                    yield self.failed(at, error)
                offset += entry.packed_bytes
                continue
            if as_ever:
                what = "encrypted" if entry.encrypted else f"packed by method {entry.method}"
                yield self.failed(at, unsupported(f"ZIP member {what}, without a directory", "not unpacked"))
                continue
            if entry.method == _STORED:
                packed = entry.packed_bytes or (self._stored_bytes(source, offset) if entry.described else 0)
                size = max(0, min(packed, source.size - offset, self.options.limits.max_member_bytes))
                kept, used = cast(IO[bytes], Window(source, offset, size)), size
            else:
                kept, used = self._unpack(source, entry, offset)
            offset += used
            if kept.seek(0, 2):
                whole = self._checked(kept, entry, source.read_at(offset, 8))
                yield self.unpacked(at, kept, entry.modified)
                if not whole:
                    says = "its checksum fails, or is missing: what is given of it is cut off, or may be wrong"
                    yield Issue(self.place(at), "walk", UNPROVEN, says, self.name)
            else:
                yield self.issue(at, "broken_archive", "nothing of it can be unpacked")
        raise EvidenceError("broken_archive", f"the archive is damaged ({reason}); what was found of it is kept")

    def _stored_bytes(self, source: RandomAccess, start: int) -> int:
        """How long a stored member is of which that is told behind it alone, if it is; else up to the next, or all."""
        at = start
        while (at := self._next(source, at, _DESCRIPTOR_MAGIC)) >= 0:
            told = source.read_at(at + 8, 8)
            if at - start in (int.from_bytes(told[:4], "little"), int.from_bytes(told, "little")):
                return at - start
            at += 1
        at = self._next(source, start)
        return (source.size if at < 0 else at) - start

    def _unpack(self, source: RandomAccess, entry: Entry, start: int) -> tuple[IO[bytes], int]:
        """What can be inflated from a place on, and how many bytes a whole member took there."""
        limits, kept = self.options.limits, Spool(self.options.limits)
        inflate, used = zlib.decompressobj(-15), 0
        while not inflate.eof and (block := source.read_at(start + used, 1 << 16)):
            used += len(block)
            self.budget.check()
            try:
                kept.write(inflate.decompress(block))
            except zlib.error:
                break
            size = kept.tell()
            if size > limits.max_member_bytes or (size > limits.ratio_from_bytes and size > limits.max_ratio * used):
                break
        return cast(IO[bytes], kept), used - len(inflate.unused_data) if inflate.eof else 0

    def _checked(self, kept: IO[bytes], entry: Entry, behind: bytes) -> bool:
        """Has what was unpacked the checksum of its header, or of the descriptor ``behind`` it?"""
        checksum, told = 0, entry.crc
        kept.seek(0)
        while block := kept.read(BLOCK_BYTES):
            self.budget.check()
            checksum = zlib.crc32(block, checksum)
        if entry.described:
            told = int.from_bytes(behind[4:8] if behind.startswith(_DESCRIPTOR_MAGIC) else behind[:4], "little")
        return checksum == told

    def _next(self, source: RandomAccess, start: int, magic: bytes = LOCAL_HEADER) -> int:
        """The next place of a local header, or of another ``magic``, at or after ``start``, or -1."""
        while block := source.read_at(start, BLOCK_BYTES):
            self.budget.check()
            at = block.find(magic)
            if at >= 0:
                return start + at
            if len(block) < BLOCK_BYTES:
                break
            start += len(block) - len(magic) + 1
        return -1


class _Keys:
    """Which password opens which encrypted entry of one archive."""

    def __init__(self, source: RandomAccess, passwords: tuple[str, ...]) -> None:
        self._source, self._given = source, len(passwords)
        self._left: list[bytes] = []
        """In the order in which they are tried: the one that opened an entry last comes first."""
        for password in passwords:
            self._left.append(password.encode("utf-8", "surrogateescape"))
            for letters in () if password.isascii() else ("cp1252", "cp437"):  # as programs of Windows pack
                if (raw := password.encode(letters, "ignore")).decode(letters) == password:
                    self._left.append(raw)
        self._proven: set[bytes] = set()

    def of(self, entry: Entry) -> bytes:
        """The password of an entry. Raises EvidenceError of kind ``password``."""
        if entry.aes is not None and self._left and self._left[0] in self._proven and self._opens(entry, self._left[0]):
            return self._left[0]
        # One byte in 256 of a wrong password passes: where that leaves a choice, the CRC decides.
        likely = [password for password in self._left if self._opens(entry, password)]
        for password in likely:
            if (len(likely) == 1 and password in self._proven) or self._opens(entry, password, whole=True):
                self._proven.add(password)
                self._left.remove(password)
                self._left.insert(0, password)
                return password
        raise locked(self._given)

    def _opens(self, entry: Entry, password: bytes, *, whole: bool = False) -> bool:
        try:
            with entry.open(self._source, password) as stream:
                while whole and stream.read(BLOCK_BYTES):
                    pass
        except ImgmatchError:
            raise
        except Exception:  # noqa: BLE001  (a wrong password shows as any kind of damage)
            return False
        return True


def _is_own_part(entry: Entry, source: RandomAccess) -> bool:
    """Of a document: is it what makes the document (its text, its styles), and nothing in it that carries pictures?"""
    if entry.encrypted or _PICTURE.search(entry.name):
        return False
    if entry.name in _OWN:
        return True
    try:
        with entry.open(source) as stream:
            text = read(cast(BinaryIO, stream), _MOST_MARKUP)
    except Exception as error:  # noqa: BLE001  (opening it again says why)
        raise_if_machine(error)
        return False
    text = text.replace(b"\0", b"") if b"\0" in text[:64] else text
    head = text[:64].lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    if not head.startswith(b"<?xml") and not (head.startswith(b"<") and _MARKUP.search(entry.name)):
        return False
    return len(text) < _MOST_MARKUP and not carried.in_this_text(text)
