"""Digests as lists write them: hexadecimal in any case, with marks between bytes or none, or base64."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable

LENGTHS = {16: "md5", 20: "sha1", 32: "sha256"}
_HEX = re.compile(r"(?:0[xX])?((?:[0-9a-fA-F]{2}[ :-]?){16,32})")
_GUID = re.compile(r"\{?([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})\}?")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{22}==|[A-Za-z0-9+/_-]{27}=|[A-Za-z0-9+/_-]{43}=")
_KIND = re.compile(r"(?:md5|sha-?1|sha-?2?-?256)\s*[:=-]\s*", re.IGNORECASE)
_BSD_SUM = re.compile(r"(?:MD5|SHA-?1|SHA-?256|SHA2-256) ?\(.*\) ?= ?(\S+)", re.IGNORECASE)
_ALONE = re.compile(r"(?<![0-9A-Za-z+/=])(?:[0-9a-fA-F]{64}|[0-9a-fA-F]{40}|[0-9a-fA-F]{32})(?![0-9A-Za-z+/=])")
_EMPTY = {hashlib.new(name, b"", usedforsecurity=False).digest() for name in LENGTHS.values()}


def read_digest(text: str) -> bytes | None:
    """An MD5, SHA-1 or SHA-256; None for anything else."""
    text = text.strip().strip("\"'").strip()
    text = text[found.end() :] if (found := _KIND.match(text)) else text
    made = b""
    if found := _HEX.fullmatch(text) or _GUID.fullmatch(text):
        made = bytes.fromhex(re.sub(r"[ :-]", "", found[1]))
    elif _BASE64.fullmatch(text):
        made = base64.b64decode(text, altchars=b"-_" if set(text) & set("-_") else None)
    return made if len(made) in LENGTHS else None


def digest_in(line: str) -> bytes | None:
    """The digest of a line of text: alone, before the name of a file (md5sum, bodyfile, CSV without a header) or after
    it (BSD), or the only one that it holds.
    """
    digest = read_digest(line)
    if digest is None and (bsd := _BSD_SUM.fullmatch(line)):
        digest = read_digest(bsd[1])
    if digest is None:
        digest = read_digest(re.split(r"[\s,;*|]", line.removeprefix("\\"), maxsplit=1)[0])
    if digest is None and len(found := _ALONE.findall(line)) == 1:
        digest = bytes.fromhex(found[0])
    return digest


def meant(digests: Iterable[bytes | None]) -> list[bytes]:
    """Those of an entry's digests that are of its content. What programs write where they have none is not: one byte
    again and again, or the digest of an empty file beside one of another.
    """
    good = [digest for digest in digests if digest is not None and len(set(digest)) > 1]
    return [digest for digest in good if digest not in _EMPTY] or good


def strongest(digests: Iterable[bytes | None]) -> bytes | None:
    """The strongest of those that are meant: a file is known by it even where an MD5 was made to collide."""
    return max(meant(digests), key=len, default=None)
