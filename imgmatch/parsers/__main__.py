"""The process that extractors and parsers of disks run in: reads requests on standard input, answers on standard
output, touches no file. Its argument is the process that it ends with."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import sys
import time
from importlib import import_module
from typing import Any, BinaryIO, cast

from PIL import Image as Pillow

from imgmatch.errors import EvidenceError, ImgmatchError
from imgmatch.parsers.pieces import Piece, Settings
from imgmatch.streams import Window, one_line
from imgmatch.workers.confine import die_with_parent
from imgmatch.workers.pipe import Kept, Pipe, Remote

TASKS = ("animation", "mail", "msg", "pdf", "previews", "thumbs", "tnef", "video")
# By module; each class takes the pipe and the images, and its public methods are what can be called.
PARSERS = {"Partitions": "tsk", "FileSystem": "tsk", "Ewf": "libyal", "Vhd": "libyal", "Qcow": "libyal",
           "Vmdk": "libyal", "VmdkDescriptor": "libyal"}  # fmt: skip
_BUFFER_BYTES = 1 << 18
_UNLIMITED = 1 << 62


def _serve(pipe: Pipe, request: dict[str, Any]) -> dict[str, Any]:
    settings = Settings(**{**request["settings"], "passwords": tuple(request["settings"]["passwords"])})
    pipe.limit(max(1, settings.max_cpu_seconds))
    try:
        if request["task"] not in TASKS:
            raise EvidenceError("unreadable", f"no extractor {request['task']!r}")
        # Unlimited: a plug-in of Pillow that can't be loaded for want of memory would be missing for good, silently.
        _limit_memory(_UNLIMITED)
        extractor = import_module(f"imgmatch.parsers.{request['task']}")
        Pillow.init()
        _limit_memory(settings.max_memory_bytes)
        stream = cast(BinaryIO, io.BufferedReader(Window(Remote(pipe, request["size"])), _BUFFER_BYTES))
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
        return {"error": "memory", "message": f"needs more than max_memory_bytes ({settings.max_memory_bytes:,})"}
    except Exception as error:  # noqa: BLE001  (parsers raise about everything on hostile bytes)
        return {"error": "unreadable", "message": f"can't be read further: {one_line(error)}"}
    return {"error": None, "message": None}


class _Session:
    """A parser that is open, if one is."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._parser: Any = None

    def close(self) -> None:
        self._parser = None

    def serve(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Open a parser, or call it: the answer, and its bytes. What is no bytes is sent as JSON."""
        self._pipe.limit_all(request["seconds"])
        try:
            made: Any = None
            if "open" in request:
                _limit_memory(request["memory"])
                self._parser = self._open(request["open"], request["sizes"])
            else:
                made = getattr(self._parser, request["call"])(*request["with"])
        except ImgmatchError as error:
            return {"error": "needs_package", "message": str(error)}, b""
        except MemoryError:
            return {"error": "memory", "message": ""}, b""
        except OSError as error:
            return {"error": "system", "message": str(error)}, b""
        except Exception as error:  # noqa: BLE001  (parsers raise about everything on hostile bytes)
            return {"error": "other", "message": one_line(error)}, b""
        finally:
            self._pipe.limit_all(0)
        return {"error": None}, made if isinstance(made, bytes) else json.dumps(made).encode()

    def _open(self, name: str, sizes: list[int]) -> Any:
        images = [Kept(Remote(self._pipe, size, number)) for number, size in enumerate(sizes)]
        return getattr(import_module(f"imgmatch.parsers.{PARSERS[name]}"), name)(self._pipe, images)


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
    die_with_parent(int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a run that is told to stop finishes what is in flight
    if hasattr(signal, "SIGPROF"):
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
    if hasattr(time, "tzset"):  # The Sleuth Kit takes FAT's times for those of the zone here
        os.environ["TZ"] = "UTC"
        time.tzset()
    target = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what a library prints goes nowhere
    pipe = Pipe(sys.stdin.buffer, target)
    session = _Session(pipe)
    while True:
        request = pipe.hear()
        if "task" in request:
            session.close()
            answer, data = _serve(pipe, request), b""
            pipe.limit(0)
        else:
            if "open" in request:
                session.close()
            answer, data = session.serve(request)
        pipe.say({"say": "end", "size": len(data), **answer}, data)


if __name__ == "__main__":
    main()
