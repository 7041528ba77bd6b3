"""What an ingest tells while it goes on and at its end: a log for programs, a line at times, a summary for people."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from cli.render.formats import size_text
from cli.render.notes import note
from imgmatch.errors import UsageError
from imgmatch.repeating import repeating
from imgmatch.times import utc

if TYPE_CHECKING:
    from imgmatch.types import Issue
    from indexer.intake.ingest import IngestReport

_TYPES = 8


class Journal:
    """A file of JSON Lines: ``event`` is start, progress, issue or end; ``time_utc`` and the figures stand beside it.

    It is added to. Where it can't be written any more that is said once, and the work goes on.
    """

    def __init__(self, file: IO[str] | None) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._begun = time.monotonic()

    def tell(self, event: str, **said: Any) -> None:
        """Add a line."""
        if self._file is None:
            return
        line = json.dumps({"event": event, "time_utc": utc(time.time()), **said}, sort_keys=False)
        with self._lock:
            try:
                self._file.write(line + "\n")
                self._file.flush()
            except (OSError, ValueError) as error:
                note(f"imgmatch: {self._file.name}: can't be written any more ({error}); the work goes on without it")
                self._file = None

    def issue(self, issue: Issue) -> None:
        """Add an issue."""
        at = {"locator": str(issue.locator), "path": issue.locator.path}
        self.tell("issue", stage=issue.stage, error=issue.error, what=issue.what, **at, message=issue.message)

    def figures(self, report: IngestReport) -> dict[str, Any]:
        """How far an ingest has come, and how fast it goes."""
        seconds = time.monotonic() - self._begun
        counts = report.counts()
        return {"seconds": round(seconds, 1), "files_per_s": round(counts["files"] / max(seconds, 1e-3), 1), **counts}


@contextmanager
def journal(path: Path | None, sources: Sequence[Path] = ()) -> Iterator[Journal]:
    """The log that is asked for, or one that nothing is written to. Raises UsageError where it can't be written, and
    where it would lie in what is read.
    """
    if path is None:
        yield Journal(None)
        return
    place = os.path.realpath(path)
    for source in sources:
        if os.path.commonpath([os.path.realpath(source), place]) == os.path.realpath(source):
            raise UsageError(f"{path}: lies in {source}, which is only read; choose another place for --log")
    try:
        with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            yield Journal(file)
    except OSError as error:
        raise UsageError(f"{path}: can't be written ({error.strerror}); choose another place for --log") from error


@contextmanager
def beats(report: Callable[[], IngestReport | None], log: Journal, every_s: float, *, said: bool) -> Iterator[None]:
    """Tell now and then how far the work has come, also while it stands at one file: in the log, and on standard error
    where that is ``said``.
    """

    def beat() -> bool:
        if (now := report()) is not None:
            figures = log.figures(now)
            log.tell("progress", **figures)
            if said:
                rate, took = figures["files_per_s"], _length(figures["seconds"])
                more = f"{now.new_items:,} new, {now.unusable:,} unusable"
                note(f"ingest: {now.files:,} files in {took}, {rate:g} files/s; {more}")
        return True

    with repeating(beat, every_s, "heartbeat"):
        yield


def summary(case: Path, report: IngestReport, totals: Mapping[str, int], seconds: float) -> str:
    """What an ingest did, for a person: how much, how fast, what of it, and what to do next."""
    rate = f"{report.files / max(seconds, 1e-3):,.1f} files/s"
    lines = [f"{report.files:,} files, {size_text(report.read_bytes)} read, in {_length(seconds)}: {rate}"]
    broken = report.issues
    told = (
        (report.new_items, "new pictures"),
        (report.known, "further places of known pictures"),
        (report.unchanged, "unchanged since they were read"),
        (report.ignored, "left out by hash lists"),
        (report.kept_out, "kept out: erased from this case"),
        (report.excluded, "files and folders passed over by --exclude"),
        (report.not_pictures, f"no pictures ({types(report.not_picture_types)})"),
        (broken, f"could not be used ({_kinds(report)})"),
        (report.unread, "could not be read from their disk"),
        (report.labelled, "rows of the label table and the manifest set"),
        (report.partial, "of the pictures are damaged, and read as far as they go"),
    )
    lines += [f"  {count:>12,}  {what}" for count, what in told if count]
    held = f"The case holds {totals['items']:,} pictures at {totals['sightings']:,} places"
    lines.append(f"{held}; {totals['issues'] - totals['not_pictures']:,} files or parts of files could not be used.")
    if report.interrupted:
        following = "the same command goes on where it stopped"
    elif broken or report.unread:
        following = f"imgmatch issues {case} --by kind; imgmatch search {case} PICTURE"
    else:
        following = f"imgmatch search {case} PICTURE"
    return "\n".join([*lines, f"Next: {following}", ""])


def types(counted: Mapping[str, int]) -> str:
    """How many of each type, the most frequent first: ``pdf 23, txt 17, 4 others``."""
    ordered = sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))
    shown = [f"{name} {count:,}" for name, count in ordered[:_TYPES]]
    rest = sum(count for _, count in ordered[_TYPES:])
    return ", ".join([*shown, *([f"{rest:,} others"] if rest else [])])


def _kinds(report: IngestReport) -> str:
    simply = 0 if report.only_pictures else report.not_pictures
    kinds = {**report.issue_kinds, "not_a_picture": report.issue_kinds.get("not_a_picture", 0) - simply}
    return types({kind: count for kind, count in kinds.items() if count > 0})


def _length(seconds: float) -> str:
    whole = int(seconds)
    if whole < 60:
        return f"{seconds:.1f} s"
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {whole % 60:02} s"
