"""What a signature by CMS (RFC 5652), as S/MIME and CAdES have it, is around: it stands in it as it was."""

from __future__ import annotations

_SIGNED = bytes.fromhex("06092a864886f70d010702")
_SEQUENCE, _OCTETS, _OF_OCTETS, _EXPLICIT = 0x30, 0x04, 0x24, 0xA0
_MOST_DEPTH = 16


def is_signed(head: bytes) -> bool:
    """Do some bytes begin as signed data does?"""
    return head[:1] == b"\x30" and head.find(_SIGNED, 2, 8 + len(_SIGNED)) >= 0


def content_of(data: bytes) -> bytes | None:
    """What was signed; None where that is not in it, or it is none."""
    try:
        outer = _parts(data, *_element(data, 0, len(data))[1:3])
        signed = _parts(data, *_wrapped(data, outer[1]))
        about = next(part for part in signed if part[0] == _SEQUENCE)
        said = _parts(data, about[1], about[2])
        if len(said) < 2:
            return None
        tag, start, stop, _ = _wrapped_element(data, said[1])
        return _octets(data, tag, start, stop, 0)
    except (IndexError, StopIteration, ValueError):
        return None


def _wrapped_element(data: bytes, part: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    if part[0] != _EXPLICIT:
        raise ValueError("not where it should be")
    return _element(data, part[1], part[2])


def _wrapped(data: bytes, part: tuple[int, int, int, int]) -> tuple[int, int]:
    tag, start, stop, _ = _wrapped_element(data, part)
    if tag != _SEQUENCE:
        raise ValueError("not where it should be")
    return start, stop


def _octets(data: bytes, tag: int, start: int, stop: int, depth: int) -> bytes:
    """A string, in one piece or in several."""
    if tag == _OCTETS:
        return data[start:stop]
    if tag != _OF_OCTETS or depth > _MOST_DEPTH:
        raise ValueError("no octets")
    return b"".join(_octets(data, *part[:3], depth + 1) for part in _parts(data, start, stop))


def _parts(data: bytes, start: int, stop: int) -> list[tuple[int, int, int, int]]:
    found = []
    while start < stop and data[start : start + 2] != b"\0\0":
        found.append(_element(data, start, stop))
        start = found[-1][3]
    return found


def _element(data: bytes, at: int, end: int, depth: int = 0) -> tuple[int, int, int, int]:
    """Its tag, where its content begins and ends, and where the next one begins. ValueError, IndexError."""
    tag, length, start = data[at], data[at + 1], at + 2
    if tag & 0x1F == 0x1F or depth > _MOST_DEPTH:
        raise ValueError("no tag that is used here")
    if length == 0x80:  # up to two zeros
        stop = start
        while data[stop : stop + 2] != b"\0\0":
            if stop + 2 > end:
                raise ValueError("cut off")
            stop = _element(data, stop, end, depth + 1)[3]
        return tag, start, stop, stop + 2
    if length & 0x80:
        count = length & 0x7F
        length, start = int.from_bytes(data[start : start + count], "big"), start + count
    if start + length > end:
        raise ValueError("cut off")
    return tag, start, start + length, start + length
