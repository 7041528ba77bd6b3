"""A worker's place in a run: its model, its confined processes and its sources, once it was found to fit."""

from __future__ import annotations

import functools
import os
import platform
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypeVar

import imgmatch
from imgmatch.cores import usable_cores
from imgmatch.errors import EvidenceError, ImgmatchError, UsageError
from imgmatch.evidence import files
from imgmatch.evidence.quiet import moved
from imgmatch.limits import WorkerLimits
from imgmatch.locator import Locator
from imgmatch.models import load_model
from imgmatch.models.base import Embedder
from imgmatch.types import Evidence, ModelSpec
from imgmatch.workers.decode import read_picture
from imgmatch.workers.pictures import PicturePool
from indexer.intake.cluster.kit import differs, kit, made_of
from indexer.intake.cluster.parcels import File, Greeting, Setup, Ticket
from indexer.intake.embedding import EMBED_BATCH
from indexer.intake.reading import Decoding

if TYPE_CHECKING:
    from imgmatch.models.base import FaceEmbedder

PATH_MAP = "IMGMATCH_PATH_MAP"
# Times of one file, told by two ways to it, are as far apart at most: FAT's.
_APART_NS = 2_000_000_000
# What nobody asked for in so long is let go of: who asked for it may be gone.
_IDLE_S = 1800.0

_In = TypeVar("_In")
_Out = TypeVar("_Out")


class MissingError(Exception):
    """A source is not here, or not as it was seen elsewhere; ``root``: the given path is not here at all, or empty."""

    def __init__(self, path: str, root: str) -> None:
        super().__init__(path)
        self.path, self.root = path, root


def path_map(text: str) -> list[tuple[str, str]]:
    """``OLD=NEW`` of each line: where what lies at OLD elsewhere is here. Raises UsageError."""
    pairs = []
    for line in filter(None, map(str.strip, text.splitlines())):
        old, equals, new = line.partition("=")
        if not (equals and old and new):
            raise UsageError(f"{line!r} maps no path; write OLD=NEW, as /mnt/evidence=/srv/evidence")
        pairs.append((old.rstrip("/\\") or old, new.rstrip("/\\") or new))
    return sorted(pairs, key=lambda pair: -len(pair[0]))


def mapped(path: str, pairs: Iterable[tuple[str, str]]) -> str:
    """Where a path of the machine that commits is here: by the longest OLD that it lies in."""
    for old, new in pairs:
        if path == old:
            return new
        if path.startswith(old) and (path[len(old)] in "/\\" or old[-1] in "/\\"):
            rest = path[len(old) :].lstrip("/\\")
            return os.path.join(new, *(rest.replace("\\", "/") if ":" in old[:2] else rest).split("/"))
    return path


class Session(Protocol):
    """A job in hand."""

    serial: int

    @property
    def idle(self) -> float:
        """For how many seconds nobody asked for it."""

    def close(self) -> None:
        """Let go of what is open."""


