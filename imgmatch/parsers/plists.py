"""Pictures in a binary list of properties, as Apple's programs write them; archived objects (NSKeyedArchiver) too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from imgmatch.errors import EvidenceError
from imgmatch.locator import Names
from imgmatch.parsers import carried, plist
from imgmatch.parsers.pieces import Clock, Piece, Settings, Trouble

_MOST_BYTES = 1 << 30


def extract(stream: BinaryIO, settings: Settings, at: str | None = None) -> Iterator[Piece | Trouble]:
    """Each picture, called by the keys and places that lead to it.

    Raises EvidenceError of kind ``broken_document`` where it can't be read, after what is found in it all the same.
    """
    clock, place_of = Clock(settings), Names()
    data = stream.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise EvidenceError("limit", f"is longer than {_MOST_BYTES:,} bytes; not opened")
    if plist.is_true(data, "IsEncrypted"):
        says = "an encrypted iOS backup: what lies in it can't be read"
        yield Trouble("plist", "IsEncrypted", "unsupported", says)
    try:
        for path, value in plist.values(data):
            clock.check()
            for found in carried.in_value(value):
                yield Piece("plist", place_of("/".join(filter(None, (path, found.at)))), found.data)
    except ValueError as error:
        for found in carried.behind_headers(data):
            yield Piece("plist", place_of(found.at), found.data)
        raise EvidenceError("broken_document", f"the list of properties is damaged: {error}") from error
