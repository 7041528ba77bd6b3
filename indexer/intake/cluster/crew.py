"""The workers of a run: greeted before they get work, watched, and given one job or another.

Dask brings a step to the very worker that was chosen here, and back what came of it. What it would do by itself where
one is lost is not relied on: a step of which the worker is gone, or that the scheduler forgot, is given back as lost.
"""

from __future__ import annotations

import queue
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from imgmatch.errors import MachineError
from indexer.intake.cluster.connecting import Connection, UnreadError
from indexer.intake.cluster.parcels import Greeting, Setup, Step, Ticket
from indexer.intake.cluster.session import step
from indexer.intake.cluster.station import greet, leave

if TYPE_CHECKING:
    from distributed import Future

_LOOK_S = 1.0
_GREETED_S = 120.0
# Clocks that are further apart are told of. An answer may lie for a while before it is read.
_CLOCK_S = 120.0
# So long no worker that fits may be there.
ALONE_S = 120.0


@dataclass(slots=True)
class Worker:
    """One process that a scheduler knows."""

    address: str
    threads: int
    greeting: Greeting | None = None
    out: str = ""
    """Why it gets no work any more, in words."""
    blind: set[str] = field(default_factory=set)
    """Given paths that it does not see."""
    jobs: set[int] = field(default_factory=set)

    @property
    def name(self) -> str:
        """For a person."""
        host = self.greeting.host if self.greeting is not None else ""
        return f"{self.address} ({host})" if host else self.address

    @property
    def fits(self) -> bool:
        """Does it get work?"""
        return self.greeting is not None and not self.out

    @property
    def room(self) -> int:
        """How many steps it may be given: one lies ready for when another is done."""
        return self.threads + 1 - len(self.jobs)


@dataclass(frozen=True, slots=True)
class Given:
    """A step that a worker was given."""

    number: int
    job: int
    serial: int
    worker: str
    generation: int
    since: float
    future: Future[Step] = field(repr=False)


