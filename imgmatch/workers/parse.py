"""What is in videos, moving pictures and documents, as parsers in workers tell it.

The bytes stay here: a worker asks for those that it needs (``Talk``), so that what lies in an archive or a disk image
is read in place.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, Literal, TypedDict, cast

from imgmatch.errors import EvidenceError, ImgmatchError, MachineError, MissingPackageError, over, raise_if_machine
from imgmatch.limits import SourceLimits
from imgmatch.parsers.pieces import Settings, Trouble
from imgmatch.parsers.told import Name, Time, Word
from imgmatch.streams import BLOCK_BYTES, RandomAccess, Spool, one_line
from imgmatch.workers import wire
from imgmatch.workers.kinds import OF_PARSER, Kind
from imgmatch.workers.pool import Pool
from imgmatch.workers.process import GoneError, Process, StartError

_MOST_IDLE = 8  # of a kind
# What takes as long as it is large, and how much of it the slowest is got through in a second.
_AS_LONG_AS_IT_IS = {"sevenzip", "zipped"}
_LEAST_BYTES_A_SECOND = 256 << 10


@dataclass(frozen=True, slots=True)
class Found:
    """Something found in a file: ``kind`` and ``at`` of its locator, and the bytes of a file of its own."""

    kind: str
    at: str
    modified_utc: str | None
    content: IO[bytes]


class _Said(TypedDict):
    """Something that was found, which follows, or where ``error`` says why it can't be had."""

    say: Literal["found"]
    kind: Word
    at: Name
    modified: Time | None
    error: Literal["broken_archive", "broken_document", "broken_picture", "limit", "unproven", "unsupported"] | None
    message: Name
    what: wire.What


class _Part(TypedDict):
    """What follows is the beginning, or more, of what is said to be found next."""

    say: Literal["part"]


def extract(parser: str, source: RandomAccess, settings: Settings, at: str | None = None) -> Iterator[Found | Trouble]:
    """What ``imgmatch.parsers.<parser>`` finds in a file, in its order.

    Raises EvidenceError when the file, or a limit, ends it, ImgmatchError when a package is missing, OSError when the
    file can't be read.
    """
    limits = settings.limits
    pool = pool_of(OF_PARSER[parser], limits.max_memory_bytes)
    worker = taken(pool)
    patience_s = 2.0 * max(1, limits.max_cpu_seconds) + 30
    if parser in _AS_LONG_AS_IT_IS:
        patience_s += source.size / _LEAST_BYTES_A_SECOND
    talk = Talk(worker, [source], lambda: patience_s - talk.waited)
    request = {"parser": parser, "size": source.size, "at": at, "settings": dataclasses.asdict(settings)}
    taking = _Taking(talk, limits)
    try:
        for told, size in talk.messages(request, patience_s, _Said | _Part):
            if told["say"] == "part":
                taking.add(size)
            elif told["say"] == "found":
                yield taking.whole(told, size)
        if told["error"] == "memory":  # what can't be had now may be missing there for good: it is not kept
            raise over("max_memory_bytes", f"needs more than max_memory_bytes ({limits.max_memory_bytes:,})")
        worker.done()
        if told["error"] is not None:
            raise talk.unread or _error_of(told)
    except GoneError as lost:
        kept = "what came before is kept"
        if lost.hung:
            says = f"hung for longer than max_cpu_seconds ({limits.max_cpu_seconds}); {kept}"
            raise over("max_cpu_seconds", says) from None
        died = f"the {parser} reader died of it (code {lost.code})"
        raise EvidenceError("crashed", f"{died if lost.code else 'its reader gave nonsense'}; {kept}") from None
    finally:
        pool.give_back(worker)


