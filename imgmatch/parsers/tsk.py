"""Partition tables and file systems by The Sleuth Kit (pytsk3): numbers and names as it tells them, judged by nobody.

Names are str with surrogate escapes for bytes that are not UTF-8.
"""

from __future__ import annotations

import contextlib
import itertools
import struct
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any, Literal, TypedDict, TypeVar

from imgmatch.optional import require
from imgmatch.parsers import ext
from imgmatch.parsers.ntfs import initialised
from imgmatch.parsers.told import Name, Number, Size
from imgmatch.streams import RandomAccess

_DEFAULT_DATA, _NTFS_DATA, _NTFS_LOGGED = 1, 128, 256
_MFT = 0
_KEPT_OPEN = 64
_KEPT_LISTINGS = 8
_LONGEST_FOLDER = 256 << 20
_Found = TypeVar("_Found")


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


class About(TypedDict):
    """What holds of all of a file system. ``slots``: its inodes are places where a folder's entry might lie (FAT,
    exFAT). First and last of its inodes and blocks.
    """

    slots: bool
    ext: bool
    root: Number
    inodes: tuple[Number, Number]
    blocks: tuple[Number, Number]
    block_bytes: Annotated[int, range(1, 1 << 31)]


Kept = Literal["", "packed by Windows (CompactOS)", "encrypted by Windows (EFS)", "encrypted (fscrypt)"]


class Meta(TypedDict):
    """What an inode is. ``streams``: name, size and number of NTFS's named streams. ``kept``: how what lies in the file
    is not what TSK reads there.
    """

    inode: Number
    folder: bool
    file: bool
    allocated: bool
    size: Size
    modified: int | None
    streams: list[tuple[Name, Size, int]]
    kept: Kept


class Entry(TypedDict):
    """An entry of a folder; ``names`` is the inode that it names."""

    name: Name
    names: Number
    named_file: bool
    gone: bool
    meta: Meta | None


