"""The audit log of a case: JSON Lines, each entry holding the SHA-256 of the line before, so that a change shows.

The chain alone says nothing of its end, so the catalogue keeps the number and hash of the last entry too. An entry is
first committed there, together with what it tells of where that is a change of the catalogue, with its whole line, and
then written to the log. The catalogue is forced to disk with each entry, the log only now and then and at the end of
the use: until then its last lines wait in the catalogue too. So a kill or a pulled plug leaves lines that the catalogue
still holds, which the next use writes out, and never anything that looks like a cut. All appending happens under the
catalogue's write lock. Entries of threads that wait for one another are committed together.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import imgmatch
from imgmatch.errors import CaseError
from imgmatch.locator import readable
from imgmatch.vault.lines import LogFile
from indexer.case.account import account, declared
from indexer.case.chain import FIRST, Head, Met, Verified, lines_of, place_of, verify
from indexer.case.readlog import LogReads
from indexer.case.redaction import digest, line_of, redacted
from indexer.catalogue import Catalogue, LogState, Writer
from indexer.catalogue.clock import now_utc
from indexer.index.disk import sync_folder

EMPTY = LogState(0, FIRST, 0)
_LOOKED_AT_BYTES = 1 << 17
_MOST_WAITING_BYTES = 16_000
"""The catalogue writes all that waits again with each entry: more than this costs more than forcing the log to disk."""


@dataclass(slots=True)
class _Waiting:
    """An entry that a thread waits for: what came of it."""

    action: str
    fields: Mapping[str, Any]
    head: Head | None = None
    error: BaseException | None = None


class AuditLog(LogReads):
    """The log of one case: its file, and its head in the catalogue."""

    def __init__(self, path: Path, catalogue: Catalogue) -> None:
        super().__init__(LogFile(path, catalogue.seal("log")))
        self._catalogue = catalogue
        self._unsettled = False
        self._turn, self._queue = threading.Lock(), threading.Lock()
        self._waiting: list[_Waiting] = []
        self.wrote = False
        """Was an entry committed through this?"""
        self.own: list[int] = []
        """The numbers of the entries that were committed through this, and not signed yet."""

    def append(self, action: str, fields: Mapping[str, Any]) -> Head:
        """Add one entry; it is on disk, in the catalogue or in the log, when this returns. Raises CaseError where that
        can't be done: use that leaves no trace is none. ``fields`` must be what ``json`` can write; text that is not
        Unicode is escaped.
        """
        one = _Waiting(action, fields)
        with self._queue:
            self._waiting.append(one)
        with self._turn:  # whoever gets it writes what waits by then, also for the others
            if one.head is None and one.error is None:
                self._append_waiting()
        if one.head is None:
            raise one.error or AssertionError("neither written nor failed")
        return one.head

    def _append_waiting(self) -> None:
        with self._queue:
            together, self._waiting = self._waiting, []
        try:
            with self._catalogue.log_transaction() as writer:
                made = [self.add(writer, one.action, one.fields) for one in together]
            self.own += [head.entry for head in made]
            self.write_out()
        except BaseException as error:  # noqa: BLE001  (of all of them: raised where each waits)
            for one in together:
                one.error = error
            return
        for one, head in zip(together, made, strict=True):
            one.head = head

    def add(self, writer: Writer, action: str, fields: Mapping[str, Any]) -> Head:
        """Add one entry inside a transaction: it is committed with it or not at all. Call ``write_out`` afterwards."""
        try:
            state, fault = self._now(writer)
        except OSError as error:
            raise _unrecorded(self.path, error) from error
        if fault is not None:
            # Seen and said, once; use goes on, since the broken chain itself stays as it is for everyone to find.
            fields = {**fields, "log_fault": fault}
        entry = {
            **fields,
            "entry": state.entry + 1,
            "time_utc": now_utc(),
            "actor": account(),
            **({} if (called := declared()) is None else {"declared": readable(called)}),
            "action": action,
            "version": imgmatch.__version__,
            "before": state.sha256,
        }
        self.wrote = True
        line = line_of(entry)
        head = Head(state.entry + 1, digest(line))
        writer.custody.set_log_state(replace(state, entry=head.entry, sha256=head.sha256, waiting=state.waiting + line))
        return head

    def write_out(self) -> None:
        """Write entries that wait to the log, whatever part of them is there already."""
        self._write_out(_MOST_WAITING_BYTES)

    def settle(self) -> None:
        """Force to disk what this log wrote; nothing waits then."""
        if self._unsettled:
            self._write_out(0)

    def _write_out(self, most_waiting: int) -> None:
        try:
            with self._catalogue.log_transaction(durable=False) as writer:
                self._settle(writer, most_waiting)
        except OSError as error:
            raise _unrecorded(self.path, error) from error

    def _settle(self, writer: Writer, most_waiting: int) -> None:
        state = writer.custody.log_state()
        if state is None or not state.waiting:
            self._unsettled = False
            return
        new = not self.file.exists()
        with self.file.open(adding=True) as file:
            rest = _after(file, state.settled_bytes, len(state.waiting))
            as_left = rest is not None and state.waiting.startswith(rest)
            if rest is not None and as_left:
                file.write(state.waiting[len(rest) :])
            else:  # somebody changed the log: nothing of it is touched, and the chain shows it
                file.write((b"" if _ends_whole(file) else b"\n") + state.waiting)
            file.flush()
            self._unsettled = as_left and not new and len(state.waiting) <= most_waiting
            if self._unsettled:
                return
            os.fsync(file.fileno())
            size = file.seek(0, os.SEEK_END)
        if new:
            sync_folder(self.path.parent)
        writer.custody.set_log_state(replace(state, settled_bytes=size, waiting=b""))

    def redact(self, names_something: Callable[[dict[str, Any], str, str], bool]) -> set[int]:
        """Take texts out of entries that were written, so that the chain still holds: those of which
        ``names_something`` (entry, way of the text in it, the text) says so. Returns the numbers of these entries.

        The log is replaced by one as long, all at once. Raises CaseError where that can't be done.
        """
        changed: set[int] = set()
        draft = self.path.with_name(f".{self.path.name}.part")
        try:
            with self._catalogue.log_transaction(durable=False) as writer:
                self._settle(writer, 0)
                draft.unlink(missing_ok=True)  # of one that was killed
                with self.file.open() as file, self.file.at(draft).open(adding=True) as new:
                    for line in lines_of(file, 1 << 62):
                        less = redacted(line, names_something)
                        if less != line and (place := place_of(line)) is not None:
                            changed.add(place[0])
                        new.write(less)
                    new.flush()
                    os.fsync(new.fileno())
                if changed:
                    os.chmod(draft, self.path.stat().st_mode)
                    os.replace(draft, self.path)
                    sync_folder(self.path.parent)
        except OSError as error:
            raise _unrecorded(self.path, error) from error
        finally:
            draft.unlink(missing_ok=True)
        return changed

    def adopt(self) -> None:
        """Keep the head of the log from now on: of a case of a format that kept none."""
        with self._catalogue.log_transaction() as writer:
            if writer.custody.log_state() is None:
                state, _ = _adopted(self.file)
                writer.custody.set_log_state(state)

    def head(self) -> Head:
        """The last entry, as the catalogue has it; where it has lost it, as the log has it."""
        state = self._catalogue.custody.log_state()
        if state is None:
            state = _adopted(self.file)[0]
        return Head(state.entry, state.sha256)

    def verify(self, expect: Iterable[Head] = (), met: Met | None = None) -> Verified:
        """Find every fault: an edited, missing, added or moved entry anywhere, a cut at the end, a head that was noted
        (``expect``) and does not fit. Never writes. ``met`` is told of each entry.
        """
        before = self._catalogue.custody.log_state()
        while True:
            try:
                size = self.file.size()
            except OSError:
                size = -1
            now = self._catalogue.custody.log_state()
            if now == before:  # else another process was just writing
                break
            before = now
        if size < 0:
            why = f"{self.path}: the audit log is missing or can't be read"
            nothing = now is not None and (now.entry == 0 or now.settled_bytes == 0)
            return Verified(Head(0, FIRST), [] if nothing and not list(expect) else [why])
        with self.file.open() as file:
            return verify(str(self.path), lines_of(file, size), now, expect, met=met)

    def suspect(self) -> str | None:
        """The first fault of the log, as far as its last part tells, which is soon read; never writes."""
        size = self.file.size() if self.file.exists() else 0
        if size <= _LOOKED_AT_BYTES:
            return next(iter(self.verify().faults), None)
        state = self._catalogue.custody.log_state()
        with self.file.open() as file:
            file.seek(size - _LOOKED_AT_BYTES)
            lines = list(lines_of(file, _LOOKED_AT_BYTES - len(file.readline())))
        place = place_of(lines[0]) if lines else None
        after = Head(place[0] - 1, place[1]) if place else Head(0, FIRST)
        return next(iter(verify(str(self.path), lines, state, after=after).faults), None)

    def _now(self, writer: Writer) -> tuple[LogState, str | None]:
        """The state to go on from, and what is wrong with the file at a glance: its length and its last entry."""
        state = writer.custody.log_state()
        if state is None:
            state, fault = _adopted(self.file)
            return state, fault or ("the catalogue had lost the log's head" if state.entry else None)
        if not self.file.exists():
            return state, "the log was missing" if state.settled_bytes else None
        with self.file.open() as file:
            rest = _after(file, state.settled_bytes, len(state.waiting))
            if rest is None:
                return state, "the log was shorter than when it was last written"
            if not state.waiting.startswith(rest):
                return state, "the log held more than was written to it"
            if not state.waiting and digest(_tail(file)) != state.sha256 and state.entry:
                return state, "the log's last entry was not the one that was written"
        return state, None


def _adopted(log: LogFile) -> tuple[LogState, str | None]:
    """The state of a log that the catalogue knows nothing of, and what is wrong with its chain."""
    if not log.exists():
        return EMPTY, None
    size = log.size()
    with log.open() as file:
        found = verify(log.path.name, lines_of(file, size), None)
    fault = f"{found.faults[0]} ({len(found.faults)} faults when its head was first kept)" if found.faults else None
    return LogState(found.head.entry, found.head.sha256, size), fault


def _after(file: IO[bytes], start: int, most: int) -> bytes | None:
    """What stands after a place, a little more than ``most`` bytes at most; None where the file ends before it."""
    if file.seek(0, os.SEEK_END) < start:
        return None
    file.seek(start)
    return file.read(most + 1)


def _ends_whole(file: IO[bytes]) -> bool:
    size = file.seek(0, os.SEEK_END)
    if not size:
        return True
    file.seek(size - 1)
    return file.read(1) == b"\n"


def _tail(file: IO[bytes]) -> bytes:
    """The last line, read from the end: the log grows for years."""
    size = file.seek(0, os.SEEK_END)
    block = b""
    while size > 0 and block.count(b"\n") < 2:
        step = min(4096, size)
        size = file.seek(size - step)
        block = file.read(step) + block
    return block.rstrip(b"\n").rpartition(b"\n")[2] + b"\n" if block else b""


def _unrecorded(path: Path, error: OSError) -> CaseError:
    return CaseError(f"{path}: this use can't be recorded ({error.strerror}); check disk space and rights")
