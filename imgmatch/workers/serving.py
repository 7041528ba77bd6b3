"""Inside a worker: parsers, and the bytes that they ask the other side for."""

from __future__ import annotations

import io
import json
from collections import OrderedDict
from collections.abc import Sequence
from types import ModuleType
from typing import Any, BinaryIO, cast

from imgmatch.limits import SourceLimits
from imgmatch.parsers.pieces import Piece, Settings
from imgmatch.streams import RandomAccess, Window
from imgmatch.workers.child import Answer, Pipe
from imgmatch.workers.wire import MAX_READ

_BUFFER_BYTES = 1 << 18
_BLOCK_BYTES = 1 << 16
_AHEAD = 8
_KEPT_BLOCKS = 256


class Extractors:
    """Modules that take pictures out of files, one request a file."""

    def __init__(self, *modules: ModuleType) -> None:
        self._modules = {module.__name__.rpartition(".")[2]: module for module in modules}

    def serve(self, request: dict[str, Any], _: bytearray, pipe: Pipe) -> Answer:
        """Tell of what is found, as it is found."""
        told = request["settings"]
        settings = Settings(told["frames_per_minute"], SourceLimits(**told["limits"]), tuple(told["passwords"]))
        stream = cast(BinaryIO, io.BufferedReader(Window(Remote(pipe, request["size"])), _BUFFER_BYTES))
        for found in self._modules[request["task"]].extract(stream, settings, request["at"]):
            about = {"kind": found.kind, "at": found.at}
            if isinstance(found, Piece):
                pipe.say({"say": "piece", **about, "modified": found.modified_utc}, found.data)
            else:
                pipe.say({"say": "trouble", **about, "error": found.error, "message": found.message})
        return {}, []


class Disks:
    """A parser of a disk image, one at a time, which is opened and then called."""

    def __init__(self, parsers: Sequence[type]) -> None:
        self._parsers = {parser.__name__: parser for parser in parsers}
        self._open: Any = None

    def serve(self, request: dict[str, Any], _: bytearray, pipe: Pipe) -> Answer:
        """Open a parser, or call it: its answer as JSON, or as it is where it is bytes."""
        if "open" in request:
            self._open = None
            images = [Kept(Remote(pipe, size, number)) for number, size in enumerate(request["sizes"])]
            self._open = self._parsers[request["open"]](pipe.tick, images, *request["with"])
            return {}, []
        made = getattr(self._open, request["call"])(*request["with"])
        return {}, [made if isinstance(made, bytes) else json.dumps(made).encode("ascii")]


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
            heard, part = self._pipe.hear()
            if "failed" in heard:
                raise OSError(heard["failed"])
            if not part:
                break
            parts.append(part)
            offset += len(part)
            size -= len(part)
        return bytes(parts[0]) if len(parts) == 1 else b"".join(parts)


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
