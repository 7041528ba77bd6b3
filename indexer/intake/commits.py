"""The last stage of ingest: every outcome is counted, and put where it belongs in the next commit."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence

from imgmatch.errors import SourceDiskError
from imgmatch.evidence import Walked
from imgmatch.match.regions import THOROUGH
from imgmatch.types import Digests, Evidence, Issue
from indexer.case.case import Case
from indexer.case.compact import join_small
from indexer.case.run import Batch, NewItem, Run
from indexer.catalogue import ListHit, plainly_no_picture
from indexer.index.remote import follow_commit
from indexer.index.shelf import Shelf
from indexer.intake.config import IngestConfig, IngestReport
from indexer.intake.known import Alert, KnownFiles, Listed
from indexer.intake.outcomes import Failed, Ignored, KeptOut, Known, New, Outcome, Unread

# Commits between two joinings of their segments: 128 of 512 items fill one.
_JOIN_EVERY = 128


class Commits:
    """What a run adds to a case, ``items`` new items or eight times as many other outcomes at a time."""

    def __init__(
        self,
        case: Case,
        run: Run,
        shelf: Shelf,
        known: KnownFiles,
        report: IngestReport,
        config: IngestConfig,
        tell: Callable[[Issue], None],
    ) -> None:
        self._case, self._run, self._shelf = case, run, shelf
        self._known, self.report, self._items = known, report, config.commit_items
        self._only_pictures, self._tell = config.only_pictures, tell
        self._batch = Batch()
        self._done = 0
        self._following = True
        # What could not be embedded: of each content the next sighting was taken for a further one.
        self._lost: dict[str, Issue] = {}

    def add_all(self, outcomes: Iterable[Outcome]) -> None:
        """As ``add``, of one after the other."""
        for outcome in outcomes:
            self.add(outcome)

    def add(self, outcome: Outcome) -> None:
        """Count an outcome; commits when there are enough of them."""
        match outcome:
            case Listed():
                self._listed(outcome)
            case Walked():
                self._batch.walked.append(outcome)
            case Failed():
                self._failed(outcome)
            case Unread():
                self.report.disk_fault(outcome.locator, outcome.why, beside=outcome.beside)
                self._tell(Issue(outcome.locator, "read", SourceDiskError.kind, outcome.why))
            case Ignored():
                self._read(outcome.evidence, outcome.digests, ignored=True)
                self.report.ignored += 1
            case KeptOut():
                self.report.kept_out += 1
            case Known():
                self._known_again(outcome)
            case New():
                self._new(outcome)
        if len(self._batch.items) >= self._items or len(self._batch) >= 8 * self._items:
            self.flush()

    def flush(self) -> None:
        """Commit what there is."""
        if not len(self._batch):
            return
        new = self._run.commit(self._batch, self._shelf)
        self._batch = Batch()
        self._done += 1
        if self._done % _JOIN_EVERY == 0:
            join_small(self._case)
        self.report.new_items += new["items"]
        self.report.new_sightings += new["sightings"]
        self.report.new_issues += new["issues"]
        self.report.partial += new["partial"]
        self._following = self._following and follow_commit(self._case.shelves())

    def _new(self, outcome: New) -> None:
        self._damage(outcome.damage)
        self._read(outcome.evidence, outcome.digests)
        self._batch.facts.append((outcome.digests.sha256, outcome.facts))
        self.report.partial += outcome.image.partial is not None and not outcome.deepens
        self.report.known += outcome.deepens
        self.report.deepened += outcome.deepens
        vector = None if outcome.deepens else outcome.vector
        profile = None if outcome.regions is None else THOROUGH
        regions = outcome.regions or ()
        if outcome.faces is not None:
            self.report.faces = (self.report.faces or 0) + len(outcome.faces)
        self._batch.items.append(
            NewItem(outcome.digests, outcome.image, vector, [outcome.evidence], regions, profile, outcome.faces)
        )

    def _known_again(self, outcome: Known) -> None:
        lost = self._lost.get(outcome.digests.sha256)
        if lost is not None:
            issue = dataclasses.replace(lost, locator=outcome.evidence.locator)
            self._failed(Failed(issue, outcome.evidence, outcome.digests))
            return
        self._read(outcome.evidence, outcome.digests)
        if outcome.facts is not None:
            self._batch.facts.append((outcome.digests.sha256, outcome.facts))
        self.report.known += 1
        self._batch.seen.append((outcome.digests.sha256, outcome.evidence))

    def _failed(self, outcome: Failed) -> None:
        sha256, plain = None, plainly_no_picture(outcome.issue)
        if outcome.evidence is not None and outcome.digests is not None:
            sha256 = outcome.digests.sha256
            if not (self._only_pictures and plain):
                self._read(outcome.evidence, outcome.digests, ignored=False)
            if outcome.issue.stage == "embed":
                self._lost[sha256] = outcome.issue
        self._damage(outcome.damage)
        if plain and not outcome.beside:
            types = self.report.not_picture_types
            types[outcome.issue.what] = types.get(outcome.issue.what, 0) + 1
            self.report.not_pictures += 1
            if self._only_pictures:
                return
        self._tell(outcome.issue)
        self.report.unusable += not outcome.beside
        self._batch.issues.append((outcome.issue, sha256, outcome.evidence, outcome.beside))

    def _damage(self, issues: Sequence[Issue]) -> None:
        """What of a disk image was met as damaged is said of the image, beside what it means for the file."""
        self._batch.issues += [(issue, None, None, True) for issue in issues]

    def _listed(self, outcome: Listed) -> None:
        """Record which lists name a container, and count it where it is left out; else what is in it is counted."""
        self._alert(outcome.evidence, outcome.new)
        self._batch.listed.append((outcome.digests, outcome.evidence, outcome.hits, outcome.ignored))
        if outcome.ignored:
            self.report.ignored += 1
            self.report.read_bytes += outcome.digests.size_bytes

    def _read(self, evidence: Evidence, digests: Digests, ignored: bool | None = None) -> None:
        """Count what was read, and what alert lists name; of what becomes no item (``ignored`` says why), record which
        lists name it: of items they always tell.
        """
        self.report.read_bytes += digests.size_bytes
        hits = self._known.of(digests)
        self._alert(evidence, hits)
        if hits and ignored is not None:
            self._batch.listed.append((digests, evidence, hits, ignored))

    def _alert(self, evidence: Evidence, hits: Iterable[ListHit]) -> None:
        self.report.alert([Alert(evidence.locator, hit.name, hit.category) for hit in hits if hit.kind == "alert"])
