"""``imgmatch check``: is a case as it was written, and are its sources as they were read."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options.common import CaseArg, IsolationOpt, decode_soon, open_case
from cli.options.output import Output
from cli.options.sources import PasswordOptions
from cli.render.formats import Format
from cli.render.notes import note
from cli.render.progress import count_progress
from imgmatch.errors import ImgmatchError, UsageError

if TYPE_CHECKING:
    from imgmatch.evidence import SourceOptions
    from indexer.case.case import Case


def check(
    case: CaseArg,
    sources: Annotated[bool, typer.Option("--sources", help="Also read every source again and compare.")] = False,
    containers: Annotated[
        bool,
        typer.Option("--containers", help="Only read each disk image whole, and compare the hashes it stores."),
    ] = False,
    keep_hashes: Annotated[
        bool, typer.Option("--keep-hashes", help="With --containers: make hashes of raw images too, and keep them.")
    ] = False,
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

    if keep_hashes and not containers:
        raise UsageError("--keep-hashes makes hashes of disk images; give --containers too")
    options = SourceOptions(passwords=passwords.read())
    if containers:
        _check_containers(case, options, keep_hashes, out)
        return
    counts: Counter[str] = Counter()
    with open_case(case) as opened, count_progress() as progress:
        if repair:
            decode_soon(isolation)
            _repair(opened, options, progress)
        findings = list(run_check(opened, sources=sources, options=options, counts=counts, progress=progress))
        if opened.read_only:
            note(f"imgmatch: {case}: is read-only here: this check could not be recorded")
        kinds = Counter(finding.what for finding in findings)
        faults = [dataclasses.asdict(finding) for finding in findings]
    if faults or out.format is not Format.table:
        out.many(faults, ["part", "kind", "message"], ["sha256"])
    if sources:
        read, places, files = (counts[name] for name in ("read", "sightings", "files"))
        note(f"{case}: {read:,} of {places:,} places read again, in {files:,} files, {counts['read_bytes']:,} bytes")
    if faults:
        listed = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items())
        raise ImgmatchError(f"{case}: {len(faults):,} faults found ({listed}); see the list above")
    note(f"{case}: all is well")


def _check_containers(folder: Path, options: SourceOptions, keep: bool, out: Output) -> None:
    """Each disk image: what it says of itself, and whether all its bytes are so."""
    from indexer.care.containers import check_containers

    counts: Counter[str] = Counter()
    with open_case(folder) as opened, count_progress() as progress:
        rows = [row for row, _ in check_containers(opened, options, counts, keep=keep, progress=progress)]
    out.many((row.record() for row in rows), ["path", "kind", "disk_bytes", "verified"])
    note(f"{folder}: {counts['read']:,} of {len(rows):,} disk images read whole, {counts['bytes']:,} bytes")
    if not rows:
        note(f"imgmatch: {folder}: no disk image is known; ingest sources again that an older version has read")
    if counts["skipped"]:
        note(f"{counts['skipped']:,} store no hash and were not read; --keep-hashes makes and keeps one")
    if counts["faults"]:
        raise ImgmatchError(f"{folder}: {counts['faults']:,} disk images are not as they say; see the list above")


def _repair(case: Case, options: SourceOptions, progress: Any) -> None:
    from imgmatch.models import load_model
    from indexer.care.repair import repair

    done = repair(case, lambda name: load_model(name, device="cpu", threads=1), options=options, progress=progress)
    note(f"{done.segments} segments rewritten, {done.vectors} vectors made again from the sources")
    for sha256 in done.lost:
        note(f"imgmatch: {sha256}: no source has this content any more; its vector is lost, ingest it again")
