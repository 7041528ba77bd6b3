"""Times and flags in inodes of ext2, ext3 and ext4, which The Sleuth Kit reads as 32 bits without a sign."""

from __future__ import annotations

import struct

from imgmatch.streams import RandomAccess

_SUPERBLOCK_AT = 1024
_META_GROUPS, _64_BIT = 0x10, 0x80  # s_feature_incompat
_FLAGS_AT, _ENCRYPTED = 0x20, 0x800
_MODIFIED_AT, _EXTRA_SIZE_AT, _MODIFIED_EXTRA_AT = 0x10, 0x80, 0x88


class ExtTimes:
    """Where inodes lie, by the superblock (fs/ext4/ext4.h of Linux)."""

    def __init__(self, source: RandomAccess) -> None:
        head = source.read_at(_SUPERBLOCK_AT, 1024).ljust(1024, b"\0")
        self._source = source
        self._first_block, self._block_shift = struct.unpack_from("<II", head, 0x14)
        self._inodes_per_group = struct.unpack_from("<I", head, 0x28)[0]
        revision, self._inode_bytes = struct.unpack_from("<I8xH", head, 0x4C)
        features, wide = struct.unpack_from("<I", head, 0x60)[0], struct.unpack_from("<H", head, 0xFE)[0]
        if not revision:
            self._inode_bytes, features = 128, 0
        self._group_bytes = max(wide, 64) if features & _64_BIT else 32
        self._known = (
            not features & _META_GROUPS
            and self._inodes_per_group > 0
            and self._inode_bytes >= 128
            and self._block_shift <= 6
        )

    def modified(self, inode: int) -> int | None:
        """Seconds since 1970, before it too: 34 bits where the inode has room; None where unknown."""
        found = self._inode(inode)
        if len(found) < 128:
            return None
        seconds: int = struct.unpack_from("<i", found, _MODIFIED_AT)[0]
        if len(found) >= _MODIFIED_EXTRA_AT + 4:
            extra_bytes = struct.unpack_from("<H", found, _EXTRA_SIZE_AT)[0]
            if _EXTRA_SIZE_AT + extra_bytes >= _MODIFIED_EXTRA_AT + 4:
                seconds += (struct.unpack_from("<I", found, _MODIFIED_EXTRA_AT)[0] & 3) << 32
        return seconds

    def is_encrypted(self, inode: int) -> bool:
        """Does the kernel encrypt its content (fscrypt)?"""
        found = self._inode(inode)
        return len(found) >= 128 and bool(struct.unpack_from("<I", found, _FLAGS_AT)[0] & _ENCRYPTED)

    def _inode(self, inode: int) -> bytes:
        """What stands in the table of inodes; nothing where it is not known where that lies."""
        if not self._known:
            return b""
        block_bytes = 1024 << self._block_shift
        group, number = divmod(inode - 1, self._inodes_per_group)
        at = (self._first_block + 1) * block_bytes + group * self._group_bytes
        group_head = self._source.read_at(at, self._group_bytes).ljust(64, b"\0")
        table = int.from_bytes(group_head[8:12] + (group_head[40:44] if self._group_bytes >= 64 else b""), "little")
        return self._source.read_at(table * block_bytes + number * self._inode_bytes, min(self._inode_bytes, 256))
