"""Evidence that was met, through reading, decoding and embedding, on all cores of a worker."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from imgmatch.errors import EvidenceError, SourceDiskError
from imgmatch.evidence.read import Content, hashed, only_this_file, read, reading
from imgmatch.types import Digests, Evidence, Issue
from indexer.intake.cluster.parcels import Answer, Asked, Event, OfContent, Read
from indexer.intake.cluster.station import Station
from indexer.intake.embedding import embed
from indexer.intake.outcomes import Failed, New, Prepared, Unread
from indexer.intake.reading import failed

# What of small files is held while the case is asked which of them are new; larger ones come alone.
_HELD_BYTES = 32 << 20

_Out = TypeVar("_Out")
Generated = Generator[list[Event] | tuple[Asked, ...], tuple[Answer, ...], _Out]
"""What gives events and asks questions, which are answered in their order."""


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """Evidence to be read, and as it is called elsewhere."""

    number: int
    evidence: Evidence
    seen: Evidence


@dataclass(frozen=True, slots=True)
class Batch:
    """Reads entries. ``named`` says an issue as it is said elsewhere."""

    station: Station
    named: Callable[[Issue], Issue]

    def read(self, entries: Sequence[Entry]) -> Generated[dict[int, Read]]:
        """What became of each, by its number."""
        done: dict[int, Read] = {}
        for group in _groups(entries):
            contents = dict(zip(group, self.station.map(self._content, group), strict=True))
            done |= {e.number: Read(None, met) for e, met in contents.items() if isinstance(met, Failed | Unread)}
            left = {entry: met for entry, met in contents.items() if isinstance(met, Content | Digests)}
            answers: dict[Entry, Answer] = dict.fromkeys(left, "read")
            if self.station.setup.asks and left:
                given = yield tuple(OfContent(entry.seen, _digests(met)) for entry, met in left.items())
                answers = dict(zip(left, given, strict=True))
            skipped = [entry for entry in left if answers[entry] == "skip"]
            done |= {entry.number: Read(_digests(left.pop(entry)), None) for entry in skipped}
            done |= self._made(left, {entry for entry in left if answers[entry] == "facts"})
        return done

    def _made(self, contents: dict[Entry, Content | Digests], facts: set[Entry]) -> dict[int, Read]:
        """Decoded and embedded, or only the ``facts``."""

        def decode(pair: tuple[Entry, Content | Digests]) -> Prepared | Read:
            entry, content = pair
            return self._decoded(entry, content, entry in facts)

        decoded = list(zip(contents, self.station.map(decode, list(contents.items())), strict=True))
        done = {entry.number: made for entry, made in decoded if isinstance(made, Read)}
        new = [(entry, made) for entry, made in decoded if isinstance(made, Prepared)]
        size = self.station.batch
        groups = [new[start : start + size] for start in range(0, len(new), size)]
        embedder = self.station.embedder
        outcomes = self.station.map(lambda group: embed([made for _, made in group], embedder), groups)
        for group, made in zip(groups, outcomes, strict=True):
            for (entry, prepared), outcome in zip(group, made, strict=True):
                assert isinstance(outcome, New | Failed)
                said = self._named(outcome) if isinstance(outcome, Failed) else outcome
                done[entry.number] = Read(prepared.digests, said)
        return done

    def _content(self, entry: Entry) -> Content | Digests | Failed | Unread:
        """The content of a file, or of a large one only the digests, where the case is asked about them."""
        limits = self.station.setup.config.all_limits
        try:
            if entry.evidence.size_bytes <= _HELD_BYTES:
                content = read(entry.evidence, limits, entry.evidence.size_bytes)
                lied = content.data is None and content.digests.size_bytes <= limits.picture.max_bytes
                return content.digests if lied else content
            return hashed(entry.evidence) if self.station.setup.asks else _NOT_HASHED
        except (EvidenceError, SourceDiskError) as error:
            return self._named(failed(entry.seen, error, None, ()))

    def _decoded(self, entry: Entry, content: Content | Digests, only_facts: bool) -> Prepared | Read:
        if isinstance(content, Content):
            return self._of(entry, content, only_facts)
        try:
            with reading(entry.evidence, self.station.setup.config.all_limits) as whole:
                return self._of(entry, whole, only_facts)
        except (EvidenceError, SourceDiskError) as error:
            return Read(None, self._named(failed(entry.seen, error, None, ())))

    def _of(self, entry: Entry, content: Content, only_facts: bool) -> Prepared | Read:
        decoding, setup = self.station.decoding, self.station.setup
        damage = tuple(map(self.named, content.damage()))
        try:
            with only_this_file(entry.evidence.locator, "decode"):
                if only_facts:
                    return Read(content.digests, None, decoding.facts(content, setup.facts_px))
                return dataclasses.replace(decoding.new(entry.seen, content, False), damage=damage)
        except (EvidenceError, SourceDiskError) as error:
            return Read(content.digests, self._named(failed(entry.seen, error, content.digests, damage)))

    def _named(self, outcome: Failed | Unread) -> Failed | Unread:
        """As it is said elsewhere."""
        if isinstance(outcome, Failed):
            return dataclasses.replace(outcome, issue=self.named(outcome.issue))
        return outcome


_NOT_HASHED = Digests("", "", "", 0)
"""Of a large file that is hashed as it is decoded."""


def _digests(met: Content | Digests) -> Digests:
    return met.digests if isinstance(met, Content) else met


def _groups(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Entries in their order, as many together as are small."""
    group: list[Entry] = []
    held = 0
    for entry in entries:
        size = entry.evidence.size_bytes
        if group and held + size > _HELD_BYTES:
            yield group
            group, held = [], 0
        group.append(entry)
        held += size
    if group:
        yield group
