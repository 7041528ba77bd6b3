"""A parser of a disk image that stays open in a process of its own, to be asked again and again.

The parser lives in ``imgmatch.parsers.tsk`` or ``imgmatch.parsers.libyal``. What kills it or holds it up costs the
question that was asked; the next one is put to a new process. The pipes are those of ``imgmatch.workers.process``.
"""

from __future__ import annotations

import itertools
import json
import os
import time
import weakref
from collections.abc import Hashable, Sequence
from typing import Any

from imgmatch.errors import EvidenceError, ImgmatchError
from imgmatch.limits import SourceLimits
from imgmatch.streams import LOCK, RandomAccess, one_line
from imgmatch.types import Evidence
from imgmatch.workers import process
from imgmatch.workers.pipe import MAX_READ

_MOST_DEATHS = 16
_MOST_OPEN = 8  # processes that hold a parser between two questions
_LEAST_SECONDS = 10
_MOST_REMEMBERED = 10_000
_MAX_ANSWER = 1 << 30
_uses = itertools.count()


class LostError(EvidenceError):
    """A question that a parser died of, or did not answer in time. ``done``: how many of what it was about had been
    dealt with; ``ticks``: how many steps the parser had told of.
    """

    def __init__(self, kind: str, message: str, done: int = 0, ticks: int = 0) -> None:
        super().__init__(kind, message)
        self.done, self.ticks = done, ticks


class _Memory:
    """Which questions are deadly, for as long as the program runs: an image is walked more than once."""

    def __init__(self) -> None:
        self._lost: dict[Hashable, LostError] = {}
        self._hung: dict[Hashable, int] = {}

    def get(self, key: Hashable) -> LostError | None:
        return self._lost.get(key)

    def add(self, root: Hashable, key: Hashable, error: LostError, hung: bool) -> None:
        if len(self._lost) >= _MOST_REMEMBERED:
            self._lost.clear()
            self._hung.clear()
        self._lost[key] = error
        if hung:
            self._hung[root] = self._hung.get(root, 0) + 1

    def patience(self, root: Hashable, seconds: float) -> float:
        """Halved each time that one outermost file held a parser up: all that it holds must end some time."""
        return max(1, min(_LEAST_SECONDS, seconds), seconds / 2 ** min(self._hung.get(root, 0), 30))


_memory = _Memory()


