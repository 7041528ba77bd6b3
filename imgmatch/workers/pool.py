"""Workers of one kind, kept for what comes next. Each has one request at a time; one that is lost is replaced."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Self

from imgmatch.errors import ImgmatchError
from imgmatch.workers.confine import Confinement
from imgmatch.workers.kinds import Kind
from imgmatch.workers.process import Process, StartError

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
        self._warming = False

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

        def warm() -> None:
            with suppress(ImgmatchError):  # who needs one hears of it
                self.give_back(self.take())
            self._warming = False

        if not self._held:
            self._warming = True
            threading.Thread(target=warm, name="workers", daemon=True).start()

    def confinement(self) -> Confinement:
        """What holds in a worker of this pool."""
        with self.lent() as worker:
            return worker.confinement

    def pids(self) -> list[int]:
        """The processes that are up."""
        with self._changed:
            return sorted(worker.pid for worker in self._held if worker.alive)

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
        patient_until = time.monotonic() + self._patience_s
        while True:
            with self._changed:
                worker = self._idle_or_new(patient_until)
            if worker is not None and (worker.pid or self._started(worker)):
                return worker

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

    def _idle_or_new(self, patient_until: float) -> Process | None:
        """A worker that is up or to be started; None after waiting a little for one."""
        if self._closed:
            raise ImgmatchError("the workers were ended")
        while self._idle:
            worker = self._idle.pop()
            if worker.alive:
                return worker
            self._held.discard(worker)  # died between two requests, of neither
            worker.end()
        room = (self._most is None or len(self._held) < self._most) and not self._warming
        if self._held and not (room and time.monotonic() >= patient_until):
            self._changed.wait(_LOOK_SECONDS)
            return None
        worker = Process(self._kind, self._memory_bytes)
        self._held.add(worker)
        return worker

    def _started(self, worker: Process) -> bool:
        """Start a worker. Where others are up and no more can be had, it goes on with those."""
        try:
            worker.start()
        except StartError:
            self.give_back(worker)
            if self._most is None or not self._held:
                raise
            self._most = len(self._held)
        except BaseException:
            self.give_back(worker)
            raise
        return worker.reusable
