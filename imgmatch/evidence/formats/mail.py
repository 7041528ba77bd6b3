"""Messages (RFC 5322) and mailboxes of them (RFC 4155)."""

from __future__ import annotations

import re

from imgmatch.evidence.formats.extracted import Extracted
from imgmatch.evidence.look import Look
from imgmatch.parsers import cms

_HEADER = re.compile(rb"[!-9;-~]+:[ \t]")
_MAIL_HEADERS = frozenset(
    b"from to subject date message-id mime-version received return-path content-type delivered-to reply-to"
    b" dkim-signature".split()
)
_HEADER_LINE = re.compile(rb"[!-9;-~]+:")
_LONGEST_HEAD_BYTES = 64 << 10


class Mail(Extracted):
    """Attachments and inline pictures."""

    name = "mail"
    kinds = ("mail",)
    parser = "mail"
    switch = "documents"

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """One header may stand at the start of any text; a message has several, behind those that servers put before
        them.
        """
        if cms.is_signed(look.head):
            return True
        text = _message(look.head)
        if not _HEADER.match(text):
            return False
        if _is_all_header(text):
            text = _message(look.at(0, _LONGEST_HEAD_BYTES))
        parted = (line.partition(b":") for line in text.split(b"\n"))
        return len(_MAIL_HEADERS.intersection(name.lower() for name, colon, _ in parted if colon)) >= 2


def _is_all_header(text: bytes) -> bool:
    """Is there no empty line in it, nor any that is neither a header nor the rest of one, but for the last?"""
    lines = text.split(b"\n")[:-1]
    return all(bool(line.strip()) if line[:1] in (b" ", b"\t") else _HEADER_LINE.match(line) for line in lines)


def _message(text: bytes) -> bytes:
    """Without what stands before it: the line of a mailbox, the length in Apple's .emlx, a byte order mark."""
    first, _, rest = text.partition(b"\n")
    return rest if first.startswith(b"From ") or first.strip().isdigit() else text.removeprefix(b"\xef\xbb\xbf")
