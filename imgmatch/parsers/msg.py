"""Attachments of a message that Outlook saved (.msg, MS-OXMSG), by olefile (extra ``documents``)."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO

from imgmatch import times
from imgmatch.errors import EvidenceError
from imgmatch.locator import Names
from imgmatch.optional import require
from imgmatch.parsers import embedded, mapi
from imgmatch.parsers.pieces import Clock, Piece, Settings, Trouble
from imgmatch.streams import one_line

_ATTACHMENT = re.compile(r"__attach_version1\.0_#([0-9A-F]{8})\Z", re.IGNORECASE)
_PROPERTY = re.compile(r"__substg1\.0_([0-9A-F]{4})([0-9A-F]{4})\Z", re.IGNORECASE)
_PROPERTIES = "__properties_version1.0"

Path = tuple[str, ...]


def extract(stream: BinaryIO, settings: Settings, at: str | None = None) -> Iterator[Piece | Trouble]:
    """Attachments, called by their number (``2``, in an attached message ``2.1``) and name, pieces of attached objects
    too; and what the text of a message carries. Their time is that of the message.

    Raises EvidenceError of kind ``broken_document``.
    """
    olefile = require("olefile", "documents")
    clock, place_of = Clock(settings), Names()
    try:
        compound = olefile.OleFileIO(stream, raise_defects=olefile.DEFECT_FATAL)
        paths: list[Path] = [tuple(path) for path in compound.listdir(streams=True, storages=False)]
    except Exception as error:
        raise EvidenceError("broken_document", f"the compound file can't be read: {one_line(error)}") from error
    streams = set(paths)
    for path in paths:
        clock.check()
        wanted = _PROPERTY.match(path[-1])
        number, kind = (int(wanted[1], 16), int(wanted[2], 16)) if wanted else (0, 0)
        attached = number == mapi.ATTACHED and kind == mapi.BINARY
        text = number in (mapi.HTML, mapi.BODY)
        if not (attached or text or _is_in_object(path)):
            continue
        when = _when(compound, path, streams)
        try:
            with compound.openstream(list(path)) as content:
                data = bytes(content.read())
        except Exception as error:  # noqa: BLE001  (olefile raises about everything on broken files)
            yield Trouble("msg", place_of(_numbers(path)), "broken_document", f"can't be read: {one_line(error)}")
            continue
        if text:
            data = data.decode("utf-16-le", "replace").encode("utf-8", "replace") if kind == mapi.TEXT16 else data
            found = embedded.in_text(data) if number == mapi.BODY else embedded.in_html(data)
            for name, carried in found:
                name = name if number == mapi.BODY else f"data.{name}"
                yield Piece("msg", place_of("/".join(filter(None, (_numbers(path), name)))), carried, when)
            continue
        place = place_of(f"{_numbers(path)}/{_name(compound, path, streams) if attached else path[-1]}")
        if data:
            yield Piece("msg", place, data, when)
        else:
            yield Trouble("msg", place, "broken_document", "nothing of the attachment is there")


def _is_in_object(path: Path) -> bool:
    """Is it a stream of an attached object that is no message: a picture pasted into the text?"""
    marks = [number for number, name in enumerate(path) if name.lower() == "__substg1.0_3701000d"]
    return bool(marks) and not any(name.startswith("__") for name in path[marks[-1] + 1 :])


def _numbers(path: Path) -> str:
    """``2.1``: the first attachment of the message that is the second one."""
    return ".".join(str(int(match[1], 16) + 1) for name in path if (match := _ATTACHMENT.match(name)))


def _name(compound: Any, path: Path, streams: set[Path]) -> str:
    for number in (mapi.LONG_NAME, mapi.SHORT_NAME):
        for kind in (mapi.TEXT16, mapi.TEXT8):
            place = (*path[:-1], f"__substg1.0_{number:04X}{kind:04X}")
            if place in streams:
                return mapi.text_of(kind, _read(compound, place))
    return "attachment"


def _when(compound: Any, path: Path, streams: set[Path]) -> str | None:
    """When the message that it belongs to was sent, else when it came."""
    for depth in range(len(path) - 1, -1, -1):
        data = _read(compound, (*path[:depth], _PROPERTIES)) if (*path[:depth], _PROPERTIES) in streams else b""
        found = {}
        for start in range(32 if not depth else 24, len(data) - 15, 16):
            kind, number, _, value = struct.unpack_from("<HHIQ", data, start)
            if kind == mapi.TIME and number in (mapi.SUBMITTED, mapi.DELIVERED):
                found[number] = value
        if found:
            return times.filetime(found.get(mapi.SUBMITTED) or found[mapi.DELIVERED])
    return None


def _read(compound: Any, path: Path) -> bytes:
    try:
        with compound.openstream(list(path)) as stream:
            return bytes(stream.read())
    except Exception:  # noqa: BLE001  (then it is not said)
        return b""
