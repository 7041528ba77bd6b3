"""XFS and APFS by libfsxfs and libfsapfs (LGPL): folders and files as they stand, none that were deleted.

The libraries do not compare the checksums that these file systems keep of their own structures: it is done here, on
every block that they read of these.
"""

from __future__ import annotations

import io
import struct
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, TypedDict

from imgmatch.optional import require
from imgmatch.parsers.told import Name, Number, Size
from imgmatch.parsers.volumes.checksums import apfs_block_fits, xfs_block_fits
from imgmatch.streams import RandomAccess, one_line

_KEPT_OPEN = 64
_KIND, _FOLDER, _FILE = 0xF000, 0x4000, 0x8000
_LEAST_ATTRIBUTE_BYTES = 64  # no picture is smaller
_NOT_CONTENT = ("com.apple.decmpfs",)
_PACKED = "com.apple.ResourceFork"  # holds the content of a file that is packed
_NANO = 1_000_000_000


class Volume(TypedDict):
    """A volume: its ``name``, its topmost folder, and whether a password is needed."""

    name: Name
    root: Number
    locked: bool


class About(TypedDict):
    """What holds of all of a file system. ``unsupported``: why it can't be read, empty where it can."""

    unsupported: Name
    size: Size
    volumes: list[Volume]


class Entry(TypedDict):
    """An entry of a folder. ``zoned``: is the zone of its time known? ``streams``: name and size of what else is kept
    with a file; ``fault``: why nothing more is known of it; ``gone``: was it deleted?"""

    name: Name
    inode: Number
    folder: bool
    file: bool
    size: Size
    modified: float | None
    zoned: bool
    streams: list[tuple[Name, Size]]
    fault: Name | None
    gone: bool


class _Proved(io.RawIOBase):
    """The bytes of a volume for a library, which reads whole blocks. While ``checks`` is set, those that don't fit are
    not given, and ``fault`` says which.
    """

    def __init__(self, source: RandomAccess) -> None:
        self._source, self._at = source, 0
        self.checks: Callable[[bytes], bool] | None = None
        self.fault: str | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._source.size}[whence] + offset
        return self._at

    def get_size(self) -> int:
        return self._source.size

    def read(self, size: int = -1) -> bytes:
        wanted = self._source.size - self._at if size < 0 else size
        data = self._source.read_at(self._at, wanted)
        if len(data) < wanted:
            self.fault = f"the image ends before byte {self._at + wanted:,}"
            raise OSError(self.fault)
        if self.checks is not None and not self.checks(data):
            self.fault = f"the checksum of what stands at byte {self._at:,} does not fit"
            raise OSError(self.fault)
        self._at += len(data)
        return data


