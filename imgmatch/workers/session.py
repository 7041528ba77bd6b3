"""A parser of a disk image that stays open in a worker, to be asked again and again.

What kills it or holds it up costs the question that was asked; the next one is put to a new process.
"""

from __future__ import annotations

import functools
import itertools
import time
import weakref
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from typing import Any, get_args, get_origin, get_type_hints

from imgmatch.errors import EvidenceError, MissingPackageError, over
from imgmatch.limits import SourceLimits
from imgmatch.streams import LOCK, RandomAccess, in_pieces
from imgmatch.types import Evidence
from imgmatch.workers import wire
from imgmatch.workers.kinds import DISKS
from imgmatch.workers.parse import Talk, pool_of, taken
from imgmatch.workers.process import GoneError, Process

_MOST_DEATHS = 16
_MOST_OPEN = 8  # processes that hold a parser between two questions
_LEAST_SECONDS = 10
_MOST_REMEMBERED = 10_000
_MAX_ANSWER = 128 << 20
_AT_ONCE = 1 << 20
_uses = itertools.count()


class LostError(EvidenceError):
    """A question that a parser died of, or did not answer in time. ``done``: how many of what it was about had been
    dealt with; ``ticks``: how many steps the parser had told of.
    """

    def __init__(self, why: EvidenceError, done: int = 0, ticks: int = 0) -> None:
        super().__init__(why.kind, str(why), what=why.what)
        self.done, self.ticks = done, ticks


# Which questions are deadly, and how often an outermost file held a parser up: an image is walked more than once.
_deadly: dict[Hashable, LostError] = {}
_hung: Counter[Hashable] = Counter()


class Session:
    """``parser``, a class of ``imgmatch.parsers`` that takes ``opening`` besides, over the bytes of ``sources``, which
    lie in ``outer``.

    Safe to use from several threads, which take turns. It is opened when it is first called, and again where its
    process died or was needed elsewhere.
    """

    def __init__(
        self, parser: type, sources: Sequence[RandomAccess], outer: Evidence, limits: SourceLimits, *opening: object
    ) -> None:
        self._worker: Process | None = None
        self._parser, self._sources, self._limits, self._opening = parser, sources, limits, opening
        self._pool = pool_of(DISKS, limits.max_memory_bytes)
        self._root = outer.locator.outermost, outer.modified_ns, outer.changed_ns
        self._place = parser, outer.locator, outer.modified_ns, outer.changed_ns
        self._deaths: set[Hashable] = set()
        self._busy = False
        self._used = 0

    @property
    def given_up(self) -> EvidenceError | None:
        """Why nothing more is asked of it, once so many questions were deadly."""
        if len(self._deaths) < _MOST_DEATHS:
            return None
        return over("deaths of its reader", f"its reader hung or died {_MOST_DEATHS} times; the rest is left")

    def call(
        self,
        name: str,
        *arguments: object,
        about: Sequence[Hashable] = (),
        extra_seconds: float = 0,
        most_bytes: int = _MAX_ANSWER,
    ) -> Any:
        """The parser's answer to a question: what its method ``name`` returns, as its annotation says.

        ``about``: what the question is about, one for each step of it; by this it is known again when it was deadly
        (default: the question itself). ``extra_seconds`` of processor time are granted beyond ``max_cpu_seconds``.

        Raises LostError of kind ``crashed`` or ``limit`` when the question was deadly, EvidenceError when too many
        were (``given_up``), OSError and RuntimeError as the parser does, and ImgmatchError for a package that is
        missing.
        """
        keys = [(self._place, key) for key in about or [(name, *arguments)]]
        with LOCK:
            if self.given_up is not None:
                raise self.given_up
            self._recall(keys)
            # Halved each time that one outermost file held a parser up: all that it holds must end some time.
            longest = self._limits.max_cpu_seconds
            seconds = max(1, min(_LEAST_SECONDS, longest), longest / 2 ** min(_hung[self._root], 30)) + extra_seconds
            worker = self._attached(seconds)
            data = self._ask(worker, {"call": name, "with": arguments}, seconds, keys, most_bytes)
            kind = _returned(self._parser, name)
            try:
                if kind is bytes:
                    return bytes(data)
                if len(data) > _AT_ONCE and get_origin(kind) is list:
                    return _Many(data, get_args(kind)[0])
                return wire.checked(kind, wire.parse(data))
            except wire.WireError as error:
                self.close()
                raise EvidenceError("crashed", "its reader gave nonsense") from error

    def _recall(self, keys: Sequence[Hashable]) -> None:
        for done, key in enumerate(keys):
            if (lost := _deadly.get(key)) is not None:
                self._deaths.add(key)
                raise LostError(lost, done, lost.ticks)

    def _attached(self, seconds: float) -> Process:
        """A process with the parser open in it."""
        if self._worker is not None and not self._worker.alive:  # died between two questions, of neither
            self.close()
        self._used = next(_uses)
        if self._worker is None:
            keys = [(self._place, "open")]
            self._recall(keys)
            _close_oldest()
            self._worker = taken(self._pool)
            _open.add(self)
            parser = self._parser.__module__, self._parser.__name__
            sizes = [source.size for source in self._sources]
            try:
                self._ask(self._worker, {"open": parser, "sizes": sizes, "with": self._opening}, seconds, keys, 0)
            except BaseException:
                self.close()
                raise
        return self._worker

    def _ask(
        self, worker: Process, request: dict[str, Any], seconds: float, keys: Sequence[Hashable], most_bytes: int
    ) -> bytearray:
        deadline = time.monotonic() + 2 * seconds + 30
        talk = Talk(worker, self._sources, lambda: deadline - time.monotonic())
        self._busy = True
        try:
            ((told, size),) = talk.messages(request, seconds)
            if most_bytes < size <= 1 << 40 and most_bytes == _MAX_ANSWER:
                worker.nonsense()
                message = f"its reader told of more than {_MAX_ANSWER >> 20} MiB of entries in one place"
                raise self._lost(keys, worker.ticks, EvidenceError("limit", message))
            if size > most_bytes:
                raise worker.nonsense()
            data = talk.take(size)
            if told["error"] == "memory":  # what can't be had now may be missing there for good: it is not kept
                message = f"its reader needs more than max_memory_bytes ({self._limits.max_memory_bytes:,})"
                raise self._lost(keys, worker.ticks, over("max_memory_bytes", message))
            worker.done()
        except GoneError as gone:
            if gone.hung:
                message = f"its reader hung for more than {seconds:g} s (max_cpu_seconds)"
                raise self._lost(keys, worker.ticks, over("max_cpu_seconds", message), hung=True) from None
            if gone.code is None:
                raise EvidenceError("crashed", "its reader gave nonsense") from None
            died = EvidenceError("crashed", f"its reader died of it (code {gone.code})")
            raise self._lost(keys, worker.ticks, died) from None
        finally:
            self._busy = False
            if not worker.reusable:
                self.close()
        match told["error"]:
            case None:
                return data
            case "system":
                raise OSError(told["message"]) from talk.unread
            case "needs_package":
                raise MissingPackageError(told["message"], told["what"])
            case _ if isinstance(talk.unread, OSError):  # pytsk3 makes another kind of error of it
                raise OSError(told["message"]) from talk.unread
            case _:
                raise RuntimeError(told["message"])

    def _lost(self, keys: Sequence[Hashable], ticks: int, why: EvidenceError, *, hung: bool = False) -> LostError:
        done = min(ticks, len(keys) - 1)
        lost = LostError(why, done, ticks)
        self._deaths.add(keys[done])
        if len(_deadly) >= _MOST_REMEMBERED:
            _deadly.clear()
            _hung.clear()
        _deadly[keys[done]] = lost
        _hung[self._root] += hung
        return lost

    def close(self) -> None:
        """Let go of the process."""
        worker, self._worker = self._worker, None
        if worker is not None:
            self._pool.give_back(worker)

    def __del__(self) -> None:
        self.close()


