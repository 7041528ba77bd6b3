"""What a signature of a format is (``imgmatch.evidence.signatures``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

What = Literal["picture", "volume", "archive", "document", "mail", "video"]


@dataclass(frozen=True, slots=True)
class Signature:
    """``name`` is what a person calls the format. ``magic`` stands at ``at``, counted from the end where it is
    negative, and so does each of ``more``, (place, bytes). ``read``: it is read, so that one which can't be is damaged.
    """

    name: str
    what: What
    magic: bytes
    at: int = 0
    more: tuple[tuple[int, bytes], ...] = ()
    read: bool = False


def read(name: str, *magics: bytes, at: int = 0, more: tuple[tuple[int, bytes], ...] = ()) -> tuple[Signature, ...]:
    """A kind of picture that is read."""
    return tuple(Signature(name, "picture", magic, at, more, read=True) for magic in magics)


def named(
    name: str, what: What, *magics: bytes, at: int = 0, more: tuple[tuple[int, bytes], ...] = ()
) -> tuple[Signature, ...]:
    """A format that is not read."""
    return tuple(Signature(name, what, magic, at, more) for magic in magics)


def boxes(name: str, what: What, *brands: bytes) -> tuple[Signature, ...]:
    """An ISO base media file of one of these brands (ISO/IEC 14496-12)."""
    return tuple(Signature(name, what, b"ftyp" + brand, 4) for brand in brands)
