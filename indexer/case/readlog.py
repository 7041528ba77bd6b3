"""Reading an audit log: of a case that is open, or of one of which somebody holds the key of the log alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from imgmatch.errors import CaseError
from imgmatch.vault.lines import LogFile
from imgmatch.vault.unlock import Unlock
from indexer.case.chain import FIRST, Head, Met, Verified, lines_of, verify
from indexer.case.place import AUDIT, found
from indexer.case.redaction import legible
from indexer.case.summary import summary_in


class LogReads:
    """What can be read of a log's file."""

    def __init__(self, file: LogFile) -> None:
        self.path = file.path
        self.file = file

    def entries(
        self, *, since: str | None = None, action: str | None = None, last: int | None = None
    ) -> Iterator[dict[str, Any]]:
        """Entries in their order: from a time (ISO 8601, UTC, any beginning of it) on, of one action, the last few.

        A line that is no entry comes as one with ``action`` "unreadable" and the line. Raises CaseError where the log
        can't be read.
        """
        found = (
            entry
            for entry in self._all()
            if entry["action"] == "unreadable"
            or (
                (since is None or str(entry.get("time_utc", "")) >= since)
                and (action is None or entry["action"] == action)
            )
        )
        yield from found if last is None else deque(found, maxlen=last)

    def copy_to(self, file: IO[bytes]) -> int:
        """Write every line as it stands, for ``verify_copy``; returns how many. Raises CaseError where the log can't be
        read.
        """
        try:
            with self.file.open() as log:
                return sum(bool(file.write(line)) for line in lines_of(log, 1 << 62))
        except OSError as error:
            raise self._unreadable(error) from error

    def _all(self) -> Iterator[dict[str, Any]]:
        try:
            with self.file.open() as file:
                for line in lines_of(file, 1 << 62):
                    try:
                        entry = legible(line)
                        yield {**entry, "action": str(entry["action"])}
                    except (ValueError, TypeError, KeyError, RecursionError):
                        text = line[:99_999].decode("ascii", "backslashreplace").rstrip("\n")
                        yield {"action": "unreadable", "line": text}
        except OSError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: OSError) -> CaseError:
        return CaseError(f"{self.path}: the audit log can't be read ({error.strerror})")


class LogAlone(LogReads):
    """The log of an encrypted case, for who holds its key and not that of the catalogue: an auditor. Never writes."""

    def __init__(self, folder: Path, file: LogFile, case_id: str, numbers: dict[str, Any]) -> None:
        super().__init__(file)
        self.folder = folder
        self.case_id = case_id
        self.numbers = numbers
        """The case in numbers, as whoever closed it last left them for who reads the log."""

    def verify(self, expect: Iterable[Head] = (), met: Met | None = None) -> Verified:
        """As ``AuditLog.verify``, but that the catalogue is not asked: a cut at the end is told by a receipt alone."""
        try:
            with self.file.open() as file:
                lines = lines_of(file, self.file.size())
                found = verify(str(self.path), lines, None, expect, met=met, alone=True)
        except OSError as error:
            raise self._unreadable(error) from error
        found.notes.append("your key opens the log alone: a cut at its end is told by a receipt, not by the catalogue")
        return found

    def head(self) -> Head:
        """The last entry of the file."""
        return self.verify().head if self.file.exists() else Head(0, FIRST)


def log_alone(folder: Path, unlock: Unlock | None = None) -> LogAlone | None:
    """The log of an encrypted case whose catalogue does not open to whoever asks; None of every other case. Raises
    CaseError where there is none, and LockedError.
    """
    place = found(folder, unlock)
    if place.keys is None or place.keys.has("catalogue"):
        return None
    seal = place.keys.of("log")
    return LogAlone(folder, LogFile(place.room / AUDIT, seal), seal.case_id, summary_in(place.room, seal))
