"""Groups of near-copies found beside the work, so that a large case never keeps a reviewer waiting."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from imgmatch.errors import ImgmatchError, UsageError
from imgmatch.types import ModelSpec
from indexer.case.case import Case
from indexer.search.copies import Copies
from indexer.search.groups import Group, groups

MAX_GROUPS = 5000


class _Stopped(Exception):  # noqa: N818
    pass


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the finding is. ``state``: none, running, done, bounded (more groups than are kept), failed."""

    state: str
    least: float
    done: int
    total: int
    groups: int
    pictures: int
    error: str = ""


class Stacks:
    """The groups of a case, found by one thread on request; the largest ``MAX_GROUPS`` or fewer first ones are kept."""

    def __init__(self, case: Case, spec: ModelSpec) -> None:
        self._case = case
        self._spec = spec
        self._found: list[Group] = []
        self._progress = Progress("none", 0.0, 0, 0, 0, 0)
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._lock = threading.Lock()

    def start(self, least: float) -> None:
        """Find anew, pairs of at least this similarity. Raises UsageError on a similarity that is none."""
        if not 0 < least <= 1:
            raise UsageError(f"{least} is no least similarity; give one above 0 and up to 1")
        self.stop()
        self._stop = threading.Event()
        self._found = []
        self._progress = Progress("running", least, 0, 0, 0, 0)
        self._thread = threading.Thread(target=self._run, args=(least, self._stop), name="stacks", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Break off, and wait until that has happened."""
        self._stop.set()
        self.wait()

    def wait(self) -> None:
        """Until what runs is through."""
        if self._thread is not None:
            self._thread.join()

    def progress(self) -> Progress:
        """How far it is."""
        return self._progress

    def page(self, start: int, count: int) -> list[Group]:
        """Groups from the ``start``-th on, those with the most pictures first."""
        with self._lock:
            ordered = sorted(self._found, key=lambda group: (-len(group.members), group.number))
        return ordered[start : start + count]

    def get(self, number: int) -> Group:
        """Raises UsageError when there is no such group."""
        with self._lock:
            for group in self._found:
                if group.number == number:
                    return group
        raise UsageError(f"group {number}: not known; find the groups again")

    def _run(self, least: float, stop: threading.Event) -> None:
        done = total = 0

        def told(_: str, now: int, of: int) -> None:
            nonlocal done, total
            done, total = now, of
            if stop.is_set():
                raise _Stopped
            self._set("running", least, done, total)

        arguments = {"least": least, "review": True}
        recorded = self._case.use("groups", arguments=arguments, model=self._spec, ends="groups_shown")
        try:
            with recorded as use:
                for group in groups(use, self._spec, Copies(use).told, least, progress=told):
                    with self._lock:
                        self._found.append(group)
                        full = len(self._found) >= MAX_GROUPS
                    if stop.is_set():
                        return
                    use.entry.counts = {"groups": len(self._found)}
                    self._set("running", least, done, total)
                    if full:
                        self._set("bounded", least, done, total)
                        return
            self._set("done", least, done, total)
        except _Stopped:
            return
        except ImgmatchError as error:
            self._set("failed", least, done, total, str(error))

    def _set(self, state: str, least: float, done: int, total: int, error: str = "") -> None:
        pictures = sum(len(group.members) for group in self._found) if state != "running" else 0
        self._progress = Progress(state, least, done, total, len(self._found), pictures, error)
