"""What a disk image says of itself, and whether all its bytes are those whose hashes it states."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from imgmatch.errors import EvidenceError, ImgmatchError, raise_if_machine, why
from imgmatch.evidence.budget import Budget
from imgmatch.evidence.container import Container
from imgmatch.evidence.formats import ewf, locked, phones, split, udif, vhd
from imgmatch.evidence.formats.disk_image import DiskImage
from imgmatch.evidence.options import SourceOptions
from imgmatch.evidence.recognise import Recognised, recognise
from imgmatch.locator import readable
from imgmatch.parsers.disks import ewf2, ex01, stated
from imgmatch.parsers.disks import vhd as vhd_reader
from imgmatch.streams import BLOCK_BYTES, RandomAccess, Shared, damage_of, one_line
from imgmatch.types import Evidence
from imgmatch.workers import session

HASHES = {"md5": "MD5", "sha1": "SHA-1", "sha256": "SHA-256", "crc32": "CRC32"}
"""Names of hashes, and what a person calls them."""
_READERS = {
    ewf.Ewf.parser: stated.Ewf,
    ewf2.Ewf2: stated.Ewf2,
    ex01.Ex01: stated.Ewf2,
    udif.Udif.parser: stated.Udif,
    vhd_reader.Vhd: stated.Vhd,
}
Tell = Callable[[int, int], None]
"""Is told how many bytes of how many were read."""


@dataclass(frozen=True, slots=True)
class Stated:
    """What an image says of itself: its kind in words, the length of the disk, who acquired what and when, hashes of
    all bytes of the disk, and checksums of parts of the file (name, hexadecimal digits, start, length).
    """

    kind: str
    size_bytes: int
    facts: dict[str, str] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    checksums: tuple[tuple[str, str, int, int], ...] = ()


def is_image(seen: Recognised, *, outermost: bool) -> bool:
    """Is a file the image of a whole disk: in a format of its own, at any depth, or raw where it lies by itself?"""
    kinds = seen.containers
    if any(map(_has_format, kinds)):
        return True
    return outermost and seen.is_disk and not any(issubclass(kind, phones.IosBackup) for kind in kinds)


def _has_format(kind: type[Container]) -> bool:
    """Is it an image in a format of its own? An encrypted volume is a raw one, whatever comes out of it."""
    return issubclass(kind, DiskImage) and not issubclass(kind, locked.Locked)


def state(image: Evidence, options: SourceOptions) -> Stated:
    """What an image says of itself, as a confined process reads it. Raises EvidenceError where it can't be opened, or
    is none any more.
    """
    opened = _opened(image, options)
    if not isinstance(opened, DiskImage) or not _has_format(type(opened)):
        kind = "image in parts" if isinstance(opened, split.Split) else "raw image"
        return Stated(f"{kind} ({opened.name})", _disk(opened).size)
    try:
        sources = opened.sources()  # which also says which reader it needs
        if (isinstance(opened, vhd.Vhd) and opened.parser is not vhd_reader.Vhd) or opened.parser not in _READERS:
            about = opened.media().about
            told = {"identity": about["identity"]} if about["identity"] else {}
            return Stated(opened.name, about["size"], told, dict(about["hashes"]))
        asked = session.Session(_READERS[opened.parser], sources, image, options.limits)
        about = asked.call("about")
        facts = {name: readable(value) for name, value in asked.call("stated")}
        sums = tuple(tuple(each) for each in asked.call("checksums"))
        name = "Ex01" if _READERS[opened.parser] is stated.Ewf2 else opened.name
        return Stated(name, about["size"], facts, _last(about["hashes"]), sums)
    except (OSError, RuntimeError) as error:
        raise_if_machine(error)
        raise EvidenceError("broken_image", f"can't be opened: {readable(one_line(error))}") from error


def digested(image: Evidence, options: SourceOptions, tell: Tell | None = None) -> dict[str, str]:
    """MD5, SHA-1 and SHA-256 of all bytes of the disk; reads all of it. Raises EvidenceError where a part can't be had
    as it was.
    """
    media = _disk(_opened(image, options))
    made = {name: hashlib.new(name, usedforsecurity=False) for name in ("md5", "sha1", "sha256")}
    for block, at in _blocks(media, 0, media.size):
        for each in made.values():
            each.update(block)
        if tell is not None:
            tell(at, media.size)
    return {name: each.hexdigest() for name, each in made.items()}


def wrong_checksums(image: Evidence, options: SourceOptions, said: Stated) -> list[str]:
    """Which checksums of parts of the file are not those of its bytes; a sentence each. Raises EvidenceError."""
    found = []
    source = _opened(image, options).access() if said.checksums else None
    for name, value, start, size in said.checksums:
        assert source is not None
        made = 0
        for block, _ in _blocks(source, start, start + size):
            made = zlib.crc32(block, made)
        if f"{made:08x}" != value:
            found.append(f"the {HASHES[name]} of what it stores is {made:08x}, not {value} as it says itself")
    return found


def wrong_hashes(made: dict[str, str], stored: dict[str, str]) -> list[str]:
    """Which stored hashes are not those of all the bytes; a sentence each."""
    return [
        f"the {HASHES[name]} of all its bytes is {made[name]}, not {told} as it says itself"
        for name, told in stored.items()
        if name in made and told != made[name]
    ]


def _last(hashes: list[tuple[str, str]]) -> dict[str, str]:
    """Hashes by their names; of several values of one, all: whatever all bytes give, one of them is wrong then."""
    found: dict[str, str] = {}
    for name, value in hashes:
        found[name] = f"{found[name]} and {value}" if name in found and found[name] != value else value
    return found


def _opened(image: Evidence, options: SourceOptions) -> Container:
    try:
        seen = recognise(image, options)
    except OSError as error:
        raise_if_machine(error)
        raise EvidenceError("unreadable", f"can't be read: {why(error)}") from error
    for kind in seen.containers:
        if issubclass(kind, DiskImage) or kind.hashed_up_to_bytes is None:
            return kind.open(image, options, Budget(options.limits, image.size_bytes))
    raise EvidenceError("gone", "is no disk image any more")


def _disk(opened: Container) -> RandomAccess:
    """All bytes of the disk: as the format has them, put together of parts, or the file itself."""
    if isinstance(opened, DiskImage) and _has_format(type(opened)):
        return opened.media()
    if isinstance(opened, split.Split):
        for member in opened.members():
            if isinstance(member, Evidence):
                return Shared(member.open())
    return opened.access()


def _blocks(source: RandomAccess, start: int, end: int) -> Iterator[tuple[bytes, int]]:
    """Bytes a block at a time, each with where it ends. Raises EvidenceError."""
    at = start
    while at < end:
        try:
            block = source.read_at(at, min(BLOCK_BYTES, end - at))
        except ImgmatchError:
            raise
        except (OSError, RuntimeError) as error:
            raise_if_machine(error)
            damage = damage_of(error) if isinstance(error, OSError) else None
            raise EvidenceError("unreadable", f"can't be read whole: {damage or one_line(error)}") from error
        if not block:
            raise EvidenceError("unreadable", f"can't be read whole: it ends at byte {at:,}, not {end:,}")
        at += len(block)
        yield block, at
