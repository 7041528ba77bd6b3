"""XFS and APFS, by libfsxfs and libfsapfs (extra ``forensic``), and UDF, in a process of their own.

Deleted files are not looked for in XFS and APFS: XFS clears where they lay, APFS keeps no list of what it let go of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, ClassVar, cast

from imgmatch import times
from imgmatch.errors import EvidenceError, over, unsupported
from imgmatch.evidence.formats import partition_tables
from imgmatch.evidence.formats.boot_sectors import where_it_can
from imgmatch.evidence.formats.carve import Carvable, carve
from imgmatch.evidence.formats.partitions import gaps
from imgmatch.evidence.formats.unlocking import unlock
from imgmatch.evidence.look import Look
from imgmatch.parsers.volumes import trees, udf
from imgmatch.streams import DamagedError, Window, damage_of, one_line
from imgmatch.types import Evidence, Issue
from imgmatch.workers import session

_MAX_PATH_DEPTH = 1_000
_STEP = 1024
# No file system keeps a folder in less.
_LEAST_FOLDER_BYTES = 64
_SECTOR = 2048
_UDF_AT, _UDF_STEPS, _MOST_UDF = 32768, (2048, 4096), 16


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder to go into, and those that it lies in."""

    volume: int
    inode: int
    path: str
    above: frozenset[int]
    gone: bool = False


class Tree(Carvable):
    """A file system whose files are told by folder."""

    kinds: ClassVar[tuple[str, ...]] = ("fs", "carved")
    holds_zeros = True
    hashed_up_to_bytes: ClassVar[int | None] = None
    parser: ClassVar[type[trees.Tree] | type[udf.Udf]]
    tells_deleted: ClassVar[bool] = False

    def root(self, number: int, volume: dict[str, Any]) -> str:
        """What stands before the paths in a volume."""
        return ""

    def is_known(self, volume: int, inode: int) -> bool:
        """Was a file found in another way already?"""
        return False

    def members(self) -> Iterator[Evidence | Issue]:
        """Files in the order of folders as they lie; with ``carve``, what lies in no file."""
        source = self.access()
        self._system = self._session([])
        try:
            about = self._system.call("about")
        except (OSError, RuntimeError) as error:
            if self.options.carve:
                yield from carve(self, source, [(0, source.size)])
            raise EvidenceError("broken_image", f"the {self.name} can't be read: {one_line(error)}") from error
        if about["unsupported"]:
            raise unsupported(about["unsupported"], "it is not read")
        if (missing := about["size"] - source.size) > 0:
            says = f"the image ends {missing:,} bytes before the file system does: what lies there is missing"
            yield self.issue("/$image", "broken_image", says)
        self._folders_left = 64 + source.size // _LEAST_FOLDER_BYTES
        owned: list[tuple[int, int]] = []
        refused = self._unlock(about["volumes"])
        for number, volume in enumerate(self._system.call("about")["volumes"]):
            top = self.root(number, volume)
            if number in refused:
                yield self.failed(top or "/", refused[number])
            else:
                yield from self._walk_from(_Folder(number, volume["root"], top, frozenset()), owned)
        if self.options.deleted and not self.tells_deleted:
            yield self.failed("/$deleted", unsupported(f"deleted files of {self.name}", "they are not looked for"))
        if self.options.carve:
            yield from carve(self, source, gaps(owned, source.size))

    def _session(self, opened: list[tuple[int, int]]) -> session.Session:
        passwords = list(self.options.passwords)
        return session.Session(self.parser, [self.access()], self.outer, self.options.limits, passwords, opened)

    def _unlock(self, volumes: list[dict[str, Any]]) -> dict[int, EvidenceError]:
        """Open what is locked; what can't be, by its number, and why."""
        opened: list[tuple[int, int]] = []
        refused: dict[int, EvidenceError] = {}
        for number, volume in enumerate(volumes):
            if volume["locked"]:
                try:
                    opened.append((number, unlock(self._system, self.options, f"{self.name} volume", number)))
                except EvidenceError as error:
                    refused[number] = error
        if opened:  # once more, so that any process opens what it is asked for
            self._system.close()
            self._system = self._session(opened)
        return refused

    def _walk_from(self, top: _Folder, owned: list[tuple[int, int]]) -> Iterator[Evidence | Issue]:
        levels = [self._folder(top)]
        files: list[int] = []
        while levels:
            found = next(levels[-1], None)
            if found is None:
                levels.pop()
            elif isinstance(found, _Folder):
                levels.append(self._folder(found))
            elif isinstance(found, int):
                files.append(found)
            else:
                yield found
        if self.options.carve:
            for at in range(0, len(files), _STEP):
                try:
                    owned.extend(self._system.call("owned", top.volume, files[at : at + _STEP]))
                except (OSError, RuntimeError, session.LostError) as error:
                    says = f"where its files lie can't be told, and counts as free: {one_line(error)}"
                    yield self.issue(f"{top.path}/$owned@{at}", "broken_image", says, "carved")

    def _folder(self, folder: _Folder) -> Iterator[Evidence | Issue | _Folder | int]:
        """What is in a folder; folders in it where they stand, and the inodes of files beside the files."""
        self._folders_left -= 1
        if self._folders_left < 0:
            raise EvidenceError("broken_image", "its folders lead into each other without end; the rest is left")
        volume, inode, above = folder.volume, folder.inode, folder.above | {folder.inode}
        kind = "deleted" if folder.gone else None
        top = folder.path or "/"
        try:
            entries: Sequence[dict[str, Any]] = self._system.call("folder", volume, inode)
        except (OSError, RuntimeError) as error:
            says = f"the folder can't be listed: {one_line(error)}"
            yield self.issue(top, "unreadable_folder", says, kind)
            return
        except session.LostError as error:
            yield self.issue(top, error.kind, f"the folder can't be listed: {error}", kind, error.what)
            if self._system.given_up is not None:
                raise self._system.given_up from error
            return
        for entry in entries:
            gone = folder.gone or entry["gone"]
            if gone and not self.options.deleted:
                continue
            kind = "deleted" if gone else None
            where = f"{folder.path}/{entry['name']}" + (f"@{entry['inode']}" if entry["gone"] else "")
            if entry["gone"] and entry["fault"] is not None:
                yield self.issue(where, "lost", "deleted; nothing but its name is left", kind)
            elif entry["fault"] is not None:
                yield self.issue(where, "broken_image", f"it can't be read: {entry['fault']}", kind)
            elif entry["folder"] and entry["inode"] in above:
                says = "the folder leads back to one that it lies in; not opened"
                yield self.issue(where, "broken_image", says, kind)
            elif entry["folder"] and len(above) > _MAX_PATH_DEPTH:
                says = f"lies deeper than {_MAX_PATH_DEPTH:,} folders; not opened"
                yield self.failed(where, over("folders in folders", says), kind)
            elif entry["folder"]:
                yield _Folder(volume, entry["inode"], where, above, gone)
            elif entry["file"]:
                yield entry["inode"]
                if self.is_known(volume, entry["inode"]):
                    continue
                when = (times.utc if entry["zoned"] else times.unzoned)(entry["modified"])
                yield self._file((volume, entry["inode"], None), where, entry["size"], when, kind)
                for name, size in entry["streams"]:
                    yield self._file((volume, entry["inode"], name), f"{where}:{name}", size, when, kind)

    def _file(
        self, which: tuple[int, int, str | None], at: str, size: int, when: str | None, kind: str | None
    ) -> Evidence:
        """A file of a volume, by its inode, or what is kept with it by a name."""

        def opened() -> BinaryIO:
            about = ("inode", *which[:2])
            told = self._system.call("size", *which, about=[about])
            reading = session.Reading(self._system, told, *which, about=about)
            return cast(BinaryIO, Window(_Content(reading)))

        return self.entry(at, size, opened, when, kind)


