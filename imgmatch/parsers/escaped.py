"""Pictures that a text carries between quotes, byte by byte, with escapes for what can't stand there: dumps of MySQL
(``_binary '...\\0...'``), sources of programs (``"\\xff\\xd8\\xff..."``).
"""

from __future__ import annotations

import re

START = (
    rb"(?<=[\"'])(?:\\x[Ff]{2}\\x[Dd]8\\x[Ff]{2}|\\x89(?:PNG\\r\\n|\\x50\\x4[Ee])|\xff\xd8\xff[\xc0-\xfe]|\x89PNG\\r\\n"
    rb"|GIF8[79]a(?=[^\"']{40}))"
)
NEEDLES = (
    b"\\xff\\xd8\\xff",
    b"\\xFF\\xD8\\xFF",
    b"\\x89PNG\\r",
    b"\\x89\\x50\\x4",
    b"'\xff\xd8\xff",
    b"\x89PNG\\r\\n",
    b"'GIF8",
    b'"GIF8',
)
_RUN = {quote: re.compile(rb"(?:[^\\" + quote + rb"]|\\.)*+", re.DOTALL) for quote in (b"'", b'"')}
_ESCAPE = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|\r?\n|(.))", re.DOTALL)
_MEANT = {
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
    b"0": b"\0",
    b"Z": b"\x1a",
    b"b": b"\b",
    b"a": b"\a",
    b"f": b"\f",
    b"v": b"\v",
}
_PROOF = re.compile(START)


def stands_in(text: bytes) -> bool:
    """Does one begin in a text? Quick where not."""
    return any(needle in text for needle in NEEDLES) and _PROOF.search(text) is not None


def read(text: bytes, start: int) -> tuple[int, bytes]:
    """Where what begins at a place, behind its quote, ends, and what it says."""
    run = _RUN[text[start - 1 : start]].match(text, start)
    assert run is not None  # it matches nothing too
    return max(run.end(), start + 1), _ESCAPE.sub(_meant, run[0])


def _meant(escape: re.Match[bytes]) -> bytes:
    if escape[1] is not None:
        return bytes.fromhex(escape[1].decode("ascii"))
    return b"" if escape[2] is None else _MEANT.get(escape[2], escape[2])
