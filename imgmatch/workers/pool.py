"""Workers of one kind, kept for what comes next. Each has one request at a time; one that is lost is replaced."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from imgmatch.errors import ImgmatchError
from imgmatch.workers.confine import Confinement
from imgmatch.workers.kinds import Kind
from imgmatch.workers.process import Process, StartError, in_starter

_LOOK_SECONDS = 0.05


class Pool:
    """Workers of a kind with so much memory, started when there is work for them. Safe to use from several threads.

    At most ``most`` at once (None: as many as are wanted), of which ``keep`` stay when nothing is asked. A further one
    is started when none gets free within ``patience_s``: starting one can take as long as many requests.
    """

    def __init__(
        self, kind: Kind, memory_bytes: int, *, most: int | None = None, keep: int, patience_s: float = 0.0
    ) -> None:
        self._kind, self._memory_bytes = kind, memory_bytes
        self._most, self._keep, self._patience_s = most, keep, patience_s
        self._closed = False
        self._begin()

    def _begin(self) -> None:
        self._owner = os.getpid()
        # Reentrant: a finalizer that runs at any place may give one back.
        self._changed = threading.Condition(threading.RLock())
        self._held: set[Process] = set()
        self._idle: list[Process] = []
        self._coming = self._waiting = 0
        self._failed: Exception | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all workers, at once."""
        with self._changed:
            self._closed = True
            held = list(self._held)
            self._changed.notify_all()
        for worker in held:
            worker.end()

    def start(self) -> None:
        """Have a first worker come up beside; does not wait for it."""
        with self._changed:
            if not self._held and not self._closed:
                self._launch()

    def confinement(self) -> Confinement:
        """What holds in a worker of this pool."""
        with self.lent() as worker:
            assert worker.confinement is not None
            return worker.confinement

    def pids(self) -> list[int]:
        """The processes that are up."""
        with self._changed:
            return sorted(worker.pid for worker in self._held if worker.confinement and worker.alive)

    @contextmanager
    def lent(self) -> Iterator[Process]:
        """A worker for one request."""
        worker = self.take()
        try:
            yield worker
        finally:
            self.give_back(worker)

    def take(self) -> Process:
        """A worker that serves nothing now. Raises StartError when none can be had, ImgmatchError once it is closed."""
        if self._owner != os.getpid():  # of a program that this one is a copy of
            self._begin()
        with self._changed:
            if self._most is None or not self._held:
                self._failed = None
            self._waiting += 1
            try:
                return self._wait(time.monotonic() + self._patience_s)
            finally:
                self._waiting -= 1

    def give_back(self, worker: Process) -> None:
        """Keep a worker for what comes next, or end it."""
        if self._owner == os.getpid():
            with self._changed:
                if worker.reusable and not self._closed and len(self._idle) < self._keep:
                    self._idle.append(worker)
                else:
                    self._held.discard(worker)
                self._changed.notify()
                kept = worker in self._held
            if not kept:
                worker.end()

    def _wait(self, patient_until: float) -> Process:
        while True:
            while self._idle:
                worker = self._idle.pop()
                if worker.alive:
                    return worker
                self._held.discard(worker)  # died between two requests, of neither
                worker.end()
            if self._closed:
                raise ImgmatchError("the workers were ended")
            if self._failed is not None and (self._most is None or not self._held):
                raise StartError(str(self._failed)) from self._failed
            more = self._failed is None and self._coming < self._waiting and time.monotonic() >= patient_until
            if not self._held or (more and (self._most is None or len(self._held) < self._most)):
                self._launch()
            self._changed.wait(_LOOK_SECONDS)

    def _launch(self) -> None:
        worker = Process(self._kind, self._memory_bytes)
        self._held.add(worker)
        self._coming += 1
        in_starter(lambda: self._bring_up(worker))

    def _bring_up(self, worker: Process) -> None:
        """Runs in the starter's thread, which does not wait until the worker is up: others may be wanted."""
        try:
            worker.launch()
            threading.Thread(target=self._greet, args=(worker,), name="workers", daemon=True).start()
        except Exception as error:  # noqa: BLE001  (whoever waits for it must hear of it)
            self._settle(worker, error)

    def _greet(self, worker: Process) -> None:
        try:
            worker.greet()
        except Exception as error:  # noqa: BLE001  (as above)
            self._settle(worker, error)
        else:
            self._settle(worker, None)

    def _settle(self, worker: Process, failure: Exception | None) -> None:
        with self._changed:
            self._coming -= 1
            up = failure is None and not self._closed
            if up:
                self._idle.append(worker)
            else:
                self._held.discard(worker)
                self._failed = failure
            self._changed.notify_all()
        if not up:
            worker.end()
