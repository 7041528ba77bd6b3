"""Pictures that a text carries by the numbers of their bytes: in hexadecimal digits, as dumps of databases have them
(``X'ffd8...'``, ``0xFFD8...``, ``\\\\xffd8...``), or as a list of decimal ones, as JSON has it.
"""

from __future__ import annotations

import re

from imgmatch.picture.extents import length_of

_DIGIT = rb"[0-9A-Fa-f]"
HEX = (
    rb"(?:[Ff]{2}[Dd]8[Ff]{2}[C-Fc-f]" + _DIGIT + rb"|89504[Ee]470[Dd]0[Aa]1[Aa]0[Aa]|474946383[79]61"
    rb"|52494646" + _DIGIT + rb"{8}57454250)(?=(?:\s?" + _DIGIT + rb"){100})"
)
LIST = rb"(?<![\d.-])(?:(?:255|-1), ?(?:216|-40), ?(?:255|-1)|(?:137|-119), ?80, ?78, ?71)(?=(?:, ?-?\d{1,3}){50})"
_NEXT = rb"(?:,\s?| )(?:0[xX])?"
HEX_LIST = (
    rb"(?<![0-9A-Fa-fxX])(?:0[xX])?(?:[Ff]{2}"
    + _NEXT
    + rb"[Dd]8"
    + _NEXT
    + rb"[Ff]{2}|89"
    + _NEXT
    + rb"50"
    + _NEXT
    + rb"4[Ee]|47"
    + _NEXT
    + rb"49"
    + _NEXT
    + rb"46)(?=(?:[,\s\\]{1,8}(?:0[xX])?"
    + _DIGIT
    + rb"{2}\b){50})"
)
_HEX_NEEDLES = (b"ffd8ff", b"FFD8FF", b"89504e470d", b"89504E470D", b"4749463839", b"4749463837", b"52494646")
_LIST_NEEDLES = (
    b"255,216,255,",
    b"255, 216, 255,",
    b"-1,-40,-1,",
    b"-1, -40, -1,",
    b"137,80,78,71,",
    b"137, 80, 78, 71,",
)
_HEX_LIST_NEEDLES = tuple(
    _start + _between + _second
    for _first, _second in ((b"ff", b"d8"), (b"FF", b"D8"), (b"89", b"50"))
    for _start, _between in (
        (_first, b","),
        (_first, b", "),
        (_first, b" "),
        (_first, b",0x"),
        (_first, b", 0x"),
        (_first, b" 0x"),
    )
)
NEEDLES = (*_HEX_NEEDLES, *_LIST_NEEDLES, *_HEX_LIST_NEEDLES)
_PROOF = re.compile(rb"(?:" + HEX + rb"|" + LIST + rb"|" + HEX_LIST + rb")")
_HEX_LIST_RUN = re.compile(rb"(?:[,\s\\]{0,8}(?:0[xX])?[0-9A-Fa-f]{2}(?![0-9A-Fa-f]))*")
_HEX_NUMBER = re.compile(rb"(?:0[xX])?([0-9A-Fa-f]{2})")
_HEX_RUN = re.compile(rb"(?:[0-9A-Fa-f]{2}|[\s\\])*")
_LIST_RUN = re.compile(rb"(?:-?\d{1,3}[,\s]{0,4})*")
_LOOSE_BYTES = 64  # digits that follow, and are no more of it
_NUMBER = re.compile(rb"-?\d+")


def in_hex(text: bytes) -> bool:
    """Does a text with long runs of letters carry what begins as a picture does, in hexadecimal digits?"""
    return _stands(text, _HEX_NEEDLES)


def in_list(text: bytes) -> bool:
    """The same of numbers one by one."""
    return _stands(text, _LIST_NEEDLES) or _stands(text, _HEX_LIST_NEEDLES)


def _stands(text: bytes, needles: tuple[bytes, ...]) -> bool:
    for needle in needles:
        at = text.find(needle)
        while at >= 0:
            if _PROOF.match(text, at) or (text[at - 2 : at] in (b"0x", b"0X") and _PROOF.match(text, at - 2)):
                return True
            at = text.find(needle, at + len(needle))
    return False


def read_hex_list(text: bytes, start: int) -> tuple[int, bytes]:
    """As ``read``, of hexadecimal numbers one by one."""
    run = _HEX_LIST_RUN.match(text, start)
    assert run is not None  # it matches nothing too
    data = bytes.fromhex(b"".join(_HEX_NUMBER.findall(run[0])).decode("ascii"))
    size = length_of(data)
    return max(run.end(), start + 1), data[:size] if size and len(data) - size < _LOOSE_BYTES else data


def read(text: bytes, start: int, *, as_list: bool) -> tuple[int, bytes]:
    """Where what begins at a place ends, and what it says, up to the end of the picture where that is found."""
    run = (_LIST_RUN if as_list else _HEX_RUN).match(text, start)
    assert run is not None  # it matches nothing too
    if as_list:
        data = bytes(int(number) & 255 for number in _NUMBER.findall(run[0]))
    else:
        digits = re.sub(rb"[\s\\]", b"", run[0])
        data = bytes.fromhex(digits.decode("ascii"))
    size = length_of(data)
    return max(run.end(), start + 1), data[:size] if size and len(data) - size < _LOOSE_BYTES else data
