"""One job on a worker: walked, read and embedded a bounded part at a time, in an order that is the same everywhere."""

from __future__ import annotations

import dataclasses
import time
from contextlib import suppress
from dataclasses import dataclass

from imgmatch.errors import EvidenceError, ImgmatchError, SourceDiskError, raise_if_machine
from imgmatch.evidence import Walked
from imgmatch.evidence.read import hashed
from imgmatch.evidence.tree import Question, Telling, unfold
from imgmatch.locator import Locator, readable
from imgmatch.types import Digests, Evidence, Issue
from indexer.intake.cluster.batch import Batch, Entry, Generated
from indexer.intake.cluster.parcels import (
    Answer,
    Ended,
    Event,
    Found,
    Image,
    LeftOut,
    OfContainer,
    OfFile,
    Opened,
    Read,
    Step,
    Ticket,
    Told,
    stub,
)
from indexer.intake.cluster.station import MissingError, Station, station_of, untold
from indexer.intake.outcomes import Unread

# What a step gives back at most, in events and pictures, and how long it takes; with one part of the walk more.
_EVENTS, _PICTURES, _SECONDS = 2048, 256, 20.0


@dataclass(slots=True)
class _Met:
    """An event, with the evidence that is to be read for it, and whether the case is asked first."""

    event: Event
    entry: Evidence | None = None
    asks: bool = False


