"""Messages that Outlook saved (.msg)."""

from __future__ import annotations

from imgmatch.evidence.formats.extracted import Extracted
from imgmatch.evidence.formats.thumbs import Thumbs
from imgmatch.evidence.look import Look

_MESSAGE_CLASS = bytes.fromhex("0b0d020000000000c000000000000046")
_PROPERTIES = "__properties_version1.0".encode("utf-16-le")
_DIRECTORY_BYTES = 64 << 10


class Msg(Extracted):
    """Attachments, of attached messages too."""

    name = "Outlook message"
    kinds = ("msg",)
    parser = "msg"
    switch = "documents"
    needs = "olefile", "documents"
    magic = begins = Thumbs.magic

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """A compound file that says it is a message, or has a message's properties in it."""
        if not super().recognise(look) or len(look.head) < 512:
            return False
        shift, first = int.from_bytes(look.head[30:32], "little"), int.from_bytes(look.head[48:52], "little")
        directory = look.at((first + 1) << shift, _DIRECTORY_BYTES) if shift in (9, 12) and first < 1 << 30 else b""
        return directory[80:96] == _MESSAGE_CLASS or _PROPERTIES in directory
