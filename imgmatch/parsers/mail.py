"""Attachments and inline pictures of messages (RFC 5322, RFC 2045), one a file or many in a mailbox (RFC 4155)."""

from __future__ import annotations

import email
import email.utils
import quopri
import re
from collections.abc import Iterator
from datetime import UTC
from email.errors import MissingHeaderBodySeparatorDefect
from email.message import Message
from email.policy import Compat32
from typing import BinaryIO, cast

from imgmatch import times
from imgmatch.errors import EvidenceError, over, unsupported
from imgmatch.locator import Names
from imgmatch.parsers import cms, embedded
from imgmatch.parsers.pieces import Clock, Piece, Settings, Trouble
from imgmatch.streams import one_line

_MAX_MESSAGE_BYTES = 512 << 20  # a message is parsed in memory
_LOOKED_AT_BYTES = 4096
_MOST_HEADER = 32 << 10
_MOST_SIGNED = 4
_SIGNATURES = ("pkcs7-signature", "x-pkcs7-signature")  # of what stands beside them
_HEADER = re.compile(rb"[!-9;-~]+:[ \t]")


class _Bounded(Compat32):
    """Of a header no more than any program writes: what its parameters are takes the square of their length."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        """Name and value."""
        name, value = super().header_source_parse(sourcelines)
        return name, value[:_MOST_HEADER]


_BOUNDED = _Bounded()


def _too_long() -> EvidenceError:
    return over("bytes of one message", f"is longer than {_MAX_MESSAGE_BYTES:,} bytes; not opened")


def extract(stream: BinaryIO, settings: Settings, at: str | None = None) -> Iterator[Piece | Trouble]:
    """Every part but the text of the message, and every file that its text carries, called by its number (``2``, in a
    nested message ``2.1``) and its name; in a mailbox behind the message's number. Its time is what the message says.

    Raises EvidenceError of kind ``broken_document`` or ``limit``.
    """
    clock = Clock(settings)
    start = stream.read(5)
    stream.seek(0)
    if start == b"From ":
        for number, raw in enumerate(_messages(stream), start=1):
            clock.check()
            if raw is None:
                yield Trouble.of("mail", str(number), _too_long())
                continue
            try:
                yield from _parts(email.message_from_bytes(raw, policy=_BOUNDED), f"{number}/", clock)
            except (RecursionError, ValueError, LookupError, TypeError) as error:
                yield Trouble("mail", str(number), "broken_document", f"the message can't be read: {one_line(error)}")
        return
    size = _MAX_MESSAGE_BYTES + 1
    if start[:1] == b"\x30":  # signed, and nothing around it
        yield from _signed("1", None, stream.read(size), None, clock, 0)
        return
    if start[:1].isdigit():  # Apple's .emlx: how long the message is, then it, then a list of its properties
        size = min(size, int(stream.readline(20)))
    raw = stream.read(size)
    if len(raw) > _MAX_MESSAGE_BYTES:
        raise _too_long()
    try:
        yield from _parts(email.message_from_bytes(raw.removeprefix(b"\xef\xbb\xbf"), policy=_BOUNDED), "", clock)
    except (RecursionError, ValueError, LookupError, TypeError) as error:
        raise EvidenceError("broken_document", f"the message can't be read: {one_line(error)}") from error


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


def _parts(message: Message, before: str, clock: Clock, depth: int = 0) -> Iterator[Piece | Trouble]:
    when = _when(message)
    waiting: list[tuple[str, Message, str | None]] = [("1", message, when)]
    if message.is_multipart() and not _is_packed_message(message):
        waiting = [(str(n), part, when) for n, part in enumerate(message.get_payload(), start=1)]
    while waiting:
        clock.check()
        number, part, when = waiting.pop(0)
        if part.is_multipart() and not _is_packed_message(part):
            inner = [
                (f"{number}.{n}", each, _when(each) or when)
                for n, each in enumerate(part.get_payload(), start=1)
                if isinstance(each, Message)
            ]
            waiting = inner + waiting
            continue
        yield from _part(f"{before}{number}", part, when, clock, depth)


def _signed(
    at: str, name: str | None, data: bytes, when: str | None, clock: Clock, depth: int
) -> Iterator[Piece | Trouble]:
    """What lies in a signature: a message, or a file that is called as this one without its ending."""
    content = cms.content_of(data)
    if content is None or depth >= _MOST_SIGNED:
        yield Trouble.of("mail", at, unsupported("message signed by S/MIME", "what it is around is not in it"))
    elif _HEADER.match(content):
        yield from _parts(email.message_from_bytes(content, policy=_BOUNDED), f"{at}.", clock, depth + 1)
    else:
        stem = name.removesuffix(".p7m") if name else "signed"
        yield Piece("mail", f"{at}/{stem}", content, when)


def _part(at: str, part: Message, when: str | None, clock: Clock, depth: int) -> Iterator[Piece | Trouble]:
    """A part that has no parts: itself, or what its text carries."""
    try:
        name = part.get_filename()
        text = name is None and part.get_content_maintype() == "text" and part.get_content_disposition() != "attachment"
        named = f"{at}/{name}" if name else f"{at}.{part.get_content_subtype()}"
        data = _content(part)
    except Exception as error:  # noqa: BLE001  (headers of spam break about everything)
        yield Trouble("mail", at, "broken_document", f"the part can't be read: {one_line(error)}")
        return
    wide = (str(part.get_param("charset")) or "").lower().startswith(("utf-16", "utf-32"))
    if text and (wide or b"\0" not in data[:_LOOKED_AT_BYTES]):
        data = data.replace(b"\0", b"") if wide else data
        for number, (ending, carried) in enumerate(embedded.in_html(data), start=1):
            yield Piece("mail", f"{at}/data-{number}.{ending}", carried, when)
        place_of = Names()
        for carried_name, carried in embedded.in_text(data):
            yield Piece("mail", place_of(f"{at}/{carried_name}"), carried, when)
    elif cms.is_signed(data[:_LOOKED_AT_BYTES]) and part.get_content_subtype() not in _SIGNATURES:
        yield from _signed(at, name, data, when, clock, depth)
    elif data:
        yield Piece("mail", named, data, when)
    else:
        yield Trouble("mail", named, "broken_document", "nothing of the attachment is there")


def _is_packed_message(part: Message) -> bool:
    """Is it a message in a message that is packed as an attachment is, which the standard forbids and programs do?"""
    return part.get_content_type() == "message/rfc822" and _packing(part) in ("base64", "quoted-printable")


def _packing(part: Message) -> str:
    return str(part["Content-Transfer-Encoding"]).strip().lower()


def _content(part: Message) -> bytes:
    if not _is_packed_message(part):
        data = part.get_payload(decode=True)
        return data if isinstance(data, bytes) else b""
    as_it_was = part.policy.clone(max_line_length=0, mangle_from_=False)
    parsed = cast(Message, part.get_payload(0))
    inner = parsed.as_bytes(policy=as_it_was)
    if any(isinstance(defect, MissingHeaderBodySeparatorDefect) for defect in parsed.defects):
        inner = inner.replace(b"\n\n", b"\n", 1)  # it was no header that was taken for one
    if _packing(part) == "base64":
        return embedded.decoded(inner)
    return quopri.decodestring(inner).lstrip()


def _when(message: Message) -> str | None:
    try:
        text = str(message["Date"])
        when = email.utils.parsedate_to_datetime(text)
        if when.tzinfo is None and "-0000" in text:  # UTC, of a sender who does not say where he is (RFC 5322)
            when = when.replace(tzinfo=UTC)
        return times.stated(when)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
