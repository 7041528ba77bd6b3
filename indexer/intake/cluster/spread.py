"""The middle of an ingest, done by workers: files go out in walk order, and what became of them comes back in it."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import imgmatch
from imgmatch.errors import MachineError
from imgmatch.evidence import Reopener, SourceOptions, Walked
from imgmatch.models.base import Embedder, FaceEmbedder
from imgmatch.types import Evidence, Issue
from imgmatch.workers.decode import read_picture
from indexer.intake.cluster.connecting import UnreadError, connected
from indexer.intake.cluster.crew import Crew, Given, Worker
from indexer.intake.cluster.jobs import Ends, Job, Met, OfJob, Plan
from indexer.intake.cluster.kit import kit, made_of, probe
from indexer.intake.cluster.parcels import (
    Answer,
    Asked,
    Ended,
    Event,
    Found,
    Image,
    LeftOut,
    OfContainer,
    Opened,
    Read,
    Setup,
    Step,
    Told,
    to_travel,
)
from indexer.intake.cluster.session import step
from indexer.intake.cluster.settle import Settling, delivered, opened
from indexer.intake.cluster.station import join, leave
from indexer.intake.delivered import Delivered
from indexer.intake.finding import Entry
from indexer.intake.outcomes import Failed, Outcome
from indexer.intake.said import Said

# Jobs that are out, or came and were not taken: so many a thread of the workers, and some more.
_AHEAD, _MORE = 3, 4
# What of one job may wait to be taken while it goes on.
_WAITING = 4096
# A step that is waited for may take so long before somebody who has nothing to do is given it too.
SLOW_S = 60.0
# So many workers may be lost over a file, and so often may what was made not be had.
_LOST, _UNREAD = 3, 20


class Spread:
    """Gives out jobs, and gives what came of them, as one machine that walks would."""

    def __init__(self, crew: Crew, plan: Plan, settling: Settling, stop: threading.Event, embedder: Embedder) -> None:
        self.moved = 0
        """Access times that workers may have moved."""
        self._crew, self._plan, self._settling = crew, plan, settling
        self._stop, self._embedder = stop, embedder
        self._line: deque[Met] = deque()
        self._jobs: dict[int, Job] = {}
        """Those that were not taken whole, by their numbers: in walk order, but for those that were split."""
        self._waiting: list[Job] = []

    # --- in walk order

    def walk(
        self,
        path: str | os.PathLike[str],
        *,
        pass_over: Callable[[Evidence, bool], bool],
        walked: Callable[[Walked], None],
        left_out: Callable[[str], None],
        image: Callable[[Evidence], None],
        **_: Any,
    ) -> Iterator[Evidence | Issue]:
        """As imgmatch.evidence.walk, of the next of the paths that were given at first; evidence is Delivered."""
        while not self._stop.is_set():
            met = self._next()
            if isinstance(met, Ends):
                if met.error is not None:
                    raise met.error
                return
            for event in self._events(met.job) if isinstance(met, OfJob) else (met,):
                match event:
                    case Found():
                        entry = event.entry
                        yield entry if isinstance(entry, Issue) else delivered(entry, event.read)
                    case Told():
                        walked(event.place)
                    case Image():
                        image(event.evidence)
                    case LeftOut():
                        left_out(event.place)
                    case Opened():
                        pass_over(opened(event), event.is_picture)

    def settled(self, found: Iterable[Entry]) -> Iterator[Outcome]:
        """The end of each file's way."""
        for entry in found:
            yield self._settling.outcome(entry) if isinstance(entry, Delivered) else entry  # type: ignore[misc]

    def _next(self) -> Met:
        while not self._line:
            self._fill()
        return self._line.popleft()

    def _events(self, job: Job) -> Iterator[Event]:
        """What came of the next file of a job. Fewer where it is to stop."""
        while not self._stop.is_set():
            if not job.events:
                if (draft := self._plan.rest(job)) is not None:
                    self._send(draft)
                self._pump(job)
                continue
            event = job.events.popleft()
            if isinstance(event, Ended):
                if job.done and not job.events:
                    self._jobs.pop(job.number, None)
                return
            yield event

    # --- ahead of it

    def _fill(self) -> None:
        """Look ahead in the walk, as far as there is room."""
        room = _AHEAD * self._crew.threads + _MORE
        while not self._plan.ended and (len(self._jobs) < room or not self._line):
            met, job = self._plan.ahead()
            if met is not None:
                self._line.append(met)
            if job is not None:
                self._send(job)

    def _send(self, job: Job) -> None:
        self._jobs[job.number] = job
        self._waiting.append(job)

    def _pump(self, head: Job) -> None:
        """Give out what can be given out, and take what came; waits a moment for it where ``head`` needs it."""
        self._crew.look()
        self._fill()
        self._give_out(head)
        if head.own and head in self._waiting:
            self._do(head)
            return
        for given, made in self._crew.wait(0.2):
            self._came(given, made)
        self._hurry(head)

    def _give_out(self, head: Job) -> None:
        for job in sorted(self._waiting, key=lambda job: job.number if job is not head else 0):
            if job.own or (len(job.events) > _WAITING and job is not head):
                continue
            worker = self._worker_for(job)
            if worker is not None:
                self._waiting.remove(job)
                self._give(job, worker)

    def _worker_for(self, job: Job) -> Worker | None:
        fit = self._crew.fit(job.roots, job.avoid)
        for worker in fit:
            if worker.address == job.at:
                return worker
        if not fit:
            self._nobody(job)
            return None
        best = max(fit, key=lambda worker: worker.room / worker.threads)
        return best if best.room > 0 else None

    def _nobody(self, job: Job) -> None:
        """No worker can do it. Raises MachineError where that is so of a whole given path."""
        crew = self._crew
        if crew.greeting or not crew.fit():
            return
        for root in job.roots:
            if not crew.fit([root]):
                raise MachineError(
                    f"no worker sees {root}: mount it there under the same path, or say where it lies there with "
                    "--path-map OLD=NEW of imgmatch worker"
                )
        if job.missing:
            self._split(job, each=False)
            job.own = True
        job.avoid.clear()

    def _give(self, job: Job, worker: Worker) -> None:
        job.at = worker.address
        job.given.append(self._crew.give(worker, job.ticket(self._crew.setup.run, min(self._jobs, default=0))))

    def _hurry(self, head: Job) -> None:
        """What is waited for and takes long is given to somebody else too, who has room: whoever is done first."""
        if len(head.given) != 1 or time.monotonic() - head.given[0].since < SLOW_S:
            return
        others = [w for w in self._crew.fit(head.roots, {head.given[0].worker, *head.avoid}) if w.room > 0]
        if others:
            self._give(head, max(others, key=lambda worker: worker.room))

    # --- what came

    def _came(self, given: Given, made: Step | BaseException | None) -> None:
        job = self._jobs.get(given.job)
        if job is None or given not in job.given:
            return
        job.given.remove(given)
        worker = self._crew.workers.get(given.worker)
        if made is None or isinstance(made, BaseException):
            self._lost(job, gone=worker is None, error=made)
        elif given.serial != job.serial:
            return
        elif made.stranger or made.broken or made.missing:
            if worker is not None:
                self._unable(job, worker, made)
            self._again(job)
        elif made.faults and not job.asked_again and len(self._crew.fit(job.roots, job.avoid)) > 1:
            job.asked_again = True
            job.avoid.add(given.worker)
            self._again(job)
        else:
            self._had(job, given, made)

    def _had(self, job: Job, given: Given, made: Step) -> None:
        for twin in job.given:
            self._crew.drop(twin)
        job.given.clear()
        job.take(made.events)
        job.serial += 1
        job.at = given.worker
        self.moved += made.moved
        job.answers = self._answered(job, made.asked)
        job.done = made.done
        if not job.done:
            self._again(job)

    def _answered(self, job: Job, asked: Sequence[Asked]) -> tuple[Answer, ...]:
        answers = tuple(map(self._settling.answer, asked))
        job.containers += [bool(a) for a, each in zip(answers, asked, strict=True) if isinstance(each, OfContainer)]
        return answers

    def _again(self, job: Job) -> None:
        if not job.given and job not in self._waiting:
            self._waiting.append(job)

    def _unable(self, job: Job, worker: Worker, made: Step) -> None:
        crew = self._crew
        if made.stranger:
            crew.stranger(worker)
        elif made.broken:
            crew.leave_out(worker, made.broken)
        elif made.root:
            if made.root not in worker.blind:
                worker.blind.add(made.root)
                crew.say(worker, f"does not see {made.root}: its files go to others")
        else:
            if not worker.blind & {made.missing}:
                crew.say(worker, f"does not see {made.missing} as it is here: it goes to another")
            job.avoid.add(worker.address)
            job.missing = True

    def _lost(self, job: Job, *, gone: bool, error: BaseException | None) -> None:
        """A worker, or what it made, is lost. Where that goes on, the file that it was over is found, and given up."""
        job.at = ""
        if error is not None and not isinstance(error, UnreadError):
            job.why = f"{type(error).__name__}: {error}"
        job.lost += gone or error is not None
        if isinstance(error, UnreadError):
            job.unread += 1
            job.lost -= 1
            if job.unread > _UNREAD:
                raise MachineError(f"what workers made can't be had ({error}); look at the network and the scheduler")
        if job.lost < _LOST:
            self._again(job)
            return
        job.lost = 0
        left = job.files[job.ended + 1 :]
        if left:
            self._split(job, each=True)
            self._again(job)
            return
        place = job.files[-1].evidence.locator
        says = f"{_LOST} workers were lost while they read it, one after the other; given up"
        if job.why:
            says = f"internal error, of this file only ({job.why}); please report it"
        job.take([Found(Issue(place, "read", "internal" if job.why else "worker_died", says)), Ended()])
        job.done = True

    def _split(self, job: Job, *, each: bool) -> None:
        """What is left of a job behind the file in hand goes on apart: ``each`` file as a job, or all as one."""
        left, job.files = job.files[job.ended + 1 :], job.files[: job.ended + 1]
        if not left:
            return
        of_job = [met for met in self._line if isinstance(met, OfJob) and met.job is job][-len(left) :]
        for start in range(0, len(left), 1 if each else len(left)):
            part = slice(start, start + (1 if each else len(left)))
            apart = Job(next(self._plan.numbers), files=left[part])
            for met in of_job[part]:
                met.job = apart
            self._send(apart)

    def _do(self, job: Job) -> None:
        """Do a step of a job here."""
        setup = self._crew.setup
        join(setup, self._embedder)
        made = step(job.ticket(setup.run, min(self._jobs)))
        if made.broken:
            raise MachineError(made.broken)
        self._waiting.remove(job)
        if made.missing:  # gone since it was walked
            seen = job.files[job.ended].evidence
            gone = Failed(Issue(seen.locator, "read", "unreadable", _GONE), seen)
            job.take([Found(seen, Read(None, gone)), Ended()])
            job.done = True
            return
        job.take(made.events)
        job.serial += 1
        job.answers = self._answered(job, made.asked)
        job.done = made.done
        if not job.done:
            self._waiting.append(job)


