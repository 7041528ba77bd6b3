"""What the disk images of an ingest say of themselves, into the case."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from imgmatch.errors import EvidenceError, ImgmatchError, raise_if_machine
from imgmatch.evidence import SourceOptions
from imgmatch.evidence.stated import state
from imgmatch.types import Evidence
from indexer.case.run import Run
from indexer.catalogue.clock import now_utc


def note_containers(run: Run, images: Iterable[Evidence], options: SourceOptions) -> int:
    """Keep what each image says, of those that the case does not know as they are; returns how many were new. What
    can't be opened has its issue from the walk.
    """
    count = 0
    options = replace(options, inside=True)
    for image in images:
        if run.catalogue.containers.unchanged(image):
            continue
        try:
            said = state(image, options)
        except (EvidenceError, ImgmatchError) as error:
            raise_if_machine(error)
            continue
        with run.catalogue.transaction() as writer:
            facts = (said.facts, said.hashes)
            writer.containers.add(image, said.kind, said.size_bytes, facts, (now_utc(), run.run_id))
        count += 1
    return count
