"""A pool of confined workers: ``read_picture`` as in imgmatch.workers.work, each file in another process.

A worker that dies, hangs or talks nonsense costs the file that it had, as an EvidenceError, and is replaced.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from typing import IO, cast

from imgmatch.errors import EvidenceError, ImgmatchError
from imgmatch.limits import DEFAULT_WORKER_LIMITS, WorkerLimits
from imgmatch.workers import wire
from imgmatch.workers.confine import Confinement, syscall_filter
from imgmatch.workers.pipes import widen
from imgmatch.workers.work import Decoded, Request

# A worker gets what the loader of libraries needs, and no more of the environment: it may hold passwords.
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "LC_ALL", "SYSTEMROOT", "TEMP", "TZ")
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_BOOT = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from imgmatch.workers.worker import run; run()"
WORKER_ISSUES = frozenset({"worker_died", "worker_timeout", "worker_memory"})
"""Kinds of issues of files that a worker was lost over."""
_START_SECONDS = 120.0
_ALARM_LATER_SECONDS = 5
_PATIENCE_SECONDS = 0.05


class Pool:
    """Up to ``workers`` processes, each started when there is work for it and none gets free within a moment: starting
    one takes as long as decoding many pictures. Safe to use from several threads.

    Raises ImgmatchError when workers can't be started at all.
    """

    def __init__(self, workers: int, limits: WorkerLimits = DEFAULT_WORKER_LIMITS) -> None:
        self._limits = limits
        self._most = workers
        self._held = 0  # with those that are coming up
        self._coming = 0
        self._waiting = 0
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()
        self._changed = threading.Condition()
        self._failed: Exception | None = None
        self._closed = False
        # The system kills a worker when the thread that started it ends: so one that lives as long as the pool.
        self._starter = ThreadPoolExecutor(1, "isolation")

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all workers, at once."""
        with self._changed:
            self._closed = True
            workers = list(self._all)
            self._changed.notify_all()
        for worker in workers:
            worker.end()
        self._starter.shutdown()

    def start(self) -> None:
        """Have a first worker come up beside; does not wait for it."""
        with self._changed:
            if not self._held and not self._closed:
                self._launch()

    def read_picture(self, data: bytes, request: Request) -> Decoded:
        """As imgmatch.workers.work.read_picture. Also raises EvidenceError of kind ``worker_died``,
        ``worker_timeout`` or ``worker_memory``.
        """
        with self._worker() as worker:
            return worker.ask(data, request)

    def confinement(self) -> Confinement:
        """What holds in a worker of this pool."""
        with self._worker() as worker:
            assert worker.confinement is not None
            return worker.confinement

    def pids(self) -> list[int]:
        """The processes that are up."""
        with self._changed:
            return sorted(w.process.pid for w in self._all if w.confinement and w.process.poll() is None)

    @contextmanager
    def _worker(self) -> Iterator[_Worker]:
        worker = self._take()
        try:
            yield worker
        finally:
            with self._changed:
                if worker.usable and not self._closed:
                    self._idle.append(worker)
                else:
                    self._drop(worker)
                self._changed.notify()
            if not worker.usable:
                worker.end()

    def _take(self) -> _Worker:
        with self._changed:
            if not self._held:
                self._failed = None
            self._waiting += 1
            try:
                return self._wait(time.monotonic() + _PATIENCE_SECONDS)
            finally:
                self._waiting -= 1

    def _wait(self, patient_until: float) -> _Worker:
        while True:
            while self._idle:
                worker = self._idle.pop()
                if worker.process.poll() is None:
                    return worker
                self._drop(worker)  # died between two files, of neither
                worker.end()
            if self._closed:
                raise ImgmatchError("the workers were ended")
            if not self._held:
                if self._failed is not None:
                    raise ImgmatchError(str(self._failed)) from self._failed
                self._launch()
            elif (
                self._held < self._most
                and self._coming < self._waiting
                and self._failed is None
                and time.monotonic() >= patient_until
            ):
                self._launch()
            self._changed.wait(_PATIENCE_SECONDS)

    def _launch(self) -> None:
        self._held += 1
        self._coming += 1
        self._starter.submit(self._bring_up)

    def _bring_up(self) -> None:
        """Start a worker. Runs in the starter's thread, which does not wait until it is up: others may be wanted."""
        worker = None
        try:
            worker = _Worker(self._limits)
            with self._changed:
                self._all.add(worker)
            threading.Thread(target=self._greet, args=(worker,), name="isolation", daemon=True).start()
        except Exception as error:  # noqa: BLE001  (whoever waits for it must hear of it)
            self._settle(worker, error)

    def _greet(self, worker: _Worker) -> None:
        try:
            worker.greet()
        except Exception as error:  # noqa: BLE001  (as above)
            self._settle(worker, error)
        else:
            self._settle(worker, None)

    def _settle(self, worker: _Worker | None, failure: Exception | None) -> None:
        with self._changed:
            self._coming -= 1
            if worker is not None and failure is None and not self._closed:
                self._idle.append(worker)
            else:
                self._drop(worker)
                self._failed = failure
            self._changed.notify_all()
        if worker is not None and (failure is not None or self._closed):
            worker.end()

    def _drop(self, worker: _Worker | None) -> None:
        self._held -= 1
        if worker is not None:
            self._all.discard(worker)


