"""The process that extractors run in: reads requests on standard input, answers on standard output, touches no file."""

from __future__ import annotations

import contextlib
import faulthandler
import io
import json
import os
import signal
import sys
from importlib import import_module
from typing import IO, Any, BinaryIO, cast

from imgmatch.errors import EvidenceError, ImgmatchError
from imgmatch.extract.pieces import Piece, Settings
from imgmatch.sources.streams import one_line

TASKS = ("animation", "mail", "pdf", "previews", "thumbs", "video")
_BUFFER_BYTES = 1 << 18


class _Pipe:
    """Both ways to the other side. A watch that needs no Python runs whenever it is this side's turn."""

    def __init__(self, source: IO[bytes], target: IO[bytes]) -> None:
        self._from, self._to = source, target
        self.patience = 0.0

    def say(self, message: dict[str, Any], data: bytes = b"") -> None:
        faulthandler.cancel_dump_traceback_later()
        self._to.write(json.dumps(message).encode() + b"\n")
        self._to.write(data)
        self._to.flush()
        self._watch()

    def hear(self) -> dict[str, Any] | None:
        faulthandler.cancel_dump_traceback_later()
        line = self._from.readline()
        self._watch()
        return json.loads(line) if line else None

    def take(self, size: int) -> bytes:
        return self._from.read(size)

    def _watch(self) -> None:
        if self.patience:
            faulthandler.dump_traceback_later(self.patience, exit=True)


class _Remote(io.RawIOBase):
    """The file, which lies on the other side."""

    def __init__(self, pipe: _Pipe, size: int) -> None:
        self._pipe, self._size, self._at = pipe, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if place < 0:
            raise ValueError("a place before the start")
        self._at = place
        return place

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), max(0, self._size - self._at))
        if not wanted:
            return 0
        self._pipe.say({"say": "read", "offset": self._at, "size": wanted})
        heard = self._pipe.hear()
        if heard is None:
            os._exit(0)  # nobody is there any more
        if "failed" in heard:
            raise OSError("can't be read")
        data = self._pipe.take(heard["size"])
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def _serve(pipe: _Pipe, request: dict[str, Any]) -> dict[str, Any]:
    settings = Settings(**{**request["settings"], "passwords": tuple(request["settings"]["passwords"])})
    pipe.patience = 2.0 * settings.max_cpu_seconds + 30
    _limit_memory(settings.max_memory_bytes)
    try:
        if request["task"] not in TASKS:
            raise EvidenceError("unreadable", f"no extractor {request['task']!r}")
        stream = cast(BinaryIO, io.BufferedReader(_Remote(pipe, request["size"]), _BUFFER_BYTES))
        extractor = import_module(f"imgmatch.extract.{request['task']}")
        for found in extractor.extract(stream, settings, request["at"]):
            told = {"kind": found.kind, "at": found.at}
            if isinstance(found, Piece):
                told |= {"say": "piece", "size": len(found.data), "modified": found.modified_utc}
                pipe.say(told, found.data)
            else:
                pipe.say({**told, "say": "trouble", "error": found.error, "message": found.message})
    except EvidenceError as error:
        return {"error": error.kind, "message": str(error)}
    except ImgmatchError as error:
        return {"error": "needs_package", "message": str(error)}
    except MemoryError:
        return {"error": "limit", "message": f"needs more than max_memory_bytes ({settings.max_memory_bytes:,})"}
    except Exception as error:  # noqa: BLE001  (parsers raise about everything on hostile bytes)
        return {"error": "unreadable", "message": f"can't be read further: {one_line(error)}"}
    return {"error": None, "message": None}


def _limit_memory(limit: int) -> None:
    try:
        import resource
    except ImportError:  # no such limit on this system
        return
    with contextlib.suppress(ValueError, OSError):
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (limit if hard < 0 else min(limit, hard), hard))


def main() -> None:
    """Serve until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a run that is told to stop finishes what is in flight
    target = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what a library prints goes nowhere
    pipe = _Pipe(sys.stdin.buffer, io.BufferedWriter(target))
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        while (request := pipe.hear()) is not None:
            answer = _serve(pipe, request)
            pipe.patience = 0.0
            pipe.say({"say": "end", **answer})


if __name__ == "__main__":
    main()
