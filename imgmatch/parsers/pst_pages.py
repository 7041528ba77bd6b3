"""Nodes and blocks of Outlook's mail stores ([MS-PST], 2.2): PST and OST, of 32 and 64 bits, with pages of 512 bytes,
or of 4 KiB and packed by zlib, as Outlook has had them since 2013.

Pages and blocks are held against their checksums. Bytes that are exchanged for others, by Outlook's two ways of hiding
text, are exchanged back; that is no encryption.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from imgmatch.errors import EvidenceError, over

_R = bytes.fromhex(
    "41361362a8216ebbf416cc047f64e85d1ef2cb2a74c55e35d295479e962d9a884c7d843fdbac31b6485ff6c4d8398be7"
    "233b388ec8c1df25b120a546604e9cfbaad35651457c550007c92b9d859b09a08fadb30f63ab894bd7a7155a716642bf"
    "264a6b98faea7753b270052cfd593a867ece06eb827857c78d43afb41cd45bcde2e9274fc3087280cfb0eff5286dbe30"
    "4d3492d50e3c2232e5e4f99fc2d10a8112e1ee918376e397e6618a1779a4b7dc907a5c8c02a6ca69de501a1193b95287"
    "58fced1d37491b6ae0293399bd6cd994f340546ff0c673b8d63e6518441fdd6710f10c19ecae03a1147ba90bfff8a3c0"
    "a201f72ebc2468750dfeba2fb5d0da3d"
)
_S = bytes.fromhex(
    "14530f56b3c87a9ceb65481716159f02cc547c83000d0c0ba262a876dbd9edc7c5a4dcac8574d6d0a79bae9a967166c3"
    "6399b8dd73928e847da55ed15d93b1575150808952944f4e0a6bbc8d7f6e47464140440111cb033ff7f4e1a98f3c3af9"
    "fbf0193082092ec99da08649ee6f4d6dc42d813425871b88aafc06a11238fd4c4272641337246a757743ffe6b44b365c"
    "e4d8353d45b92cecb7312b290768a30e697b189e2139be281a5b78f523ca2ab0af3efe048ce7e5983295d3f64ae8a6ea"
    "e9f3d52f7020f21f0567ad5510cecde3273bdabad7c226d4911dd21c2233f8faf15aefcf90b68bb5bdc0bf08971e6ce2"
    "61e0c6c159abbb58de5fdf60797eb28a"
)
_I = bytes(_R.index(byte) for byte in range(256))
_EXCHANGED, _CYCLIC = 1, 2
_BLOCKS, _NODES = 0x80, 0x81
_MOST_LEVELS, _MOST_ENTRIES = 12, 4_000_000
_MOST_DATA = 1 << 31
_MOST_PARTS = 8_000_000  # blocks that are read, of all values together: lists may name one another in circles
_SEARCHED_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Node:
    """``data`` and ``inner`` are numbers of blocks, of nodes below it the latter; 0: there are none."""

    number: int
    data: int
    inner: int
    parent: int = 0


class Pages:
    """Finds nodes and blocks. Raises EvidenceError of kind ``broken_document`` where there is nothing to begin with."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        head = stream.read(564)
        version = int.from_bytes(head[10:12], "little")
        if len(head) < 564 or version < 14:
            raise EvidenceError("broken_document", "ends within its header, or has none that is known")
        self.wide = version >= 23
        self.large = version >= 36
        places = struct.unpack_from("<4Q", head, 216) if self.wide else struct.unpack_from("<4I", head, 184)
        self.hidden = head[513 if self.wide else 461]
        self._left = _MOST_PARTS
        self.damaged = 0
        """Pages of its two trees that can't be read: what they lead to is not found."""
        self.nodes = {node.number: node for node in map(self._node, self._leaves(_NODES, places[1]))}
        self._blocks = dict(map(self._place, self._leaves(_BLOCKS, places[3])))
        if self.damaged or not self.nodes:
            self._look_for_more()

    def data(self, number: int) -> tuple[bytes, bool]:
        """What a block holds, or those that it lists; and whether all of it is there, and as it was."""
        if not number:
            return b"", True
        parts, whole = list[bytes](), True
        size = 0
        for part, sound in self._parts(number, _MOST_LEVELS):
            parts.append(part)
            whole = whole and sound
            size += len(part)
            if size > _MOST_DATA:
                raise over("max_member_bytes", "holds a value that is longer than any program writes; the rest is left")
        return b"".join(parts), whole

    def blocks(self, number: int) -> tuple[list[bytes], bool]:
        """As ``data``, block by block, as a heap needs them."""
        found = list(self._parts(number, _MOST_LEVELS)) if number else []
        return [part for part, _ in found], all(sound for _, sound in found)

    def below(self, number: int, levels: int = _MOST_LEVELS) -> Iterator[Node]:
        """Nodes that a list of them names."""
        block, _ = self._block(number) if number else (b"", True)
        if len(block) < 8 or block[0] != 2 or not levels:
            return
        level, count = block[1], int.from_bytes(block[2:4], "little")
        how, at = ("<3Q" if self.wide else "<3I"), (8 if self.wide else 4)
        how = how if not level else ("<2Q" if self.wide else "<2I")
        size = struct.calcsize(how)
        for place in range(at, min(at + count * size, len(block) - size + 1), size):
            entry = struct.unpack_from(how, block, place)
            if level:
                yield from self.below(entry[1], levels - 1)
            else:
                yield Node(entry[0] & 0xFFFFFFFF, entry[1], entry[2])

    def _parts(self, number: int, levels: int) -> Iterator[tuple[bytes, bool]]:
        block, sound = self._block(number)
        if not number & 2:
            yield block, sound
            return
        if len(block) < 8 or block[0] != 1 or not levels:
            yield b"", False
            return
        count, size = int.from_bytes(block[2:4], "little"), 8 if self.wide else 4
        for at in range(8, 8 + count * size, size):
            inner = block[at : at + size]
            if len(inner) < size:
                yield b"", False
                return
            yield from self._parts(int.from_bytes(inner, "little"), levels - 1)

    def _block(self, number: int) -> tuple[bytes, bool]:
        self._left -= 1
        if self._left < 0:
            raise over("max_members", f"names more than {_MOST_PARTS:,} blocks; the rest is left")
        place = self._blocks.get(number & ~1)
        return (b"", False) if place is None else self._stored(number, *place)

    def _stored(self, number: int, start: int, size: int) -> tuple[bytes, bool]:
        trailer = 24 if self.large else 16 if self.wide else 12
        step = 512 if self.large else 64
        self._stream.seek(start)
        stored = self._stream.read(-(-(size + trailer) // step) * step)
        data, end = stored[:size], stored[-trailer:]
        if len(data) < size or len(end) < trailer:
            return data, False
        if self.wide:
            checksum, called, whole = end[4:8], end[8:16], end[18:20] if self.large else b""
        else:
            checksum, called, whole = end[8:12], end[4:8], b""
        told = (int.from_bytes(piece, "little") for piece in (end[:2], checksum, called))
        sound = tuple(told) == (size, crc(data), number)
        full = int.from_bytes(whole, "little")
        if full and full != size:
            inflate = zlib.decompressobj()
            try:
                data = inflate.decompress(data, full)
            except zlib.error:
                return b"", False
            sound = sound and len(data) == full
        return (data if number & 2 else self._shown(data, number)), sound

    def _shown(self, data: bytes, number: int) -> bytes:
        if self.hidden == _EXCHANGED:
            return exchanged(data)
        if self.hidden == _CYCLIC:
            return cyclic(data, number & 0xFFFFFFFF)
        return data

    def _node(self, entry: bytes) -> Node:
        number, data, inner, parent = struct.unpack_from("<3QI" if self.wide else "<4I", entry)
        return Node(number & 0xFFFFFFFF, data, inner, parent)

    def _place(self, entry: bytes) -> tuple[int, tuple[int, int]]:
        """Number, and start and size, of a block."""
        number, start, length = struct.unpack_from("<QQH" if self.wide else "<IIH", entry)
        return number & ~1, (start, length)

    def _leaves(self, kind: int, top: int) -> Iterator[bytes]:
        """Entries of a tree's lowest pages, each once, in their order; damaged pages are passed over and counted."""
        waiting, seen, given = [(top, _MOST_LEVELS)], set[int](), 0
        while waiting:
            place, levels = waiting.pop()
            page = None if place in seen or not levels else self._page(kind, place)
            seen.add(place)
            if page is None:
                self.damaged += 1
                continue
            level, entries = page
            given += len(entries)
            if given > _MOST_ENTRIES:
                raise over("max_members", f"holds more than {_MOST_ENTRIES:,} nodes; not opened")
            if level:
                below = (struct.unpack_from("<3Q" if self.wide else "<3I", entry)[2] for entry in entries)
                waiting += reversed([(place, levels - 1) for place in below])
            else:
                yield from entries

    def _look_for_more(self) -> None:
        """Where pages of the trees are damaged, those that they lead to lie somewhere, as do older ones."""
        page = 4096 if self.large else 512
        mark = 4072 if self.large else 496 if self.wide else 500
        for start in range(0, self._stream.seek(0, 2), _SEARCHED_BYTES):
            self._stream.seek(start)
            some = self._stream.read(_SEARCHED_BYTES)
            for at in range(0, len(some) - page + 1, page):
                kind = some[at + mark]
                if kind not in (_BLOCKS, _NODES) or some[at + mark + 1] != kind:
                    continue
                level, entries = self._page(kind, start + at) or (1, [])
                if level or len(self.nodes) + len(self._blocks) > _MOST_ENTRIES:
                    continue
                for entry in entries:
                    if kind == _NODES:
                        node = self._node(entry)
                        self.nodes.setdefault(node.number, node)
                    else:
                        self._blocks.setdefault(*self._place(entry))

    def _page(self, kind: int, place: int) -> tuple[int, list[bytes]] | None:
        """Level and entries of a page, or None where it is none."""
        size = 4096 if self.large else 512
        self._stream.seek(place)
        page = self._stream.read(size)
        if len(page) < size:
            return None
        if self.large:
            said, checksum, summed = page[4072], page[4076:4080], 4072
            (count,), (entry, level), room = struct.unpack_from("<H", page, 4056), page[4060:4062], 4056
        elif self.wide:
            said, checksum, summed = page[496], page[500:504], 496
            count, _, entry, level, room = *page[488:492], 488
        else:
            said, checksum, summed = page[500], page[508:512], 500
            count, _, entry, level, room = *page[496:500], 496
        least = (24 if self.wide else 12) + (not level and kind == _NODES) * (8 if self.wide else 4)
        if said != kind or crc(page[:summed]) != int.from_bytes(checksum, "little") or entry < least:
            return None
        return level, [page[at : at + entry] for at in range(0, min(count * entry, room - entry + 1), entry)]


def crc(data: bytes) -> int:
    """As the format has it: CRC-32 that neither begins nor ends with ones."""
    return zlib.crc32(data, 0xFFFFFFFF) ^ 0xFFFFFFFF


def exchanged(data: bytes, *, back: bool = True) -> bytes:
    """Bytes exchanged for others, or back ([MS-PST], 5.1)."""
    return data.translate(_I if back else _R)


def cyclic(data: bytes, key: int) -> bytes:
    """Bytes hidden by a key, or shown again: it is its own opposite ([MS-PST], 5.2)."""
    word = ((key ^ key >> 16) + np.arange(len(data))).astype(np.uint16)
    low, high = word.astype(np.uint8), (word >> 8).astype(np.uint8)
    exchanged = _table(_R)[np.frombuffer(data, np.uint8) + low]
    exchanged = _table(_S)[exchanged + high]
    return (_table(_I)[exchanged - high] - low).tobytes()


def _table(values: bytes) -> np.ndarray:
    return np.frombuffer(values, np.uint8)
