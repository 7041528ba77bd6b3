"""UDF (ECMA-167, OSTA UDF 1.02 to 2.60), as DVDs, Blu-rays, cameras and packet-writing programs have it.

Every descriptor that is read is held against its checksum and CRC. Content has neither.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from imgmatch.parsers.told import Number, Size
from imgmatch.parsers.volumes.trees import About, Entry
from imgmatch.parsers.volumes.udf_space import Extent, Space, tag_of
from imgmatch.streams import RandomAccess, one_line

_FILE_SET, _FOLDER_ENTRY, _FILE_ENTRY, _WIDE_ENTRY, _INDIRECT = 256, 257, 261, 266, 248
_FOLDER, _FILES = 4, (5, 0, 249)  # 249: real-time files, as of video
_DELETED, _UP = 4, 8
_OWN = ("Non-Allocatable Space",)  # of UDF 1.50 and before
_MOST_FOLDER_BYTES = 256 << 20
_MOST_INDIRECT = 64
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Node:
    """A file or folder: ``kind`` as the standard numbers them, its content, and where its named streams are listed."""

    kind: int
    size: int
    modified: float | None
    zoned: bool
    inline: bytes | None
    extents: tuple[Extent, ...]
    streams: int | None


class Udf:
    """The file system in the first image. ``passwords`` and ``opened`` are for those that are locked, which UDF never
    is. ``tick`` is called after each of many steps. Errors are OSError.
    """

    def __init__(
        self,
        tick: Callable[[], None],
        images: list[RandomAccess],
        passwords: list[str],
        opened: list[tuple[int, int]],
    ) -> None:
        self._tick, self._space = tick, Space(images[0])
        self._nodes: dict[int, Node] = {}
        files = self._space.descriptor(*self._space.file_set, _FILE_SET)
        self._root = _inode_of(files[400:416])

    def about(self) -> About:
        """What holds of all of it."""
        return {
            "unsupported": "", "size": self._space.claimed_bytes,
            "volumes": [{"name": "", "root": self._root, "locked": False}],
        }  # fmt: skip

    def folder(self, volume: int, inode: int) -> list[Entry]:
        """Entries of a folder in the order in which they are kept, those that were deleted too. A tick for each."""
        node = self._node(inode)
        if node.kind != _FOLDER:
            raise OSError("it is no folder")
        return [self._told(number, *listed) for number, listed in enumerate(self._listed(node, self._place(inode)))]

    def size(self, volume: int, inode: int, stream: str | None) -> Size:
        """Bytes in a file, or in a stream that is kept with it by a name."""
        return self._content(inode, stream).size

    def read(self, volume: int, inode: int, stream: str | None, offset: int, size: int) -> bytes:
        """Bytes of a file, or of a stream of it; short where less is recorded of it than it says."""
        return self._bytes(self._content(inode, stream), self._place(inode), offset, size)

    def owned(self, volume: int, inodes: list[Number]) -> list[tuple[Size, Size]]:
        """Start and length of where the content of files lies. A tick for each."""
        found: list[tuple[int, int]] = []
        for inode in inodes:
            self._tick()
            for extent in self._node(inode).extents:
                found += self._space.runs(extent)
        return found

    def unlock(self, volume: int, password: int) -> bool:
        """Nothing is locked."""
        raise OSError("no such volume")

    def _place(self, inode: int) -> int:
        return inode >> 32

    def _told(self, number: int, name: str, inode: int, flags: int) -> Entry:
        self._tick()
        gone = bool(flags & _DELETED)
        told: Entry = {
            "name": name or f"entry {number}", "inode": inode, "folder": False, "file": False, "size": 0,
            "modified": None, "zoned": True, "streams": [], "fault": None, "gone": gone,
        }  # fmt: skip
        try:
            node = self._node(inode)
            told["folder"], told["file"] = node.kind == _FOLDER, node.kind in _FILES
            told["size"], told["modified"], told["zoned"] = node.size, node.modified, node.zoned
            if node.streams is not None:
                told["streams"] = [(name, stream.size) for name, stream in self._streams(node.streams)]
        except OSError as error:
            told["fault"] = one_line(error)
        return told

    def _streams(self, folder: int) -> Iterator[tuple[str, Node]]:
        for name, inode, flags in self._listed(self._node(folder), self._place(folder)):
            self._tick()
            if not flags & _DELETED and not name.startswith("*UDF"):  # what UDF keeps for itself
                yield name, self._node(inode)

    def _content(self, inode: int, stream: str | None) -> Node:
        node = self._node(inode)
        if stream is None:
            return node
        for name, found in self._streams(node.streams) if node.streams is not None else ():
            if name == stream:
                return found
        raise OSError("nothing of that name is kept with it")

    def _listed(self, node: Node, reference: int) -> Iterator[tuple[str, int, int]]:
        """Name, inode and flags of each entry of a folder, but that which leads up."""
        if node.size > _MOST_FOLDER_BYTES:
            raise OSError(f"its folder of {node.size:,} bytes is larger than any")
        data, at = self._bytes(node, reference, 0, node.size), 0
        while at + 38 <= len(data):
            flags, name_bytes = data[at + 18], data[at + 19]
            extra = struct.unpack_from("<H", data, at + 36)[0]
            end = at + 38 + extra + name_bytes
            if tag_of(data[at : (end + 3) & ~3]) != _FOLDER_ENTRY:
                if not any(data[at:]):
                    return
                raise OSError(f"an entry of the folder, at its byte {at:,}, does not fit its checksum")
            name = _name(data[end - name_bytes : end])
            if not flags & _UP and name not in _OWN:
                yield name, _inode_of(data[at + 20 : at + 36]), flags
            at = (end + 3) & ~3

    def _bytes(self, node: Node, reference: int, offset: int, size: int) -> bytes:
        size = max(0, min(size, node.size - offset))
        if node.inline is not None:
            return node.inline[offset : offset + size]
        parts: list[bytes] = []
        at = 0
        for extent in node.extents:
            if size <= 0:
                break
            start = max(0, offset - at)
            if start < extent.size:
                part = self._space.read(extent, start, min(size, extent.size - start))
                parts.append(part)
                offset, size = offset + len(part), size - len(part)
            at += extent.size
        return b"".join(parts)

    def _node(self, inode: int) -> Node:
        node = self._nodes.get(inode)
        if node is None:
            node = self._read_node(inode)
            if len(self._nodes) > 256:
                self._nodes.clear()
            self._nodes[inode] = node
        return node

    def _read_node(self, inode: int) -> Node:
        reference, block = self._place(inode), inode & 0xFFFFFFFF
        for _ in range(_MOST_INDIRECT):
            raw = self._space.descriptor(reference, block, _FILE_ENTRY, _WIDE_ENTRY, _INDIRECT)
            if tag_of(raw) == _INDIRECT:  # of strategy 4096: the entry was written anew elsewhere
                reference, block = divmod(_inode_of(raw[36:52]), 1 << 32)
                continue
            if struct.unpack_from("<H", raw, 20)[0] == 4096:
                try:
                    newer = self._space.descriptor(reference, block + 1, _INDIRECT)
                except OSError:
                    newer = b""
                if newer:
                    reference, block = divmod(_inode_of(newer[36:52]), 1 << 32)
                    continue
            return self._as_node(raw, reference)
        raise OSError("its entry leads on without end")

    def _as_node(self, raw: bytes, reference: int) -> Node:
        wide = tag_of(raw) == _WIDE_ENTRY
        size = struct.unpack_from("<Q", raw, 56)[0]
        attributes, descriptors = struct.unpack_from("<II", raw, 208 if wide else 168)
        start = (216 if wide else 176) + attributes
        listed = raw[start : start + descriptors]
        if len(listed) < descriptors:
            raise OSError("its entry is longer than a block")
        form = struct.unpack_from("<H", raw, 34)[0] & 7
        streams = _inode_of(raw[152:168]) if wide and struct.unpack_from("<I", raw, 152)[0] & 0x3FFFFFFF else None
        modified, zoned = _time(raw[92:104] if wide else raw[84:96])
        inline = listed[:size] if form == 3 else None
        extents = () if form == 3 else self._space.extents(listed, form, reference)
        return Node(raw[27], size, modified, zoned, inline, extents, streams)


def _inode_of(address: bytes) -> int:
    """Partition and block of a long_ad as one number."""
    block, reference = struct.unpack_from("<IH", address, 4)
    return int(reference) << 32 | int(block)


def _name(raw: bytes) -> str:
    """OSTA's compressed Unicode: letters of 8 or 16 bits; of what was deleted too."""
    if raw[:1] in (b"\x10", b"\xff"):
        text = raw[1 : 1 + (len(raw) - 1) // 2 * 2].decode("utf-16-be", "surrogatepass")
        return text.encode("utf-16-be", "surrogatepass").decode("utf-16-be", "replace")
    return raw[1:].decode("latin-1")


def _time(raw: bytes) -> tuple[float | None, bool]:
    """Seconds since 1970, and whether its zone is told (ECMA-167, 1/7.3)."""
    zone, year, month, day, hour, minute, second, centi, hundred, micro = struct.unpack("<Hh8B", raw)
    offset = (zone & 0xFFF) - ((zone & 0x800) << 1)
    zoned = zone >> 12 == 0 or -1440 <= offset <= 1440
    try:
        when = datetime(year, month, day, hour, minute, second, min(999_999, centi * 10_000 + hundred * 100 + micro))
    except ValueError:
        return None, zoned
    shift = offset if zone >> 12 and zoned else 0
    return (when.replace(tzinfo=UTC) - timedelta(minutes=shift) - _EPOCH).total_seconds(), zoned
