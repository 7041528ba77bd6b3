"""Videos, pictures that hold several, and documents, by their first bytes."""

from __future__ import annotations

import re
from typing import BinaryIO

from imgmatch.picture.image import HEIF_BRANDS
from imgmatch.types import Evidence

# Brands of ISO base media files (ISO/IEC 14496-12) that are pictures; all others are videos or sound.
_PICTURE_BRANDS = HEIF_BRANDS | {b"avif", b"avis", b"jpx ", b"jp2 ", b"crx ", b"jxl "}
_QUICKTIME_ATOMS = (b"moov", b"mdat", b"wide", b"pnot")
_VIDEO = (
    b"\x1a\x45\xdf\xa3",  # Matroska, WebM
    b"\0\0\x01\xba",  # MPEG program stream
    b"\0\0\x01\xb3",  # MPEG video
    b"FLV\x01",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # ASF, WMV
    b"OggS",
    b".RMF",
    b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02\x01\x01\x02",  # MXF
)
_TS_PACKET = 188
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_HEADER = re.compile(rb"[!-9;-~]+:[ \t]")
_MAIL_HEADER = re.compile(
    rb"^(From|To|Subject|Date|Message-ID|MIME-Version|Received|Return-Path|Content-Type|Delivered-To|Reply-To"
    rb"|DKIM-Signature):",
    re.IGNORECASE | re.MULTILINE,
)


def is_video(head: bytes) -> bool:
    """MP4, MOV, 3GP, AVI, Matroska, WebM, MPEG (program, transport, plain), FLV, ASF, Ogg, RealMedia or MXF."""
    if head[4:8] == b"ftyp":
        return head[8:12] not in _PICTURE_BRANDS
    return (
        head[4:8] in _QUICKTIME_ATOMS
        or (head.startswith(b"RIFF") and head[8:12] in (b"AVI ", b"AVIX"))
        or head.startswith(_VIDEO)
        or any(head[at :: _TS_PACKET + extra][:4] == b"GGGG" for at, extra in ((0, 0), (4, 4)))
    )


def holds_several(found: Evidence, head: bytes) -> bool:
    """May it be a picture of several: an animated GIF, WebP or PNG, any TIFF, HEIF or AVIF sequence?"""
    if head.startswith(b"GIF8"):
        with found.open() as stream:
            return _images_of_gif(stream) > 1
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return b"acTL" in head
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return head[12:16] == b"VP8X" and bool(head[20] & 2)
    if head[4:8] == b"ftyp":
        return head[8:12] in HEIF_BRANDS or head[8:12] == b"avis"
    return head.startswith((b"II*\0", b"MM\0*"))


def may_hold_previews(head: bytes) -> bool:
    """Is it a JPEG with EXIF data?"""
    return head.startswith(b"\xff\xd8\xff") and b"Exif\0\0" in head


def document(head: bytes) -> str | None:
    """The class in ``imgmatch.evidence.formats.extracted`` of a document that may hold pictures."""
    if b"%PDF-" in head[:1024]:
        return "Pdf"
    if head.startswith(_OLE):
        return "Thumbs"
    mbox = head.startswith(b"From ")
    text = head.partition(b"\n")[2] if mbox else head.removeprefix(b"\xef\xbb\xbf")
    # One header may stand at the start of any text; a message has several.
    if _HEADER.match(text) and len({name.lower() for name in _MAIL_HEADER.findall(text)}) >= 2:
        return "Mail"
    return None


def _images_of_gif(stream: BinaryIO) -> int:
    """1 or 2: images in a GIF (GIF89a), counted no further than the second; 0 where it is broken before the first."""

    def read(size: int) -> bytes:
        parts = b""
        while len(parts) < size:
            part = stream.read(size - len(parts))
            if not part:
                raise EOFError
            parts += part
        return parts

    def colours(flags: int) -> int:
        return 3 << ((flags & 7) + 1) if flags & 0x80 else 0

    images = 0
    try:
        read(colours(read(13)[10]))
        while images < 2:
            block = read(1)
            if block == b",":
                images += 1
                read(colours(read(9)[8]) + 1)
            elif block == b"!":
                read(1)
            else:
                break
            while length := read(1)[0]:
                read(length)
    except EOFError:
        pass
    return images
