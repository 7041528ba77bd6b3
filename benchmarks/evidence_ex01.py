"""An Ex01 as small as one can be (EWF2): chunks that are packed, plain or a pattern, in segments."""

from __future__ import annotations

import hashlib
import struct
import zlib

_PER_CHUNK, _SECTOR = 8, 512
_IDENTITY = bytes(range(16))


def ex01(disk: bytes, segments: int = 1) -> list[bytes]:
    """The segment files of a disk of whole chunks."""
    size = _PER_CHUNK * _SECTOR
    chunks = [disk[at : at + size] for at in range(0, len(disk), size)]
    share = -(-len(chunks) // segments)
    files = []
    for number in range(segments):
        made = _Segment(number + 1)
        if not number:
            made.text(1, {"ts": str(len(disk) // _SECTOR), "bp": str(_SECTOR), "sn": "1"})
            made.text(2, {"nm": "n", "cn": "7", "ex": "Ada", "tb": str(len(chunks)), "sb": str(_PER_CHUNK), "cp": "1"})
        made.chunks(number * share, chunks[number * share : (number + 1) * share])
        if number == segments - 1:
            for kind, digest in ((8, hashlib.md5(disk).digest()), (9, hashlib.sha1(disk).digest())):
                made.section(kind, (digest + struct.pack("<I", zlib.adler32(digest))).ljust(32, b"\0"))
        made.section(15 if number == segments - 1 else 13, b"")
        files.append(bytes(made.data))
    return files


class _Segment:
    def __init__(self, number: int) -> None:
        self.data = bytearray(struct.pack("<8sBBHI16s", b"EVF2\r\n\x81\0", 2, 1, 1, number, _IDENTITY))
        self._before = 0

    def section(self, kind: int, data: bytes) -> None:
        """Content, and behind it what describes it."""
        padding = -len(data) % 16
        self.data += data + bytes(padding)
        size = len(data) + padding
        head = struct.pack("<IIQQII16s12x", kind, 0, self._before, size, 64, padding, bytes(16))
        self._before = len(self.data)
        self.data += head + struct.pack("<I", zlib.adler32(head))

    def text(self, kind: int, said: dict[str, str]) -> None:
        """What is said of the disk or the case."""
        lines = ["1", "main", "\t".join(said), "\t".join(said.values()), "", ""]
        self.section(kind, zlib.compress("\n".join(lines).encode("utf-16")))

    def chunks(self, first: int, chunks: list[bytes]) -> None:
        """Sectors, and the table of them."""
        start, entries = len(self.data), b""
        body = bytearray()
        for number, chunk in enumerate(chunks):
            if chunk == chunk[:8] * (len(chunk) // 8):
                entries += struct.pack("<8sII", chunk[:8], 0, 5)
                continue
            packed = number % 2 == 0
            stored = zlib.compress(chunk) if packed else chunk + struct.pack("<I", zlib.adler32(chunk))
            entries += struct.pack("<QII", start + len(body), len(stored), 1 if packed else 2)
            body += stored + bytes(-len(stored) % 16)
        self.section(3, bytes(body))
        head = struct.pack("<QII", first, len(chunks), 0)
        head += struct.pack("<I", zlib.adler32(head)) + bytes(12)
        self.section(4, head + entries + struct.pack("<I", zlib.adler32(entries)) + bytes(12))