class OpenJob:
    """A job in hand: what it met is given a part at a time."""

    def __init__(self, station: Station, ticket: Ticket) -> None:
        self.serial = ticket.serial
        self._station, self._ticket = station, ticket
        self._given = list(ticket.containers)
        self._count = 0  # of the events so far, those that were given before among them
        self._pending: list[_Met] = []
        self._wanted = 0
        self._missing: MissingError | None = None
        self._names: dict[str, str] = {}  # what files are called elsewhere, where that is not what they are here
        self._steps = self._all()
        self._used = time.monotonic()

    @property
    def idle(self) -> float:
        """For how many seconds nobody asked for it."""
        return time.monotonic() - self._used

    def step(self, answers: tuple[Answer, ...]) -> Step:
        """Go on. Raises MissingError where a file is not here, ImgmatchError where this machine can't go on."""
        self.serial += 1
        until = time.monotonic() + _SECONDS
        events: list[Event] = []
        try:
            out = self._steps.send(answers) if answers else next(self._steps)
            while isinstance(out, list):
                events += out
                pictures = sum(isinstance(each, Found) and each.read is not None for each in events)
                if len(events) >= _EVENTS or pictures >= _PICTURES or time.monotonic() > until:
                    return Step(tuple(events), faults=_faults(events))
                out = next(self._steps)
            return Step(tuple(events), asked=out, faults=_faults(events))
        except StopIteration:
            if self._missing is not None:
                if events:  # what came before it stands
                    return Step(tuple(events), faults=_faults(events))
                raise self._missing from None
            return Step(tuple(events), done=True, faults=_faults(events))
        finally:
            self._used = time.monotonic()

    def close(self) -> None:
        """Let go of what is open."""
        self._steps.close()

    # --- the walk

    def _all(self) -> Generated[None]:
        for file in self._ticket.files:
            try:
                found = self._station.find(file)
            except MissingError as missing:
                self._missing = missing
                break
            if found.locator != file.evidence.locator:
                self._names[found.locator.at] = file.evidence.locator.at
            yield from self._of(found, file.unchanged)
            self._meet(Ended())
        yield from self._flush()

    def _of(self, file: Evidence, unchanged: bool | None) -> Generated[None]:
        setup = self._station.setup
        told = Telling(self._walked, self._image, lambda place: self._meet(LeftOut(place)), asks=setup.containers)
        for entry in unfold(file, setup.config.sources, told):
            if isinstance(entry, Question):
                yield from self._flush()
                yield from self._opened(entry)
            elif isinstance(entry, Issue):
                self._meet(Found(self._issue(entry)))
            else:
                outermost = entry.locator.parent is None
                met = Found(stub(entry, self._place(entry.locator)))
                self._meet(met, None if outermost and unchanged else entry, unchanged is not None and not outermost)
            if self._wanted >= self._station.batch * self._station.width or len(self._pending) >= _EVENTS:
                yield from self._flush()

    def _walked(self, place: Walked) -> None:
        self._meet(Told(dataclasses.replace(place, locator=self._place(place.locator))))

    def _image(self, evidence: Evidence) -> None:
        self._meet(Image(stub(evidence, self._place(evidence.locator))))

    def _meet(self, event: Event, entry: Evidence | None = None, asks: bool = False) -> None:
        self._count += 1
        if self._count > self._ticket.events:
            self._pending.append(_Met(event, entry, asks))
            self._wanted += entry is not None

    def _opened(self, question: Question) -> Generated[None]:
        """A container, about which the case is asked unless it was before."""
        digests: Digests | None = None
        if not self._given or self._count >= self._ticket.events:
            with suppress(EvidenceError, SourceDiskError):  # opening it says why
                digests = hashed(question.evidence)
        place = self._place(question.evidence.locator)
        opened = Opened(stub(question.evidence, place), question.is_picture, digests)
        if self._given:
            question.passed = self._given.pop(0)
        else:
            (answer,) = yield (OfContainer(opened),)
            question.passed = bool(answer)
        self._meet(opened)

    # --- what was found

    def _flush(self) -> Generated[None]:
        """Give what was met, with what became of all evidence among it."""
        pending, self._pending, self._wanted = self._pending, [], 0
        asked = [number for number, met in enumerate(pending) if met.asks and met.entry is not None]
        if asked:
            answers = yield tuple(OfFile(_evidence(pending[number].event)) for number in asked)
            for number, unchanged in zip(asked, answers, strict=True):
                pending[number].entry = None if unchanged else pending[number].entry
        wanted = [
            Entry(number, met.entry, _evidence(met.event))
            for number, met in enumerate(pending)
            if met.entry is not None
        ]
        read: dict[int, Read] = {}
        if wanted:
            read = yield from Batch(self._station, self._issue).read(wanted)
        if pending:
            yield [
                dataclasses.replace(met.event, read=read[number])
                if number in read and isinstance(met.event, Found)
                else met.event
                for number, met in enumerate(pending)
            ]

    # --- as it is called elsewhere

    def _place(self, here: Locator) -> Locator:
        if not self._names or (there := self._names.get(here.outermost.at)) is None:
            return here
        parent = None if here.parent is None else self._place(here.parent)
        return Locator(here.kind, there if parent is None else here.at, parent)

    def _issue(self, issue: Issue) -> Issue:
        message = issue.message
        for here, there in self._names.items():
            message = message.replace(readable(here), readable(there))
        return dataclasses.replace(issue, locator=self._place(issue.locator), message=message)


def _evidence(event: Event) -> Evidence:
    assert isinstance(event, Found)
    assert isinstance(event.entry, Evidence)
    return event.entry


def _faults(events: list[Event]) -> int:
    def is_fault(found: Found) -> bool:
        if isinstance(found.entry, Issue):
            return found.entry.error == SourceDiskError.kind
        return found.read is not None and isinstance(found.read.outcome, Unread)

    return sum(isinstance(event, Found) and is_fault(event) for event in events)


def step(ticket: Ticket) -> Step:
    """On a worker: what comes next of a job."""
    station = station_of(ticket.run)
    if station is None:
        return Step(stranger=True)
    found, old = station.take(ticket)
    for each in old:
        each.close()
    job = found if isinstance(found, OpenJob) else None
    resumed = job is not None
    job = job or OpenJob(station, ticket)
    try:
        try:
            done = job.step(ticket.answers if resumed else ())
        except Exception as error:
            raise_if_machine(error)
            raise
    except MissingError as missing:
        return Step(missing=missing.path, root=missing.root)
    except ImgmatchError as fault:
        return Step(broken=str(fault))
    if done.done:
        job.close()
    else:
        station.keep(ticket, job)
    return dataclasses.replace(done, moved=untold().take())