_GONE = "the file can't be read: no such file or directory"


@contextmanager
def spread(
    said: Said,
    paths: Sequence[str | os.PathLike[str]],
    embedder: Embedder,
    faces: FaceEmbedder | None,
    stop: threading.Event,
) -> Iterator[Spread]:
    """Connect to the scheduler of the configuration, and have its workers do the work on ``paths``. What came of the
    workers is told in the run's entry of the log. Raises as ``connected`` does.
    """
    config = said.config
    cluster = config.cluster
    assert cluster is not None
    with connected(cluster) as connection:
        setup = _setup(said, embedder, faces)
        crew = Crew(connection, setup, cluster.tell)
        try:
            crew.look(at_once=True)
            made = Spread(crew, Plan(paths, said, setup.asks), Settling(said), stop, embedder)
            yield made
        finally:
            crew.close()
            leave(setup.run)
            told = {"took_part": dict(sorted(crew.took_part.items())), "named": crew.out}
            said.use.entry.details = {**said.use.entry.details, "workers": told}


def _setup(said: Said, embedder: Embedder, faces: FaceEmbedder | None) -> Setup:
    config, assume = said.config, said.config.cluster
    picture = probe()
    counts = said.use.catalogue.counts()
    return Setup(
        run=uuid.uuid4().hex,
        version=imgmatch.__version__,
        kit=kit(),
        model=embedder.spec,
        faces=None if faces is None else faces.spec,
        device="cpu" if embedder.runtime.endswith("cpu") else "cuda",
        config=to_travel(config),
        probe=picture,
        vectors=made_of(picture, embedder, read_picture),  # no evidence: in this process
        facts_px=said.use.default_model.input_px,
        asks=any(counts[name] for name in ("items", "sightings", "issues")) or said.known.says_anything,
        containers=said.known.says_anything,
        mixed=assume is not None and assume.mixed,
    )


def reopened(images: Iterable[Evidence], options: SourceOptions) -> Iterator[Evidence]:
    """Images of disks that workers met, as they are here. What is not here is left out."""
    found = Reopener(options)
    for image in images:
        try:
            yield found.reopen(image.locator)
        except MachineError:
            raise
        except Exception:  # noqa: BLE001  (its issue came with what was in it)
            continue
