"""The first stage of ingest: what there is to read, in walk order."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator

from imgmatch.errors import SourceDiskError
from imgmatch.evidence import Walked
from imgmatch.locator import Locator
from imgmatch.types import Evidence, Issue
from indexer.intake.config import IngestReport
from indexer.intake.known import Listed
from indexer.intake.outcomes import Failed, Unread
from indexer.intake.said import Said

Entry = Evidence | Failed | Unread | Listed | Walked
Walk = Callable[..., Iterator[Evidence | Issue]]
"""As imgmatch.evidence.walk."""


def entries(
    said: Said, paths: Iterable[str | os.PathLike[str]], report: IngestReport, stop: threading.Event, walk: Walk
) -> Iterator[Entry]:
    """Walk all paths; leave out what this case has read before and what has not changed since. Containers that hash
    lists name come before what is in them, or without it. Places that had issues and have none any more are told of.
    ``walk`` walks one path, with all that it tells.
    """
    waiting: list[Listed | Walked] = []
    use, config = said.use, said.config
    had_issues = use.catalogue.issues.any()
    places = Places()

    def walked(place: Walked) -> None:
        if had_issues and use.catalogue.issues.stand_at(place.locator):
            waiting.append(place)

    def pass_over(found: Evidence, is_picture: bool) -> bool:
        passed, container = said.of_container(found, is_picture)
        if container is None:
            if passed and not is_picture:
                report.files += 1
                report.unchanged += 1
        elif container.erased:
            report.files += 1
            report.kept_out += 1
        else:
            waiting.append(container)
        return passed

    def left_out(place: str) -> None:
        report.excluded += 1

    def told() -> Iterator[Listed | Walked]:
        while waiting:
            one = waiting.pop(0)
            report.files += isinstance(one, Listed) and one.ignored  # else what is in it is counted
            yield one

    for path in paths:
        seen = walk(
            path, leave_out=use.path, options=config.sources, pass_over=pass_over, walked=walked, left_out=left_out,
            takes=config.still,
        )  # fmt: skip
        for found in seen:
            if stop.is_set():
                return
            yield from told()
            first = places.first(found)
            report.files += first
            if isinstance(found, Issue):
                if found.error == SourceDiskError.kind:
                    yield Unread(found.locator, found.message, beside=not first)
                    continue
                yield Failed(found, beside=not first)
                continue
            if said.is_unchanged(found):
                report.unchanged += 1
                continue
            yield found
        yield from told()


class Places:
    """Which places of a walk count as a file: each once. A file that is given, and of which a part can't be had, has
    issues beside; what can't be had at all may have several.
    """

    def __init__(self) -> None:
        self._outermost: Locator | None = None
        self._given: list[Locator] = []  # the last file that was given, below those that it lies in
        self._with_issues: set[Locator] = set()  # below the last outermost file

    def first(self, entry: Evidence | Issue) -> bool:
        """Is this the first that is met at its place? An issue of a file that is given comes behind it, and before
        anything that does not lie in it.
        """
        place = entry.locator
        if place.outermost != self._outermost:
            self._outermost = place.outermost
            self._given.clear()
            self._with_issues.clear()
        while self._given and not _within(place, self._given[-1]):
            self._given.pop()
        if isinstance(entry, Evidence):
            self._given.append(place)
            return True
        if place in self._with_issues or (self._given and self._given[-1] == place):
            return False
        self._with_issues.add(place)
        return True


def _within(place: Locator, outer: Locator) -> bool:
    at: Locator | None = place
    while at is not None and at != outer:
        at = at.parent
    return at is not None