class Crew:
    """Every worker that a scheduler has, as they come and go."""

    def __init__(self, connection: Connection, setup: Setup, tell: Callable[[str], None]) -> None:
        self.setup = setup
        self.workers: dict[str, Worker] = {}
        self.took_part: Counter[str] = Counter()
        """How many steps each worker did, by name."""
        self.out: list[str] = []
        """Who got no work, and why, in words."""
        self._connection, self._tell = connection, tell
        self._greetings: dict[str, tuple[Future[Greeting], float]] = {}
        self._given: dict[int, Given] = {}
        self._numbers = 0
        self._done: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._looked = self._alone_since = 0.0

    # --- who is there

    def look(self, *, at_once: bool = False) -> None:
        """See who came and who is gone. Raises MachineError where the scheduler is gone for good, or nobody fits."""
        now = time.monotonic()
        if not at_once and now - self._looked < _LOOK_S:
            return
        self._looked = now
        there = self._connection.workers()
        for address in self.workers.keys() - there.keys():
            del self.workers[address]
            self._greetings.pop(address, None)
        for address, threads in there.items():
            if address not in self.workers:
                self.workers[address] = Worker(address, threads)
                self._greet(address)
        for address in list(self._greetings):
            self._greeted(address, now)
        if any(worker.fits for worker in self.workers.values()) or self._greetings:
            self._alone_since = 0.0
        elif self.workers:
            raise MachineError(f"no worker of {self._connection.address} can take part: {'; '.join(self._reasons())}")
        else:
            self._alone_since = self._alone_since or now
            if now - self._alone_since > ALONE_S:
                raise MachineError(
                    f"{self._connection.address} has no worker; start some there: imgmatch worker "
                    f"{self._connection.address}. What was committed stands: the same command goes on"
                )

    def _reasons(self) -> list[str]:
        return list(dict.fromkeys(f"{worker.name}: {worker.out}" for worker in self.workers.values()))

    def _greet(self, address: str) -> None:
        with suppress(OSError):
            asked = self._connection.ask(greet, self.setup, self.workers[address].threads, worker=address)
            self._greetings[address] = (asked, time.monotonic())

    def _greeted(self, address: str, now: float) -> None:
        future, since = self._greetings[address]
        worker = self.workers[address]
        if future.status == "pending":
            if now - since > _GREETED_S:
                del self._greetings[address]
                self.leave_out(worker, f"does not answer in {_GREETED_S:.0f} s")
            return
        del self._greetings[address]
        if future.status != "finished":
            if future.status == "error":
                self.leave_out(worker, f"can't be asked ({self._connection.why(future)}); is imgmatch installed there?")
            else:  # the scheduler forgot
                self._greet(address)
            return
        try:
            greeting = self._connection.result(future)
        except UnreadError:
            self._greet(address)
            return
        worker.greeting = greeting
        if greeting.fault:
            self.leave_out(worker, greeting.fault)
        elif abs(ahead := greeting.clock_s - time.time()) > _CLOCK_S:
            self.say(worker, clock_told(ahead))

    def leave_out(self, worker: Worker, why: str) -> None:
        """Give a worker no more work, and say so once."""
        if not worker.out:
            worker.out = why
            self.out.append(f"{worker.name}: {why}")
            self._tell(f"imgmatch: worker {worker.name} is left out: {why}")

    def say(self, worker: Worker, what: str) -> None:
        """Name a worker for something that does not leave it out."""
        self.out.append(f"{worker.name}: {what}")
        self._tell(f"imgmatch: worker {worker.name} {what}")

    def stranger(self, worker: Worker) -> None:
        """It was started again under the same address."""
        worker.greeting = None
        self._greet(worker.address)

    def fit(self, roots: Iterable[str] = (), avoid: Iterable[str] = ()) -> list[Worker]:
        """Those that can do a job on these given paths."""
        wanted, not_these = set(roots), set(avoid)
        return [
            worker
            for worker in self.workers.values()
            if worker.fits and not worker.blind & wanted and worker.address not in not_these
        ]

    @property
    def greeting(self) -> bool:
        """Is there somebody whose answer is waited for?"""
        return bool(self._greetings)

    @property
    def threads(self) -> int:
        """Of all who fit."""
        return sum(worker.threads for worker in self.workers.values() if worker.fits)

    # --- work

    def give(self, worker: Worker, ticket: Ticket) -> Given:
        """Have a worker do a step."""
        self._numbers += 1
        number = self._numbers
        future = self._connection.ask(step, ticket, worker=worker.address, priority=-ticket.job)
        given = Given(
            number, ticket.job, ticket.serial, worker.address, self._connection.generation, time.monotonic(), future
        )
        self._given[number] = given
        worker.jobs.add(ticket.job)
        future.add_done_callback(lambda _: self._done.put(number))
        return given

    def wait(self, seconds: float) -> list[tuple[Given, Step | BaseException | None]]:
        """What is done, once there is something or so long has passed: a step, what was raised, or None where it was
        lost.
        """
        numbers: list[int] = []
        with suppress(queue.Empty):
            numbers.append(self._done.get(timeout=seconds))
            while True:
                numbers.append(self._done.get_nowait())
        done = []
        for number in dict.fromkeys(numbers):
            given = self._given.pop(number, None)
            if given is not None:
                done.append((given, self._came(given)))
        for given in list(self._given.values()):
            worker = self.workers.get(given.worker)
            forgotten = given.generation != self._connection.generation
            if forgotten or worker is None or worker.out:
                self._forget(given)
                done.append((given, None))
        return done

    def drop(self, given: Given) -> None:
        """Nobody waits for it any more."""
        if self._given.pop(given.number, None) is not None:
            self._forget(given)

    def _forget(self, given: Given) -> None:
        self._given.pop(given.number, None)
        if (worker := self.workers.get(given.worker)) is not None:
            worker.jobs.discard(given.job)
        with suppress(Exception):
            given.future.release()

    def _came(self, given: Given) -> Step | BaseException | None:
        worker = self.workers.get(given.worker)
        if worker is not None:
            worker.jobs.discard(given.job)
        future = given.future
        if future.status == "error":
            return self._connection.raised(future)
        if future.status != "finished":
            return None
        try:
            made: Any = self._connection.result(future)
        except UnreadError as error:
            return error
        if worker is not None and isinstance(made, Step) and not made.stranger:
            self.took_part[worker.name] += 1
        return made if isinstance(made, Step) else None

    def close(self) -> None:
        """Tell everyone that it is over; waits for nobody."""
        for given in list(self._given.values()):
            self._forget(given)
        for worker in self.workers.values():
            if worker.greeting is not None and not worker.greeting.fault:
                with suppress(Exception):
                    self._connection.tell(leave, self.setup.run, worker=worker.address)


def clock_told(ahead_s: float) -> str:
    """What is to be said of a worker whose clock is so far ahead of this machine's (below 0: behind)."""
    minutes = round(abs(ahead_s) / 60)
    far = f"{minutes} minutes" if minutes < 120 else f"{minutes / 60:.1f} hours"
    return (
        f"has a clock that is {far} {'ahead of' if ahead_s > 0 else 'behind'} this machine's: the case does not depend "
        "on it, certificates do; set both by one source of time"
    )
