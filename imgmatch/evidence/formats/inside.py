"""Pictures that lie somewhere in a file of no known kind: behind bytes of a header, in a tag of a song, in a cache."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from imgmatch.errors import unsupported
from imgmatch.evidence.container import Container
from imgmatch.evidence.formats.carve import carved_at
from imgmatch.evidence.look import HEAD_BYTES, Look
from imgmatch.evidence.naming import signature_of
from imgmatch.evidence.options import Switch
from imgmatch.locator import Locator
from imgmatch.picture.extents import BEGIN, length_of
from imgmatch.streams import RandomAccess
from imgmatch.types import Evidence, Issue

# What a picture can't begin without, each found in no time.
_HINTS = (b"\xff\xd8\xff", b"GIF8", b"\x89PNG\r\n\x1a\n", b"WEBPVP8", b"ftyp", b"jP  \r\n\x87\n")
_TAGGED = (b"ID3", b"fLaC", b"OggS")
_TAG_BYTES = 256 << 10
"""A picture of a song may stand behind its words."""
# What keeps pictures as they are, wherever: they are looked for in all of it. By where its magic stands.
_KEEPERS = {
    0: (
        *(b"FWS", b"glTF", b"Kaydara FBX Binary", b"BLENDER", b"PXR-USDC", b"\xff\xfe\xff\x0eS\0k\0", b"CSFCHUNK"),
        *(b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d", b"\x06\x06\xed\xf5\xd8\x1d\x46\xe5", b"\xffWPC", b"NB*\0", b"L\0R\0F\0"),
        *(
            b"UnityFS\0",
            b"PACK",
            b"IWAD",
            b"PWAD",
            b"TAPE\0\0",
            b"MSWIM\0\0\0",
            b"MDMP\x93\xa7",
            b"PAGEDUMP",
            b"PAGEDU64",
        ),
        *(
            b"%!PS-Adobe",
            b"\xc5\xd0\xd3\xc6",
            b"\1\x0f\0\0",
            b"AC10",
            b"BWT5 STREAM",
            b"** This file contains an SQLite",
        ),
    ),
    4: (b"Standard Jet DB", b"Standard ACE DB", b"MSISAM Database", b"\xef\xcd\xab\x89"),
    12: (b"\x62\x31\5\0", b"\x61\x15\6\0"),  # tables of Berkeley DB
    16: (b'{"files":{', b"T-DB", b"\xde\xc0\xef\xbe"),
    60: (b"BOOKMOBI",),
}
_LEVELDB = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"  # its table's end
_ICONS = (b"\0\0\1\0", b"\0\0\2\0", b"icns")
_LEAST_BYTES = 64
_SEARCHED_BYTES, _ROOM = 1 << 20, 64
_STORES = {
    "thumbnails.data": "QuickLook cache of macOS (bitmaps)",
    "iconcache.db": "icon cache of Windows (IconCache.db)",
    **{f".crypt{version}": "backup of WhatsApp (encrypted)" for version in (5, 7, 8, 9, 10, 11, 12, 14, 15)},
}


class Inside(Container):
    """Pictures behind the first bytes of a file, and all that follow; called by where they begin and how long they
    are.
    """

    name = "file with pictures inside"
    kinds: ClassVar[tuple[str, ...]] = ("inside",)
    switch: ClassVar[Switch | None] = "documents"
    itself = True

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """Does a picture begin a little behind its beginning, or may it anywhere?"""
        head = look.head
        if any(head.startswith(magics, at) for at, magics in _KEEPERS.items()) or look.at(-8, 8) == _LEVELDB:
            return True
        if head.startswith(_TAGGED) and len(head) == HEAD_BYTES:
            head = look.at(0, _TAG_BYTES)
        for hint in _HINTS if b"\0" in head else _HINTS[:2]:  # only these begin without any zero
            if hint in head:
                return BEGIN.search(head, 1) is not None and _is_unknown(look)
        return False

    def members(self) -> Iterator[Evidence | Issue]:
        """Those whose end is found, one behind the other."""
        source = self.access()
        for at, size in self._pictures(source, self.options.limits.max_carved_bytes):
            yield self.extent(f"{at}+{size}", source, at, size)

    def _pictures(self, source: RandomAccess, most_bytes: int) -> Iterator[tuple[int, int]]:
        """Place and length of each picture that begins anywhere and ends, in ``most_bytes``."""
        at = 0
        while at < source.size:
            self.budget.check()
            block = source.read_at(at, _SEARCHED_BYTES + _ROOM)
            match = BEGIN.search(block)
            if match is None or match.start() >= _SEARCHED_BYTES:
                at += _SEARCHED_BYTES
                continue
            place = at + match.start()
            size = length_of(source.read_at(place, most_bytes))
            if size >= _LEAST_BYTES:
                yield place, size
            at = place + max(size, 4)

    def member(self, place: Locator) -> Evidence:
        """What lies at a place."""
        found = carved_at(self, self.access(), place.at, "inside")
        return super().member(place) if found is None else found


class Anywhere(Inside):
    """The same, wherever the first of them begins (``carve``)."""

    name = "file of no known kind"
    switch: ClassVar[Switch | None] = "carve"

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """Whatever was none of those before."""
        return look.evidence.size_bytes >= _LEAST_BYTES

    def members(self) -> Iterator[Evidence | Issue]:
        """Pictures in it; of a picture as such nothing, nor of what gives them as ``Inside``."""
        with Look(self.outer) as look:
            if Inside.recognise(look) or not _is_unknown(look):
                return
        yield from super().members()


class Store(Inside):
    """Stores that are known by their names, and not read: with ``carve``, pictures in them."""

    name = "store that is not read"
    itself = False
    switch = None

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """By its name."""
        return look.evidence.locator.at[-15:].lower().endswith(tuple(_STORES)) and bool(look.head)

    def members(self) -> Iterator[Evidence | Issue]:
        """What it is called, after pictures in it."""
        if self.options.carve:
            yield from super().members()
        at = self.outer.locator.at.lower()
        name = next(what for ending, what in _STORES.items() if at.endswith(ending))
        yield Issue.walked(self.outer.locator, unsupported(name, "it is not read"), self.name)


def _is_unknown(look: Look) -> bool:
    """Is it no picture itself, nor one that holds others by its own rules?"""
    head = look.head
    if BEGIN.match(head) or head[4:8] == b"ftyp" or head.startswith(_ICONS):
        return False
    known = signature_of(look.at)
    return known is None or not known.read
