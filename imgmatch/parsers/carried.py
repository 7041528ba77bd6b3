"""Pictures that a value of a database, a list of properties or a text carries: as they are, behind some bytes of a
header, packed by gzip, in a list of properties, or as base64 (RFC 4648) or by the numbers of their bytes in text.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from urllib.parse import unquote_to_bytes

import numpy as np

from imgmatch.parsers import digits, escaped, plist
from imgmatch.parsers.embedded import decoded
from imgmatch.picture.extents import BEGIN, length_of

LEAST_BYTES = 24
"""No picture is shorter."""
_MOST_DEPTH = 6
_MOST_INFLATED = 256 << 20
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_CONTAINERS = (
    *(b"PK\x03\x04", b"%PDF-", b"SQLite format 3\0", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"Rar!\x1a\x07"),
    *(b"7z\xbc\xaf\x27\x1c", b"!BDN", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"),
)
_GZIP, _ZLIB = b"\x1f\x8b\x08", (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
_OTHERS = (b"8BPS", b"\xff\x0a", b"\0\0\0\x0cJXL ", b"\xff\x4f\xff\x51")

NEEDLES = (
    b"data:",
    b"9j",
    b"iVBORw0KGgo",
    b"R0lGOD",
    b"UklGR",
    b"GZ0eXB",
    b"SUkq",
    b"TU0AK",
    b"YnBsaXN0MD",
    b"UEsDB",
    b"H4sI",
    b"JVBERi0",
    b"N3q8rycc",
)
"""One of these stands in each text that carries a picture: what is quickly looked for."""
_SLASH = rb"(?:/|\\/|_|%2[Ff]|\\u002[Ff]|&#47;|&#x2[Ff];)"
_MAGIC = (
    rb"(?<![A-Za-z0-9+/])(?:" + _SLASH + rb"9j" + rb"(?:" + _SLASH + rb")(?=[\w\\/+%])|iVBORw0KGgo|R0lGOD(?:dh|lh)"
    rb"|UklGR|AAAA[A-Z]GZ0eXB|SUkq[AK]|TU0AK|Qk[\w+/]{6}AAAA|YnBsaXN0MD|UEsDB[AB]|H4sI[AC]|JVBERi0x|N3q8rycc)"
)
_URI = rb"data:([\w.+-]{0,80}/?[\w.+-]{0,80})((?:;[\w.=+\"'%-]{0,80}){0,8})(?:\\?,|%2[Cc])"
_LETTERS = rb"(?:[A-Za-z0-9+/=_%\\\s-]|&#?\w+;)"
_START = re.compile(
    _URI + rb"|(" + rb")|(".join((_MAGIC, digits.HEX, digits.LIST, digits.HEX_LIST, escaped.START)) + rb")", re.DOTALL
)
_AS_BASE64, _AS_HEX, _AS_LIST, _AS_HEX_LIST, _AS_ESCAPED = 3, 4, 5, 6, 7
_PROOF = re.compile(rb"(?:data:(?:image/|application/octet|;|,)[^,\s]{0,100},|" + _MAGIC + rb")" + _LETTERS + rb"{32}")
_RUN = re.compile(rb"(?:[A-Za-z0-9+/=_%\\\s-]|&#?\w+;)*")
_PLAIN = re.compile(rb"[^\"'<>()\s]*")
_NO_PICTURE = re.compile(rb"text/(?!html|xml)|font/|audio/|application/(?:x-)?(?:font|javascript|json)", re.IGNORECASE)
_JSON_LETTER = re.compile(rb"\\u00([0-9A-Fa-f]{2})")
_SETTING = re.compile(rb"=[A-Za-z0-9+/]")  # padding is at an end, of what else follows is no base64
_BEHIND = frozenset(b"\"'<)&,;}]\\")
_BACK = {b"9j": (1, 2, 3, 5, 6), b"GZ0eXB": (5,)}  # where it begins before the needle
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_LETTERS_ALIKE = bytes(65 if code in _BASE64 else 32 for code in range(256))
_A_RUN = b"A" * 20  # no picture, and no line of one, goes without so many letters of base64 on end
_SHORT_BYTES = 8 << 10
_A, _SLASH_CODE, _PLUS = np.frombuffer(b"a/+", np.uint8)
_PAIRS = tuple(np.frombuffer(b"a:9jw00llGZ0kqU0N0sD4si0q8", "<u2"))
"""Two bytes that stand together in each of NEEDLES, in their order."""
_MOST_TRIED = 100_000  # then it is looked through where it takes no time from anything else


@dataclass(frozen=True, slots=True)
class Carried:
    """What was found: where in the value (empty: the value itself), and the bytes of a file of its own."""

    at: str
    data: bytes


def in_value(value: bytes, depth: int = 0) -> Iterator[Carried]:
    """Everything in some bytes that may be a picture, or a container of its own."""
    if len(value) < LEAST_BYTES:
        return
    if is_whole(value) or depth >= _MOST_DEPTH:
        if looks_like(value):
            yield Carried("", value)
    elif value.startswith(b"bplist0"):
        yield from _in_plist(value, depth)
    elif value.startswith((_GZIP, *_ZLIB)):
        yield from _in_packed(value, depth)
    elif not BEGIN.search(value):
        yield from in_text(value, depth)
    else:
        yield from behind_headers(value)


def is_whole(value: bytes) -> bool:
    """Is it a picture, or a container that is opened as one, from its first byte on?"""
    return BEGIN.match(value) is not None or value.startswith(_TIFF + _CONTAINERS + _OTHERS)


_HINT = re.compile(
    BEGIN.pattern
    + b"|bplist0|\x1f\x8b\x08|\\A\x78[\x01\x5e\x9c\xda]"
    + b"|PK\x03\x04|%PDF-|\xd0\xcf\x11\xe0\xa1|II[*+]\0|MM\0[*+]|8BPS|JXL |Rar!|SQLite f|\xff\x0a"
    + b"|7z\xbc\xaf|!BDN|\xfd7zXZ\0|[(]\xb5\x2f\xfd"
    + b"".join(b"|" + re.escape(needle) for needle in (*NEEDLES, *digits.NEEDLES, *escaped.NEEDLES)),
    re.DOTALL,
)


def looks_like(data: bytes) -> bool:
    """May something in some bytes be a picture, or carry one? Quick, and right where it says no."""
    return _HINT.search(data) is not None


def in_this_text(text: bytes) -> bool:
    """Does a text carry what begins as a picture does, in base64, as a ``data:`` URI or by numbers? Quick where not."""
    if digits.in_list(text) or escaped.stands_in(text):
        return True
    if not _has_run(text) and b"data:image/" not in text:
        return False
    if digits.in_hex(text):
        return True
    tried = 0
    for needle in NEEDLES if len(text) < _SHORT_BYTES else _needles_that_may_be_in(text):
        at = text.find(needle)
        while at >= 0:
            tried += 1
            if tried > _MOST_TRIED or any(
                _PROOF.match(text, at - back) for back in _BACK.get(needle, (0,)) if back <= at
            ):
                return True
            at = text.find(needle, at + 5)
    return False


def _has_run(text: bytes) -> bool:
    """Are there 20 letters of base64 on end? No picture, and no line of one, goes without."""
    if len(text) < _SHORT_BYTES:
        return _A_RUN in text.translate(_LETTERS_ALIKE)
    codes = np.frombuffer(text, np.uint8)
    letters = ((codes | 0x20) - _A < 26) | (codes - _SLASH_CODE < 11) | (codes == _PLUS)  # "/" and the digits behind it
    for step in (1, 2, 4, 8, 4):  # runs of 2, 4, 8, 16, 20
        letters = letters[step:] & letters[:-step]
    return bool(letters.any())


def _needles_that_may_be_in(text: bytes) -> list[bytes]:
    """By two letters of each that are rare together in a text: both are looked for at once, by many places."""
    pairs = np.concatenate([np.frombuffer(text, "<u2", (len(text) - shift) // 2, shift) for shift in (0, 1)])
    return [needle for needle, pair in zip(NEEDLES, _PAIRS, strict=True) if (pairs == pair).any()]


def in_text(text: bytes, depth: int = 0) -> Iterator[Carried]:
    """Each picture that a text carries, called by the place where it begins: ``data:`` URIs (RFC 2397), and base64
    that begins as a picture does, as in vCards, LDIF, JSON, XML and lists of properties, in lines or not; and digits.
    """
    if text.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = text.decode("utf-16", "replace").encode("utf-8")
    numbers = digits.in_list(text) or digits.in_hex(text) or escaped.stands_in(text)
    if not numbers and not any(needle in text for needle in NEEDLES):
        return
    for at, _, data in runs(text):
        for found in in_value(data, depth + 1):
            yield Carried(f"@{at}" + (f"/{found.at}" if found.at else ""), found.data)


def runs(text: bytes, start: int = 0) -> Iterator[tuple[int, int, bytes]]:
    """Where each piece that may be a picture begins and ends in a text, and what it is."""
    at = start
    while (match := _START.search(text, at)) is not None:
        by = match.lastindex  # group 3 is base64, those behind it are digits and escapes
        uri = by is None or by < _AS_BASE64
        if by == _AS_HEX_LIST:
            at, data = digits.read_hex_list(text, match.start())
        elif by == _AS_ESCAPED:
            at, data = escaped.read(text, match.start())
        elif by in (_AS_HEX, _AS_LIST):
            at, data = digits.read(text, match.start(), as_list=by == _AS_LIST)
        elif uri and b"base64" not in match[2].lower():
            body = _PLAIN.match(text, match.end())
            data = unquote_to_bytes(unescape(body[0].decode("latin-1")).encode("latin-1", "ignore")) if body else b""
            at = body.end() if body else match.end()
        else:
            begin = match.end() if uri else match.start()
            at, data = _base64(text, begin)
        if uri and match[1] and _NO_PICTURE.match(match[1]):
            continue
        if len(data) >= LEAST_BYTES and (uri or is_whole(data) or data.startswith((b"bplist0", _GZIP))):
            yield match.start(), at, data


def _base64(text: bytes, start: int) -> tuple[int, bytes]:
    """Where base64 that begins at a place ends, and what it says. A line that is no more of it, as the next property
    of a vCard, is left out.
    """
    run = _RUN.match(text, start)
    assert run is not None  # it matches nothing too
    lines = run[0].lstrip().splitlines(keepends=True)
    end = start + len(run[0]) - len(run[0].lstrip())
    taken: list[bytes] = []
    loose = False  # the last line may be something else
    for number, line in enumerate(lines):
        folded = line[:1] in (b" ", b"\t")
        bare = line.strip()
        last = number == len(lines) - 1
        behind = text[run.end() : run.end() + 1]
        if number and (not bare or (last and not folded and behind and behind[0] not in _BEHIND)):
            break
        if number and _SETTING.search(bare):
            break
        if number > 2 and not folded and len(taken[-1]) < len(taken[-2]):
            break  # the one before was shorter, thus the last
        loose = number > 0 and not folded
        taken.append(bare)
        end += len(line)
        if b"=" in bare.replace(b"=\r", b"").rstrip(b"\\nr")[-3:]:
            loose = False
            break
    data = decoded(_plain_letters(b"".join(taken)))
    if loose and len(taken) > 1 and length_of(shorter := decoded(_plain_letters(b"".join(taken[:-1])))):
        data, end = shorter, end - len(lines[len(taken) - 1])
    return max(end, start + 1), data


def _plain_letters(text: bytes) -> bytes:
    """Without the escapes of JSON, URIs and HTML; up to the padding."""
    if b"\\" in text:
        text = _JSON_LETTER.sub(lambda letter: bytes.fromhex(letter[1].decode()), text.replace(b"\\/", b"/"))
        text = re.sub(rb"\\[nrt]", b"", text).replace(b"\\", b"")
    if b"&" in text:
        text = unescape(text.decode("latin-1")).encode("latin-1", "ignore")
    if b"%" in text:
        text = unquote_to_bytes(text)
    return text.partition(b"=")[0]


def _in_plist(value: bytes, depth: int) -> Iterator[Carried]:
    try:
        for at, inner in plist.values(value):
            for found in in_value(inner, depth + 1):
                yield Carried("/".join(filter(None, (at, found.at))), found.data)
    except ValueError:  # not one, or damaged: what is in it as it is
        yield from behind_headers(value)


def _in_packed(value: bytes, depth: int) -> Iterator[Carried]:
    how = "gz" if value.startswith(_GZIP) else "zlib"
    inflate = zlib.decompressobj(31 if how == "gz" else 15)
    try:
        data = inflate.decompress(value, _MOST_INFLATED)
    except zlib.error:  # none, or damaged
        yield from behind_headers(value) if how == "zlib" else ()
        return
    if inflate.unconsumed_tail:
        yield Carried("", value)  # it is opened as a container, within its limits
        return
    for found in in_value(data, depth + 1):
        yield Carried("/".join(filter(None, (how, found.at))), found.data)


def behind_headers(value: bytes) -> Iterator[Carried]:
    """Pictures that begin somewhere in bytes of another kind, each to its end, or to the next where none is found."""
    at = 0
    while (match := BEGIN.search(value, at)) is not None:
        size = length_of(value[match.start() :])
        if not size:
            following = BEGIN.search(value, match.end())
            size = (following.start() if following else len(value)) - match.start()
        if size >= LEAST_BYTES:
            yield Carried(f"+{match.start()}", value[match.start() : match.start() + size])
        at = match.start() + max(size, 4)
