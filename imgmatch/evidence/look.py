"""What is seen of a file before it is opened as anything."""

from __future__ import annotations

from typing import BinaryIO, cast

from imgmatch.errors import raise_if_machine
from imgmatch.evidence import files
from imgmatch.evidence.mended import Mended
from imgmatch.streams import damage_of
from imgmatch.types import Evidence

HEAD_BYTES = 4096


class Look:
    """The first bytes of a file, others where a format asks for them, and where it lies. OSError where it can't be
    read.
    """

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.path = files.path_of(evidence)
        """Its path where it lies in a folder, so that others lie beside it."""
        self.head = self.at(0, HEAD_BYTES)

    def at(self, offset: int, size: int) -> bytes:
        """Bytes at a place, none where what is packed ends before it; a negative one counts from the end, of which a
        stream that only goes forwards shows nothing."""
        try:
            return self._read(offset, size)
        except OSError as error:
            if damage_of(error) is None:
                raise
        with self.evidence.open() as stream:  # what is damaged of it is seen as zeros
            if not stream.seekable():
                return b""
            length = stream.seek(0, 2)
            start = max(0, offset + length) if offset < 0 else offset
            return read(cast(BinaryIO, Mended(stream, min(length, start + size), start)), size)

    def _read(self, offset: int, size: int) -> bytes:
        with self.evidence.open() as stream:
            if stream.seekable():
                stream.seek(offset if offset >= 0 else max(0, stream.seek(0, 2) + offset))
            elif offset < 0:
                return b""
            elif offset:
                try:
                    read(stream, offset)
                except OSError as error:
                    raise_if_machine(error)
                    return b""
            return read(stream, size)


def read(stream: BinaryIO, size: int) -> bytes:
    """Up to ``size`` bytes; fewer at the end only."""
    parts = []
    while size > 0 and (part := stream.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
