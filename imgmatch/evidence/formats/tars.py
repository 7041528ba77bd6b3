"""tar archives (POSIX.1-2001 pax, GNU, old), read forwards once, so that a packed one is never laid out on disk."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator

from imgmatch.errors import EvidenceError
from imgmatch.evidence.container import Container
from imgmatch.evidence.files import utc
from imgmatch.evidence.look import Look
from imgmatch.locator import Names
from imgmatch.streams import Shared, Window, one_line, spool
from imgmatch.types import Evidence, Issue


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
        """Every plain file. What a damaged archive holds after the damage is an Issue of the archive."""
        stream = self.outer.open()
        source = Shared(stream) if isinstance(stream, Window) or stream.seekable() else None
        try:
            archive = (
                tarfile.open(fileobj=stream, mode="r|", errorlevel=2)  # noqa: SIM115
                if source is None
                else tarfile.open(fileobj=Window(source), mode="r:", errorlevel=2)  # noqa: SIM115
            )
            place_of = Names()
            for member in archive:
                if not (member.isreg() or member.islnk()):
                    continue
                at = place_of(member.name)
                when = utc(member.mtime)
                if member.islnk():
                    if source is None:
                        yield self.issue(at, "link", f"a hard link to {member.linkname!r}, which is read there")
                        continue
                    target = archive._find_link_target(member)  # type: ignore[attr-defined]
                    yield self.extent(at, source, target.offset_data, target.size, when)
                elif source is not None and not member.issparse():
                    yield self.extent(at, source, member.offset_data, member.size, when)
                else:
                    content = archive.extractfile(member)
                    assert content is not None  # a plain file
                    yield self.unpacked(at, spool(content, self.options.limits), when)
        except (tarfile.TarError, EOFError, OSError, KeyError, ValueError) as error:
            raise EvidenceError(
                "broken_archive", f"the archive is damaged ({one_line(error)}); what came before it is kept"
            ) from error