class Session:
    """``parser`` of ``imgmatch.parsers.__main__.PARSERS`` over the bytes of ``sources``, which lie in ``outer``.

    Safe to use from several threads, which take turns. It is opened when it is first called, and again where its
    process died or was needed elsewhere.
    """

    def __init__(self, parser: str, sources: Sequence[RandomAccess], outer: Evidence, limits: SourceLimits) -> None:
        self._parser, self._sources, self._limits = parser, sources, limits
        self._root = outer.locator.root, outer.modified_ns, outer.changed_ns
        self._place = parser, outer.locator, outer.modified_ns, outer.changed_ns
        self._deaths: set[Hashable] = set()
        self._worker: process.Worker | None = None
        self._busy = False
        self._used = 0

    @property
    def given_up(self) -> EvidenceError | None:
        """Why nothing more is asked of it, once so many questions were deadly."""
        if len(self._deaths) < _MOST_DEATHS:
            return None
        return EvidenceError("limit", f"its reader hung or died {_MOST_DEATHS} times; the rest is left")

    def call(
        self,
        name: str,
        *arguments: object,
        about: Sequence[Hashable] = (),
        extra_seconds: float = 0,
    ) -> Any:
        """The parser's answer to a question: what its method ``name`` returns.

        ``about``: what the question is about, one for each step of it; by this it is known again when it was deadly
        (default: the question itself). ``extra_seconds`` of processor time are granted beyond ``max_cpu_seconds``.

        Raises LostError of kind ``crashed`` or ``limit`` when the question was deadly, EvidenceError when too many were
        (``given_up``), OSError and RuntimeError as the parser does, and ImgmatchError for a package that is missing.
        """
        keys = [(self._place, key) for key in about or [(name, *arguments)]]
        with LOCK:
            if self.given_up is not None:
                raise self.given_up
            for done, key in enumerate(keys):
                if (lost := _memory.get(key)) is not None:
                    self._deaths.add(key)
                    raise LostError(lost.kind, str(lost), done, lost.ticks)
            seconds = _memory.patience(self._root, self._limits.max_cpu_seconds) + extra_seconds
            worker = self._attach(seconds)
            return self._ask(worker, {"call": name, "with": arguments}, seconds, keys)

    def _attach(self, seconds: float) -> process.Worker:
        if self._worker is not None and not self._worker.alive:  # died between two questions, of neither
            self._worker.end()
            self._worker = None
        self._used = next(_uses)
        if self._worker is None:
            key = self._place, "open"
            if (lost := _memory.get(key)) is not None:
                self._deaths.add(key)
                raise lost
            self._worker = _take()
            _open.add(self)
            request = {"open": self._parser, "sizes": [s.size for s in self._sources]}
            try:
                self._ask(self._worker, {**request, "memory": self._limits.max_memory_bytes}, seconds, [key])
            except BaseException:
                self.close()
                raise
        return self._worker

    def _ask(self, worker: process.Worker, request: dict[str, Any], seconds: float, keys: Sequence[Hashable]) -> Any:
        self._busy, answered = True, False
        deadline = time.monotonic() + 2 * seconds + 30
        worker.ticks = 0
        try:
            worker.say({**request, "seconds": seconds})
            while (heard := worker.hear())["say"] == "read":
                if time.monotonic() > deadline:
                    raise TimeoutError
                worker.give(self._sources, heard)
            if not 0 <= heard["size"] <= _MAX_ANSWER:
                raise ValueError("an answer without end")
            data = worker.take_bytes(heard["size"])
            answered = True
        except (BrokenPipeError, EOFError, TimeoutError) as error:
            if isinstance(error, TimeoutError) or worker.hung():
                message = f"its reader hung for more than {seconds:g} s (max_cpu_seconds)"
                raise self._lost(keys, worker.ticks, "limit", message, hung=True) from None
            raise self._lost(keys, worker.ticks, "crashed", f"its reader died of it (code {worker.code()})") from None
        except (ValueError, KeyError, TypeError) as error:
            raise EvidenceError("crashed", f"its reader gave nonsense ({one_line(error)})") from error
        finally:
            self._busy = False
            if not answered:
                worker.end()
                self._worker = None
        match heard["error"]:
            case None:
                return data if request.get("call") == "read" else json.loads(data)
            case "system":
                raise OSError(heard["message"])
            case "needs_package":
                raise ImgmatchError(heard["message"])
            case "memory":
                limit = self._limits.max_memory_bytes
                message = f"its reader needs more than max_memory_bytes ({limit:,})"
                worker.end()  # what could not be loaded may be missing there for good
                self._worker = None
                raise self._lost(keys, worker.ticks, "limit", message)
            case _:
                raise RuntimeError(heard["message"])

    def _lost(self, keys: Sequence[Hashable], ticks: int, kind: str, message: str, *, hung: bool = False) -> LostError:
        done = min(ticks, len(keys) - 1)
        lost = LostError(kind, message, done, ticks)
        self._deaths.add(keys[done])
        _memory.add(self._root, keys[done], lost, hung)
        return lost

    def close(self) -> None:
        """Let go of the process."""
        worker, self._worker = self._worker, None
        if worker is not None:
            process.give_back(worker)

    def __del__(self) -> None:
        self.close()


class Reading:
    """Bytes that a parser gives with its method ``read``, as RandomAccess.

    ``which``: what that takes before the place. ``about``: as in ``Session.call`` (default: the place).
    """

    def __init__(self, session: Session, size: int, *which: object, about: Hashable = None) -> None:
        self._session, self._which, self._about = session, which, about
        self.size = size

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``offset``."""
        parts = []
        size = min(size, self.size - offset)
        while size > 0:
            about = [self._about if self._about is not None else ("read", offset)]
            wanted = min(size, MAX_READ)
            part = self._session.call("read", *self._which, offset, wanted, about=about)
            if len(part) > wanted:
                raise EvidenceError("crashed", "its reader gave more than was asked for")
            parts.append(part)
            if len(part) < wanted:
                break
            offset += wanted
            size -= wanted
        return parts[0] if len(parts) == 1 else b"".join(parts)


_open: weakref.WeakSet[Session] = weakref.WeakSet()


def _take() -> process.Worker:
    """A process; where many hold a parser, those are closed that were asked longest ago."""
    held = [session for session in _open if session._worker is not None and not session._busy]
    for session in sorted(held, key=lambda session: session._used)[: max(0, len(held) + 1 - _MOST_OPEN)]:
        session.close()
    return process.take()


def _forget() -> None:
    """In a copy of the program: its processes are not those of the copy."""
    for session in _open:
        session._worker = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
