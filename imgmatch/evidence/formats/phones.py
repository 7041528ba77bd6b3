"""Phones: where a file of an extraction or a backup lay on the phone, and what is said of it there."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace

from imgmatch.errors import EvidenceError
from imgmatch.evidence import beside
from imgmatch.evidence.container import Container
from imgmatch.evidence.look import Look, read
from imgmatch.evidence.options import SourceOptions
from imgmatch.parsers import carried, phones
from imgmatch.parsers.pieces import Settings, Trouble
from imgmatch.streams import BLOCK_BYTES, RandomAccess, Spool
from imgmatch.types import Evidence, Issue, Siblings
from imgmatch.workers import parse

_MANIFESTS = ("Manifest.db", "Manifest.mbdb")
_MAGIC = (b"SQLite format 3\0", b"mbdb\x05\0")
_HEAD_BYTES = 64
_DIGESTS = ("md5", "sha1", "sha256")


@dataclass(frozen=True, slots=True)
class Told:
    """What is said of one file: where it lies here, where it lay on the phone, when it was changed, its digests."""

    local: str
    path: str
    deleted: bool
    modified: str | None
    digests: dict[str, str]

    @property
    def kind(self) -> str:
        """Of its locator."""
        return "deleted" if self.deleted else "phone"


def told_in(source: RandomAccess, options: SourceOptions) -> Iterator[Told]:
    """What a report or manifest says, in its order. Raises EvidenceError, after what came before."""
    settings = Settings(options.frames_per_minute, options.limits)
    for piece in parse.extract("phones", source, settings):
        if isinstance(piece, Trouble) or piece.kind != "index":
            raise EvidenceError("crashed", "its reader gave nonsense; what came before is kept")
        piece.content.seek(0)
        for line in piece.content.read().decode("utf-8", "replace").split("\n"):
            values = line.split("\0")
            if len(values) != len(phones.FIELDS):
                raise EvidenceError("crashed", "its reader gave nonsense; what came before is kept")
            said = dict(zip(phones.FIELDS, values, strict=True))
            digests = {name: said[name] for name in _DIGESTS if said[name]}
            yield Told(said["local"], said["path"], bool(said["deleted"]), said["modified"] or None, digests)


class Index:
    """What is said of each file, by where it lies here: in a temporary file, as there may be millions."""

    def __init__(self, options: SourceOptions) -> None:
        self._kept = Spool(options.limits)
        self._at: dict[int, int] = {}
        self._end = 0

    def add(self, told: Told) -> None:
        """Note what is said of a file; the first that is said of it stands."""
        digests = [told.digests.get(name, "") for name in _DIGESTS]
        words = [told.local, told.path, "x" if told.deleted else "", told.modified or "", *digests]
        data = "\0".join(words).encode("utf-8", "surrogatepass")
        if self._at.setdefault(hash(told.local), self._end) == self._end:
            self._kept.seek(self._end)
            self._end += self._kept.write(len(data).to_bytes(4, "big") + data)

    def of(self, local: str) -> Told | None:
        """What is said of a file."""
        at = self._at.get(hash(local))
        if at is None:
            return None
        self._kept.seek(at)
        size = int.from_bytes(self._kept.read(4), "big")
        name, path, deleted, modified, *digests = self._kept.read(size).decode("utf-8", "surrogatepass").split("\0")
        stated = {kind: value for kind, value in zip(_DIGESTS, digests, strict=True) if value}
        return Told(name, path, bool(deleted), modified or None, stated) if name == local else None


def compared(member: Evidence, told: Told) -> Issue | None:
    """An issue where a file's bytes are not those whose digests are stated."""
    made = {name: hashlib.new(name, usedforsecurity=False) for name in told.digests}
    if not made:
        return None
    try:
        with member.open() as stream:
            while block := stream.read(BLOCK_BYTES):
                for each in made.values():
                    each.update(block)
    except (OSError, EvidenceError):
        return None  # reading it again says why
    wrong = [name for name, each in made.items() if each.hexdigest() != told.digests[name]]
    if not wrong:
        return None
    names = ", ".join(name.upper().replace("SHA", "SHA-") for name in wrong)
    says = f"its bytes are not those that the report states ({names}): it was changed, or is damaged"
    return Issue(member.locator, "walk", "hash_mismatch", says)


class IosBackup(Container):
    """A backup by iTunes or Finder in a folder, tar or disk: pictures and videos once more, by where they lay there."""

    name = "iOS backup"
    kinds = ("phone",)
    begins = _MAGIC
    hashed_up_to_bytes = None

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """By its name and its magic; a ZIP calls its files by their manifest itself."""
        at = look.evidence.locator
        name = at.at[len(beside.folder_of(at.at)) :]
        return name in _MANIFESTS and look.head.startswith(_MAGIC) and at.kind not in ("zip", "phone", "deleted")

    def members(self) -> Iterator[Evidence | Issue]:
        """In a folder, in the order of the manifest, in a container in its own; a file that is none of these two is
        found by itself alone.
        """
        folder, near = beside.folder_of(self.outer.locator.at), beside.of(self.outer)
        if near is None:
            return
        for one, found in self._pairs(folder, near):
            try:
                with found.open() as stream:
                    head = read(stream, _HEAD_BYTES)
            except (EvidenceError, OSError):
                continue  # it is met where it lies, and the walk says why
            if carried.is_whole(head) or head[4:8] == b"ftyp":
                yield replace(found, locator=self.place(one.path), modified_utc=one.modified or found.modified_utc)

    def _pairs(self, folder: str, near: Siblings) -> Iterator[tuple[Told, Evidence]]:
        """What is said of files, and these."""
        told = told_in(self.access(), self.options)
        if self.outer.beside is None:
            for one in told:
                if (found := _met(near, folder + os.path.join(*one.local.split("/")))) is not None:
                    yield one, found
            return
        index = Index(self.options)
        for one in told:
            index.add(one)
        for member in near.all():
            at = member.locator.at
            if at.startswith(folder) and (said := index.of(at[len(folder) :])) is not None:
                yield said, member


def _met(near: Siblings, at: str) -> Evidence | None:
    try:
        return near.named(at)
    except EvidenceError:  # the walk says why
        return None
