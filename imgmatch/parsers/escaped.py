"""Pictures that a text carries between quotes, byte by byte, with escapes for what can't stand there: dumps of MySQL
(``_binary '...\\0...'``), bytea of PostgreSQL (``E'\\\\377...'``), JSON (``"\\u00ff..."``), sources of programs
(``"\\xff\\xd8\\xff..."``, ``"\\377\\330\\377..."``), also in one literal a line.
"""

from __future__ import annotations

import re

_OCTAL = rb"\\{1,2}377\\{1,2}330\\{1,2}377|\\{1,2}211(?:PNG|\\{1,2}120\\{1,2}116)"
START = (
    rb"(?<=[\"'])(?:\\x[Ff]{2}\\x[Dd]8\\x[Ff]{2}|\\x89(?:PNG\\r\\n|\\x50\\x4[Ee])|\xff\xd8\xff[\xc0-\xfe]|\x89PNG\\r\\n"
    rb"|GIF8[79]a(?=[^\"']{40})|\\u00[Ff]{2}\\u00[Dd]8\\u00[Ff]{2}|\\u0089PNG\\r\\n|" + _OCTAL + rb")"
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
    b"\\u00ff\\u00d8",
    b"\\u00FF\\u00D8",
    b"\\u0089PNG",
    b"\\377\\330\\377",
    b"\\377\\\\330\\\\377",
    b"\\211PNG",
    b"\\211\\120\\116",
    b"\\211\\\\120\\\\116",
)
# A literal, and such as follow it with nothing but blanks between.
_RUN = {
    quote: re.compile(rb"(?:[^\\" + quote + rb"]|\\.|" + quote + rb"\s+" + quote + rb")*+", re.DOTALL)
    for quote in (b"'", b'"')
}
_BETWEEN = {quote: re.compile(rb"(\\.)|" + quote + rb"\s+" + quote, re.DOTALL) for quote in (b"'", b'"')}
_ESCAPE = re.compile(rb"\\(?:(?:x|u00)([0-9A-Fa-f]{2})|\r?\n|(.))", re.DOTALL)
_OCTAL_ESCAPE = re.compile(rb"\\(?:([0-3]?[0-7]{1,2})|\r?\n|(.))", re.DOTALL)
_IS_OCTAL = re.compile(_OCTAL)
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
    quote = text[start - 1 : start]
    run = _RUN[quote].match(text, start)
    assert run is not None  # it matches nothing too
    end, said = max(run.end(), start + 1), _BETWEEN[quote].sub(lambda one: one[1] or b"", run[0])
    if not _IS_OCTAL.match(said):
        return end, _ESCAPE.sub(_meant, said)
    if said.startswith(b"\\\\"):  # escaped as bytea, and then as a string
        said = said.replace(b"\\\\", b"\\").replace(b"\\'", b"'")
    return end, _OCTAL_ESCAPE.sub(_meant_in_octal, said)


def _meant(escape: re.Match[bytes]) -> bytes:
    if escape[1] is not None:
        return bytes.fromhex(escape[1].decode("ascii"))
    return b"" if escape[2] is None else _MEANT.get(escape[2], escape[2])


def _meant_in_octal(escape: re.Match[bytes]) -> bytes:
    if escape[1] is not None:
        return bytes([int(escape[1], 8)])
    return b"" if escape[2] is None else _MEANT.get(escape[2], escape[2])
