"""A receipt of an audit log: its head as eight words, to be noted elsewhere, and found again in the log later.

A word stands for 11 bits, from the list of BIP-39 (2,048 words of which each is known by its first four letters): the
first 88 bits of the SHA-256 of the last entry, which stands for the whole log up to there. Whoever puts an older copy
of a case in its place, or another log, has no entry that begins like this.
"""

from __future__ import annotations

import difflib
import functools
import hashlib
import re
from importlib.resources import files

from imgmatch.errors import UsageError
from indexer.case.chain import ANY, Head

WORDS = 8
_BITS = 11
_DIGITS = WORDS * _BITS // 4
_KNOWN_BY = 4
_WHOLE = re.compile(r"(\d{1,18}):([0-9a-fA-F]{64})(?![0-9a-fA-F])")


@functools.cache
def _list() -> tuple[str, ...]:
    return tuple(files(__package__).joinpath("words.txt").read_text("ascii").split())


def words(head: Head) -> str:
    """The eight words of a head."""
    bits = int(head.sha256[:_DIGITS], 16)
    return " ".join(_list()[bits >> _BITS * place & (1 << _BITS) - 1] for place in reversed(range(WORDS)))


def text(case_id: str, head: Head) -> str:
    """A receipt as one line, of a QR code or a file that a time-stamp is asked for: with the whole hash."""
    return f"imgmatch receipt {case_id} {head}"


def imprint(case_id: str, head: Head) -> bytes:
    """The SHA-256 of that line, which time-stamps are of."""
    return hashlib.sha256(text(case_id, head).encode("ascii", "backslashreplace")).digest()


def parse(given: str) -> Head:
    """The head that a receipt is of: from its words, with or without the number of the entry before them, or from what
    its QR code says. Of words alone its entry is ``ANY`` and its hash only begins so. Raises UsageError.
    """
    if (whole := _WHOLE.search(given)) is not None:
        return Head(int(whole[1]), whole[2].lower())
    parts = re.findall(r"[a-z]+|\d+", given.lower())
    number = int(parts.pop(0)) if parts and parts[0].isdecimal() and len(parts[0]) < 19 else ANY
    if len(parts) != WORDS:
        raise UsageError(f"{given!r}: is no receipt; give its {WORDS} words, or NUMBER:SHA256")
    bits = 0
    for part in parts:
        bits = bits << _BITS | _place(part)
    return Head(number, f"{bits:0{_DIGITS}x}")


@functools.cache
def _begins() -> dict[str, int]:
    return {word[:_KNOWN_BY]: place for place, word in enumerate(_list())}


def _place(word: str) -> int:
    place = _begins().get(word[:_KNOWN_BY])
    if place is None or (len(word) > _KNOWN_BY and _list()[place] != word):
        near = difflib.get_close_matches(word, _list(), 1)
        raise UsageError(f"{word!r}: is no word of a receipt{f'; {near[0]}?' if near else ''}")
    return place
