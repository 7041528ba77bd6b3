"""The first stage of ingest: what there is to read, in walk order."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator

import imgmatch
from imgmatch.evidence import walk
from imgmatch.types import Evidence, Issue
from indexer.case.use import Use
from indexer.index.shelf import Shelf
from indexer.intake.config import IngestConfig, IngestReport
from indexer.intake.known import KnownFiles, Listed

Entry = Evidence | Issue | Listed


def entries(
    use: Use,
    paths: Iterable[str | os.PathLike[str]],
    known: KnownFiles,
    shelf: Shelf,
    config: IngestConfig,
    report: IngestReport,
    stop: threading.Event,
) -> Iterator[Entry]:
    """Walk all paths; leave out what this case has read before and what has not changed since. Containers that hash
    lists name come before what is in them, or without it.
    """
    named: list[Listed] = []

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
        named.append(container)
        return container.ignored

    def told() -> Iterator[Listed]:
        while named:
            report.files += named[0].ignored  # else what is in it is counted
            yield named.pop(0)

    for path in paths:
        for found in walk(path, leave_out=use.path, options=config.sources, pass_over=pass_over):
            if stop.is_set():
                return
            yield from told()
            report.files += 1
            if isinstance(found, Evidence) and not config.reread:
                before = shelf.unchanged(found, imgmatch.__version__, config.beyond)
                if before is not None:
                    report.unchanged += 1
                    continue
            yield found
        yield from told()
