"""Where programs keep pictures: caches of thumbnails and of browsers, databases, lists of properties, text."""

from __future__ import annotations

import re
from collections.abc import Iterator

from imgmatch.evidence.formats.extracted import Extracted
from imgmatch.evidence.look import HEAD_BYTES, Look
from imgmatch.parsers import caches, carried, embedded, sqlite, thumbcache
from imgmatch.types import Evidence, Issue

_FIREFOX_NAME = re.compile(r"/?[0-9A-F]{40}")
_MANY_NAME = re.compile(
    r"\.?thumbdata\d?[-.\w]*|imgcache[._]?\d*|(?:big)?thumbs\d?_\d+\.db|thumbs_\d+\.db|data_[123]|.*\.ithmb|zbthumbnail\.info"
    r"|pspbrwse\.jbf|.*\.adt|adobe bridge cache.*\.bct?",
    re.IGNORECASE,
)
_BLOCKS = b"\xc3\xca\x03\xc1"
_MANY = (b"AgHg", b"JASC BROWS FILE", _BLOCKS)
_BLOCK_BYTES = 1 << 16
_OVERLAP = 512


class ThumbCache(Extracted):
    """Thumbnails and icons, called by what their entries are called."""

    name = "thumbcache"
    kinds = ("thumb",)
    parser = "thumbcache"
    switch = "documents"
    magic = (thumbcache.MAGIC,)


class Sqlite(Extracted):
    """Values of rows that are pictures, also in pages that were let go of; what a log holds, by itself, also a rollback
    journal that is done with, whose first bytes are zeros.
    """

    name = "SQLite database"
    kinds = ("sqlite", "deleted")
    parser = "sqlite"
    switch = "documents"
    magic = (sqlite.MAGIC, *sqlite.WAL_MAGIC, sqlite.JOURNAL_MAGIC)

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """By its magic; a journal that is done with by its name, or by the checksums of its first pages."""
        head = look.head
        if head[: sqlite.ZEROED_BYTES] != bytes(sqlite.ZEROED_BYTES) or len(head) <= 512:
            return head.startswith(cls.magic)
        return look.evidence.locator.at.endswith("-journal") or sqlite.page_bytes_of(look.at) is not None

    def members(self) -> Iterator[Evidence | Issue]:
        """In the order of their pages."""
        for member in super().members():
            if self.options.deleted or member.locator.kind != "deleted":
                yield member


class PropertyList(Extracted):
    """Values of binary lists of properties, Safari's .webarchive among them."""

    name = "property list"
    kinds = ("plist",)
    parser = "plists"
    switch = "documents"
    magic = (b"bplist0",)


class FirefoxCache(Extracted):
    """An entry of Firefox's cache: a body with what is known of it behind, called by a hash."""

    name = "entry of a cache"
    kinds = ("cache",)
    parser = "caches"
    switch = "documents"

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """By its name, which no other file has, and what stands at the end."""
        if _FIREFOX_NAME.fullmatch(look.evidence.locator.at[-41:]) is None:
            return False
        with look.stream() as stream:
            return stream.seekable() and caches.firefox(stream) is not None


class Cache(Extracted):
    """An entry of a cache, or many pictures in one file, behind headers of their own."""

    name = "cache"
    kinds = ("cache", "thumb")
    parser = "caches"
    switch = "documents"
    magic = (caches.CHROME, *caches.VOLLEY, *_MANY)

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """By its magic; what has none, by its name."""
        if look.head.startswith(cls.magic):
            return True
        at = look.evidence.locator.at
        return _MANY_NAME.fullmatch(at, max(at.rfind("/"), at.rfind("\\")) + 1) is not None


class RichText(Extracted):
    """Pictures in RTF, and objects."""

    name = "Rich Text (RTF)"
    kinds = ("carried",)
    parser = "rtf"
    switch = "documents"
    magic = (b"{\\rtf",)


class Text(Extracted):
    """What a text carries in base64 or as ``data:`` URIs; the text itself stays what it is."""

    name = "text with pictures"
    kinds = ("carried",)
    parser = "texts"
    switch = "documents"
    itself = True

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """Does it carry any? All of it is looked through once, quickly."""
        wide = look.head.startswith((b"\xff\xfe", b"\xfe\xff"))
        if b"\0" in look.head and not wide:
            return False
        if len(look.head) < HEAD_BYTES:
            text = look.head.replace(b"\0", b"") if wide else look.head
            return carried.in_this_text(text) or embedded.has_file(text)
        before = b""
        with look.stream() as stream:
            while block := stream.read(_BLOCK_BYTES):
                block = block.replace(b"\0", b"") if wide else block
                if carried.in_this_text(before + block) or embedded.has_file(before + block):
                    return True
                before = block[-_OVERLAP:]
        return False
