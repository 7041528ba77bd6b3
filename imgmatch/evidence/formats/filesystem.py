"""File systems, FAT, exFAT, NTFS, ext2/3/4, HFS+ or ISO 9660, by The Sleuth Kit (pytsk3, extra ``forensic``).

The Sleuth Kit runs in a process of its own (``imgmatch.parsers.tsk``): a folder, an inode or a file that kills it or
holds it up costs one issue."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, ClassVar, cast

from imgmatch import times
from imgmatch.errors import EvidenceError, SourceDiskError, over, unsupported
from imgmatch.evidence.formats import boot_sectors
from imgmatch.evidence.formats.boot_sectors import where_it_can
from imgmatch.evidence.formats.carve import Carvable, carve
from imgmatch.evidence.formats.partitions import bytes_at, gaps, may_be_disk
from imgmatch.evidence.look import Look
from imgmatch.parsers import tsk
from imgmatch.streams import DamagedError, RandomAccess, Window, damage_of, one_line
from imgmatch.types import Evidence, Issue
from imgmatch.workers import session

_MAX_PATH_DEPTH = 1_000
# Inodes that are looked at, and entries of a folder that are listed, by one question.
_STEP = 1024
_PAGE = 4096
# Of FAT all free space is looked through for folders' entries, by one question.
_SCANNED_BYTES_A_SECOND = 20 << 20
# No file system keeps a file's record, or a folder, in less. Damaged ones claim numbers of them that take years.
_LEAST_RECORD_BYTES = 128
_LEAST_FOLDER_BYTES = 32


class FileSystem(Carvable):
    """Files of one file system: live ones by path, deleted ones that it still names as ``deleted:path@inode``."""

    name = "file system"
    holds_zeros = True
    kinds: ClassVar[tuple[str, ...]] = ("fs", "deleted", "carved")
    hashed_up_to_bytes: ClassVar[int | None] = None
    needs = "pytsk3", "forensic"

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """By the magic of its boot sector or superblock."""
        return boot_sectors.intact(look.head, where_it_can(look.at)) is not None

    def members(self) -> Iterator[Evidence | Issue]:
        """Files in the order of folders as they lie, then deleted ones that no folder names any more, then carved."""
        source = self.access()
        system = boot_sectors.found(bytes_at(source), source.size)
        family = None if system is None else system.family
        if system is not None and system.mended:
            source = boot_sectors.Patched(source, system.mended)
        if system is not None and system.damage is not None:
            yield self.issue("/$boot", "broken_image", system.damage)
        if system is not None and (beside := boot_sectors.beside(system, bytes_at(source), source.size)):
            yield self.failed("/$beside", beside)
        self._system = session.Session(tsk.FileSystem, [source], self.outer, self.options.limits, family)
        try:
            about = self._system.call("about")
        except OSError as error:
            if self.options.carve:
                yield from carve(self, source, [(0, source.size)])
            if (name := _beyond_tsk(source)) is not None:
                raise unsupported(name, "it is not read") from error
            raise EvidenceError("broken_image", f"the file system can't be read: {one_line(error)}") from error
        # FAT's "inodes" are every 32 bytes that might be a folder's entry: TSK looks through them itself, by folder.
        self._slots: bool = about["slots"]  # exFAT too
        self._ext: bool = about["ext"]
        self._told: set[int] = set()  # inodes that there is an issue of
        self._first_inode, self._last_inode = about["inodes"]
        self._size = source.size
        missing = (about["blocks"][1] + 1) * about["block_bytes"] - source.size
        self._is_cut = missing >= about["block_bytes"]
        if self._is_cut:
            says = f"the image ends {missing:,} bytes before the file system does: what lies there is missing"
            yield Issue(self.outer.locator, "walk", "broken_image", says)
        self._folders_left = 64 + source.size // _LEAST_FOLDER_BYTES
        seen: set[int] = set()
        levels = [self._folder(_Folder(about["root"], "", False, frozenset()), seen)]
        while levels:
            found = next(levels[-1], None)
            if found is None:
                levels.pop()
            elif isinstance(found, _Folder):
                levels.append(self._folder(found, seen))
            else:
                yield found
        if self.options.deleted and not self._slots:
            yield from self._orphans(seen)
        if self.options.carve:
            owned: list[tuple[int, int]] = []
            yield from self._owned(seen, owned)
            first, last = about["blocks"]
            last = min(last, self._size // about["block_bytes"])
            block, before = about["block_bytes"], [(0, first)]
            used = [(start * block, count * block) for start, count in before + owned]
            yield from carve(self, source, gaps(used, (last + 1) * block))

    def _folder(self, folder: _Folder, seen: set[int]) -> Iterator[Evidence | Issue | _Folder]:
        """What is in a folder; folders in it where they stand, to be gone into."""
        inode, path, deleted, above = folder.inode, folder.path, folder.deleted, folder.above
        self._folders_left -= 1
        if self._folders_left < 0:
            raise EvidenceError("broken_image", "its folders lead into each other without end; the rest is left")
        at, kind = (f"{path or '/'}@{inode}", "deleted") if deleted else (path or "/", None)
        for entry in self._entries(inode, path, at, kind):
            if isinstance(entry, Issue):
                yield entry
                continue
            meta = entry["meta"]
            where = f"{path}/{entry['name']}"
            gone = deleted or entry["gone"]
            if gone and not self.options.deleted:
                continue
            if meta is None:
                if gone and entry["named_file"]:
                    yield self.issue(f"{where}@{entry['names']}", "lost", "deleted; nothing but its name is left",
                                     "deleted")  # fmt: skip
                continue
            if meta["folder"]:
                scanned = where.startswith("/$OrphanFiles") and not self._slots  # by _orphans
                if scanned or (gone and meta["inode"] in above):  # given to one that it lies in since
                    continue
                if meta["inode"] in above:
                    yield self.issue(where, "broken_image", "the folder leads back to one that it lies in; not opened")
                elif len(above) >= _MAX_PATH_DEPTH:
                    says = f"lies deeper than {_MAX_PATH_DEPTH:,} folders; not opened"
                    yield self.failed(f"{where}@{meta['inode']}" if gone else where, over("folders in folders", says),
                                      "deleted" if gone else None)  # fmt: skip
                else:
                    yield _Folder(meta["inode"], where, gone, above | {inode})
            elif meta["file"] and not self._own(where):
                # A deleted name whose inode was given to another file since says nothing of that file's content.
                if gone and not deleted and meta["allocated"]:
                    continue
                yield from self._file(meta, where, gone, seen)

    def _entries(self, inode: int, path: str, at: str, kind: str | None) -> Iterator[dict[str, Any] | Issue]:
        """Entries of a folder, some at a time, and what is wrong with it."""
        scan_seconds = self._size / _SCANNED_BYTES_A_SECOND if self._slots and path == "/$OrphanFiles" else 0
        told: set[int] = set()
        for start in itertools.count(0, _PAGE):
            try:
                page = self._system.call("folder", inode, start, _PAGE, extra_seconds=scan_seconds)
            except OSError as error:
                yield self.issue(at, "unreadable_folder", f"the folder can't be listed: {one_line(error)}", kind)
                return
            except SourceDiskError as error:
                yield self.failed(at, error, kind)
                return
            except session.LostError as error:
                yield from self._rescued(error, (inode, start), path, at, kind, told)
                return
            for entry in filter(None, page):
                if self._ext:
                    told.add(hash(entry["name"]))
                yield entry
            if len(page) < _PAGE:
                return

    def _rescued(
        self,
        error: session.LostError,
        place: tuple[int, int],
        path: str,
        at: str,
        kind: str | None,
        told: set[int],
    ) -> Iterator[dict[str, Any] | Issue]:
        """Entries of a folder whose listing was deadly at a place, without the one that it was: ext's by their names
        alone, each looked at by itself, if it was not ``told`` before; of other file systems those that come before."""
        inode = place[0]
        names: list[tuple[str, int]] = []
        entries: list[dict[str, Any] | None] = []
        try:
            if self._ext:
                listed = self._system.call("ext_names", inode, about=[("names", inode)])
                names = [(name, number) for name, number in listed if hash(name) not in told]
            elif error.ticks:
                entries = self._system.call("folder", *place, error.ticks)
        except (OSError, session.LostError):
            pass
        if not (self._ext and names):
            yield from self._lost(at, "the folder can't be listed further", error, kind, inode)
            yield from filter(None, entries)
            return
        metas: dict[int, Any] = {}
        lost: dict[int, session.LostError] = {}
        for answer in self._step_by_step("metas", (number for _, number in names)):
            if isinstance(answer, _Lost):
                lost[answer.inode] = answer.error
            else:
                metas.update(answer)
        for name, number in names:
            if number in lost:
                where = f"{path}/{name}@{number}" if kind else f"{path}/{name}"
                yield from self._lost(where, "it can't be read", lost[number], kind, number)
        if not lost:  # an entry that was deleted, or the listing itself
            yield from self._lost(at, "its deleted entries can't be listed", error, kind, inode)
        yield from ({"name": n, "gone": False, "meta": metas[number]} for n, number in names if number in metas)

    def _lost(self, at: str, what: str, error: session.LostError, kind: str | None, inode: int) -> Iterator[Issue]:
        """The issue of what its reader died of, once. Raises EvidenceError when that was once too often."""
        if inode not in self._told:
            self._told.add(inode)
            yield self.issue(at, error.kind, f"{what}: {error}", kind, error.what)
        if self._system.given_up is not None:
            raise self._system.given_up

    def _own(self, path: str) -> bool:
        """Is it the file system's own book-keeping (as TSK shows it: $MBR, $FAT1, NTFS's $MFT)?"""
        name = path.rsplit("/", 1)[-1]
        return path.startswith("/$") and (path.count("/") == 1 or path.startswith("/$Extend/")) and "." not in name

    def _file(self, meta: dict[str, Any], where: str, gone: bool, seen: set[int]) -> Iterator[Evidence | Issue]:
        kind = "deleted" if gone else None
        inode, size = meta["inode"], meta["size"]
        if gone and inode in seen:  # renamed before it was deleted, or listed twice
            return
        seen.add(inode)
        at = f"{where}@{inode}" if gone else where
        # FAT writes down the time of a clock whose zone it does not know; its reader takes it for UTC.
        when = times.unzoned(meta["modified"]) if self._slots else times.utc(meta["modified"])
        if gone and size == 0:
            yield self.issue(at, "lost", "deleted; the file system no longer says where its content lies", kind)
            return
        if meta["kept"]:
            yield self.failed(at, unsupported(f"file {meta['kept']}", "not read"), kind)
        else:
            yield self.entry(at, size, lambda: self._open(inode), when, kind)
        for name, length, number in meta["streams"]:
            yield self.entry(f"{at}:{name}", length, lambda n=number: self._open(inode, n), when, kind)  # type: ignore[misc]

    def _open(self, inode: int, attribute: int | None = None) -> BinaryIO:
        about = ("inode", inode)
        size = self._system.call("size", inode, attribute, about=[about])
        reading = session.Reading(self._system, size, inode, attribute, about=about)
        return cast(BinaryIO, Window(_OfACutImage(reading) if self._is_cut else reading))

    def _orphans(self, seen: set[int]) -> Iterator[Evidence | Issue]:
        """Deleted files whose inode is left where no folder names them."""
        for answer in self._step_by_step("orphans", (inode for inode in self._inodes() if inode not in seen)):
            if isinstance(answer, _Lost):
                yield from self._lost(
                    f"/$orphan@{answer.inode}", "the inode can't be read", answer.error, "deleted", answer.inode
                )
                continue
            for meta in answer:
                yield from self._file(meta, "/$orphan", True, seen)
        claimed, held = self._last_inode, self._inodes().stop - 1
        if claimed > held:
            yield self.issue(
                "/$orphan",
                "broken_image",
                f"says it has {claimed:,} inodes, more than fit in it; looked through {held:,}",
                "deleted",
            )

    def _inodes(self) -> range:
        """Numbers of the inodes that there can be."""
        first, last = self._first_inode, self._last_inode
        return range(first, min(last, first + self._size // _LEAST_RECORD_BYTES) + 1)

    def _owned(self, seen: set[int], owned: list[tuple[int, int]]) -> Iterator[Issue]:
        """Fills ``owned`` with the runs of blocks, first and number, that belong to a file."""
        for answer in self._step_by_step("owned", sorted(seen) if self._slots else self._inodes()):
            if not isinstance(answer, _Lost):
                owned.extend((first, count) for first, count in answer)
            elif answer.inode not in seen:  # whose content could not be read
                place = f"/$inode@{answer.inode}"
                yield from self._lost(place, "its blocks count as free", answer.error, "carved", answer.inode)

    def _step_by_step(self, question: str, inodes: Iterable[int]) -> Iterator[Any]:
        """Answers to a question about inodes, many at a time; of an inode that it was deadly to ask about, _Lost."""
        left = iter(inodes)
        while step := list(itertools.islice(left, _STEP)):
            while step:
                try:
                    yield self._system.call(question, step, about=[("inode", inode) for inode in step])
                    break
                except session.LostError as error:
                    if error.done:  # whose answers went with the process
                        yield from self._step_by_step(question, step[: error.done])
                    yield _Lost(step[error.done], error)
                    step = step[error.done + 1 :]


def _beyond_tsk(source: RandomAccess) -> str | None:
    """What an ext file system is called that has what The Sleuth Kit does not know (fs/ext4/ext4.h of Linux)."""
    head = source.read_at(1024, 1024).ljust(1024, b"\0")
    incompatible, read_only = struct.unpack_from("<II", head, 0x60)
    if head[0x38:0x3A] != b"\x53\xef":
        return None
    known = {"bigalloc": read_only & 0x200, "journal device": incompatible & 8, "compression": incompatible & 1}
    found = [name for name, there in known.items() if there]
    return f"ext file system with {', '.join(found)}" if found else None


class _OfACutImage:
    """Content of a file in an image that was cut off: what can't be read of it is missing."""

    def __init__(self, reading: session.Reading) -> None:
        self._reading = reading
        self.size = reading.size

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``offset``."""
        try:
            return self._reading.read_at(offset, size)
        except (OSError, RuntimeError) as error:
            if damage_of(error) is not None or isinstance(error.__cause__, OSError):
                raise
            raise DamagedError(offset, size, "the image ends before it") from error


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder to go into; ``above``: inodes of those that it lies in."""

    inode: int
    path: str
    deleted: bool
    above: frozenset[int]


@dataclass(frozen=True, slots=True)
class _Lost:
    inode: int
    error: session.LostError


class DamagedFileSystem(FileSystem):
    """One whose boot sector or superblock is damaged, read by the copy that it keeps."""

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """By such a copy, or by what is left."""
        return may_be_disk(look) and boot_sectors.damaged(where_it_can(look.at), look.evidence.size_bytes) is not None
