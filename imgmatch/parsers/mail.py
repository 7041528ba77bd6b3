"""Attachments and inline pictures of messages (RFC 5322, RFC 2045), one a file or many in a mailbox (RFC 4155)."""

from __future__ import annotations

import email
import email.utils
from collections.abc import Iterator
from datetime import UTC
from email.message import Message
from typing import BinaryIO

from imgmatch.errors import EvidenceError
from imgmatch.parsers.pieces import Clock, Piece, Settings, Trouble
from imgmatch.streams import one_line

_MAX_MESSAGE_BYTES = 512 << 20  # a message is parsed in memory


def extract(stream: BinaryIO, settings: Settings, at: str | None = None) -> Iterator[Piece | Trouble]:
    """Every part but the text of the message, called by its number (``2``, in a nested message ``2.1``) and its name;
    in a mailbox behind the message's number. Its time is what the message says.

    Raises EvidenceError of kind ``broken_document`` or ``limit``.
    """
    clock = Clock(settings)
    if stream.read(5) == b"From ":
        stream.seek(0)
        for number, raw in enumerate(_messages(stream), start=1):
            clock.check()
            if raw is None:
                yield Trouble("mail", str(number), "limit", f"is longer than {_MAX_MESSAGE_BYTES:,} bytes; not opened")
                continue
            try:
                yield from _parts(email.message_from_bytes(raw), f"{number}/")
            except (RecursionError, ValueError, LookupError, TypeError) as error:
                yield Trouble("mail", str(number), "broken_document", f"the message can't be read: {one_line(error)}")
        return
    stream.seek(0)
    raw = stream.read(_MAX_MESSAGE_BYTES + 1)
    if len(raw) > _MAX_MESSAGE_BYTES:
        raise EvidenceError("limit", f"is longer than {_MAX_MESSAGE_BYTES:,} bytes; not opened")
    try:
        message = email.message_from_bytes(raw.removeprefix(b"\xef\xbb\xbf"))
    except (RecursionError, ValueError, LookupError, TypeError) as error:
        raise EvidenceError("broken_document", f"the message can't be read: {one_line(error)}") from error
    yield from _parts(message, "")


def _messages(stream: BinaryIO) -> Iterator[bytes | None]:
    """Messages of a mailbox, without the line that parts them; None for one that is too long to read."""
    lines: list[bytes] = []
    size, blank = 0, True
    for line in stream:
        if blank and line.startswith(b"From "):
            if lines or size:
                yield b"".join(lines) if size <= _MAX_MESSAGE_BYTES else None
            lines, size = [], 0
            continue
        size += len(line)
        if size <= _MAX_MESSAGE_BYTES:
            # Mailboxes put a > before a line of text that looks like the parting one.
            lines.append(line[1:] if line.startswith(b">") and line.lstrip(b">").startswith(b"From ") else line)
        else:
            lines = []
        blank = not line.strip()
    if lines or size:
        yield b"".join(lines) if size <= _MAX_MESSAGE_BYTES else None


def _parts(message: Message, before: str) -> Iterator[Piece | Trouble]:
    when = _when(message)
    waiting: list[tuple[str, Message, str | None]] = [("1", message, when)]
    if message.is_multipart():
        waiting = [(str(n), part, when) for n, part in enumerate(message.get_payload(), start=1)]
    while waiting:
        number, part, when = waiting.pop(0)
        if part.is_multipart():
            inner = [
                (f"{number}.{n}", each, _when(each) or when)
                for n, each in enumerate(part.get_payload(), start=1)
                if isinstance(each, Message)
            ]
            waiting = inner + waiting
            continue
        at = f"{before}{number}"
        try:
            name = part.get_filename()
            if (
                name is None
                and part.get_content_maintype() == "text"
                and part.get_content_disposition() != "attachment"
            ):
                continue
            at = f"{at}/{name}" if name else f"{at}.{part.get_content_subtype()}"
            data = part.get_payload(decode=True)
        except Exception as error:  # noqa: BLE001  (headers of spam break about everything)
            yield Trouble("mail", at, "broken_document", f"the part can't be read: {one_line(error)}")
            continue
        if isinstance(data, bytes) and data:
            yield Piece("mail", at, data, when)
        else:
            yield Trouble("mail", at, "broken_document", "nothing of the attachment is there")


def _when(message: Message) -> str | None:
    try:
        when = email.utils.parsedate_to_datetime(str(message["Date"]))
        utc = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
        return utc.isoformat(timespec="microseconds").replace("+00:00", "Z")
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