class Tree:
    """A file system in the first image. ``opened``: numbers of volumes that need one of ``passwords``, and of that.
    ``tick`` is called after each of many steps. Errors are OSError.
    """

    def __init__(
        self,
        tick: Callable[[], None],
        images: list[RandomAccess],
        passwords: list[str],
        opened: list[tuple[int, int]],
    ) -> None:
        self._tick, self._passwords, self._size = tick, passwords, images[0].size
        self._file = _Proved(images[0])
        self._entries: OrderedDict[tuple[int, int], Any] = OrderedDict()
        self._locked: set[int] = set()
        self._encrypted: set[int] = set()
        self._unsupported = ""
        self._volumes: list[Any] = []
        head = images[0].read_at(0, 512).ljust(512, b"\0")
        self._check = self._checker(head)
        self._proved(lambda: self._open(head), None)
        for volume, password in opened:
            self.unlock(volume, password)

    def _checker(self, head: bytes) -> Callable[[bytes], bool] | None:
        """What tells whether a block's checksum fits; None where there are none."""
        raise NotImplementedError

    def _open(self, head: bytes) -> None:
        """Fill in the volumes."""
        raise NotImplementedError

    def _by_inode(self, volume: int, inode: int) -> Any:
        raise NotImplementedError

    def _proved(self, ask: Callable[[], Any], volume: int | None) -> Any:
        """What the library gives, out of blocks whose checksums fit. OSError says which does not."""
        self._file.fault = None
        self._file.checks = None if volume in self._encrypted else self._check
        try:
            given = ask()
        except Exception as error:
            raise OSError(self._file.fault or one_line(error)) from error
        finally:
            self._file.checks = None
        if self._file.fault is not None:  # read, and not said
            raise OSError(self._file.fault)
        return given

    def about(self) -> About:
        """What holds of all of it."""
        told: list[Volume] = []
        for number, volume in enumerate(self._volumes):
            locked = number in self._locked
            root = 0 if locked else self._proved(lambda v=volume: self._number(v.root_directory), number)  # type: ignore[misc]
            told.append({"name": self._label(volume), "root": root, "locked": locked})
        return {"unsupported": self._unsupported, "size": self._size, "volumes": told}

    def _label(self, volume: Any) -> str:
        return ""

    def _number(self, entry: Any) -> int:
        raise NotImplementedError

    def unlock(self, volume: int, password: int) -> bool:
        """Does the password with this number open a volume?"""
        raise OSError("no such volume")

    def folder(self, volume: int, inode: int) -> list[Entry]:
        """Entries of a folder in the order in which they are kept. A tick for each."""
        entry = self._opened(volume, inode)
        count = self._proved(lambda: entry.number_of_sub_file_entries, volume)
        return [self._told(volume, entry, number) for number in range(count)]

    def _told(self, volume: int, folder: Any, place: int) -> Entry:
        self._tick()
        told: Entry = {
            "name": f"entry {place}", "inode": 0, "folder": False, "file": False, "size": 0, "modified": None,
            "zoned": True, "streams": [], "fault": None, "gone": False,
        }  # fmt: skip
        try:
            entry = self._proved(lambda: folder.get_sub_file_entry(place), volume)
            told["inode"] = self._number(entry)
            try:
                told["name"] = entry.name or told["name"]
            except (OSError, UnicodeError):  # letters that are not UTF-8
                told["name"] = f"entry {place} (inode {told['inode']})"
            kind = self._proved(lambda: entry.file_mode, volume) & _KIND
            told["folder"], told["file"] = kind == _FOLDER, kind == _FILE
            if told["file"]:
                told["size"] = self._proved(lambda: entry.size, volume)
                told["modified"] = self._proved(entry.get_modification_time_as_integer, volume) / _NANO
                told["streams"] = [(name, size) for name, size, _ in self._attributes(volume, entry)]
        except OSError as error:
            told["fault"] = one_line(error)
        return told

    def _attributes(self, volume: int, entry: Any) -> Iterator[tuple[str, int, Any]]:
        found = self._proved(lambda: list(entry.extended_attributes), volume)
        names = {attribute.name for attribute in found}
        for attribute in found:
            packed = attribute.name == _PACKED and names.intersection(_NOT_CONTENT)
            if not packed and attribute.name not in _NOT_CONTENT and attribute.size >= _LEAST_ATTRIBUTE_BYTES:
                yield attribute.name, attribute.size, attribute

    def size(self, volume: int, inode: int, stream: str | None) -> Size:
        """Bytes in a file, or in what is kept with it by a name."""
        return int(self._content(volume, inode, stream).size)

    def read(self, volume: int, inode: int, stream: str | None, offset: int, size: int) -> bytes:
        """Bytes of a file, or of what is kept with it by a name; short where the library gives no more."""
        self._file.fault = None
        content = self._content(volume, inode, stream)
        try:
            data = bytes(content.read_buffer_at_offset(size, offset))
        except OSError as error:
            raise OSError(self._file.fault or one_line(error)) from error
        if self._file.fault is not None:
            raise OSError(self._file.fault)
        return data

    def owned(self, volume: int, inodes: list[Number]) -> list[tuple[Size, Size]]:
        """Start and length of where the content of files lies. A tick for each."""
        found: list[tuple[int, int]] = []
        for inode in inodes:
            self._tick()
            entry = self._opened(volume, inode)
            for number in range(self._proved(lambda e=entry: e.number_of_extents, volume)):  # type: ignore[misc]
                start, length, *_ = entry.get_extent(number)
                found.append((start, length))
        return found

    def _content(self, volume: int, inode: int, stream: str | None) -> Any:
        entry = self._opened(volume, inode)
        if stream is None:
            return entry
        for name, _, attribute in self._attributes(volume, entry):
            if name == stream:
                return attribute
        raise OSError("nothing of that name is kept with it")

    def _opened(self, volume: int, inode: int) -> Any:
        key = volume, inode
        entry = self._entries.pop(key, None) or self._proved(lambda: self._by_inode(volume, inode), volume)
        if key not in self._entries and entry.file_mode & _KIND == _FILE:
            self._proved(lambda: entry.number_of_extents, volume)  # the library reads where it lies when it is asked
        self._entries[key] = entry
        if len(self._entries) > _KEPT_OPEN:
            self._entries.popitem(last=False)
        return entry


