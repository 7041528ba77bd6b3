"""VDI, VirtualBox's virtual disks (VirtualBox, VDICore.h)."""

from __future__ import annotations

import struct
from uuid import UUID

import numpy as np

from imgmatch.parsers.disks.mapped import EMPTY, NOWHERE, Mapped
from imgmatch.parsers.disks.units import MOST_TABLE_BYTES, UnsupportedError

_DIFFERENCING = 4
_NONE, _ZERO = 0xFFFFFFFF, 0xFFFFFFFE


class Vdi(Mapped):
    """A dynamic or fixed disk; of a differencing one, what it holds itself."""

    def _open(self) -> None:
        head = self._header(64, 392)
        magic, version, _, kind = struct.unpack_from("<IIII", head)
        map_at, data_at = struct.unpack_from("<II", head, 340 - 64)
        self.size_bytes, self.unit_bytes, extra, count, allocated = struct.unpack_from("<QIIII", head, 368 - 64)
        if magic != 0xBEDA107F or version >> 16 != 1:
            raise UnsupportedError(f"VDI of version {version >> 16}")
        if not 512 <= self.unit_bytes <= 1 << 28 or self.unit_bytes % 512 or count * 4 > MOST_TABLE_BYTES:
            raise OSError("its header is damaged: blocks, or a map, of a size that can't be")
        self._identity = str(UUID(bytes_le=head[392 - 64 : 408 - 64]))
        if self.size_bytes > count * self.unit_bytes:
            self._fault("its map is too short for the disk", count, -(-self.size_bytes // self.unit_bytes) - count)
        stride = self.unit_bytes + extra
        entries = np.frombuffer(self._header(map_at, 4 * count), "<u4").astype(np.int64)
        places = np.where(entries >= _ZERO, NOWHERE, data_at + entries * stride + extra)
        places[entries == _ZERO] = EMPTY
        self._take_map(places, self.unit_bytes, [(0, 512), (map_at, 4 * count)], based=kind == _DIFFERENCING)
        named = int((entries < _ZERO).sum())
        if named != allocated:
            self._fault(f"its map names {named:,} blocks, its header counts {allocated:,}")
            self._doubtful = self._doubtful or "is empty, while its map names another number of blocks than there are"
        if kind == _DIFFERENCING:
            parent = UUID(bytes_le=head[440 - 64 : 456 - 64])
            self._fault(f"is based on another disk, {parent}: only what it holds itself is read")