class _Taking:
    """What is being found: its bytes, as they come."""

    def __init__(self, talk: Talk, limits: SourceLimits) -> None:
        self._talk, self._limits = talk, limits
        self._begin()

    def _begin(self) -> None:
        self._kept, self._size = Spool(self._limits), 0
        self._fault: EvidenceError | None = None

    def add(self, size: int) -> None:
        """So many bytes more. Raises EvidenceError of kind ``limit``."""
        self._size += size
        if self._size > self._limits.max_member_bytes:
            raise over("max_member_bytes", f"gives more than max_member_bytes ({self._limits.max_member_bytes:,})")
        while size:
            block = self._talk.take(min(size, BLOCK_BYTES))
            size -= len(block)
            try:
                if self._fault is None:
                    self._kept.write(block)
            except EvidenceError as error:
                self._fault = error

    def whole(self, told: _Said, size: int) -> Found | Trouble:
        """What it is, with the last of its bytes."""
        if told["error"] is None:
            self.add(size)
        kept, fault = self._kept, self._fault
        self._begin()
        if fault is None and told["error"] is not None:
            fault = EvidenceError(told["error"], told["message"], what=told["what"])
        if fault is None:
            return Found(told["kind"], told["at"], told["modified"], cast(IO[bytes], kept))
        kept.close()
        return Trouble.of(told["kind"], told["at"], fault)


def _error_of(told: wire.End) -> ImgmatchError:
    message, what = " ".join(told["message"].split()), told["what"]
    match told["error"]:
        case "needs_package":
            return MissingPackageError(message, what)
        case "system" | "other":
            return EvidenceError("unreadable", f"can't be read further: {message}")
        case (
            "broken_archive" | "broken_document" | "broken_picture" | "broken_video" | "gone" | "limit"
            | "not_a_picture" | "password" | "unsupported"
        ):  # fmt: skip
            return EvidenceError(told["error"], message, what=what)
    return EvidenceError("crashed", "its reader gave nonsense; what came before is kept")


class Talk:
    """One request to a worker, which may ask for bytes of ``sources`` before it answers; ``seconds`` says how long each
    of its turns may take. ``unread``: the error where some of them could not be read. Raises GoneError.
    """

    def __init__(self, worker: Process, sources: Sequence[RandomAccess], seconds: Callable[[], float]) -> None:
        self.unread: Exception | None = None
        self.waited = 0.0
        """Seconds that it took so far: whatever it says meanwhile, it has only so many."""
        self._worker, self._sources, self._seconds = worker, sources, seconds

    def messages(self, request: dict[str, Any], cpu_seconds: float, kind: Any = wire.End) -> Iterator[tuple[Any, int]]:
        """Put the request; gives messages of the type ``kind``, each with the size of what follows, up to the end."""
        with self._turn():
            self._worker.ask(request, cpu_seconds=cpu_seconds)
        told: Any = None
        while told is None or told["say"] != "end":
            with self._turn():
                told, size = self._worker.hear(kind | wire.Read | wire.End)
            if told["say"] != "read":
                yield told, size
                continue
            answer, data = self._read(told)
            with self._turn():
                self._worker.say(answer, data)

    def take(self, size: int) -> bytearray:
        """So many of the bytes that a message announced."""
        with self._turn():
            return self._worker.take(size)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        since = time.monotonic()
        try:
            with self._worker.within(self._seconds()):
                yield
        finally:
            self.waited += time.monotonic() - since

    def _read(self, asked: wire.Read) -> tuple[dict[str, Any], bytes]:
        try:
            size = min(asked["size"], wire.MAX_READ)
            return {}, self._sources[asked["of"]].read_at(asked["offset"], size)
        except Exception as error:  # noqa: BLE001  (archives that it lies in raise about everything)
            raise_if_machine(error)
            self.unread = error
            return {"failed": one_line(error)}, b""


@functools.cache
def pool_of(kind: Kind, memory_bytes: int) -> Pool:
    """The workers of a kind that may take so much memory."""
    return Pool(kind, memory_bytes, keep=_MOST_IDLE)


def taken(pool: Pool) -> Process:
    """A worker of a pool. Raises EvidenceError of kind ``limit`` where none comes up within its limits, MachineError
    where this machine can start none.
    """
    try:
        return pool.take()
    except StartError as error:
        raise_if_machine(error)
        if isinstance(error.__cause__, GoneError):
            raise over("max_memory_bytes", str(error)) from error
        raise MachineError(str(error)) from error
