"""``imgmatch check``: is a case as it was written, and are its sources as they were read."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options.common import CaseArg, IsolationOpt, decode_soon, open_case
from cli.options.output import Output
from cli.options.sources import PasswordOptions
from cli.render.formats import Format
from cli.render.notes import note
from cli.render.progress import count_progress
from imgmatch.errors import ImgmatchError

if TYPE_CHECKING:
    from imgmatch.evidence import SourceOptions
    from indexer.case.case import Case


def check(
    case: CaseArg,
    sources: Annotated[bool, typer.Option("--sources", help="Also read every source again and compare.")] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="First embed what damaged segments held again, from the sources.")
    ] = False,
    isolation: IsolationOpt = True,
    *,
    passwords: PasswordOptions,
    out: Output,
) -> None:
    """Verify a case: segments, indexes, weights, catalogue, audit log; exit with 1 when anything is wrong."""
    from imgmatch.evidence import SourceOptions
    from indexer.care.check import check as run_check

    options = SourceOptions(passwords=passwords.read())
    with open_case(case) as opened, count_progress() as progress:
        if repair:
            decode_soon(isolation)
            _repair(opened, options, progress)
        findings = list(run_check(opened, sources=sources, options=options, progress=progress))
        if opened.read_only:
            note(f"imgmatch: {case}: is read-only here: this check could not be recorded")
        kinds = Counter(finding.what for finding in findings)
        faults = [dataclasses.asdict(finding) for finding in findings]
    if faults or out.format is not Format.table:
        out.many(faults, ["part", "kind", "message"], ["sha256"])
    if faults:
        listed = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items())
        raise ImgmatchError(f"{case}: {len(faults):,} faults found ({listed}); see the list above")
    note(f"{case}: all is well")


def _repair(case: Case, options: SourceOptions, progress: Any) -> None:
    from imgmatch.models import load_model
    from indexer.care.repair import repair

    done = repair(case, lambda name: load_model(name, device="cpu", threads=1), options=options, progress=progress)
    note(f"{done.segments} segments rewritten, {done.vectors} vectors made again from the sources")
    for sha256 in done.lost:
        note(f"imgmatch: {sha256}: no source has this content any more; its vector is lost, ingest it again")
