"""What is seen of a file before it is opened as anything."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Self, cast

from imgmatch.errors import raise_if_machine
from imgmatch.evidence import files
from imgmatch.evidence.mended import Mended
from imgmatch.streams import BLOCK_BYTES, damage_of
from imgmatch.types import Evidence

HEAD_BYTES = 4096
_KEPT_BYTES = 4096
_TAIL_BYTES = 512
_SHORT_BYTES = 32 << 10
_FORWARDS_BYTES = 96 << 10
"""So much of what can only be unpacked forwards is kept, so that it is not unpacked again for each place."""

_MOST_PASSED_BYTES = 64 << 20
"""So much is unpacked to look at places farther in; behind that nothing is seen before it is opened."""


class Look:
    """The first bytes of a file, others where a format asks for them, and where it lies. OSError where it can't be
    read. The file is opened once, until ``close``, and no place is read twice.
    """

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.path = files.path_of(evidence)
        """Its path where it lies in a folder, so that others lie beside it."""
        self._stream: BinaryIO | None = None
        self._forwards: bytes | None = None  # all that was read of a stream that goes forwards only
        self._far: BinaryIO | None = None
        self._far_at = self._passed = 0
        self._kept: dict[tuple[int, int], bytes] = {}
        self._is_whole = False
        self._tail: bytes | None = None
        self._is_short_text: bool | None = None
        self.head = b""
        self.head = self.at(0, HEAD_BYTES)
        self._is_whole = len(self.head) < HEAD_BYTES

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        self._leave_far()

    def at(self, offset: int, size: int) -> bytes:
        """Bytes at a place, none where what is packed ends before it; a negative one counts from the end, of which a
        stream that only goes forwards shows nothing, unless all of it is in ``head``."""
        if self._is_whole:
            start = max(0, len(self.head) + offset) if offset < 0 else offset
            return self.head[start : start + size]
        if offset >= 0 and offset + size <= len(self.head):
            return self.head[offset : offset + size]
        if self.path is not None and offset >= self.evidence.size_bytes:
            return b""
        if -_TAIL_BYTES <= offset < 0:
            if self._tail is None:
                self._tail = self._tried(-_TAIL_BYTES, _TAIL_BYTES)
            return self._tail[len(self._tail) + offset :][:size]
        found = self._kept.get((offset, size))
        if found is None:
            found = self._tried(offset, size)
            if size <= _KEPT_BYTES:
                self._kept[offset, size] = found
        return found

    @property
    def is_short_text(self) -> bool:
        """Is no zero among its first bytes, and is it shorter than any disk or volume without one there?"""
        if self._is_short_text is None:
            self._is_short_text = b"\0" not in self.head and not self.at(_SHORT_BYTES, 1)
        return self._is_short_text

    @contextmanager
    def stream(self) -> Iterator[BinaryIO]:
        """All of it, from its first byte on; no other place may be asked for meanwhile."""
        if self._is_whole:
            yield io.BytesIO(self.head)
        elif self._stream is not None and self._forwards is None:
            self._stream.seek(0)
            yield self._stream
        elif self._forwards is not None and len(self.at(0, _FORWARDS_BYTES)) < _FORWARDS_BYTES and self._forwards:
            yield io.BytesIO(self._forwards)
        else:
            with self.evidence.open() as stream:
                yield stream

    def _tried(self, offset: int, size: int) -> bytes:
        try:
            return self._read(offset, size)
        except OSError as error:
            self.close()
            if damage_of(error) is None:
                raise
        except BaseException:
            self.close()
            raise
        with self.evidence.open() as stream:  # what is damaged of it is seen as zeros
            if not stream.seekable():
                return b""
            length = stream.seek(0, 2)
            start = max(0, offset + length) if offset < 0 else offset
            return read(cast(BinaryIO, Mended(stream, min(length, start + size), start)), size)

    def _read(self, offset: int, size: int) -> bytes:
        if self._stream is None:
            self._stream = self.evidence.open()
            self._forwards = None if self._stream.seekable() else b""
        if self._forwards is None:
            self._stream.seek(offset if offset >= 0 else max(0, self._stream.seek(0, 2) + offset))
            return read(self._stream, size)
        if offset < 0:
            return b""
        if offset + size <= _FORWARDS_BYTES:
            try:
                self._forwards += read(self._stream, offset + size - len(self._forwards))
                return self._forwards[offset : offset + size]
            except OSError as error:
                raise_if_machine(error)
                self.close()
        return self._far_read(offset, size)

    def _far_read(self, offset: int, size: int) -> bytes:
        """Far into what only goes forwards: it is unpacked on from the last such place, or anew, up to some length."""
        if self._far is None or offset < self._far_at:
            self._leave_far()
            self._far = self.evidence.open()
        try:
            while self._far_at < offset:
                block = self._far.read(min(BLOCK_BYTES, offset - self._far_at))
                self._far_at += len(block)
                self._passed += len(block)
                if not block or self._passed > _MOST_PASSED_BYTES:
                    return b""
            found = read(self._far, size)
        except OSError as error:
            raise_if_machine(error)
            return b""
        self._far_at += len(found)
        return found

    def _leave_far(self) -> None:
        if self._far is not None:
            self._far.close()
        self._far, self._far_at = None, 0


def read(stream: BinaryIO, size: int) -> bytes:
    """Up to ``size`` bytes; fewer at the end only."""
    parts = []
    while size > 0 and (part := stream.read(size)):
        parts.append(part)
        size -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
