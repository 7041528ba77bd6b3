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
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import imgmatch
from imgmatch.errors import EvidenceError, ImgmatchError, raise_if_machine
from imgmatch.parsers.pieces import Piece, Settings, Trouble
from imgmatch.streams import RandomAccess, one_line
from imgmatch.workers.pipe import MAX_READ
from imgmatch.workers.pipes import widen

_FILES_EACH = 500  # what a process leaks goes with it
_MOST_IDLE = 8
_idle: list[Worker] = []
_alive: set[Worker] = set()
# The system kills a worker when the thread that started it ends: so one that lives as long as the program.
_starter: ThreadPoolExecutor | None = None
_starter_lock = threading.Lock()


def extract(task: str, source: RandomAccess, settings: Settings, at: str | None = None) -> Iterator[Piece | Trouble]:
    """What ``imgmatch.parsers.<task>`` finds in a file, in its order.

    Raises EvidenceError when the file, or a limit, ends it, ImgmatchError when a package is missing, OSError when the
    file can't be read.
    """
    worker = take()
    done = False
    try:
        yield from worker.serve(task, source, settings, at)
        done = True
    except _Ended as ended:  # an answer, and the end of this file only
        done = True
        raise ended.error from None
    finally:
        if done:
            give_back(worker)
        else:
            worker.end()


def take() -> Worker:
    """A process that serves nothing now."""
    while True:
        try:
            worker = _idle.pop()  # no lock: a finalizer that runs at any place may give one back
        except IndexError:
            return _start()
        if worker.alive:
            return worker
        worker.end()  # died between two files, of neither


def give_back(worker: Worker) -> None:
    """Keep a process for what comes next; what was open in it is closed then."""
    if worker.alive and worker.files < _FILES_EACH and len(_idle) < _MOST_IDLE:
        _idle.append(worker)
    else:
        worker.end()


class _Ended(Exception):  # noqa: N818  (not an error of its own)
    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class Worker:
    """One process, and the pipes to it."""

    def __init__(self) -> None:
        root = str(Path(imgmatch.__file__).parents[1])
        before = os.environ.get("PYTHONPATH")
        paths = os.pathsep.join([root, before] if before else [root])
        # -P: the folder that imgmatch was started in may be evidence; no module is imported from there.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "imgmatch.parsers", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to: IO[bytes] = self._process.stdin
        self._from: IO[bytes] = self._process.stdout
        widen(self._to, self._from)
        self.files = 0
        self.ticks = 0
        """Steps of the request in hand that are done."""
        _alive.add(self)

    @property
    def alive(self) -> bool:
        """Is there a process still?"""
        return self._process.poll() is None

    def serve(self, task: str, source: RandomAccess, settings: Settings, at: str | None) -> Iterator[Piece | Trouble]:
        """Run an extractor. As ``extract``."""
        self.files += 1
        unread: Exception | None = None
        try:
            self.say({"task": task, "size": source.size, "at": at, "settings": asdict(settings)})
            while (heard := self.hear())["say"] != "end":
                if heard["say"] == "read":  # an error is said again at the end: it is why this file ends
                    unread = self.give([source], heard) or unread
                elif heard["say"] == "piece":
                    if heard["size"] > settings.max_member_bytes:
                        raise EvidenceError(
                            "limit", f"gives more than max_member_bytes ({settings.max_member_bytes:,})"
                        )
                    data = self.take_bytes(heard["size"])
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
            if heard["error"] == "memory":  # what could not be loaded may be missing there for good
                raise EvidenceError("limit", heard["message"])
            if heard["error"] == "needs_package":
                raise _Ended(ImgmatchError(heard["message"]))
            raise _Ended(EvidenceError(heard["error"], heard["message"]))

    def _death(self, task: str, settings: Settings) -> EvidenceError:
        if self.hung():
            return EvidenceError(
                "limit", f"hung for longer than max_cpu_seconds ({settings.max_cpu_seconds}); what came before is kept"
            )
        return EvidenceError("crashed", f"the {task} reader died of it (code {self.code()}); what came before is kept")

    def code(self) -> int:
        """How a process that is gone ended: a signal where negative."""
        return self._process.wait()

    def hung(self) -> bool:
        """Of a process that is gone: did its own watch end it, or the system for its processor time?"""
        return self.code() in (1, -getattr(signal, "SIGPROF", 0) or 1)

    def say(self, message: dict[str, Any], data: bytes = b"") -> None:
        """Send a message and the bytes that it announces. BrokenPipeError where nobody hears it."""
        self._to.write(json.dumps(message).encode() + b"\n" + data)
        self._to.flush()

    def hear(self) -> dict[str, Any]:
        """The next message. EOFError where the process is gone, ValueError where it talks nonsense."""
        line = self._from.readline(1 << 20)
        told = line.lstrip(b".")
        self.ticks += len(line) - len(told)
        if not told:
            raise EOFError
        heard: dict[str, Any] = json.loads(told)
        return heard

    def give(self, sources: Sequence[RandomAccess], asked: dict[str, Any]) -> Exception | None:
        """Send bytes of a source that are asked for; returns the error where they can't be read."""
        try:
            data = sources[asked["of"]].read_at(asked["offset"], min(asked["size"], MAX_READ))
        except Exception as error:  # noqa: BLE001  (archives that it lies in raise about everything)
            raise_if_machine(error)
            self.say({"failed": one_line(error)})
            return error
        self.say({"size": len(data)}, data)
        return None

    def take_bytes(self, size: int) -> bytes:
        """The bytes that a message announced. EOFError where the process is gone."""
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
        _alive.discard(self)


def _start() -> Worker:
    global _starter
    with _starter_lock:
        if _starter is None:
            _starter = ThreadPoolExecutor(1, "extract")
        starter = _starter
    return starter.submit(Worker).result()


def _forget() -> None:
    """In a copy of the program: its readers are not those of the copy."""
    global _starter, _starter_lock
    _idle.clear()
    _alive.clear()
    _starter, _starter_lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


@atexit.register
def _end_all() -> None:
    for worker in list(_alive):
        worker.end()