class Station:
    """What does a run's jobs on this machine. Safe to use from several threads."""

    def __init__(self, setup: Setup, threads: int, embedder: Embedder | None = None) -> None:
        """Raises ImgmatchError where this machine does not fit. ``embedder``: loaded already, by who commits."""
        self.setup = setup
        self.sessions: dict[int, Session] = {}
        self.lock = threading.Lock()
        self.used = time.monotonic()
        # Here all is as the machine that commits names it, and read as it is by now, as this is that machine.
        self._own = embedder is not None
        self._map = [] if self._own else path_map(os.environ.get(PATH_MAP, ""))
        self._require_equal()
        self.embedder = embedder or _loaded(setup.model, setup.device)
        if self.embedder.spec.weights_sha256 != setup.model.weights_sha256:
            raise ImgmatchError(
                f"the weights of {setup.model.name} there are {self.embedder.spec.weights_sha256[:12]}... and "
                f"{setup.model.weights_sha256[:12]}... here; install the same"
            )
        config = setup.config
        self.width = threads
        self.batch = 1 if config.beyond else EMBED_BATCH  # a picture with its regions is a batch, and large
        # Confined processes stay for the next run.
        decoder = _pool(config.worker_limits, threads).read_picture if config.isolation else read_picture
        if not setup.mixed and made_of(setup.probe, self.embedder, decoder) != setup.vectors:
            raise ImgmatchError(
                "it computes other vectors than this machine: another processor or other libraries; "
                "--mixed-workers takes it all the same, and says so in the audit log"
            )
        self.decoding = Decoding(setup.model.input_px, config, decoder, self._faces())
        self._threads = ThreadPoolExecutor(self.width, "station")

    def _require_equal(self) -> None:
        setup = self.setup
        if setup.version != imgmatch.__version__:
            raise ImgmatchError(f"imgmatch is {imgmatch.__version__} there and {setup.version} here; install the same")
        if not setup.mixed and (what := differs(kit(), setup.kit)):
            raise ImgmatchError(f"{what}; install the same, or give --mixed-workers")

    def _faces(self) -> FaceEmbedder | None:
        if self.setup.faces is None:
            return None
        from imgmatch.models.faces.reader import load_faces

        reader = load_faces(self.setup.faces.name, threads=1)
        if reader.spec.weights_sha256 != self.setup.faces.weights_sha256:
            raise ImgmatchError(f"the weights of {self.setup.faces.name} are others there than here; install the same")
        return reader

    def close(self) -> None:
        """Let go of everything."""
        with self.lock:
            sessions, self.sessions = list(self.sessions.values()), {}
        for session in sessions:
            session.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def map(self, work: Callable[[_In], _Out], given: Iterable[_In]) -> Iterator[_Out]:
        """As ``map``, on all cores: those of this machine are shared by its jobs."""
        return self._threads.map(work, given)

    def find(self, file: File) -> Evidence:
        """An outermost file as it is here, with the times that it was seen with. Raises MissingError."""
        seen = file.evidence
        path = mapped(seen.locator.at, self._map)
        try:
            os.stat(path)
        except OSError as error:
            raise MissingError(seen.locator.at, "" if _is_there(mapped(file.root, self._map)) else file.root) from error
        if not (self._own or os.access(path, os.R_OK)):  # others, or who commits, may read it
            raise MissingError(seen.locator.at, "")
        try:
            here = files.reopen(Locator.file(path))
        except EvidenceError as error:
            raise MissingError(seen.locator.at, "") from error
        if not self._own and (here.size_bytes != seen.size_bytes or not _near(here, seen)):
            raise MissingError(seen.locator.at, "")
        return replace(here, modified_utc=seen.modified_utc, modified_ns=seen.modified_ns, changed_ns=seen.changed_ns)

    def take(self, ticket: Ticket) -> tuple[Session | None, list[Session]]:
        """The session of a job as a ticket left it, and those that nobody goes on with any more."""
        with self.lock:
            found = self.sessions.pop(ticket.job, None)
            gone = [job for job, session in self.sessions.items() if job < ticket.alive or session.idle > _IDLE_S]
            old = [self.sessions.pop(job) for job in gone]
            if found is not None and found.serial != ticket.serial:
                old.append(found)
                found = None
        return found, old

    def keep(self, ticket: Ticket, session: Session) -> None:
        """Keep the session of a job for its next step."""
        with self.lock:
            self.sessions[ticket.job] = session


@functools.lru_cache(maxsize=4)
def _loaded(model: ModelSpec, device: str) -> Embedder:
    """A model, for one run after the other."""
    return load_model(model.name, device=device, threads=1)


@functools.lru_cache(maxsize=4)
def _pool(limits: WorkerLimits, threads: int) -> PicturePool:
    """Confined processes; none is started before there is work."""
    return PicturePool(threads, limits)


def _is_there(root: str) -> bool:
    """Is a given path here: a file, or a folder that holds anything? An empty one may be where nothing is mounted."""
    try:
        with os.scandir(root) as entries:
            return next(entries, None) is not None
    except NotADirectoryError:
        return True
    except OSError:
        return False


def _near(here: Evidence, seen: Evidence) -> bool:
    if here.modified_ns is None or seen.modified_ns is None:
        return here.modified_ns is seen.modified_ns
    return abs(here.modified_ns - seen.modified_ns) <= _APART_NS


# --- of this process

_stations: dict[str, Station] = {}
_lock = threading.Lock()


def greet(setup: Setup, threads: int) -> Greeting:
    """On a worker: take part in a run, or say why not."""
    host = platform.node()
    try:
        with _lock:
            _let_go()
            if setup.run not in _stations:
                _stations[setup.run] = Station(setup, threads)
            return Greeting(host, _stations[setup.run].embedder.runtime, clock_s=time.time())
    except ImgmatchError as error:
        return Greeting(host, fault=str(error))


def join(setup: Setup, embedder: Embedder) -> None:
    """Have this process itself do jobs of a run."""
    with _lock:
        if setup.run not in _stations:
            _stations[setup.run] = Station(setup, usable_cores(), embedder)


def leave(run: str) -> None:
    """On a worker: a run is over."""
    with _lock:
        station = _stations.pop(run, None)
    if station is not None:
        station.close()


def station_of(run: str) -> Station | None:
    """What does a run's jobs here, where it was greeted."""
    with _lock:
        found = _stations.get(run)
        if found is not None:
            found.used = time.monotonic()
        return found


def _let_go() -> None:
    old = time.monotonic() - _IDLE_S
    for run in [run for run, station in _stations.items() if station.used < old]:
        _stations.pop(run).close()


class _Moved:
    """Access times of this process, as far as they were not told of yet."""

    def __init__(self) -> None:
        self._told = 0
        self._lock = threading.Lock()

    def take(self) -> int:
        with self._lock:
            more, self._told = moved.count - self._told, moved.count
            return more


@functools.cache
def untold() -> _Moved:
    """Of this process."""
    return _Moved()
