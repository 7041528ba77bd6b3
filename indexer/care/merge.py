"""Other cases into this one: runs, items, sightings, labels, issues and vectors, each content once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

from imgmatch.errors import CaseError, UsageError
from indexer.case.case import Case
from indexer.case.run import Run
from indexer.catalogue import Catalogue
from indexer.catalogue.sql import Row
from indexer.index.protocol import Progress
from indexer.index.shelf import Shelf
from indexer.index.store import Store
from indexer.intake.known import match_pdq

_BATCH = 16_384


@dataclass(slots=True)
class Merged:
    """What was new."""

    items: int = 0
    known: int = 0
    sightings: int = 0
    vectors: int = 0
    issues: int = 0
    decisions: int = 0
    vics_files: int = 0
    kept_out: int = 0
    """Items that stay out: their content was erased from this case."""


def merge(
    case: Case,
    other: Case,
    *,
    progress: Progress | None = None,
) -> Merged:
    """Add everything of ``other``, which is only read, to ``case``. Vectors are added again; no index is merged.

    Each batch of items is one transaction with their sightings, labels and vectors. After a kill, running again goes
    on where it stopped; running it once more adds nothing. Content that both have is one item with the sightings of
    both; where both labelled the same thing, this case's label stands.

    Raises UsageError on a case with itself, and CaseError when ``other`` holds vectors by a model, or by weights, that
    this case does not know: vectors of two models can't be compared.
    """
    case_id = other.catalogue.meta.all().get("case_id", "")
    if case_id == case.catalogue.meta.all().get("case_id"):
        raise UsageError(f"{other.path}: is the same case as {case.path}; nothing to merge")
    other.require("merge")
    if other.place.ring is not None and case.place.ring is None:
        raise UsageError(f"{other.path}: is encrypted, and {case.path} is not; first: imgmatch encrypt {case.path}")
    other.require_believable()
    their_log = other.log.verify()
    # Their log stays with them; its head, noted in this chain, proves later that nothing in it was changed.
    subject = {
        "case_id": case_id,
        "path": str(other.path),
        "log_entries": their_log.head.entry,
        "log_sha256": their_log.head.sha256,
        "log_faults": len(their_log.faults),
    }
    with case.writing():
        shelves = _shelves(case, other)
        before, after = case.catalogue.merged_to(case_id) or (None, 0)
        arguments = {"case_id": case_id, "path": str(other.path)}
        done = Merged()
        with case.run("merge", arguments=arguments, subject=subject, going_on=before) as run:
            theirs = other.beside(run).catalogue
            runs = _runs(run, theirs, case_id)
            total = theirs.counts()["items"]
            count = 0
            while rows := theirs.items.whole_rows(after, _BATCH):
                _merge_batch(run, theirs, rows, shelves, runs, case_id, done)
                run.entry.counts = asdict(done)
                after = rows[-1][0]
                count += len(rows)
                if progress:
                    progress("items", count, total)
            with run.catalogue.transaction() as writer:
                copied = writer.copy(theirs, None, runs, _unwanted(run, theirs))
                done.issues, done.decisions = copied["issues"], copied["decisions"]
                done.vics_files = writer.vics.merge(theirs.vics, runs)
                writer.runs.set_merged(case_id, run.run_id, None)
            for _ in match_pdq(run):
                pass  # their items against the PDQ lists of this case: kept in the catalogue
            run.entry.counts = asdict(done)
    return done


def _unwanted(run: Run, theirs: Catalogue) -> Callable[[Row], bool]:
    """Is a row of theirs about content that was erased here, or about a place where nothing else was seen?"""
    erased = run.catalogue.erasures.contents_kept_out()
    items = [item for content in erased if (item := theirs.items.id_of(content.hex())) is not None]
    places = {str(seen.locator) for each in theirs.sightings.of(items).values() for seen in each}
    columns = ("sha256", "query_sha256", "item_sha256")

    def unwanted(row: Row) -> bool:
        return any(row.get(column) in erased for column in columns if row.get(column)) or row.get("locator") in places

    return unwanted if erased else lambda row: False


def _runs(run: Run, theirs: Catalogue, case_id: str) -> dict[int, int]:
    """Their run ids to ours: their runs come along, so that each sighting goes on saying what read it, and when."""
    known = run.catalogue.runs.merged_from(case_id)
    with run.catalogue.transaction() as writer:
        for row in theirs.runs.all():
            if row[0] not in known:
                known[row[0]] = writer.runs.merge(case_id, row)
    return known


def _shelves(case: Case, other: Case) -> list[tuple[Shelf, Store, Shelf]]:
    """Every shelf that holds vectors there, its rows, and ours by the same model."""
    found = []
    known = [f"{shelf.spec.name} ({shelf.spec.weights_sha256[:12]})" for shelf in case.shelves()]
    for theirs in other.shelves():
        if not theirs.segments():
            continue
        spec = theirs.spec
        ours = case.find_shelf(spec)
        if ours is None:
            raise CaseError(
                f"{other.path}: holds vectors by {spec.name} ({spec.weights_sha256[:12]}), {case.path} by "
                f"{', '.join(known)}; vectors of two models can't be merged: ingest its sources here instead"
            )
        found.append((theirs, theirs.store(), ours))
    return found


def _merge_batch(
    run: Run,
    other: Catalogue,
    rows: list[tuple[int, ...]],
    shelves: list[tuple[Shelf, Store, Shelf]],
    runs: dict[int, int],
    case_id: str,
    done: Merged,
) -> None:
    new = Merged()
    with run.catalogue.transaction() as writer:
        ours = {}
        last = rows[-1][0]
        erased = run.catalogue.erasures.contents_kept_out()
        kept = [row for row in rows if row[1] not in erased]
        new.kept_out = len(rows) - len(kept)
        rows = kept
        before = run.catalogue.counts()["items"]
        for row in rows:
            ours[row[0]] = writer.items.merge(row[1:])
        new.items = run.catalogue.counts()["items"] - before
        new.known = len(rows) - new.items
        new.sightings = writer.copy(other, ours, runs)["sightings"]
        for their_shelf, store, our_shelf in shelves:
            new.vectors += our_shelf.take_over(writer, their_shelf, store, ours)
        writer.runs.set_merged(case_id, run.run_id, last)
    done.items += new.items
    done.known += new.known
    done.sightings += new.sightings
    done.vectors += new.vectors
    done.kept_out += new.kept_out
