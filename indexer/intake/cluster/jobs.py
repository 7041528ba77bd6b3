"""Jobs as the machine that commits knows them, and the order in which all of it is met."""

from __future__ import annotations

import itertools
import os
import stat
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from imgmatch.errors import ImgmatchError
from imgmatch.evidence.tree import Telling, outermost
from imgmatch.types import Evidence, Issue
from indexer.intake.cluster.crew import Given
from indexer.intake.cluster.parcels import (
    Answer,
    Ended,
    Event,
    File,
    Found,
    LeftOut,
    Ticket,
    Told,
    stub,
)
from indexer.intake.said import Said

# A job has so many files, or one that is as large as many; fewer where regions come back with each.
_FILES, _FILES_THOROUGH, _BYTES = 32, 8, 64 << 20


@dataclass(slots=True)
class Job:
    """A few files, what came of them, and how far it is."""

    number: int
    most: int = 1
    """Files that it takes."""
    files: list[File] = field(default_factory=list)
    events: deque[Event] = field(default_factory=deque)
    """Those that came, and were not taken yet."""
    had: int = 0
    """How many came at all."""
    ended: int = 0
    """How many of its files are done."""
    serial: int = 0
    containers: list[bool] = field(default_factory=list)
    answers: tuple[Answer, ...] = ()
    given: list[Given] = field(default_factory=list)
    at: str = ""
    """The worker that has it open."""
    avoid: set[str] = field(default_factory=set)
    """Workers that do not see one of its files, or to whom a disk did not give one."""
    missing: bool = False
    asked_again: bool = False
    lost: int = 0
    """How many workers were lost over it."""
    unread: int = 0
    """How often what came of it could not be had."""
    why: str = ""
    own: bool = False
    """Only the machine that commits can do it."""
    done: bool = False

    @property
    def roots(self) -> set[str]:
        """The given paths that its files lie in."""
        return {file.root for file in self.files}

    @property
    def is_full(self) -> bool:
        """Does it take no further file?"""
        return len(self.files) >= self.most or sum(file.evidence.size_bytes for file in self.files) >= _BYTES

    def take(self, events: Sequence[Event]) -> None:
        """These came."""
        self.events.extend(events)
        self.had += len(events)
        self.ended += sum(isinstance(event, Ended) for event in events)

    def ticket(self, run: str, alive: int) -> Ticket:
        """What a worker is told to go on with."""
        return Ticket(
            run, self.number, alive, tuple(self.files), self.serial, self.had, tuple(self.containers), self.answers
        )


@dataclass(slots=True)
class OfJob:
    """In the order of the walk: a file that a job does."""

    job: Job


@dataclass(frozen=True, slots=True)
class Ends:
    """In the order of the walk: a given path is done, or could not be walked further."""

    error: ImgmatchError | None = None


Met = Event | OfJob | Ends


class Plan:
    """The files of all given paths, in walk order, put together to jobs as far as is asked for."""

    def __init__(self, paths: Sequence[str | os.PathLike[str]], said: Said, asks: bool) -> None:
        """``asks``: the case may have read some of them before."""
        self.numbers = itertools.count(1)
        self._said, self._asks = said, asks and not said.config.reread
        self._paths = paths
        self._met = self._walked()
        self._draft: Job | None = None
        self.ended = False

    def ahead(self) -> tuple[Met | None, Job | None]:
        """The next thing that is met, and a job that is whole with it; None for either where there is none."""
        met = next(self._met, None)
        if met is None:
            self.ended = True
            return None, self.rest()
        if not isinstance(met, OfJob):
            return met, None
        if met.job.own:
            return met, met.job
        return met, self.rest() if met.job.is_full else None

    def rest(self, job: Job | None = None) -> Job | None:
        """The job that is being put together, as it is; of a certain ``job`` only where it is that one."""
        if job is not None and job is not self._draft:
            return None
        whole, self._draft = self._draft, None
        return whole

    def _walked(self) -> Iterator[Met]:
        for path in self._paths:
            told: deque[Event] = deque()
            telling = Telling(
                lambda place, told=told: told.append(Told(place)),  # type: ignore[misc]
                lambda evidence: None,
                lambda place, told=told: told.append(LeftOut(place)),  # type: ignore[misc]
            )
            config, root = self._said.config, os.path.abspath(os.fsdecode(path))
            options: dict[str, Any] = {"leave_out": self._said.use.path, "options": config.sources}
            try:
                for entry in outermost(path, **options, told=telling, takes=config.still):
                    yield from _taken(told)
                    yield Found(entry) if isinstance(entry, Issue) else OfJob(self._job(entry, root))
            except ImgmatchError as error:
                yield from _taken(told)
                yield Ends(error)
                continue
            yield from _taken(told)
            yield Ends()

    def _job(self, entry: Evidence, root: str) -> Job:
        unchanged = self._said.is_unchanged(entry) if self._asks else None
        file = File(stub(entry, entry.locator), root, unchanged)
        if _is_device(entry):  # of this machine alone
            return Job(next(self.numbers), files=[file], own=True)
        if self._draft is None or self._draft.is_full:
            most = _FILES_THOROUGH if self._said.config.beyond else _FILES
            self._draft = Job(next(self.numbers), most)
        self._draft.files.append(file)
        return self._draft


def _taken(told: deque[Event]) -> Iterator[Event]:
    while told:
        yield told.popleft()


def _is_device(entry: Evidence) -> bool:
    try:
        return entry.modified_ns is None and stat.S_ISBLK(os.stat(entry.locator.at).st_mode)
    except OSError:
        return False
