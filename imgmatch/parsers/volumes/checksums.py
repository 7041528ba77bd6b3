"""Checksums that XFS and APFS keep of what they write down about files; of their content they keep none."""

from __future__ import annotations

import struct

import numpy as np

from imgmatch.parsers.crc32c import crc32c

_INODE = b"IN"
# Where the checksum stands, by what a block begins with (fs/xfs/libxfs/xfs_format.h, xfs_da_format.h of Linux).
_XFS = {b"XFSB": 224, b"XAGI": 312, b"XAGF": 216, b"IAB3": 52, b"FIB3": 52, b"BMA3": 64, b"XDB3": 4, b"XDD3": 4}
_XFS_INNER = (b"\x3b\xee", b"\x3e\xbe", b"\x3d\xf1", b"\x3d\xff")
_MODULUS = 0xFFFFFFFF


def xfs_block_fits(block: bytes) -> bool:
    """Does the checksum of a block of XFS's, version 5, fit? True of those that are known to have none."""
    place = _XFS.get(block[:4])
    if place is None and block[:2] == _INODE and block[4:5] == b"\3":
        place = 100
    if place is None and block[8:10] in _XFS_INNER:
        place = 12
    if place is None or len(block) < place + 4:
        return True
    told = struct.unpack_from("<I", block, place)[0]
    return bool(told == crc32c(block[:place] + bytes(4) + block[place + 4 :]))


def apfs_block_fits(block: bytes) -> bool:
    """Does the checksum of an object of APFS's fit (Apple File System Reference, Objects: Fletcher's, of 64 bits)?"""
    words = np.frombuffer(block, "<u4")[2:].astype(np.uint64)
    first = int(words.sum()) % _MODULUS
    second = int((words * np.arange(len(words), 0, -1, dtype=np.uint64)).sum()) % _MODULUS
    low = _MODULUS - (first + second) % _MODULUS
    high = _MODULUS - (first + low) % _MODULUS
    return struct.unpack_from("<II", block) == (low, high)
