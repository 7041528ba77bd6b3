"""Attachments in winmail.dat, as Outlook packs them for other Outlooks (MS-OXTNEF)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from imgmatch import times
from imgmatch.errors import EvidenceError
from imgmatch.locator import Names
from imgmatch.parsers import embedded, mapi
from imgmatch.parsers.pieces import Clock, Piece, Settings, Trouble

_ATTACHMENT, _TITLE, _DATA, _CHANGED, _PROPERTIES = 0x9002, 0x8010, 0x800F, 0x8013, 0x9005
_BODY, _MESSAGE_PROPERTIES = 0x800C, 0x9003
_INTERFACE_BYTES = 16  # before an attached object: what kind of object it is


@dataclass(slots=True)
class _Attached:
    name: str = ""
    data: bytes = b""
    changed: str | None = None


def extract(stream: BinaryIO, settings: Settings, at: str | None = None) -> Iterator[Piece | Trouble]:
    """Attached files by their names, messages among them as TNEF of their own; then what the message's text carries.

    Raises EvidenceError of kind ``broken_document`` where it makes no sense, after what came before.
    """
    clock, place_of = Clock(settings), Names()
    waiting: _Attached | None = None
    carried: list[tuple[str, bytes]] = []
    fault: Exception | None = None
    try:
        for attribute, value in _attributes(stream.read()):
            clock.check()
            if attribute == _ATTACHMENT:
                yield from _given(waiting, place_of)
                waiting = _Attached()
            elif attribute == _BODY:
                carried += embedded.in_text(value)
            elif attribute == _MESSAGE_PROPERTIES:
                for number, _, content in mapi.properties(value):
                    if number == mapi.HTML:
                        carried += ((f"data.{ending}", data) for ending, data in embedded.in_html(content))
            elif waiting is not None:
                _note(waiting, attribute, value)
    except ValueError as error:
        fault = error
    yield from _given(waiting, place_of)
    for name, data in carried:
        yield Piece("tnef", place_of(name), data)
    if fault is not None:
        raise EvidenceError("broken_document", f"it can't be read further: {fault}") from fault


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 6
    while at < len(data):
        if at + 9 > len(data):
            raise ValueError("it breaks off")
        _, attribute, _, size = struct.unpack_from("<BHHI", data, at)
        at += 9
        if at + size > len(data):
            raise ValueError("it breaks off")
        yield attribute, data[at : at + size]
        at += size + 2  # a checksum


def _note(waiting: _Attached, attribute: int, value: bytes) -> None:
    """What an attribute says of the attachment in hand."""
    if attribute == _TITLE:
        waiting.name = waiting.name or mapi.text_of(mapi.TEXT8, value)
    elif attribute == _DATA:
        waiting.data = waiting.data or value
    elif attribute == _CHANGED and len(value) >= 12:
        waiting.changed = times.stated(datetime(*struct.unpack_from("<6H", value)))
    elif attribute == _PROPERTIES:
        for number, kind, content in mapi.properties(value):
            if number == mapi.LONG_NAME:
                waiting.name = mapi.text_of(kind, content)
            elif number == mapi.ATTACHED:
                waiting.data = content[_INTERFACE_BYTES if kind == mapi.OBJECT else 0 :]


def _given(waiting: _Attached | None, place_of: Names) -> Iterator[Piece | Trouble]:
    if waiting is None:
        return
    at = place_of(waiting.name or "attachment")
    if waiting.data:
        yield Piece("tnef", at, waiting.data, waiting.changed)
    else:
        yield Trouble("tnef", at, "broken_document", "nothing of the attachment is there")
