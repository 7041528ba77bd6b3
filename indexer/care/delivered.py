"""Taking in what was handed in to an encrypted case by its public key."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from imgmatch.errors import CaseError, UsageError
from indexer.care.access import opened
from indexer.care.merge import Merged, merge
from indexer.case.case import Case
from indexer.case.place import wipe_all
from indexer.case.summary import summary_fault
from indexer.index.protocol import Progress
from indexer.intake.delivery import deliveries


class Taken(NamedTuple):
    """A delivery that was taken in, or why it was not."""

    delivery: str
    merged: Merged | None
    why: str = ""


def take_in(case: Case, folders: list[Path] | None = None, *, progress: Progress | None = None) -> list[Taken]:
    """Add deliveries to a case as ``merge`` adds another case, and remove each that is in: those in its inbox, or
    ``folders`` that came by another way, which stay. Recorded, a merge each, with the head of the delivery's own log.

    One that can't be taken in stays where it is; why is said. Raises UsageError of a plain case, LockedError of who
    does not hold the key of its inbox.
    """
    ring, keys = opened(case)
    case.require("merge")
    identity = ring.inbox_identity(keys)
    taken = []
    for folder in folders if folders is not None else deliveries(case.path):
        try:
            with Case.open(folder, read_only=True, unlock=identity) as other:
                _require_whole(other)
                done = merge(case, other, progress=progress)
        except (CaseError, UsageError) as error:
            taken.append(Taken(str(folder), None, str(error)))
            continue
        if folders is None:
            wipe_all([folder])
        taken.append(Taken(str(folder), done))
    return taken


def _require_whole(delivery: Case) -> None:
    """Raises CaseError where its log, or what was kept of it in numbers, is not as it was sealed: the rest of it is
    proven as it is read.
    """
    for fault in [*delivery.log.verify().faults, summary_fault(delivery.place)]:
        if fault:
            raise CaseError(f"{fault}; ask for the delivery again")


def records(taken: list[Taken]) -> list[dict[str, Any]]:
    """What was taken in, a line a delivery."""
    numbers = ("items", "known", "sightings", "issues", "kept_out")
    return [
        {
            "delivery": one.delivery,
            **{name: getattr(one.merged, name) if one.merged else None for name in numbers},
            "why": one.why,
        }
        for one in taken
    ]
