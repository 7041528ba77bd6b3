"""Thumbnails in Thumbs.db, which Windows up to Vista left in folders, and pictures in other compound files, by olefile
(extra ``documents``).

They stay when the pictures are gone, and may be all that is left of them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, BinaryIO

from imgmatch import times
from imgmatch.errors import EvidenceError, unsupported
from imgmatch.locator import Names
from imgmatch.optional import require
from imgmatch.parsers import compound as compound_files
from imgmatch.parsers.pieces import Clock, Piece, Settings, Trouble
from imgmatch.streams import one_line

_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_HEADER_BYTES = 64  # headers of the known versions are 12 to 24 bytes


def extract(stream: BinaryIO, settings: Settings, at: str | None = None) -> Iterator[Piece | Trouble]:
    """Every thumbnail, called by the name of the picture it was made of where the catalogue tells it, else by that of
    its stream; its time is that of the picture.

    Raises EvidenceError of kind ``broken_document``.
    """
    olefile = require("olefile", "documents")
    clock, name_of = Clock(settings), Names()
    try:
        # Faults of less than the whole are lived with: what is still named is read.
        compound = olefile.OleFileIO(stream, raise_defects=olefile.DEFECT_FATAL)
        entries = ["/".join(path) for path in compound.listdir(streams=True, storages=False)]
    except Exception as error:
        raise EvidenceError("broken_document", f"the compound file can't be read: {one_line(error)}") from error
    if "EncryptedPackage" in entries:  # [MS-OFFCRYPTO]
        raise unsupported("Office document (encrypted)", "Office document (encrypted); it is not read")
    thumbnails = [name for name in entries if "/" not in name and name.partition("_")[0].isdecimal()]
    if not thumbnails or set(entries) - set(thumbnails) - {"Catalog"}:
        yield from compound_files.pictures(((name, _read(compound, name)) for name in entries), clock)
        return
    names = _catalogue(_read(compound, "Catalog")) if "Catalog" in entries else {}
    for entry in thumbnails:
        clock.check()
        name, modified = names.get(entry[::-1], (entry, None))
        at = name_of(name)
        data = _read(compound, entry)
        begins = [place for magic in (_JPEG, _PNG) if (place := data.find(magic, 0, _HEADER_BYTES)) >= 0]
        if begins:
            yield Piece("thumb", at, data[min(begins) :], modified)
        else:
            yield Trouble("thumb", at, "broken_document", "no picture is in this stream")


def _read(compound: Any, name: str) -> bytes:
    try:
        with compound.openstream(name) as stream:
            return bytes(stream.read())
    except Exception:  # noqa: BLE001  (what is not there is said of the stream)
        return b""


def _catalogue(data: bytes) -> dict[str, tuple[str, str | None]]:
    """Number, as text, to name and time (UTC) of the picture; of a damaged catalogue as far as it goes."""
    names: dict[str, tuple[str, str | None]] = {}
    try:
        at = struct.unpack_from("<H", data)[0]
        while at + 16 <= len(data):
            length, number, filetime = struct.unpack_from("<IIQ", data, at)
            if length < 16 or at + length > len(data):
                break
            text = data[at + 16 : at + length].decode("utf-16-le", "replace").partition("\0")[0]
            names[str(number)] = (text or str(number), times.filetime(filetime))
            at += length
    except struct.error:
        pass
    return names
