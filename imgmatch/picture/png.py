"""PNG chunk checksums (ISO/IEC 15948): found, named and mended, so that a damaged file still gives its pixels.

Pillow refuses a wrong checksum in a header chunk and never looks at those of the pixel data.
"""

from __future__ import annotations

import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def mend_checksums(data: bytes) -> tuple[bytes, str | None]:
    """Return ``data`` with every chunk's CRC-32 right, and what was wrong with the first bad one (None: nothing)."""
    if not data.startswith(SIGNATURE):
        return data, None
    view = memoryview(data)
    fault: str | None = None
    mended: bytearray | None = None
    at = len(SIGNATURE)
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(view[at : at + 4], "big")
        if end + 4 > len(data):
            break  # truncated: the decoder says so
        right = zlib.crc32(view[at + 4 : end]).to_bytes(4, "big")
        if right != view[end : end + 4]:
            fault = fault or f"wrong checksum in PNG chunk {data[at + 4 : at + 8].decode('ascii', 'replace')!r}"
            mended = mended or bytearray(data)
            mended[end : end + 4] = right
        at = end + 4
    return (bytes(mended), fault) if mended else (data, None)
