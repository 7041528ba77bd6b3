"""An overview of one case or several: gathered, put in order, and recorded."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from imgmatch.errors import UnknownNameError, UsageError
from imgmatch.types import ModelSpec
from indexer.case.case import Case
from indexer.case.use import Use
from indexer.index.protocol import Progress
from indexer.out.exchange.snapshot import require_items
from indexer.out.overview.entities import Entity
from indexer.out.overview.gathering import Found, OverviewRequest, Pictures, Told, find_pairs, pictures_of
from indexer.out.overview.ties import Tie, Ties
from indexer.search.background import Background, background, check_limit


@dataclass(frozen=True, slots=True)
class Overview:
    """What was found of the cases: their names in order, what pictures stand for, and what ties it, the strongest
    first. ``uses`` give what is shown of them.
    """

    uses: Sequence[Use]
    cases: Sequence[str]
    request: OverviewRequest
    pictures: Pictures
    found: Found
    ties: Sequence[Tie]
    gathered: Ties
    backgrounds: Sequence[Background | None]

    @property
    def use(self) -> Use:
        """Of the first case, whose log tells of it."""
        return self.uses[0]

    @property
    def tied(self) -> dict[Entity, list[int]]:
        """The numbers of the ties of each entity that has any, those of the strongest tie first."""
        ends: dict[Entity, list[int]] = {}
        for number, tie in enumerate(self.ties, start=1):
            for end in tie.ends:
                ends.setdefault(end, []).append(number)
        return ends

    def told(self, entity: Entity) -> Told:
        """What is known of an entity."""
        return self.pictures.told[entity]

    @property
    def left_out(self) -> list[str]:
        """What is not in it and why, a sentence each."""
        found, gathered = self.found, self.gathered
        cut = ", of parts too, further apart than those looked at (--top), or likelier by chance than asked for"
        counts: Sequence[tuple[str, str, str, int]] = (
            ("match", "matches", " rejected by an examiner", len(found.rejected)),
            ("tie", "ties", " gone with them", gathered.gone),
            ("pair", "pairs", cut, found.cut),
            ("pair", "pairs", " in which nothing is convincing", found.nothing),
            ("pair", "pairs", " of pictures of the same", found.within),
            ("tie", "ties", " by one picture beyond the most that are kept", gathered.uncounted),
        )
        said = [f"{count:,} {one if count == 1 else more}{why}" for one, more, why, count in counts if count]
        if self.pictures.unused:
            said.append(f"columns that were not asked about (--column): {', '.join(self.pictures.unused)}")
        return said


@contextmanager
def overviewed(
    case: Case,
    others: Mapping[str, Case],
    spec: ModelSpec,
    request: OverviewRequest,
    arguments: Mapping[str, Any],
    *,
    progress: Progress | None = None,
) -> Iterator[Overview]:
    """An overview of a case and ``others``, by what they were opened from, which are only read. Recorded in the log of
    the case before, with the heads of the others, and after, with its numbers.

    Raises UsageError where two are one case, or hold no pictures at all, or the false-match rate asked for can't be
    shown; UnknownNameError for a column that none of them has.
    """
    cases = [case, *others.values()]
    if not any(one.catalogue.counts()["items"] for one in others.values()):
        require_items(case)
    subject = {"others": [_subject(path, other) for path, other in others.items()]}
    known: dict[str, str] = {}
    for path, one in zip((str(case.path), *others), cases, strict=True):
        case_id = one.catalogue.meta.all().get("case_id", path)
        if case_id in known:
            raise UsageError(f"{path}: is the same case as {known[case_id]}; give each case once")
        if "pack_anonymous" in one.catalogue.meta.all():
            raise UsageError(f"{path}: a pack without metadata, by which nothing is tied; compare it by: imgmatch link")
        known[case_id], one.asked = path, case.asked
    backgrounds = [background(case, spec)]
    check_limit(case, backgrounds[0], request.max_fmr)
    asked = {**dataclasses.asdict(request), **arguments}
    with case.use("overview", arguments=asked, subject=subject, model=spec, ends="overview_written") as use:
        uses = [use, *(other.beside(use) for other in others.values())]
        for other, its in zip(others.values(), uses[1:], strict=True):
            backgrounds.append(background(other, spec, its))
            check_limit(other, backgrounds[-1], request.max_fmr)
        pictures, ties, names = pictures_of(uses, request.columns), Ties(), _names(known.values())
        _require(uses, request.columns)
        for number, one_use in enumerate(uses):
            pictures.read(number, one_use, names[number], ties.one_picture, progress)
        found = find_pairs(uses, spec, request, pictures, backgrounds, progress)
        if not pictures.labelled:
            ties.group(found, pictures, request.verify)
        ties.match(found, pictures)
        every = ties.all()
        counts = {"cases": len(uses), "pictures": len(pictures.of), "ties": len(every)}
        use.entry.counts = {**counts, "matches": len(found.pairs), "rejected": len(found.rejected)}
        yield Overview(uses, names, request, pictures, found, every, ties, backgrounds)


def _require(uses: Sequence[Use], columns: Sequence[str]) -> None:
    there_are = sorted({column for use in uses for column in use.catalogue.labels.columns()})
    for column in columns:
        if column not in there_are:
            raise UnknownNameError("label column", column, there_are)


def _subject(path: str, other: Case) -> dict[str, Any]:
    about = other.catalogue.meta.all()
    said: dict[str, Any] = {"other": path, "other_case_id": about.get("case_id")}
    if "pack_sha256" in about:
        return {**said, "pack_sha256": about["pack_sha256"]}
    head = other.log.head()
    return {**said, "other_log_entries": head.entry, "other_log_sha256": head.sha256}


def _names(paths: Iterator[str] | Sequence[str] | Any) -> list[str]:
    """What cases are called: the names of their folders, or the paths where those are not apart."""
    every = [os.path.abspath(path) for path in paths]
    short = [os.path.basename(path) for path in every]
    return short if len(set(short)) == len(short) else every
