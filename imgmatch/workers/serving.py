"""Inside a worker: parsers, and the bytes that they ask the other side for."""

from __future__ import annotations

import functools
import io
import json
from collections import OrderedDict
from importlib import import_module
from typing import Any, BinaryIO, cast

from imgmatch.limits import SourceLimits
from imgmatch.parsers.pieces import Part, Piece, Settings, Trouble
from imgmatch.streams import RandomAccess, Window, in_pieces
from imgmatch.workers.child import Answer, Pipe
from imgmatch.workers.wire import MAX_READ

_BUFFER_BYTES = 1 << 18
_BLOCK_BYTES = 1 << 16
_AHEAD = 8
_KEPT_BLOCKS = 256
_MOST_NAME = 100_000


def extract(request: dict[str, Any], _: bytearray, pipe: Pipe) -> Answer:
    """Tell what a parser finds in a file, as it is found."""
    told = request["settings"]
    settings = Settings(told["frames_per_minute"], SourceLimits(**told["limits"]), tuple(told["passwords"]))
    stream = cast(BinaryIO, io.BufferedReader(Window(Remote(pipe, request["size"])), _BUFFER_BYTES))
    parser = import_module(f"imgmatch.parsers.{request['parser']}")
    tell = functools.partial(_tell, pipe)
    if hasattr(parser, "give"):
        parser.give(stream, settings, tell)
    else:
        for found in parser.extract(stream, settings, request["at"]):
            tell(found)
    return {}, []


def _tell(pipe: Pipe, found: Part | Piece | Trouble) -> None:
    if isinstance(found, Part):
        for at in range(0, len(found.data), MAX_READ):
            pipe.say({"say": "part"}, found.data[at : at + MAX_READ])
        return
    told: dict[str, Any] = {"say": "found", "kind": found.kind, "at": found.at[:_MOST_NAME]}
    told |= {"modified": None, "error": None, "message": "", "what": ""}
    if isinstance(found, Piece):
        pipe.say({**told, "modified": found.modified_utc}, found.data)
    else:
        pipe.say({**told, "error": found.error, "message": found.message[:_MOST_NAME], "what": found.what})


def ask(request: dict[str, Any], _: bytearray, pipe: Pipe) -> Answer:
    """Open a parser of a disk image, one at a time, or call it: its answer as JSON, or as it is where it is bytes."""
    global _open
    if "open" in request:
        _open = None
        module, name = request["open"]
        images = [Kept(Remote(pipe, size, number)) for number, size in enumerate(request["sizes"])]
        _open = getattr(import_module(module), name)(pipe.tick, images, *request["with"])
        return {}, []
    made = getattr(_open, request["call"])(*request["with"])
    return {}, [made if isinstance(made, bytes) else json.dumps(made).encode("ascii")]


_open: Any = None


class Remote:
    """Bytes on the other side, the ``number``-th of what a request is about, as RandomAccess."""

    def __init__(self, pipe: Pipe, size: int, number: int = 0) -> None:
        self._pipe, self._number = pipe, number
        self.size = size

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``offset``."""
        return in_pieces(self._ask, offset, min(size, self.size - offset), MAX_READ)

    def _ask(self, offset: int, size: int) -> bytes:
        self._pipe.say({"say": "read", "of": self._number, "offset": offset, "size": size})
        heard, data = self._pipe.hear()
        if "failed" in heard:
            raise OSError(heard["failed"])
        return bytes(data)


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
