"""Locators: where something was found, as a chain of parents (a frame in a file in an archive in a partition).

``str()`` gives one printable line and ``parse()`` reads it back exactly, whatever bytes a file name holds.
"""

from __future__ import annotations

import os
import re
from array import array
from dataclasses import dataclass
from hashlib import blake2b

from imgmatch.errors import UsageError

_SEPARATOR = "|"
_KIND = re.compile(r"[a-z][a-z0-9]*\Z")
# Percent, the separator, control characters, line separators and bytes that are not UTF-8 (surrogate escapes).
_UNSAFE = re.compile("[%|\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
# Surrogates, but for those that stand for bytes of a name that is not UTF-8.
_HALF = re.compile("[\ud800-\udc7f\udd00-\udfff]")
_ESCAPE = re.compile(r"((?:%[0-9A-F]{2})+)")
_INSIDE = " > "
_DELETED = " (deleted)"
# What a place of these kinds is called before it; of others a name says enough. ``disk`` is all that an image holds.
_CALLED = {
    "partition": "partition", "frame": "frame", "track": "frame", "preview": "preview", "behind": "behind its end,",
    "record": "record", "rows": "rows:", "lvm": "logical volume",
    "pack": "pack:",
}  # fmt: skip
_EXTENT = re.compile(r"(\d+)\+(\d+)\Z")
_START = re.compile(r"(\d+)@\d+\Z")
_OF_DELETED = re.compile(r"(.*)@(\d+)((?::.*)?)\Z", re.DOTALL)


def _quote(text: str) -> str:
    def escape(match: re.Match[str]) -> str:
        return "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "surrogateescape"))

    return _UNSAFE.sub(escape, text)


def _unquote(text: str) -> str:
    # Neighbouring plain text and escapes are decoded as one run of bytes.
    parts = _ESCAPE.split(text)
    raw = b"".join(
        bytes.fromhex(part.replace("%", "")) if index % 2 else part.encode("utf-8", "surrogateescape")
        for index, part in enumerate(parts)
    )
    return raw.decode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class Locator:
    """Where something was found: ``kind`` names the container ("file", "zip", "frame", ...), ``at`` the place in it.

    File names are str with surrogate escapes for bytes that are not UTF-8, as ``os.fsdecode`` gives them.
    """

    kind: str
    at: str
    parent: Locator | None = None

    def __post_init__(self) -> None:
        """Names come from evidence: from here on, anything can hold them."""
        object.__setattr__(self, "at", named(self.at))

    def __str__(self) -> str:
        own = f"{self.kind}:{_quote(self.at)}"
        return own if self.parent is None else f"{self.parent}{_SEPARATOR}{own}"

    @classmethod
    def file(cls, path: str | bytes | os.PathLike[str]) -> Locator:
        """Locate a file by its absolute path (links are not resolved: a locator says where it was found)."""
        return cls("file", os.path.abspath(os.fsdecode(path)))

    @classmethod
    def parse(cls, text: str) -> Locator:
        """Read back what ``str()`` wrote. Raises UsageError on anything else."""
        locator: Locator | None = None
        for part in text.split(_SEPARATOR):
            kind, colon, at = part.partition(":")
            if not colon or not _KIND.match(kind):
                raise UsageError(f"{text!r} is not a locator: each part must read kind:place, as in file:/media/a.jpg")
            locator = cls(kind, _unquote(at), locator)
        assert locator is not None  # split() always gives one part
        return locator

    @property
    def deleted(self) -> bool:
        """Was it, or what it lay in, deleted where it was found: named by a file system that had let go of it, or
        carved out of space that no file owns?
        """
        return self.kind in ("deleted", "carved") or (self.parent is not None and self.parent.deleted)

    @property
    def outermost(self) -> Locator:
        """Where the file lies that everything on the way here lies in."""
        return self if self.parent is None else self.parent.outermost

    @property
    def words(self) -> str:
        """Where it is, for a person: the file and what lies in what, as ``/e/disk.E01 > partition 2 > /DCIM/a.jpg
        (deleted)``. It can't be read back, and two places may read the same.
        """
        own = self._own_words() + (_DELETED if self.kind == "deleted" else "")
        if self.parent is None:
            return own
        return f"{self.parent.words}{_INSIDE}{own}" if own else self.parent.words

    def _own_words(self) -> str:
        at = readable(self.at)
        if at == "disk" and self.parent is not None and self.kind not in _CALLED:
            return ""
        if self.kind in ("carved", "behind", "inside", "preview") and (extent := _EXTENT.fullmatch(at)):
            return f"{_CALLED.get(self.kind, self.kind)} {int(extent[2]):,} bytes at byte {int(extent[1]):,}"
        if self.kind == "partition" and (start := _START.fullmatch(at)):
            at = start[1]
        elif self.kind == "deleted":
            at = self._without_number(at)
        if _INSIDE in at or at.endswith(_DELETED):  # a name that reads like words of ours
            at = f'"{at}"'
        return f"{_CALLED[self.kind]} {at}" if self.kind in _CALLED else at

    @staticmethod
    def _without_number(at: str) -> str:
        """The name of what was deleted, without the number or the archive's name of it; where it has none, with it."""
        if numbered := _OF_DELETED.fullmatch(at):
            path, number, stream = numbered.groups()
            return f"{path}, inode {number}{stream}" if path.rpartition("/")[2].startswith("$") else f"{path}{stream}"
        return at.rpartition("@")[0] or at

    @property
    def path(self) -> str | None:
        """The path on this machine of the outermost file, as printable text (bytes that are not UTF-8 as \\xNN)."""
        return readable(self.outermost.at) if self.outermost.kind == "file" else None


def readable(text: str) -> str:
    """A name as text that any terminal, JSON and database can hold: bytes that are not UTF-8 read \\xNN."""
    return text if text.isascii() else _bytes(text).decode("utf-8", "backslashreplace")


def named(text: str) -> str:
    """A name as ``os.fsdecode`` would give it, whatever it was decoded from: a surrogate stands for a byte that is not
    UTF-8, and halves of a character, which no text can hold, read \\uNNNN.
    """
    return text if text.isascii() else _bytes(text).decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", text).encode("utf-8", "surrogateescape")


class Names:
    """Gives every member a place of its own: a name that came before gets a number. However many there are and however
    long they are, some twenty bytes of each are kept.
    """

    def __init__(self) -> None:
        # By open addressing: hashes of the names that were given (0: a free slot), and how often each came.
        self._hashes, self._times = array("Q", bytes(8 << 10)), array("L", bytes(array("L").itemsize << 10))
        self._used = 0

    def __call__(self, name: str) -> str:
        """The place of the next member of this name."""
        made = name = named(name)
        slot = self._slot(name)
        if self._hashes[slot]:
            times = self._times[slot]
            while True:
                times += 1
                made = f"{name};{times}"
                free = self._slot(made)
                if not self._hashes[free]:
                    break
            self._times[slot], slot = times, free
        self._keep(slot, _hash(made))
        return made

    def _slot(self, name: str) -> int:
        """Where a name stands, or could."""
        return self._slot_of(self._hashes, _hash(name))

    @staticmethod
    def _slot_of(hashes: array[int], wanted: int) -> int:
        last = len(hashes) - 1
        slot = wanted & last
        while hashes[slot] not in (0, wanted):
            slot = (slot + 1) & last
        return slot

    def _keep(self, slot: int, hash_: int) -> None:
        self._hashes[slot], self._times[slot] = hash_, 1
        self._used += 1
        if self._used * 3 < len(self._hashes) * 2:
            return
        before = zip(self._hashes, self._times, strict=True)
        wider, times = array("Q", bytes(16 * len(self._hashes))), array("L", bytes(2 * len(self._times.tobytes())))
        for known, count in before:
            if known:
                at = self._slot_of(wider, known)
                wider[at], times[at] = known, count
        self._hashes, self._times = wider, times


def _hash(name: str) -> int:
    return int.from_bytes(blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little") or 1
