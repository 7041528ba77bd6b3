"""Files that text carries: ``data:`` URIs (RFC 2397) in HTML, uuencoded ones (POSIX) and those in yEnc in text."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

_URI = re.compile(rb"data:([\w.+-]*/?[\w.+-]*)((?:;[\w.=+-]*)*),", re.IGNORECASE)
_BASE64 = re.compile(rb"[A-Za-z0-9+/_=%&#;\s-]*")
_PLAIN = re.compile(rb"[^\"'<>()\s]*")
_NEVER_PICTURES = re.compile(rb"text/|font/|application/(x-)?(font|javascript|json)", re.IGNORECASE)
_ENTITY = re.compile(rb"&#?\w+;")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")
_BEGIN = re.compile(rb"^begin(-base64)?[ \t]+[0-7]{3,4}[ \t]+([^\r\n]+)\r?\n", re.MULTILINE)

_YENC = re.compile(rb"^=ybegin (?:[^\r\n]{0,200} )?name=([^\r\n]+)\r?\n(?:=ypart [^\r\n]*\r?\n)?", re.MULTILINE)
_YENC_ESCAPED = re.compile(rb"=(.)", re.DOTALL)
_YENC_LETTERS = bytes((code - 42) & 255 for code in range(256))


def in_html(text: bytes) -> Iterator[tuple[str, bytes]]:
    """Each ``data:`` URI that may be a picture: the ending of its type, and its bytes."""
    at = 0
    while (match := _URI.search(text, at)) is not None:
        is_base64 = b";base64" in match[2].lower()
        body = (_BASE64 if is_base64 else _PLAIN).match(text, match.end())
        assert body is not None  # both match nothing too
        at = body.end()
        if match[1] and _NEVER_PICTURES.match(match[1]):
            continue
        data = unquote_to_bytes(_ENTITY.sub(b"", body[0]))
        if is_base64:
            data = decoded(data)
        if data:
            yield match[1].rpartition(b"/")[2].decode("ascii", "replace") or "bin", data


def has_file(text: bytes) -> bool:
    """Does a text carry a file, uuencoded or in yEnc? Quick where not."""
    return b"begin" in text and (_BEGIN.search(text) is not None or _YENC.search(text) is not None)


def in_text(text: bytes) -> Iterator[tuple[str, bytes]]:
    """Each file, to its end or as far as it goes: its name, and its bytes; those in yEnc first."""
    for head in _YENC.finditer(text):
        end = text.find(b"\n=yend", head.end())
        body = text[head.end() : end if end >= 0 else len(text)].translate(None, b"\r\n")
        data = _YENC_ESCAPED.sub(lambda letter: bytes([letter[1][0] - 64 & 255]), body).translate(_YENC_LETTERS)
        if data:
            yield head[1].strip().decode("utf-8", "surrogateescape"), data
    at = 0
    while (begin := _BEGIN.search(text, at)) is not None:
        at, parts = begin.end(), []
        while at < len(text):
            end = text.find(b"\n", at) + 1 or len(text)
            line = text[at:end].rstrip(b"\r\n")
            if line in (b"end", b"====") or (not begin[1] and not _is_uu(line)):
                break
            parts.append(line if begin[1] else _uu(line))
            at = end
        data = decoded(b"".join(parts)) if begin[1] else b"".join(parts)
        if data:
            yield begin[2].strip().decode("utf-8", "surrogateescape"), data


def decoded(text: bytes) -> bytes:
    """Base64 with whatever stands in it, as far as it goes."""
    text = _NOT_BASE64.sub(b"", text.replace(b"-", b"+").replace(b"_", b"/"))
    left = len(text) % 4
    return base64.b64decode(text[:-1] if left == 1 else text + b"=" * (-left % 4))


def _is_uu(line: bytes) -> bool:
    return not line or (32 <= line[0] <= 96 and (line[0] - 32) % 64 * 4 // 3 <= len(line) + 3)


def _uu(line: bytes) -> bytes:
    if not line:
        return b""
    wanted = ((line[0] - 32) % 64 + 2) // 3 * 4 + 1  # some programs write more at the end, or cut blanks off
    try:
        return binascii.a2b_uu(line[:wanted].ljust(wanted))
    except binascii.Error:
        return b""
