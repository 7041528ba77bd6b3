"""tar archives (POSIX.1-2001 pax, GNU, old), read forwards once, so that a packed one is never laid out on disk."""

from __future__ import annotations

import hashlib
import posixpath
import tarfile
from collections.abc import Iterator
from typing import IO, Any, Self, cast

from imgmatch import times
from imgmatch.errors import UNPROVEN, EvidenceError, raise_if_machine
from imgmatch.evidence.container import Container
from imgmatch.evidence.look import Look
from imgmatch.locator import Names
from imgmatch.streams import BLOCK_BYTES, RandomAccess, Shared, Window, one_line, spool
from imgmatch.types import Evidence, Issue

_ERRORS: Any = tarfile  # those of a header are not in its stubs
# Of what stands before a file: its name, its attributes and where the pieces of a sparse one lie.
_MOST_HEADER_BYTES = 1 << 20
_MOST_HEADERS = 8
_MOST_PIECES = 100_000
# Files that a hard link behind them can be followed to.
_MOST_TARGETS = 200_000
_BEFORE_A_FILE = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE, b"X")


class Tar(Container):
    """Plain files in the order of the archive; a hard link is one more place of what it links to."""

    name = "tar archive"
    kinds = ("tar",)

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """By the magic that POSIX and GNU tar write, or an old header whose checksum is right."""
        head = look.head
        if head[257:262] == b"ustar":
            return True
        try:
            written = int(head[148:156].split(b"\0")[0].strip() or b"x", 8)
        except ValueError:
            return False
        return len(head) >= 512 and head[0] != 0 and sum(head[:148]) + 8 * 32 + sum(head[156:512]) == written

    def members(self) -> Iterator[Evidence | Issue]:
        """Every plain file, of archives that follow the first too. What a damaged header leaves out is an Issue of the
        archive, behind all that can be found.
        """
        stream = self.outer.open()
        source = Shared(stream) if isinstance(stream, Window) or stream.seekable() else None
        place_of = Names()
        extents = _Extents()
        try:
            archive = _Archive.open(
                fileobj=stream if source is None else Window(source),
                mode="r|" if source is None else "r:",
                tarinfo=_Header,
                ignore_zeros=True,
            )
            archive.source = source
            while (member := archive.next()) is not None:
                archive.members.clear()  # it would keep them all
                unknown = member.type not in tarfile.SUPPORTED_TYPES and member.size > 0
                if member.isreg() or member.islnk() or unknown:
                    yield self._file(archive, member, place_of(member.name), extents)
            if archive.damage is not None:
                raise tarfile.ReadError(archive.damage)
        except (tarfile.TarError, EOFError, OSError, KeyError, ValueError) as error:
            if source is None and isinstance(error, OSError):
                raise_if_machine(error)
                says = f"what it is packed in is damaged ({one_line(error)})"
                raise EvidenceError(UNPROVEN, f"{says}; what was found of it is kept, but may be wrong") from error
            raise EvidenceError(
                "broken_archive", f"the archive is damaged ({one_line(error)}); what was found of it is kept"
            ) from error

    def _file(self, archive: _Archive, member: tarfile.TarInfo, at: str, extents: _Extents) -> Evidence | Issue:
        """A member; ``extents``: where content lies that a link may lead to."""
        source, when, name = archive.source, times.utc(member.mtime), posixpath.normpath(member.name)
        extent = member.offset_data, member.size
        if member.islnk():
            found = extents.of(posixpath.normpath(member.linkname))
            if source is None or found is None:
                where = "read there" if found else "not in this archive"
                if found is None and extents.full:
                    where = f"not among the first {_MOST_TARGETS:,} files of this archive"
                return self.issue(at, "link", f"a hard link to {member.linkname[:200]!r}, which is {where}")
            extent = found
        extents.keep(name, extent)
        if source is not None and not member.issparse():
            return self.extent(at, source, *extent, when)
        content = archive.extractfile(member)
        assert content is not None  # a plain file
        try:
            return self.unpacked(at, spool(content, self.options.limits), when)
        except EvidenceError as error:
            if source is None:  # nor can anything behind it be reached
                raise
            return self.failed(at, error)


class _Archive(tarfile.TarFile):
    """An archive that is looked through to the end of the file; ``damage`` says what of it made no sense first."""

    members: list[tarfile.TarInfo]
    source: RandomAccess | None = None
    damage: str | None = None
    headers = 0
    """How many headers that stand before a file are being read."""

    def note(self, what: str) -> None:
        """Keep what made no sense, if it is the first."""
        self.damage = self.damage or f"byte {self.offset:,}: {what}"

    def pass_zeros(self) -> None:
        """Go on to the end of a run of zeros, whose first block was just read."""
        if self.source is None:
            return
        at = self.offset
        while len(block := self.source.read_at(at, BLOCK_BYTES)) == BLOCK_BYTES and not any(block):
            at += BLOCK_BYTES
        at += (len(block) - len(block.lstrip(b"\0"))) // tarfile.BLOCKSIZE * tarfile.BLOCKSIZE
        self.offset = max(self.offset, at - tarfile.BLOCKSIZE)
        cast(IO[bytes], self.fileobj).seek(self.offset + tarfile.BLOCKSIZE)


