"""Pictures and embedded objects in Rich Text (RTF 1.9): as hexadecimal digits, or as bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from imgmatch.errors import unsupported
from imgmatch.parsers import carried
from imgmatch.parsers.compound import with_header
from imgmatch.parsers.pieces import Clock, Piece, Settings, Trouble

_MOST_BYTES = 512 << 20
_HEX = re.compile(rb"(?<!\w)[0-9a-fA-F][0-9a-fA-F\s]{126,}")
_NOT_HEX = re.compile(rb"[^0-9a-fA-F]+")
_KIND = re.compile(rb"\\(emfblip|wmetafile|macpict|dibitmap|jpegblip|pngblip|objdata)")
_METAFILES = {
    b"emfblip": "Windows metafile (EMF)",
    b"wmetafile": "Windows metafile (WMF)",
    b"macpict": "picture of the Macintosh (PICT)",
}
_BEFORE = 2048
_COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def extract(stream: BinaryIO, settings: Settings, at: str | None = None) -> Iterator[Piece | Trouble]:
    """Each picture, called ``@`` and the place where its digits begin."""
    clock = Clock(settings)
    text = stream.read(_MOST_BYTES)
    for run in _HEX.finditer(text):
        clock.check()
        digits = _NOT_HEX.sub(b"", run[0])
        data = bytes.fromhex(digits[: len(digits) // 2 * 2].decode("ascii"))
        kinds = _KIND.findall(text, max(0, run.start() - _BEFORE), run.start())
        yield from _of(f"@{run.start()}", data, kinds[-1] if kinds else b"")
    for found in carried.behind_headers(text):  # \bin
        yield Piece("carried", found.at, found.data)


def _of(at: str, data: bytes, kind: bytes) -> Iterator[Piece | Trouble]:
    if kind == b"dibitmap":
        yield Piece("carried", at, with_header(data))
        return
    start = data.find(_COMPOUND) if kind == b"objdata" else -1
    if start >= 0:
        yield Piece("carried", f"{at}/+{start}", data[start:])
        return
    pictures = [
        Piece("carried", f"{at}/{found.at}" if found.at else at, found.data) for found in carried.in_value(data)
    ]
    yield from pictures
    if not pictures and kind in _METAFILES:
        yield Trouble.of("carried", at, unsupported(_METAFILES[kind], "it is not read"))
