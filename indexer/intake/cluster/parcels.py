"""What goes between the machine that commits and its workers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from imgmatch.evidence import Walked
from imgmatch.locator import Locator
from imgmatch.picture.facts import Facts
from imgmatch.types import Digests, Evidence, Issue, ModelSpec
from indexer.intake.config import IngestConfig
from indexer.intake.delivered import elsewhere
from indexer.intake.outcomes import Failed, New, Unread

Kit = tuple[tuple[str, str], ...]
"""Packages that have a say in what is found and computed, with their versions; empty where one is not installed."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a worker is to know of a run before its first job. ``run`` is a name of it that no other has.

    ``asks``: the case may hold contents, or lists of them, so that it is asked before one is decoded; ``containers``:
    and before a container is opened. ``facts_px``: at which size facts are made up for. ``mixed``: the worker may have
    other packages or another processor.
    """

    run: str
    version: str
    kit: Kit
    model: ModelSpec
    faces: ModelSpec | None
    device: str
    config: IngestConfig
    probe: bytes
    vectors: str
    """SHA-256 of what the ``probe`` gave here."""
    facts_px: int
    asks: bool = False
    containers: bool = False
    mixed: bool = False


@dataclass(frozen=True, slots=True)
class Greeting:
    """What a worker says of itself; ``fault``: why it can't take part, in words; ``clock_s``: what time it is there, in
    seconds since 1970.
    """

    host: str
    runtime: str = ""
    fault: str = ""
    clock_s: float = 0.0


@dataclass(frozen=True, slots=True)
class File:
    """An outermost file as the machine that commits saw it. ``root``: the path that was given, and that it lies in.
    ``unchanged``: was it read before, as it is? None: that is not asked.
    """

    evidence: Evidence
    root: str
    unchanged: bool | None = None


# --- events: what a worker met, in its order


@dataclass(frozen=True, slots=True)
class Read:
    """What became of evidence that was read: ``outcome`` is None where the case said that it knows the content, or that
    it is not to be decoded; ``facts`` are those that were asked for then.
    """

    digests: Digests | None
    outcome: New | Failed | Unread | None
    facts: Facts | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """Something was found; ``read`` is None where it was not to be read."""

    entry: Evidence | Issue
    read: Read | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """A place was walked to its end without a fault."""

    place: Walked


@dataclass(frozen=True, slots=True)
class Image:
    """An image of a disk is about to be opened."""

    evidence: Evidence


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A name that the options exclude."""

    place: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A container was asked about; ``digests`` are None where it can't be read."""

    evidence: Evidence
    is_picture: bool
    digests: Digests | None


@dataclass(frozen=True, slots=True)
class Ended:
    """An outermost file is done."""


Event = Found | Told | Image | LeftOut | Opened | Ended

# --- what a worker asks the case


@dataclass(frozen=True, slots=True)
class OfFile:
    """Was it read before, as it is? The answer is a bool."""

    evidence: Evidence


@dataclass(frozen=True, slots=True)
class OfContent:
    """Is it to be decoded? The answer is ``read``, ``facts`` (only those) or ``skip``."""

    evidence: Evidence
    digests: Digests


@dataclass(frozen=True, slots=True)
class OfContainer:
    """Is it to be passed over? The answer is a bool."""

    opened: Opened


Asked = OfFile | OfContent | OfContainer
Answer = bool | str


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a worker is to do next for a job. ``serial`` counts the steps that were had of it; who is not just there
    begins anew and leaves out ``events``, with the answers on ``containers`` that were given already.
    ``alive``: the lowest number of a job that is not done.
    """

    run: str
    job: int
    alive: int
    files: tuple[File, ...]
    serial: int = 0
    events: int = 0
    containers: tuple[bool, ...] = ()
    answers: tuple[Answer, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """What came of a ticket: events, and either the end (``done``), questions, or nothing more for now.

    ``missing``: a file that this worker does not see as it is here, ``root`` the given path that it does not see at
    all. ``broken``: its machine can't go on. ``stranger``: it knows nothing of this run. ``moved``: access times that
    it may have moved.
    """

    events: tuple[Event, ...] = ()
    done: bool = False
    asked: tuple[Asked, ...] = ()
    missing: str = ""
    root: str = ""
    broken: str = ""
    stranger: bool = False
    moved: int = 0
    faults: int = field(default=0)
    """How many of the events are what a disk did not give."""


def stub(evidence: Evidence, place: Locator) -> Evidence:
    """Evidence as it travels: at a place as the machine that commits names it, and not to be opened there."""
    return Evidence(
        place,
        evidence.size_bytes,
        evidence.modified_utc,
        evidence.modified_ns,
        evidence.changed_ns,
        elsewhere,
    )


def to_travel(config: IngestConfig) -> IngestConfig:
    """What of a configuration a worker is to know."""
    return replace(config, labels=None, manifest=None, still=None, cluster=None)
