"""The worker's side of the pipes: what is said and heard, and the bytes that lie on the other side."""

from __future__ import annotations

import faulthandler
import json
import os
import signal
from collections import OrderedDict
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imgmatch.streams import RandomAccess

_BLOCK_BYTES = 1 << 16
_AHEAD = 8
_KEPT_BLOCKS = 256
MAX_READ = 4 << 20
"""The most bytes that are asked for at once, either way."""


class Pipe:
    """Both ways to the other side. A watch that needs no Python runs whenever it is this side's turn.

    Without the other side there is nothing to do: the process ends.
    """

    def __init__(self, source: IO[bytes], target: IO[bytes]) -> None:
        self._from, self._to = source, target
        self._patience = 0.0

    def limit(self, seconds: float) -> None:
        """From now on end this process where its turn takes ``seconds`` of processor time, and some slack; 0: never."""
        faulthandler.cancel_dump_traceback_later()
        self._patience = 2.0 * seconds + 30 if seconds else 0.0
        self._watch()

    def limit_all(self, seconds: float) -> None:
        """End this process where it takes ``seconds`` of processor time from now on, over all its turns; 0: never."""
        self.limit(seconds)
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_PROF, seconds)  # SIGPROF, which ends it

    def say(self, message: dict[str, Any], data: bytes = b"") -> None:
        """Send a message and the bytes that it announces."""
        faulthandler.cancel_dump_traceback_later()
        self._write(json.dumps(message).encode() + b"\n")
        self._write(data)
        self._watch()

    def tick(self) -> None:
        """Say that one more step of many is done: should the next one end this process, it is known which it was."""
        self._write(b".")

    def hear(self) -> dict[str, Any]:
        """The next message."""
        faulthandler.cancel_dump_traceback_later()
        line = self._from.readline()
        self._watch()
        if not line:
            os._exit(0)
        heard: dict[str, Any] = json.loads(line)
        return heard

    def take(self, size: int) -> bytes:
        """The bytes that a message announced."""
        return self._from.read(size)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while len(view):
                view = view[self._to.write(view) :]
        except OSError:
            os._exit(0)

    def _watch(self) -> None:
        if self._patience:
            faulthandler.dump_traceback_later(self._patience, exit=True)


class Remote:
    """Bytes on the other side, the ``number``-th of what a request is about, as RandomAccess."""

    def __init__(self, pipe: Pipe, size: int, number: int = 0) -> None:
        self._pipe, self._number = pipe, number
        self.size = size

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``offset``."""
        parts = []
        size = min(size, self.size - offset)
        while size > 0:
            self._pipe.say({"say": "read", "of": self._number, "offset": offset, "size": min(size, MAX_READ)})
            heard = self._pipe.hear()
            if "failed" in heard:
                raise OSError(heard["failed"])
            part = self._pipe.take(heard["size"])
            if not part:
                break
            parts.append(part)
            offset += len(part)
            size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)


class Kept:
    """What was read of ``source`` last, in blocks: parsers of file systems read a little at a time, again and again.

    Where a block follows one that is kept, some more are read ahead.
    """

    def __init__(self, source: RandomAccess) -> None:
        self._source = source
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self.size = source.size

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``offset``."""
        size = min(size, self.size - offset)
        if size <= 0:
            return b""
        if size > _BLOCK_BYTES:
            return self._source.read_at(offset, size)
        first, last = offset // _BLOCK_BYTES, (offset + size - 1) // _BLOCK_BYTES
        try:
            data = b"".join(self._block(number) for number in range(first, last + 1))
        except OSError:  # somewhere in the block, perhaps not here
            return self._source.read_at(offset, size)
        start = offset - first * _BLOCK_BYTES
        return data[start : start + size]

    def _block(self, number: int) -> bytes:
        if number not in self._blocks:
            count = _AHEAD if number - 1 in self._blocks else 1
            data = self._source.read_at(number * _BLOCK_BYTES, count * _BLOCK_BYTES)
            for place in range(count):
                self._blocks[number + place] = data[place * _BLOCK_BYTES : (place + 1) * _BLOCK_BYTES]
            while len(self._blocks) > _KEPT_BLOCKS:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(number)
        return self._blocks[number]
