"""Whether a run goes on, and how it ended: told by what holds its lock, not by a number that another process may have.

A run holds ``run.lock`` as long as its process lives; the system lets go of it however that ends. So a run that the
catalogue calls running, and whose lock nobody holds, was cut off. While it runs, a file of its own keeps a little room
on the disk: where that is full, its end can still be told.
"""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imgmatch.errors import ImgmatchError
from indexer.index.disk import locked

LOCK = "run.lock"
RESERVE = "run.reserve"
_RESERVED_BYTES = 1 << 20
STATES = ("running", "finished", "interrupted", "failed")


class Stopped(SystemExit):
    """A signal tells the program to end: ``by`` is its name."""

    def __init__(self, by: str, code: int) -> None:
        super().__init__(code)
        self.by = by


@dataclass(frozen=True, slots=True)
class RunState:
    """What is to be said of a run: one of STATES, and why it is not finished."""

    state: str
    why: str = ""

    def __str__(self) -> str:
        return f"{self.state} ({self.why})" if self.why else self.state


class _Room:
    """A file that keeps room on the disk for the last words of a run."""

    def __init__(self, path: Path) -> None:
        self._path = path / RESERVE
        with contextlib.suppress(OSError), self._path.open("wb") as file:
            file.write(bytes(_RESERVED_BYTES))
            file.flush()
            os.fsync(file.fileno())

    def free(self) -> None:
        """Give the room back."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)


@contextmanager
def held(path: Path) -> Iterator[_Room]:
    """Hold a case's lock of runs, and some room on its disk, while the block runs."""
    with (path / LOCK).open("ab") as file, locked(file, shared=True):
        room = _Room(path)
        try:
            yield room
        finally:
            room.free()


def this_process() -> dict[str, Any]:
    """Which process this is, for a person: its number, its machine, and when that was started."""
    return {"pid": os.getpid(), "host": platform.node(), "boot": _boot()}


def ending(error: BaseException | None, stopped: str) -> tuple[str, str]:
    """State and reason of a run that ends with an error, or was stopped, or is done."""
    if error is None or isinstance(error, GeneratorExit):
        return ("interrupted", f"stopped by {stopped}") if stopped else ("finished", "")
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", f"stopped by {stopped or 'Ctrl-C'}"
    if isinstance(error, SystemExit):
        return "interrupted", f"stopped by {error.by}" if isinstance(error, Stopped) else "the program ended itself"
    text = str(error).strip() or type(error).__name__
    return "failed", text if isinstance(error, ImgmatchError) else f"internal error ({type(error).__name__}: {text})"


def state_of(path: Path, run: Mapping[str, Any]) -> RunState:
    """What became of a run, as its row in the catalogue and the lock of its case tell. Never writes."""
    state, why = run["state"], run["why"]
    if state in STATES and state != "running":
        return RunState(state, why)
    if state is None:  # of a format that did not keep it
        told = RunState("finished") if run["finished_utc"] else None
        return told or RunState("interrupted", "it never came to its end")
    process = run["process"] or {}
    who = f"process {process.get('pid')} on {process.get('host')}"
    if process.get("host") != platform.node():
        if _is_held(path):
            return RunState("running", who)
        return RunState("interrupted", f"nothing here holds its case, and {who} can't be seen from here")
    if _is_held(path):
        return RunState("running", who)
    if process.get("boot") != _boot():
        return RunState("interrupted", f"{who} is gone: the machine was restarted or went down")
    return RunState("interrupted", f"{who} is gone: it was killed")


def _is_held(path: Path) -> bool:
    try:
        with (path / LOCK).open("rb") as file, locked(file, wait=False):
            return False
    except BlockingIOError:
        return True
    except OSError:  # there never was one
        return False


def _boot() -> str:
    """Which start of this machine it is; "" where the system does not say."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""