class _Many:
    """A long list that a parser told: each part is made and checked when it comes to it, as often as it is asked for.
    EvidenceError of kind ``crashed`` where it is none.
    """

    def __init__(self, told: bytearray, kind: Any) -> None:
        self._told, self._kind = told, kind

    def __iter__(self) -> Iterator[Any]:
        try:
            for part in wire.parse_each(self._told):
                yield wire.checked(self._kind, part)
        except wire.WireError as error:
            raise EvidenceError("crashed", "its reader gave nonsense") from error


class Reading:
    """Bytes that a parser gives with its method ``read``, as RandomAccess.

    ``which``: what that takes before the place. ``about``: as in ``Session.call`` (default: the place).
    """

    def __init__(self, session: Session, size: int, *which: object, about: Hashable = None) -> None:
        self._session, self._which, self._about = session, which, about
        self.size = size

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``offset``."""
        return in_pieces(self._ask, offset, min(size, self.size - offset), wire.MAX_READ)

    def _ask(self, offset: int, size: int) -> bytes:
        about = [self._about if self._about is not None else ("read", offset)]
        part: bytes = self._session.call("read", *self._which, offset, size, about=about, most_bytes=size)
        return part


_open: weakref.WeakSet[Session] = weakref.WeakSet()


def _close_oldest() -> None:
    """Where many sessions hold a process, let those go that were asked longest ago: one more is wanted."""
    held = [session for session in _open if session._worker is not None and not session._busy]
    for session in sorted(held, key=lambda session: session._used)[: max(0, len(held) + 1 - _MOST_OPEN)]:
        session.close()


@functools.cache
def _returned(parser: type, name: str) -> Any:
    return get_type_hints(getattr(parser, name), include_extras=True)["return"]
