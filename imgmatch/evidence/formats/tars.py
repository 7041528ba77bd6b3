"""tar archives (POSIX.1-2001 pax, GNU, old), read forwards once, so that a packed one is never laid out on disk."""

from __future__ import annotations

import posixpath
import tarfile
from collections.abc import Iterator
from typing import IO, Any, Self, cast

from imgmatch import times
from imgmatch.errors import EvidenceError
from imgmatch.evidence.container import Container
from imgmatch.evidence.look import Look
from imgmatch.locator import Names
from imgmatch.streams import BLOCK_BYTES, RandomAccess, Shared, Window, one_line, spool
from imgmatch.types import Evidence, Issue

_ERRORS: Any = tarfile  # those of a header are not in its stubs


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
        extents: dict[str, tuple[int, int]] = {}
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
            raise EvidenceError(
                "broken_archive", f"the archive is damaged ({one_line(error)}); what was found of it is kept"
            ) from error

    def _file(
        self, archive: _Archive, member: tarfile.TarInfo, at: str, extents: dict[str, tuple[int, int]]
    ) -> Evidence | Issue:
        """A member; ``extents``: where content lies, by the name that a link would give."""
        source, when, name = archive.source, times.utc(member.mtime), posixpath.normpath(member.name)
        extent = member.offset_data, member.size
        if member.islnk():
            target = posixpath.normpath(member.linkname)
            if source is None or target not in extents:
                where = "read there" if target in extents else "not in this archive"
                return self.issue(at, "link", f"a hard link to {member.linkname!r}, which is {where}")
            extent = extents[target]
        extents[name] = extent
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
    """A header that tells its archive where there is none."""

    @classmethod
    def fromtarfile(cls, archive: Any) -> Self:
        """The next one."""
        try:
            return super().fromtarfile(archive)
        except _ERRORS.EOFHeaderError:
            archive.pass_zeros()
            raise
        except (_ERRORS.InvalidHeaderError, _ERRORS.TruncatedHeaderError) as error:
            archive.damage = archive.damage or f"byte {archive.offset:,}: {one_line(error)}"
            raise