class Xfs(Tree):
    """XFS, versions 4 and 5; the latter with its checksums."""

    def _checker(self, head: bytes) -> Callable[[bytes], bool] | None:
        return xfs_block_fits if struct.unpack_from(">H", head, 100)[0] & 15 == 5 else None

    def _open(self, head: bytes) -> None:
        block_bytes, blocks = struct.unpack_from(">IQ", head, 4)
        self._size = block_bytes * blocks
        if not 512 <= block_bytes <= 1 << 16 or not blocks:
            raise OSError("its superblock is damaged: blocks of a size that can't be")
        if any(head[16:24]):  # what it holds would be read from the wrong place
            self._unsupported = "XFS file system with a realtime section"
            return
        volume = require("pyfsxfs", "forensic").volume()
        volume.open_file_object(self._file)
        self._volumes = [volume]

    def _number(self, entry: Any) -> int:
        return int(entry.inode_number)

    def _by_inode(self, volume: int, inode: int) -> Any:
        return self._volumes[volume].get_file_entry_by_inode(inode)


class Apfs(Tree):
    """A container of APFS with its volumes, in the state that it was left in."""

    def _checker(self, head: bytes) -> Callable[[bytes], bool] | None:
        block_bytes = struct.unpack_from("<I", head, 36)[0]
        return lambda block: len(block) != block_bytes or apfs_block_fits(block)

    def _open(self, head: bytes) -> None:
        block_bytes, blocks = struct.unpack_from("<IQ", head, 36)
        if not 4096 <= block_bytes <= 1 << 16 or not blocks:
            raise OSError("its superblock is damaged: blocks of a size that can't be")
        self._size = block_bytes * blocks
        self._container = require("pyfsapfs", "forensic").container()
        self._container.open_file_object(self._file)
        for number in range(self._container.number_of_volumes):
            volume = self._container.get_volume(number)
            self._volumes.append(volume)
            if volume.is_locked():
                self._locked.add(number)
                self._encrypted.add(number)

    def _label(self, volume: Any) -> str:
        return volume.name or ""

    def _number(self, entry: Any) -> int:
        return int(entry.identifier)

    def _by_inode(self, volume: int, inode: int) -> Any:
        return self._volumes[volume].get_file_entry_by_identifier(inode)

    def unlock(self, volume: int, password: int) -> bool:
        """Does the password with this number open a volume, as its own or as that of its recovery?"""
        for give in ("set_password", "set_recovery_password"):
            opened = self._container.get_volume(volume)  # one that refused a password takes no other
            getattr(opened, give)(self._passwords[password])
            self._file.fault, self._file.checks = None, None
            if opened.unlock():
                self._volumes[volume] = opened
                self._locked.discard(volume)
                return True
        return False
