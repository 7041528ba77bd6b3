"""Messages (RFC 5322) and mailboxes of them (RFC 4155)."""

from __future__ import annotations

import re

from imgmatch.evidence.formats.extracted import Extracted
from imgmatch.evidence.look import Look

_HEADER = re.compile(rb"[!-9;-~]+:[ \t]")
_MAIL_HEADER = re.compile(
    rb"^(From|To|Subject|Date|Message-ID|MIME-Version|Received|Return-Path|Content-Type|Delivered-To|Reply-To"
    rb"|DKIM-Signature):",
    re.IGNORECASE | re.MULTILINE,
)


class Mail(Extracted):
    """Attachments and inline pictures."""

    name = "mail"
    kinds = ("mail",)
    task = "mail"
    switch = "documents"

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """One header may stand at the start of any text; a message has several."""
        mbox = look.head.startswith(b"From ")
        text = look.head.partition(b"\n")[2] if mbox else look.head.removeprefix(b"\xef\xbb\xbf")
        return bool(_HEADER.match(text)) and len({name.lower() for name in _MAIL_HEADER.findall(text)}) >= 2
