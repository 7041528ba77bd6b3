"""Is there a JUMBF box in a picture, as C2PA content credentials use? Found, never judged: no signature is checked."""

from __future__ import annotations

from collections.abc import Iterator

_C2PA_BOX = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
# A box is found within so many parts of a file, or not at all: a file of a million empty parts costs no more.
_MOST_PARTS = 4096


def jumbf_kind(data: bytes) -> str | None:
    """``C2PA``, ``JUMBF`` (ISO/IEC 19566-5 with something else in it) or None; of JPEG (APP11), PNG (caBX), WebP and
    the ISO base media format (HEIF, AVIF), as C2PA 2.1, appendix A, has them.
    """
    if data.startswith(b"\xff\xd8"):
        boxes = [part[8:] for part in _app11(data) if part[:2] == b"JP"]
        # Only the first of several segments says what it is.
        return None if not boxes else "C2PA" if any(b"c2pa" in box[:512] for box in boxes) else "JUMBF"
    if data.startswith(b"\x89PNG"):
        return "C2PA" if b"caBX" in _png_chunks(data) else None
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "C2PA" if b"C2PA" in _riff_chunks(data) else None
    if data[4:8] == b"ftyp":
        return "C2PA" if b"uuid" + _C2PA_BOX in _media_boxes(data) else None
    return None


def _app11(data: bytes) -> Iterator[bytes]:
    at = 2
    for _ in range(_MOST_PARTS):
        if data[at : at + 1] != b"\xff" or data[at + 1 : at + 2] in (b"\xda", b"\xd9", b""):
            return
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] == 0xEB:
            yield data[at + 4 : at + 2 + size]
        at += 2 + max(size, 2)


def _png_chunks(data: bytes) -> Iterator[bytes]:
    at = 8
    for _ in range(_MOST_PARTS):
        if at + 8 > len(data):
            return
        yield data[at + 4 : at + 8]
        at += 12 + int.from_bytes(data[at : at + 4], "big")


def _riff_chunks(data: bytes) -> Iterator[bytes]:
    at = 12
    for _ in range(_MOST_PARTS):
        if at + 8 > len(data):
            return
        yield data[at : at + 4]
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + size + size % 2


def _media_boxes(data: bytes) -> Iterator[bytes]:
    at = 0
    for _ in range(_MOST_PARTS):
        if at + 8 > len(data):
            return
        size, head = int.from_bytes(data[at : at + 4], "big"), 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        yield data[at + 4 : at + 8] + data[at + head : at + head + 16]
        if size < 8:  # 0: to the end of the file
            return
        at += size