class _Content:
    """Bytes of a file: what its reader does not give, or can't prove, is damaged."""

    def __init__(self, reading: session.Reading) -> None:
        self._reading, self.size = reading, reading.size

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``offset``."""
        size = min(size, self.size - offset)
        try:
            data = self._reading.read_at(offset, size)
        except (OSError, RuntimeError) as error:
            if damage_of(error) is not None or isinstance(error.__cause__, OSError):
                raise
            raise DamagedError(offset, size, one_line(error)) from error
        if len(data) < size:
            raise DamagedError(offset + len(data), size - len(data), "its reader gives less")
        return data


class Udf(Tree):
    """UDF, as DVDs, Blu-rays and some cameras and USB sticks have it."""

    name = "UDF file system"
    kinds = ("udf", "deleted", "carved")
    parser = udf.Udf
    tells_deleted = True
    known: frozenset[tuple[int, int]] = frozenset()
    """First sector and number of sectors of files that another file system of the disc names."""

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """By its descriptors; not where they are left of what stood there before a disk was partitioned."""
        return is_udf(where_it_can(look.at)) and not _is_partitioned(look.head)

    def is_known(self, volume: int, inode: int) -> bool:
        """Does it lie in the very sectors of such a file?"""
        if not self.known:
            return False
        try:
            runs = _joined(self._system.call("owned", volume, [inode], about=[("inode", volume, inode)]))
        except (OSError, RuntimeError, EvidenceError):  # it is told again when the file is read
            return False
        return len(runs) == 1 and (runs[0][0] // _SECTOR, -(-runs[0][1] // _SECTOR)) in self.known


class Xfs(Tree):
    """XFS, as Linux servers and network storage have it."""

    name = "XFS file system"
    magic = (b"XFSB",)
    needs = "pyfsxfs", "forensic"
    parser = trees.Xfs


class Apfs(Tree):
    """APFS, as Apple's computers and telephones have it: volumes by their number and name."""

    name = "APFS container"
    needs = "pyfsapfs", "forensic"
    parser = trees.Apfs

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """By the magic of the container's superblock, at a place of its own."""
        return look.head[32:36] == b"NXSB"

    def root(self, number: int, volume: dict[str, Any]) -> str:
        """Its number and name."""
        return f"/{number + 1}-{volume['name'].replace('/', ':')}"


def is_udf(at: Callable[[int, int], bytes]) -> bool:
    """Do the descriptors behind 32 KiB, one in each sector, tell of UDF (ECMA-167, 2/9.1)?"""
    if at(_UDF_AT, 7)[1:6] not in (b"BEA01", b"CD001", b"BOOT2"):
        return False
    names = {at(_UDF_AT + step * number + 1, 5) for step in _UDF_STEPS for number in range(_MOST_UDF)}
    return not names.isdisjoint({b"NSR02", b"NSR03"})


def _is_partitioned(head: bytes) -> bool:
    """Does a table of partitions leave UDF to one of them? A disc that also boots names itself as one."""
    return partition_tables.is_mbr(head) and not partition_tables.names_itself(head)


def _joined(runs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Those that follow one another as one."""
    found: list[tuple[int, int]] = []
    for start, length in runs:
        if found and sum(found[-1]) == start:
            found[-1] = (found[-1][0], found[-1][1] + length)
        else:
            found.append((start, length))
    return found
