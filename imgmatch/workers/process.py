"""One worker: a confined process and the pipes to it. How it is started, held to time, and ended.

It ends with this program. Whoever talks to it says how long that may take (``within``); what becomes of it is a
GoneError.
"""

from __future__ import annotations

import atexit
import io
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import IO, Any, cast

from imgmatch.errors import ImgmatchError
from imgmatch.workers import nursery, wire
from imgmatch.workers.confine import Confinement, syscall_filter
from imgmatch.workers.kinds import Kind

_START_SECONDS = 120.0
_LOOK_SECONDS = 0.1
# Linux: a prepared picture goes into the pipe as a whole, so that neither side waits for the other in the middle of it.
_PIPE_BYTES = 1 << 20
_F_SETPIPE_SZ = 1031


class StartError(ImgmatchError):
    """A worker can't be started."""


class GoneError(Exception):
    """A worker that is gone, took too long (``hung``), or talks nonsense (``code`` is None); in words. ``code``: how it
    ended, a signal where negative.
    """

    def __init__(self, how: str, code: int | None, hung: bool) -> None:
        super().__init__(how)
        self.code, self.hung = code, hung


class Process:
    """A worker of a kind: to be started, then asked. What talks to it raises GoneError."""

    def __init__(self, kind: Kind, memory_bytes: int) -> None:
        self.confinement: Confinement
        self.pid = 0
        self.deadline = math.inf
        self.ticks = 0
        """Steps of the request in hand that are done."""
        self._kind, self._memory_bytes = kind, memory_bytes
        self._left = math.inf if kind.uses is None else kind.uses
        self._busy, self._late = True, False

    def start(self) -> None:
        """Have it come up, load and confine itself. Raises StartError when it does not."""
        try:
            in_starter(self._launch)
            with self.within(_START_SECONDS):
                parent = getattr(self._process, "parent", os.getpid())
                start = {**asdict(self._kind), "parent": parent, "memory": self._memory_bytes}
                self.say(start, syscall_filter() or b"")
                self.confinement = Confinement(**self.hear(Any)[0])
        except Exception as error:
            advice = self._kind.advice.format(self._memory_bytes)
            raise StartError(f"a worker process for {self._kind.name} can't be started ({error}); {advice}") from error
        self._busy = False

    def _launch(self) -> None:
        self._process = nursery.begun()
        self.pid = self._process.pid
        self._to = cast(IO[bytes], self._process.stdin)
        self._from = io.BufferedReader(cast(io.RawIOBase, self._process.stdout), wire.BUFFER_BYTES)
        if sys.platform == "linux":
            import fcntl

            for stream in (self._to, self._from):
                with suppress(OSError):
                    fcntl.fcntl(stream.fileno(), _F_SETPIPE_SZ, _PIPE_BYTES)
        _alive.add(self)

    @property
    def alive(self) -> bool:
        """Is there a process still, of this program?"""
        return self in _alive and self._process.poll() is None

    @property
    def reusable(self) -> bool:
        """Can it take another request?"""
        return not self._busy and not self._late and self._left > 0 and self.alive

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Have it killed when this takes longer: whatever waits for it then meets the end of the pipe."""
        self.deadline = time.monotonic() + seconds
        try:
            yield
        finally:
            self.deadline = math.inf

    def ask(self, request: dict[str, Any], data: bytes = b"", *, cpu_seconds: float) -> None:
        """Put a request, which may take so much processor time. It is busy until it is ``done``."""
        self._busy = True
        self.ticks = 0
        self.say({**request, "cpu_seconds": cpu_seconds}, data)

    def say(self, header: dict[str, Any], *parts: Any) -> None:
        """Send a message and what follows it."""
        with self._talk():
            wire.send(self._to, header, *parts)

    def hear(self, kind: Any) -> tuple[Any, int]:
        """The next message, which must be of the type ``kind``, and how many bytes follow."""
        with self._talk():
            while (heard := wire.receive(self._from))[0] is None:
                self.ticks += 1
            return wire.checked(kind, heard[0]), heard[1]

    def take(self, size: int) -> bytearray:
        """So many of the bytes that a message announced."""
        with self._talk():
            return wire.receive_bytes(self._from, size)

    def done(self) -> None:
        """All of its answer is here: it can be asked again."""
        self._busy = False
        self._left -= 1

    def nonsense(self) -> GoneError:
        """What to raise where what it says makes no sense. It is ended."""
        self._process.kill()
        return GoneError("it answered nonsense", None, False)

    def expire(self) -> None:
        """Its time is over."""
        self._late = True
        self._process.kill()

    def end(self) -> None:
        """End it, whatever it does, and wait until it is gone."""
        if self in _alive:
            self._process.kill()
            self._process.wait()
            for stream in (self._to, self._from):
                with suppress(OSError):  # bytes that it will never take
                    stream.close()
            _alive.discard(self)

    @contextmanager
    def _talk(self) -> Iterator[None]:
        try:
            yield
        except wire.WireError as error:
            raise self.nonsense() from error
        except (OSError, ValueError, EOFError) as error:  # ValueError: another thread ended it
            raise self._lost() from error

    def _lost(self) -> GoneError:
        """How it ended; it is killed where it has not."""
        try:
            code = self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            return self.nonsense()
        how = f"killed by signal {-code}" if code < 0 else f"it ended with {code}"
        return GoneError(how, code, self._late or code == -getattr(signal, "SIGPROF", 0))


_alive: set[Process] = set()
_starter: ThreadPoolExecutor | None = None
_starter_lock = threading.Lock()


def in_starter(work: Callable[[], None]) -> None:
    """Do something in the thread that starts workers: the system kills them when that ends, so it lives as long as the
    program.
    """
    global _starter
    with _starter_lock:
        if _starter is None:
            _starter = ThreadPoolExecutor(1, "workers")
            threading.Thread(target=_watch, name="workers' time", daemon=True).start()
        starter = _starter
    starter.submit(work).result()


def _watch() -> None:
    while True:
        time.sleep(_LOOK_SECONDS)
        _expire(time.monotonic())


def _expire(now: float) -> None:  # by itself: the thread above would hold on to the last process that it looked at
    for process in list(_alive):
        if process.deadline < now:
            process.expire()


def _forget() -> None:
    """In a copy of the program: it has one thread, and the workers are not its own."""
    global _starter, _starter_lock
    _alive.clear()
    _starter, _starter_lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


@atexit.register
def _end_all() -> None:
    for process in list(_alive):
        process.end()
    nursery.close()
