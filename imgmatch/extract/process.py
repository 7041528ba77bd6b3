"""Extractors in a process of their own: a file that crashes, hangs or bloats its decoder costs that process.

The file itself stays here; the other side asks for its bytes as it needs them (so that one in an archive or a disk
image is read in place) and sends back what it finds. Both speak in lines of JSON, each followed by the bytes that it
announces. A process serves file after file; one that died is replaced.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import imgmatch
from imgmatch.errors import EvidenceError, ImgmatchError
from imgmatch.extract.pieces import Piece, Settings, Trouble
from imgmatch.sources.streams import RandomAccess, one_line

_FILES_EACH = 500  # what a process leaks goes with it
_MAX_READ = 4 << 20
_idle: list[_Worker] = []
_idle_lock = threading.Lock()


def extract(task: str, source: RandomAccess, settings: Settings, at: str | None = None) -> Iterator[Piece | Trouble]:
    """What ``imgmatch.extract.<task>`` finds in a file, in its order.

    Raises EvidenceError when the file, or a limit, ends it, ImgmatchError when a package is missing, OSError when the
    file can't be read.
    """
    with _idle_lock:
        worker = _idle.pop() if _idle else None
    worker = worker or _Worker()
    done = False
    try:
        yield from worker.serve(task, source, settings, at)
        done = True
    except _Ended as ended:  # an answer, and the end of this file only
        done = True
        raise ended.error from None
    finally:
        if done and worker.files < _FILES_EACH:
            with _idle_lock:
                _idle.append(worker)
        else:
            worker.end()


class _Ended(Exception):  # noqa: N818  (not an error of its own)
    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class _Worker:
    def __init__(self) -> None:
        root = str(Path(imgmatch.__file__).parents[1])
        before = os.environ.get("PYTHONPATH")
        paths = os.pathsep.join([root, before] if before else [root])
        # -P: the folder that imgmatch was started in may be evidence; no module is imported from there.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "imgmatch.extract"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to: IO[bytes] = self._process.stdin
        self._from: IO[bytes] = self._process.stdout
        self.files = 0

    def serve(self, task: str, source: RandomAccess, settings: Settings, at: str | None) -> Iterator[Piece | Trouble]:
        self.files += 1
        unread: Exception | None = None
        try:
            self._say({"task": task, "size": source.size, "at": at, "settings": asdict(settings)})
            while (heard := self._hear())["say"] != "end":
                if heard["say"] == "read":
                    try:
                        data = source.read_at(heard["offset"], min(heard["size"], _MAX_READ))
                    except (OSError, EvidenceError) as error:  # said again at the end: it is why this file ends
                        unread = error
                        self._say({"failed": True})
                    else:
                        self._say({"size": len(data)}, data)
                elif heard["say"] == "piece":
                    if heard["size"] > settings.max_member_bytes:
                        raise EvidenceError(
                            "limit", f"gives more than max_member_bytes ({settings.max_member_bytes:,})"
                        )
                    data = self._bytes(heard["size"])
                    yield Piece(heard["kind"], heard["at"], data, heard["modified"])
                else:
                    yield Trouble(heard["kind"], heard["at"], heard["error"], heard["message"])
        except (BrokenPipeError, EOFError):
            raise self._death(task, settings) from None
        except (ValueError, KeyError, TypeError) as error:
            raise EvidenceError("crashed", f"its reader gave nonsense ({one_line(error)})") from error
        if heard["error"] is not None:
            if unread is not None:
                raise _Ended(unread)
            if heard["error"] == "needs_package":
                raise _Ended(ImgmatchError(heard["message"]))
            raise _Ended(EvidenceError(heard["error"], heard["message"]))

    def _death(self, task: str, settings: Settings) -> EvidenceError:
        code = self._process.wait()
        if code == 1:  # its own watch ended it
            return EvidenceError(
                "limit", f"hung for longer than max_cpu_seconds ({settings.max_cpu_seconds}); what came before is kept"
            )
        return EvidenceError("crashed", f"the {task} reader died of it (code {code}); what came before is kept")

    def _say(self, message: dict[str, Any], data: bytes = b"") -> None:
        self._to.write(json.dumps(message).encode() + b"\n" + data)
        self._to.flush()

    def _hear(self) -> dict[str, Any]:
        line = self._from.readline(1 << 20)
        if not line:
            raise EOFError
        heard: dict[str, Any] = json.loads(line)
        return heard

    def _bytes(self, size: int) -> bytes:
        data = self._from.read(size)
        if len(data) < size:
            raise EOFError
        return data

    def end(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.wait()
        self._from.close()
        with contextlib.suppress(OSError):  # bytes that it will never take
            self._to.close()


if hasattr(os, "register_at_fork"):  # the readers of a program are not those of its copy
    os.register_at_fork(after_in_child=_idle.clear)


@atexit.register
def _end_all() -> None:
    for worker in _idle:
        worker.end()