class _Header(tarfile.TarInfo):
    """A header that tells its archive where there is none, and what of one is longer than any that a program writes."""

    @classmethod
    def fromtarfile(cls, archive: Any) -> Self:
        """The next one."""
        try:
            return super().fromtarfile(archive)
        except _ERRORS.EOFHeaderError:
            archive.pass_zeros()
            raise
        except (_ERRORS.InvalidHeaderError, _ERRORS.TruncatedHeaderError) as error:
            archive.note(one_line(error))
            raise

    def _block(self, count: int) -> int:
        if count < 0:  # it would lead back, and round and round
            raise _ERRORS.InvalidHeaderError("a negative size")
        return cast(int, super()._block(count))  # type: ignore[misc]

    def _proc_member(self, archive: Any) -> tarfile.TarInfo:
        if self.type not in _BEFORE_A_FILE:
            return cast(tarfile.TarInfo, super()._proc_member(archive))  # type: ignore[misc]
        if self.size > _MOST_HEADER_BYTES or archive.headers >= _MOST_HEADERS:
            return self._left_out(archive, f"{self.size:,} bytes of names and attributes")
        for key in [key for key in archive.pax_headers if key not in tarfile.PAX_FIELDS and key != "hdrcharset"]:
            del archive.pax_headers[key]  # what stands for all files that follow, and says nothing of them
        archive.headers += 1
        try:
            return cast(tarfile.TarInfo, super()._proc_member(archive))  # type: ignore[misc]
        finally:
            archive.headers -= 1

    def _proc_sparse(self, archive: Any) -> tarfile.TarInfo:
        """As tarfile's, of as many pieces as it is let have."""
        pieces, more, size = self._sparse_structs  # type: ignore[attr-defined]
        del self._sparse_structs  # type: ignore[attr-defined]
        while more and len(block := archive.fileobj.read(tarfile.BLOCKSIZE)) == tarfile.BLOCKSIZE:
            for at in range(0, 21 * 24 if len(pieces) <= _MOST_PIECES else 0, 24):
                offset, length = (_ERRORS.nti(block[place : place + 12]) for place in (at, at + 12))
                if offset and length:
                    pieces.append((offset, length))
            more = bool(block[504])
        if len(pieces) > _MOST_PIECES:
            return self._left_out(archive, f"a sparse file of more than {_MOST_PIECES:,} pieces")
        self.sparse, self.offset_data = cast(Any, pieces), archive.fileobj.tell()
        archive.offset = self.offset_data + self._block(self.size)
        self.size = size
        return self

    def _proc_gnusparse_10(self, following: tarfile.TarInfo, attributes: dict[str, str], archive: Any) -> None:
        """As tarfile's, of as many pieces as it is let have."""
        text = archive.fileobj.read(tarfile.BLOCKSIZE)
        count, _, text = text.partition(b"\n")
        numbers: list[int] = []
        if len(count) > 10 or int(count) > _MOST_PIECES:
            archive.note(f"a sparse file of more than {_MOST_PIECES:,} pieces was passed over")
            following.type, following.size = b"?", 0
            attributes.clear()
            return
        while len(numbers) < 2 * int(count):
            if b"\n" not in text and not (block := archive.fileobj.read(tarfile.BLOCKSIZE)):
                raise _ERRORS.TruncatedHeaderError("a sparse map without an end")
            elif b"\n" not in text:
                text += block
            number, _, text = text.partition(b"\n")
            numbers.append(int(number))
        following.offset_data = archive.fileobj.tell()
        following.sparse = list(zip(numbers[::2], numbers[1::2], strict=True))  # type: ignore[assignment]

    def _left_out(self, archive: Any, what: str) -> tarfile.TarInfo:
        """Nothing, with what it has behind it passed over."""
        archive.note(f"{what} were passed over")
        self.offset_data = archive.fileobj.tell()
        archive.offset = self.offset_data + self._block(self.size)
        self.type, self.size, self.name = b"?", 0, ""
        return self


class _Extents:
    """Where the content of files lies, by a short hash of their names; of the first so many."""

    def __init__(self) -> None:
        self._of: dict[bytes, tuple[int, int]] = {}

    @property
    def full(self) -> bool:
        """Were there more?"""
        return len(self._of) >= _MOST_TARGETS

    def of(self, name: str) -> tuple[int, int] | None:
        """Place and length of a file's content."""
        return self._of.get(_short(name))

    def keep(self, name: str, extent: tuple[int, int]) -> None:
        """Remember one."""
        if not self.full:
            self._of[_short(name)] = extent


def _short(name: str) -> bytes:
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=12).digest()
