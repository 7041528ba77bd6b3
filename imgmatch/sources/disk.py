"""The bytes of a disk: partitions (MBR, GPT) and file systems, by The Sleuth Kit (pytsk3, extra ``forensic``).

TSK keeps state in its handles: every call is made under LOCK."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO, ClassVar, cast

from imgmatch.errors import EvidenceError
from imgmatch.optional import require
from imgmatch.sources.base import Container
from imgmatch.sources.carve import carve
from imgmatch.sources.files import utc
from imgmatch.sources.streams import LOCK, RandomAccess, Window, one_line
from imgmatch.types import Evidence, Issue

_MAX_PATH_DEPTH = 64
_NTFS_DATA = 128
# No file system keeps a file's record, or a folder, in less. Damaged ones claim numbers of them that take years.
_LEAST_RECORD_BYTES = 128
_LEAST_FOLDER_BYTES = 32


def is_partitioned(head: bytes) -> bool:
    """An MBR whose four entries make sense, a protective one included; not the boot sector of a file system."""
    if head[510:512] != b"\x55\xaa" or is_file_system(head):
        return False
    entries = [head[at : at + 16] for at in range(446, 510, 16)]
    used = [entry for entry in entries if entry[4] and any(entry[12:16])]
    return bool(used) and all(entry[0] in (0, 0x80) for entry in entries)


def is_file_system(head: bytes) -> bool:
    """FAT, exFAT, NTFS, ext2/3/4 or HFS+ by the magic of its boot sector or superblock."""
    return (
        head[3:11] in (b"NTFS    ", b"EXFAT   ")
        or (head[510:512] == b"\x55\xaa" and (head[54:59] in (b"FAT12", b"FAT16") or head[82:87] == b"FAT32"))
        or head[0x438:0x43A] == b"\x53\xef"
        or head[1024:1026] in (b"H+", b"HX")
    )


def _image(source: RandomAccess) -> Any:
    pytsk3 = require("pytsk3", "forensic")

    class Image(pytsk3.Img_Info):  # type: ignore[name-defined]
        def __init__(self) -> None:
            super().__init__(url="", type=pytsk3.TSK_IMG_TYPE_EXTERNAL)

        def read(self, offset: int, size: int) -> bytes:
            return source.read_at(offset, size)

        def get_size(self) -> int:
            return source.size

        def close(self) -> None:
            pass

    return Image()


class Partitions(Container):
    """Allocated partitions, each called by its number in the table and where it begins, in bytes."""

    kind: ClassVar[str] = "partition"

    def members(self) -> Iterator[Evidence | Issue]:
        """Partitions in the order of the table."""
        pytsk3 = require("pytsk3", "forensic")
        source = self.access()
        with LOCK:
            try:
                volume = pytsk3.Volume_Info(_image(source))
                parts = [
                    (part.start * volume.info.block_size, part.len * volume.info.block_size)
                    for part in volume
                    if part.flags & pytsk3.TSK_VS_PART_FLAG_ALLOC
                ]
            except OSError as error:
                raise EvidenceError("broken_image", f"the partitions can't be read: {one_line(error)}") from error
        for number, (start, size) in enumerate(parts, start=1):
            inside = max(0, min(size, source.size - start))
            yield self.part(f"{number}@{start}", source, start, inside)
            if inside < size:
                yield self.issue(
                    f"{number}@{start}", "broken_image", f"the image ends {size - inside:,} bytes before the partition"
                )


class FileSystem(Container):
    """Files of one file system: live ones by path, deleted ones that it still names as ``deleted:path@inode``."""

    kind: ClassVar[str] = "fs"

    def members(self) -> Iterator[Evidence | Issue]:
        """Files in the order of folders as they lie, then deleted ones that no folder names any more, then carved."""
        pytsk3 = require("pytsk3", "forensic")
        self._tsk = pytsk3
        source = self.access()
        with LOCK:
            try:
                self._fs = pytsk3.FS_Info(_image(source))
            except OSError as error:
                raise EvidenceError("broken_image", f"the file system can't be read: {one_line(error)}") from error
        # FAT's "inodes" are every 32 bytes that might be a folder's entry: TSK looks through them itself, by folder.
        self._slots = bool(self._fs.info.ftype & pytsk3.TSK_FS_TYPE_FAT_DETECT)  # exFAT too
        self._size = source.size
        self._folders_left = 64 + source.size // _LEAST_FOLDER_BYTES
        seen: set[int] = set()
        yield from self._folder(self._fs.info.root_inum, "", False, seen, frozenset())
        if self.options.deleted and not self._slots:
            yield from self._orphans(seen)
        if self.options.carve:
            yield from carve(self, source, self._free_blocks(seen))

    def _folder(
        self, inode: int, path: str, deleted: bool, seen: set[int], above: frozenset[int]
    ) -> Iterator[Evidence | Issue]:
        tsk = self._tsk
        self._folders_left -= 1
        if self._folders_left < 0:
            raise EvidenceError("broken_image", "its folders lead into each other without end; the rest is left")
        try:
            with LOCK:
                entries = list(self._fs.open_dir(inode=inode))
        except OSError as error:
            at = f"{path or '/'}@{inode}" if deleted else path or "/"
            yield self.issue(at, "unreadable_folder", f"the folder can't be listed: {one_line(error)}",
                             "deleted" if deleted else None)  # fmt: skip
            return
        for entry in entries:
            name, meta = entry.info.name, entry.info.meta
            if name is None or name.name in (b".", b".."):
                continue
            where = f"{path}/{name.name.decode('utf-8', 'surrogateescape')}"
            gone = deleted or bool(name.flags & tsk.TSK_FS_NAME_FLAG_UNALLOC)
            if gone and not self.options.deleted:
                continue
            if meta is None:
                if gone and name.type == tsk.TSK_FS_NAME_TYPE_REG:
                    yield self.issue(f"{where}@{name.meta_addr}", "lost", "deleted; nothing but its name is left",
                                     "deleted")  # fmt: skip
                continue
            if meta.type == tsk.TSK_FS_META_TYPE_DIR:
                scanned = where.startswith("/$OrphanFiles") and not self._slots  # by _orphans
                if meta.addr not in above and len(above) < _MAX_PATH_DEPTH and not scanned:
                    yield from self._folder(meta.addr, where, gone, seen, above | {inode})
            elif meta.type == tsk.TSK_FS_META_TYPE_REG and not self._own(where):
                # A deleted name whose inode was given to another file since says nothing of that file's content.
                if gone and not deleted and meta.flags & tsk.TSK_FS_META_FLAG_ALLOC:
                    continue
                yield from self._file(entry, meta, where, gone, seen)

    def _own(self, path: str) -> bool:
        """Is it the file system's own book-keeping (as TSK shows it: $MBR, $FAT1, NTFS's $MFT)?"""
        name = path.rsplit("/", 1)[-1]
        return path.startswith("/$") and (path.count("/") == 1 or path.startswith("/$Extend/")) and "." not in name

    def _file(self, entry: Any, meta: Any, where: str, gone: bool, seen: set[int]) -> Iterator[Evidence | Issue]:
        kind = "deleted" if gone else None
        if gone and meta.addr in seen:  # renamed before it was deleted, or listed twice
            return
        seen.add(meta.addr)
        at = f"{where}@{meta.addr}" if gone else where
        when = utc(meta.mtime) if meta.mtime else None
        if gone and meta.size == 0:
            yield self.issue(at, "lost", "deleted; the file system no longer says where its content lies", kind)
            return
        yield self.found(at, meta.size, lambda: self._open(meta.addr), when, kind)
        if self._fs.info.ftype == self._tsk.TSK_FS_TYPE_NTFS:
            with LOCK:
                streams = [
                    (a.info.name.decode("utf-8", "surrogateescape"), int(a.info.size), int(a.info.id))
                    for a in entry
                    if int(a.info.type) == _NTFS_DATA and a.info.name
                ]
            for name, size, number in streams:
                yield self.found(f"{at}:{name}", size, lambda n=number: self._open(meta.addr, n), when, kind)  # type: ignore[misc]

    def _open(self, inode: int, attribute: int | None = None) -> BinaryIO:
        with LOCK:
            opened = self._fs.open_meta(inode=inode)
        return cast(BinaryIO, Window(_File(opened, attribute)))

    def _orphans(self, seen: set[int]) -> Iterator[Evidence | Issue]:
        """Deleted files whose inode is left where no folder names them."""
        tsk = self._tsk
        for inode in self._inodes():
            if inode in seen:
                continue
            try:
                with LOCK:
                    entry = self._fs.open_meta(inode=inode)
                    meta = entry.info.meta
            except OSError:
                continue
            if (
                meta is not None
                and meta.type == tsk.TSK_FS_META_TYPE_REG
                and meta.flags & tsk.TSK_FS_META_FLAG_UNALLOC
                and meta.flags & tsk.TSK_FS_META_FLAG_USED
                and meta.size
            ):
                yield from self._file(entry, meta, "/$orphan", True, seen)
        claimed, held = self._fs.info.last_inum, self._inodes().stop - 1
        if claimed > held:
            yield self.issue(
                "/$orphan",
                "broken_image",
                f"says it has {claimed:,} inodes, more than fit in it; looked through {held:,}",
                "deleted",
            )

    def _inodes(self) -> range:
        """Numbers of the inodes that there can be."""
        first, last = self._fs.info.first_inum, self._fs.info.last_inum
        return range(first, min(last, first + self._size // _LEAST_RECORD_BYTES) + 1)

    def _free_blocks(self, seen: set[int]) -> Iterator[tuple[int, int]]:
        """Start and length, in bytes, of runs of blocks that no file owns."""
        tsk, info = self._tsk, self._fs.info
        allocated: set[int] = set()
        last_block = min(info.last_block, self._size // info.block_size)
        for inode in sorted(seen) if self._slots else self._inodes():
            try:
                with LOCK:
                    entry = self._fs.open_meta(inode=inode)
                    meta = entry.info.meta
                    if meta is None or not meta.flags & tsk.TSK_FS_META_FLAG_ALLOC:
                        continue
                    for attribute in entry:
                        for run in attribute:
                            allocated.update(range(run.addr, min(run.addr + run.len, last_block + 1)))
            except OSError:
                continue
        start: int | None = None
        for block in range(info.first_block, last_block + 2):
            free = block <= last_block and block not in allocated
            if free and start is None:
                start = block
            elif not free and start is not None:
                yield start * info.block_size, (block - start) * info.block_size
                start = None


class _File:
    """A file of a TSK file system as RandomAccess."""

    def __init__(self, opened: Any, attribute: int | None) -> None:
        self._opened = opened
        self._attribute = attribute
        self.size = int(opened.info.meta.size)
        if attribute is not None:
            with LOCK:
                self.size = next(int(a.info.size) for a in opened if int(a.info.id) == attribute)

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``offset``."""
        size = min(size, self.size - offset)
        if size <= 0:
            return b""
        with LOCK:
            if self._attribute is None:
                return bytes(self._opened.read_random(offset, size))
            return bytes(self._opened.read_random(offset, size, _NTFS_DATA, self._attribute))