class _Worker:
    """One process, and the pipes to it."""

    def __init__(self, limits: WorkerLimits) -> None:
        self.usable = False
        self.confinement: Confinement | None = None
        self._limits = limits
        self._late = False
        here = str(Path(__file__).parents[2])
        path = [entry for entry in sys.path if entry]
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        self.process = subprocess.Popen(
            # Isolated from the folder it is started in and from the environment: -I; without site: what is needed of
            # it is in the path already.
            [sys.executable, "-I", "-S", "-c", _BOOT, json.dumps(path if here in path else [here, *path])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env={**environment, **_ONE_THREAD},
            cwd=os.path.abspath(os.sep),
            # Out of the reach of Ctrl-C, which is the parent's to handle.
            start_new_session=os.name == "posix",
        )
        self._to, self._from = cast(IO[bytes], self.process.stdin), cast(IO[bytes], self.process.stdout)
        widen(self._to, self._from)

    def greet(self) -> None:
        """Have it confine itself. Raises ImgmatchError when it does not come up."""
        program = syscall_filter()
        start = {
            "parent": os.getpid(),
            "filter": base64.b64encode(program).decode("ascii") if program else "",
            "memory_bytes": self._limits.worker_memory_bytes,
        }
        try:
            with self._within(_START_SECONDS):
                wire.send(self._to, start)
                told = wire.receive(self._from)
            if told is None or set(told) != {field.name for field in fields(Confinement)}:
                raise wire.WireError("no greeting")
        except (OSError, wire.WireError) as error:
            raise ImgmatchError(
                f"a worker process for decoding can't be started ({self._end_of_it()}); raise the limit "
                f"worker_memory_bytes ({self._limits.worker_memory_bytes:,}) or decode in this process: --no-isolation"
            ) from error
        self.confinement = Confinement(**told)
        self.usable = True

    def ask(self, data: bytes, request: Request) -> Decoded:
        """Have it read one picture. Raises EvidenceError; ``usable`` says whether it can go on after that."""
        self.usable = False
        seconds = self._limits.decode_seconds
        header = wire.request_header(data, request) | {"seconds": seconds + _ALARM_LATER_SECONDS}
        try:
            with self._within(seconds):
                wire.send(self._to, header, [data])
                told = wire.receive(self._from)
                if told is None:
                    raise wire.WireError("the end")
                try:
                    decoded = wire.parse_reply(told, self._from, request)
                except EvidenceError:
                    self.usable = told["error"] != "worker_memory"
                    raise
        except EvidenceError as error:
            if error.kind == "worker_memory":
                raise EvidenceError(error.kind, self._too_much()) from error
            raise
        except (OSError, wire.WireError) as error:
            if self._late:
                raise EvidenceError(
                    "worker_timeout", f"decoding took longer than decode_seconds ({seconds}); given up"
                ) from error
            raise EvidenceError(
                "worker_died", f"the process that decoded it was lost ({self._end_of_it()}); given up"
            ) from error
        self.usable = not self._late
        return decoded

    def end(self) -> None:
        """Kill it, and wait until it is gone."""
        self.process.kill()
        self.process.wait()
        for stream in (self._to, self._from):
            with suppress(OSError):
                stream.close()

    @contextmanager
    def _within(self, seconds: float) -> Iterator[None]:
        """Kill it when this takes longer: whatever waits for it then meets the end of the pipe."""

        def late() -> None:
            self._late = True
            self.process.kill()

        timer = threading.Timer(seconds, late)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _too_much(self) -> str:
        return f"decoding took more than worker_memory_bytes ({self._limits.worker_memory_bytes:,}); given up"

    def _end_of_it(self) -> str:
        """How it ended; it is killed where it has not."""
        try:
            code = self.process.wait(1.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return "it answered nonsense"
        return f"killed by signal {-code}" if code < 0 else f"it ended with {code}"
