"""What a file is called that was not read as a picture: by its signature, where it has one."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable

import numpy as np

from imgmatch.errors import EvidenceError, unsupported
from imgmatch.evidence.signatures import SIGNATURES, Signature

At = Callable[[int, int], bytes]
"""Bytes of a file at a place, so many or fewer; a negative place counts from the end."""

_HEAD_BYTES = 4096
# A root element, behind what may stand before one. Atomic, as what stands there is anybody's.
_SVG = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*+(?>(?:<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^>\[]*(?:\[.*?\])?[^>]*>)\s*+)*+<(?:\w+:)?svg[\s>/]",
    re.DOTALL,
)
_LEAST_VOLUME_BYTES, _SECTOR, _SAMPLE_BYTES = 1 << 18, 512, 1 << 16
_CHANCE = 150, 390  # chi squared of 256 values: what is random lies beyond that once in a million times
_CONTROL = re.compile(rb"[\0-\x08\x0e-\x1f]")
_WORD = 7  # so many letters at a place are no chance
_AS_SVG = Signature("SVG drawing", "picture", b"<")

_BY_PLACE: dict[int, list[Signature]] = defaultdict(list)
for _one in sorted(SIGNATURES, key=lambda one: -(len(one.magic) + sum(len(magic) for _, magic in one.more))):
    _BY_PLACE[_one.at].append(_one)
_PLACES = [
    (place, max(len(one.magic) for one in signs), tuple({one.magic for one in signs}))
    for place, signs in _BY_PLACE.items()
]


def signature_of(at: At) -> Signature | None:
    """What a file is by its bytes, or None."""
    head = at(0, _HEAD_BYTES)
    found: list[Signature] = []
    for place, longest, magics in _PLACES:
        here = head[place : place + longest] if 0 <= place <= _HEAD_BYTES - longest else at(place, longest)
        if not here.startswith(magics):
            continue
        signs = (one for one in _BY_PLACE[place] if here.startswith(one.magic))
        fits = (one for one in signs if all(_stands(at, head, more) for more in one.more))
        first = next(fits, None)
        if first is not None:
            found.append(first)
    if found and _CONTROL.search(head) is None:  # a text, which may well begin with some letters
        found = [one for one in found if len(one.magic) >= _WORD or not one.magic.isascii()]
    if not found:
        return _AS_SVG if _SVG.match(head) else None
    return max(found, key=lambda one: len(one.magic) + sum(len(magic) for _, magic in one.more))


def named(error: EvidenceError, at: At, size_bytes: int = 0) -> EvidenceError:
    """An error of kind ``not_a_picture`` or ``too_large``, and what the file of so many bytes is in truth, where they
    tell it: of kind ``unsupported``, or ``unreadable`` where it is a picture of a kind that is read.
    """
    if error.kind not in ("not_a_picture", "too_large"):
        return error
    found = signature_of(at)
    if found is None and _may_be_volume(at, size_bytes):
        says = "of a whole number of sectors: perhaps an encrypted volume (VeraCrypt, TrueCrypt)"
        return unsupported("file of random bytes", says, error.stage)
    if found is None or (found.read and error.kind == "too_large"):
        return error
    if found.read:
        return EvidenceError(
            "unreadable", f"begins as {found.name} does, and can't be read as that: damaged", error.stage
        )
    return unsupported(found.name, "it is not read", error.stage)


def _may_be_volume(at: At, size_bytes: int) -> bool:
    """Is it as long as a volume may be, and as random at its start, middle and end as nothing but chance and ciphers
    are? What is packed is not quite.
    """
    if size_bytes < _LEAST_VOLUME_BYTES or size_bytes % _SECTOR:
        return False
    for place in (0, (size_bytes - _SAMPLE_BYTES) // 2, size_bytes - _SAMPLE_BYTES):
        sample = np.frombuffer(at(place, _SAMPLE_BYTES), np.uint8)
        counts = np.bincount(sample, minlength=256)
        expected = len(sample) / 256
        if len(sample) < _SAMPLE_BYTES or not _CHANCE[0] < ((counts - expected) ** 2).sum() / expected < _CHANCE[1]:
            return False
    return True


def _stands(at: At, head: bytes, more: tuple[int, bytes]) -> bool:
    place, magic = more
    inside = 0 <= place <= len(head) - len(magic)
    return (head[place : place + len(magic)] if inside else at(place, len(magic))) == magic
