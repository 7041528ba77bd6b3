"""The first stage of ingest: what there is to read, in walk order."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator

import imgmatch
from imgmatch.errors import SourceDiskError
from imgmatch.evidence import Walked, walk
from imgmatch.locator import Locator
from imgmatch.types import Evidence, Issue
from indexer.case.use import Use
from indexer.index.shelf import Shelf
from indexer.intake.config import IngestConfig, IngestReport
from indexer.intake.known import KnownFiles, Listed
from indexer.intake.outcomes import Failed, Unread

Entry = Evidence | Failed | Unread | Listed | Walked


def entries(
    use: Use,
    paths: Iterable[str | os.PathLike[str]],
    known: KnownFiles,
    shelf: Shelf,
    config: IngestConfig,
    report: IngestReport,
    stop: threading.Event,
    images: list[Evidence],
) -> Iterator[Entry]:
    """Walk all paths; leave out what this case has read before and what has not changed since. Containers that hash
    lists name come before what is in them, or without it. Places that had issues and have none any more are told of.
    ``images`` gets each disk image that is met.
    """
    waiting: list[Listed | Walked] = []
    had_issues = use.catalogue.issues.any()
    places = Places()

    def walked(place: Walked) -> None:
        if had_issues and use.catalogue.issues.stand_at(place.locator):
            waiting.append(place)

    def pass_over(found: Evidence, is_picture: bool) -> bool:
        # A picture is compared, and its hits are recorded, when it is read itself.
        if not is_picture and not config.reread and use.catalogue.listed.is_ignored(found):
            report.files += 1
            report.unchanged += 1
            return True
        container = known.of_container(found)
        if container is None:
            return False
        if is_picture:
            return container.ignored and not shelf.holds(container.digests.sha256)
        if container.erased:
            report.files += 1
            report.kept_out += 1
            return True
        waiting.append(container)
        return container.ignored

    def left_out(place: str) -> None:
        report.excluded += 1

    def told() -> Iterator[Listed | Walked]:
        while waiting:
            one = waiting.pop(0)
            report.files += isinstance(one, Listed) and one.ignored  # else what is in it is counted
            yield one

    for path in paths:
        seen = walk(
            path, leave_out=use.path, options=config.sources, pass_over=pass_over, walked=walked, image=images.append,
            left_out=left_out, takes=config.still,
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
            if not config.reread:
                before = shelf.unchanged(found, imgmatch.__version__, config.beyond)
                if before is not None:
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
