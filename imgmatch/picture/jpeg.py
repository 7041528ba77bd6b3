"""What the frame header of a JPEG says (ITU-T T.81, annex B), and a height that only comes behind the scan."""

from __future__ import annotations

from dataclasses import dataclass

_SOI, _SOS, _EOI, _DNL = 0xD8, 0xDA, 0xD9, b"\xff\xdc\x00\x04"
_NO_FRAMES = {0xC4, 0xC8, 0xCC}
LOSSLESS, HIERARCHICAL, LS = {0xC3, 0xCB}, {0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF}, 0xF7


@dataclass(frozen=True, slots=True)
class Frame:
    """``at``: where its marker stands; ``kind``: that marker. ``bits`` of one sample; ``size``: width, height."""

    at: int
    kind: int
    bits: int
    size: tuple[int, int]
    components: int


def frame_of(data: bytes) -> Frame | None:
    """The first frame of a JPEG; None where none begins before its pixels."""
    at = 2
    while data[at : at + 1] == b"\xff" and at + 10 <= len(data):
        kind = data[at + 1]
        if kind == 0xFF:
            at += 1
            continue
        if kind in (_SOS, _EOI):
            break
        if (0xC0 <= kind <= 0xCF and kind not in _NO_FRAMES) or kind == LS:
            height, width = int.from_bytes(data[at + 5 : at + 7], "big"), int.from_bytes(data[at + 7 : at + 9], "big")
            return Frame(at, kind, data[at + 4], (width, height), data[at + 9])
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def plain_is_zero(data: bytes) -> bool:
    """May pixels of one colour be coded by nothing but zero bits? So they are where the code of zero bits in every
    Huffman table (ITU-T T.81, C.2) says that nothing differs.
    """
    at, first = 2, set()
    while (at := data.find(b"\xff\xc4", at)) >= 0:
        place, end = at + 4, at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        while place + 17 < end <= len(data):
            first.add(data[place + 17])
            place += 17 + sum(data[place + 1 : place + 17])
        at += 4
    return first == {0}


def with_height(data: bytes) -> bytes:
    """A JPEG whose frame leaves its height open, with the one that stands behind its first scan (DNL); any other as it
    is.
    """
    frame = frame_of(data) if data.startswith(b"\xff\xd8\xff") else None
    if frame is None or frame.size[1]:
        return data
    place = data.find(_DNL, frame.at)
    if place < 0:
        return data
    return data[: frame.at + 5] + data[place + 4 : place + 6] + data[frame.at + 7 :]