class FileSystem:
    """The file system in the first image, of a ``family`` as TSK calls it where that is known; ``tick`` is called after
    each of many steps. Errors of TSK are OSError.
    """

    def __init__(self, tick: Callable[[], None], images: list[RandomAccess], family: str | None) -> None:
        self._tick, self._source = tick, images[0]
        self._tsk = require("pytsk3", "forensic")
        self._fs = self._opened(images[0], family)
        self._ntfs = self._fs.info.ftype == self._tsk.TSK_FS_TYPE_NTFS
        is_ext = bool(self._fs.info.ftype & self._tsk.TSK_FS_TYPE_EXT_DETECT)
        self._ext = ext.ExtTimes(images[0]) if is_ext else None
        self._open: OrderedDict[int, Any] = OrderedDict()
        self._listings: OrderedDict[tuple[int, int], Iterator[Any]] = OrderedDict()

    def _opened(self, source: RandomAccess, family: str | None) -> Any:
        # Told nothing, TSK tries all that it knows, and reads some 50 MB for it.
        if family is not None:
            with contextlib.suppress(OSError):
                return self._tsk.FS_Info(_image(source), type=getattr(self._tsk, f"TSK_FS_TYPE_{family}_DETECT"))
        return self._tsk.FS_Info(_image(source))

    def about(self) -> About:
        """What holds of all of it."""
        info = self._fs.info
        return {
            "slots": bool(info.ftype & self._tsk.TSK_FS_TYPE_FAT_DETECT),
            "ext": self._ext is not None,
            "root": info.root_inum,
            "inodes": (info.first_inum, info.last_inum),
            "blocks": (info.first_block, info.last_block),
            "block_bytes": info.block_size,
        }

    def folder(self, inode: int, start: int, most: int) -> list[Entry | None]:
        """Entries of a folder as they lie: ``most`` from number ``start`` on, or those that are left; None for one that
        has no name, or is the folder itself. A tick for each.
        """
        found: list[Entry | None] = []
        entries = self._listings.pop((inode, start), None)
        if entries is None:  # a new one, or it went with a process or to make room
            entries = itertools.islice(self._fs.open_dir(inode=inode), start, None)
        for entry in itertools.islice(entries, most):
            self._tick()
            found.append(self._entry(entry))
        if len(found) == most:
            self._listings[inode, start + most] = entries
            if len(self._listings) > _KEPT_LISTINGS:
                self._listings.popitem(last=False)
        return found

    def _entry(self, entry: Any) -> Entry | None:
        tsk, name, meta = self._tsk, entry.info.name, entry.info.meta
        if name is None or name.name in (b".", b".."):
            return None
        return {
            "name": name.name.decode("utf-8", "surrogateescape"),
            "names": name.meta_addr,
            "named_file": name.type == tsk.TSK_FS_NAME_TYPE_REG,
            "gone": bool(name.flags & tsk.TSK_FS_NAME_FLAG_UNALLOC),
            "meta": None if meta is None else self._meta(entry),
        }

    def ext_names(self, inode: int) -> list[tuple[Name, Number]]:
        """Name and inode of the live entries of a folder of ext2/3/4, by its content alone: none is looked at."""
        folder = self._fs.open_meta(inode=inode)
        size, block = min(folder.info.meta.size, _LONGEST_FOLDER), self._fs.info.block_size
        return [found for at in range(0, size, block) for found in _entries(bytes(folder.read_random(at, block)))]

    def metas(self, inodes: Iterable[int]) -> list[tuple[Number, Meta]]:
        """What each of ``inodes`` is, where it can be read. A tick for each."""
        return self._each(inodes, lambda entry: [(entry.info.meta.addr, self._meta(entry))])

    def orphans(self, inodes: Iterable[int]) -> list[Meta]:
        """Those of ``inodes`` that are free and still describe a file with content. A tick for each of ``inodes``."""
        tsk = self._tsk
        free = tsk.TSK_FS_META_FLAG_UNALLOC, tsk.TSK_FS_META_FLAG_USED

        def left(entry: Any) -> list[Meta]:
            meta = entry.info.meta
            there = meta.type == tsk.TSK_FS_META_TYPE_REG and all(meta.flags & flag for flag in free) and meta.size
            return [self._meta(entry)] if there else []

        return self._each(inodes, left)

    def owned(self, inodes: Iterable[int]) -> list[tuple[Number, Number]]:
        """First block and number of blocks of what those of ``inodes`` own that are in use. A tick for each."""
        used = self._tsk.TSK_FS_META_FLAG_ALLOC
        return self._each(
            inodes,
            lambda entry: (
                (run.addr, run.len) for attribute in entry for run in attribute if entry.info.meta.flags & used
            ),
        )

    def _each(self, inodes: Iterable[int], look: Callable[[Any], Iterable[_Found]]) -> list[_Found]:
        """What is found at those of ``inodes`` that can be read, as far as it goes. A tick for each."""
        found: list[_Found] = []
        for inode in inodes:
            with contextlib.suppress(OSError, RuntimeError):  # the second of what the image could not give
                entry = self._fs.open_meta(inode=inode)
                if entry.info.meta is not None:
                    found.extend(look(entry))
            self._tick()
        return found

    def size(self, inode: int, attribute: int | None) -> Size:
        """Bytes in a file, or in one of its NTFS streams."""
        opened = self._file(inode)
        if attribute is None:
            return int(opened.info.meta.size)
        return next(int(a.info.size) for a in opened if int(a.info.id) == attribute)

    def read(self, inode: int, attribute: int | None, offset: int, size: int) -> bytes:
        """Bytes of a file, or of one of its NTFS streams."""
        try:
            if attribute is None:
                return bytes(self._file(inode).read_random(offset, size))
            return bytes(self._file(inode).read_random(offset, size, _NTFS_DATA, attribute))
        except (OSError, RuntimeError):
            data = self._by_runs(inode, attribute, offset, size)
            if data is None:
                raise
            return data

    def _by_runs(self, inode: int, attribute: int | None, offset: int, size: int) -> bytes | None:
        """Bytes of a file from the very blocks that it lies in; None where they can't be told. TSK reads 64 KiB at
        once, and gives nothing of them where a part is damaged."""
        tsk, block = self._tsk, self._fs.info.block_size
        odd = tsk.TSK_FS_ATTR_RES | tsk.TSK_FS_ATTR_ENC | tsk.TSK_FS_ATTR_COMP
        end, parts = offset + size, []
        for found in self._file(inode):
            named = bool(found.info.name) and self._ntfs
            mine = int(found.info.id) == attribute if attribute is not None else not named
            if int(found.info.type) not in (_DEFAULT_DATA, _NTFS_DATA) or not mine or int(found.info.flags) & odd:
                continue
            if self._ntfs and end > (initialised(self._file(_MFT).read_random, inode, attribute) or 0):
                return None
            for run in found:
                start, stop, flags = run.offset * block, (run.offset + run.len) * block, int(run.flags)
                if stop <= offset or offset >= end:
                    continue
                if start > offset or flags & (tsk.TSK_FS_ATTR_RUN_FLAG_FILLER | tsk.TSK_FS_ATTR_RUN_FLAG_ENCRYPTED):
                    return None
                wanted = min(stop, end) - offset
                sparse = flags & tsk.TSK_FS_ATTR_RUN_FLAG_SPARSE
                at = run.addr * block + offset - start
                parts.append(bytes(wanted) if sparse else self._source.read_at(at, wanted))
                if len(parts[-1]) < wanted:
                    return None
                offset += wanted
            return b"".join(parts) if offset == end else None
        return None

    def _file(self, inode: int) -> Any:
        opened = self._open.pop(inode, None) or self._fs.open_meta(inode=inode)
        self._open[inode] = opened
        if len(self._open) > _KEPT_OPEN:
            self._open.popitem(last=False)
        return opened

    def _meta(self, entry: Any) -> Meta:
        tsk, meta = self._tsk, entry.info.meta
        regular = meta.type == tsk.TSK_FS_META_TYPE_REG
        streams, kept = self._kept(entry, meta.addr, regular)
        return {
            "inode": meta.addr,
            "folder": meta.type == tsk.TSK_FS_META_TYPE_DIR,
            "file": regular,
            "allocated": bool(meta.flags & tsk.TSK_FS_META_FLAG_ALLOC),
            "size": meta.size,
            "modified": self._ext.modified(meta.addr) if self._ext is not None else meta.mtime or None,
            "streams": streams,
            "kept": kept,
        }

    def _kept(self, entry: Any, inode: int, regular: bool) -> tuple[list[tuple[str, int, int]], Kept]:
        """Its streams, and what keeps its content from being read."""
        streams: list[tuple[str, int, int]] = []
        kept: Kept = (
            "encrypted (fscrypt)" if regular and self._ext is not None and self._ext.is_encrypted(inode) else ""
        )
        for attribute in entry if regular and self._ntfs else ():
            kind, name = int(attribute.info.type), attribute.info.name
            if kind == _NTFS_DATA and name == b"WofCompressedData":
                kept = "packed by Windows (CompactOS)"
            elif kind == _NTFS_DATA and name:
                streams.append(
                    (name.decode("utf-8", "surrogateescape"), int(attribute.info.size), int(attribute.info.id))
                )
            elif kind == _NTFS_LOGGED and name == b"$EFS":
                kept = "encrypted by Windows (EFS)"
        return streams, kept


def _entries(block: bytes) -> Iterator[tuple[str, int]]:
    """Entries of a block of a folder (struct ext4_dir_entry_2)."""
    at = 0
    while at + 8 <= len(block):
        inode, length, name_bytes = struct.unpack_from("<IHB", block, at)
        name = block[at + 8 : at + 8 + name_bytes]
        if inode and name not in (b"", b".", b".."):
            yield name.decode("utf-8", "surrogateescape"), inode
        if length < 8:
            break
        at += length
