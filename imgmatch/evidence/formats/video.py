"""Videos: MP4, MOV, 3GP, AVI, Matroska, WebM, MPEG, FLV, ASF, Ogg, RealMedia, MXF; and covers of sound."""

from __future__ import annotations

from typing import ClassVar

from imgmatch.evidence.formats.extracted import Extracted, Moving
from imgmatch.evidence.look import Look
from imgmatch.picture.brands import coding_of

# Brands of ISO base media files (ISO/IEC 14496-12) that are other pictures; all others are videos or sound.
_PICTURE_BRANDS = {b"jpx ", b"jp2 ", b"crx ", b"jxl "}
_QUICKTIME_ATOMS = (b"moov", b"mdat", b"wide", b"pnot")
_TS_PACKET = 188
_MPEG_SOUND = (b"ID3", b"\xff\xfb", b"\xff\xfa", b"\xff\xf3", b"\xff\xf2")
_SOUNDS = (*_MPEG_SOUND, b"MAC ", b"MPCK", b"MP+", b"wvpk", b"TTA1", b"OFR ", b"tBaK")


class Video(Moving):
    """Key frames, called by their time in ms; covers, files attached to it and thumbnails in it, by their places."""

    name = "video"
    kinds: ClassVar[tuple[str, ...]] = ("frame", "cover")
    parser = "video"
    needs = "av", "video"
    magic = (
        b"\x1a\x45\xdf\xa3",  # Matroska, WebM
        b"\0\0\x01\xba",  # MPEG program stream
        b"\0\0\x01\xb3",  # MPEG video
        b"FLV\x01",
        b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # ASF, WMV
        b"OggS",
        b".RMF",
        b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02\x01\x01\x02",  # MXF
    )

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """By its magic, its first atom, or the packets of a transport stream."""
        head = look.head
        if head[4:8] == b"ftyp":
            return coding_of(head) is None and head[8:12] not in _PICTURE_BRANDS
        return (
            head[4:8] in _QUICKTIME_ATOMS
            or (head.startswith(b"RIFF") and head[8:12] in (b"AVI ", b"AVIX"))
            or head.startswith(cls.magic)
            or any(head[at : at + 1] == b"G" and head[at :: _TS_PACKET + at][:4] == b"GGGG" for at in (0, 4))
        )


class Sequence(Video):
    """Pictures in a track of an HEIF file, beside those that are items of it."""

    name = "picture sequence"
    kinds: ClassVar[tuple[str, ...]] = ("track",)
    calls: ClassVar[dict[str, str]] = {"frame": "track"}
    itself = True

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """Has it a track (ISO/IEC 23008-12, 7)? Those of AVIF are its frames."""
        if coding_of(look.head) != "HEIF":
            return False
        at = 0
        while len(head := look.head[at : at + 16] if at + 16 <= len(look.head) else look.at(at, 16)) >= 8:
            if head[4:8] == b"moov":
                return True
            length = int.from_bytes(head[:4], "big")
            length = int.from_bytes(head[8:], "big") if length == 1 else length
            at += length
            if length < 8:
                break
        return False


class Sound(Extracted):
    """Covers of sound, where the first bytes of the file are none of a tag that holds them."""

    name = "sound"
    kinds = ("cover",)
    parser = "covers"
    switch = "documents"
    itself = True
    begins = (b"RIFF", b"FORM", b"DSD ", *_SOUNDS)

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """WAV, AIFF and DSF, which may have chunks of tags; others by a tag at their end."""
        head = look.head
        if head.startswith((b"RIFF", b"FORM")):
            return head[8:12] in (b"WAVE", b"AIFF", b"AIFC")
        return head.startswith(b"DSD ") or (head.startswith(_SOUNDS) and b"APETAGEX" in look.at(-160, 160))
