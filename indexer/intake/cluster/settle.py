"""What a case makes of what its workers say: answers to their questions, and the end of each file's way."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from imgmatch.errors import MachineError
from imgmatch.types import Evidence
from indexer.intake.cluster.parcels import Answer, Asked, OfContainer, OfContent, OfFile, Opened, Read, stub
from indexer.intake.delivered import Delivered
from indexer.intake.outcomes import Known, New, Outcome, Unread
from indexer.intake.said import Said

_OTHERWISE = "a worker was told that the case knows it, and it does not; please report it"


def delivered(seen: Evidence, read: Read | None) -> Delivered:
    """Evidence with what became of it elsewhere."""
    fields = {field.name: getattr(seen, field.name) for field in dataclasses.fields(Evidence)}
    return Delivered(**fields, digests=None if read is None else read.digests, made=read)


def opened(container: Opened) -> Delivered:
    """A container that was asked about."""
    return delivered(container.evidence, Read(container.digests, None))


@dataclass(frozen=True, slots=True)
class Settling:
    """Settles one thing after another by what the case says at that moment, as an ingest on one machine would."""

    said: Said

    def answer(self, asked: Asked) -> Answer:
        """The answer to a worker's question. What is committed meanwhile can only make it do too much."""
        match asked:
            case OfFile():
                return self.said.is_unchanged(asked.evidence)
            case OfContainer():
                return self.said.of_container(opened(asked.opened), asked.opened.is_picture)[0]
            case OfContent():
                done = self.said.of(asked.evidence, asked.digests, lambda: None)
                if done is None:
                    return "read"
                return "facts" if isinstance(done, Known) and self.said.lacks_facts(asked.digests) else "skip"

    def outcome(self, found: Delivered) -> Outcome:
        """What becomes of evidence that a worker read."""
        read = found.made
        if not isinstance(read, Read):
            raise MachineError(f"{found.locator}: {_OTHERWISE}")
        seen = stub(found, found.locator)
        if isinstance(read.outcome, Unread):
            return read.outcome
        if read.digests is not None:
            done = self.said.of(seen, read.digests, lambda: read.facts)
            if done is not None:
                return done
        if read.outcome is None:
            raise MachineError(f"{found.locator}: {_OTHERWISE}")
        if isinstance(read.outcome, New):
            deepens = self.said.deepens(read.outcome.digests)
            return dataclasses.replace(read.outcome, deepens=deepens, faces=None if deepens else read.outcome.faces)
        return read.outcome
