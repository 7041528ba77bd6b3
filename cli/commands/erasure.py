"""What is taken out of a case to stay out: delete, readmit, erasures."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.commands.index import build_when_due
from cli.options.common import CaseArg, open_case
from cli.options.output import Output
from cli.render.notes import note
from cli.render.progress import count_progress
from imgmatch.errors import ImgmatchError, UsageError

if TYPE_CHECKING:
    from indexer.case.case import Case

KeyOpt = Annotated[
    Path | None, typer.Option(help="Sign the certificate with this Ed25519 private key (PEM); needs imgmatch[sign].")
]


def delete(
    case: CaseArg,
    item: Annotated[list[int] | None, typer.Option(metavar="ID", help="This item.")] = None,
    sha256: Annotated[list[str] | None, typer.Option(help="This content, in the case or not.")] = None,
    source: Annotated[
        list[str] | None, typer.Option(metavar="PATH", help="What was found there or below, and nowhere else.")
    ] = None,
    everywhere: Annotated[
        bool, typer.Option("--everywhere", help="With --source: also what was found elsewhere too.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why, for the audit log and the certificate.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    certificate: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the certificate of erasure into this new folder.")
    ] = None,
    key: KeyOpt = None,
    finish: Annotated[
        bool, typer.Option("--finish", help="Clear the disk of earlier deletions that were cut off.")
    ] = False,
    *,
    out: Output,
) -> None:
    """Erase items from a case for good: nothing of them is left, and no ingest, merge or import brings them back until
    they are readmitted. Evidence is never touched.
    """
    from indexer.care.certificate import WORDS
    from indexer.care.delete import Wanted, would_delete
    from indexer.care.delete import delete as run_delete
    from indexer.catalogue import filters
    from indexer.out.atomic import refuse_existing

    if not (item or sha256 or source or finish):
        raise UsageError("nothing to delete is named; give --item, --sha256 or --source")
    _require_sha256(sha256)
    if everywhere and not source:
        raise UsageError("--everywhere goes with --source; leave it out")
    sources = [filters.source(path) for path in source or ()]
    if certificate is not None:
        refuse_existing(certificate)
    with open_case(case) as opened:
        if dry_run:
            planned, named = would_delete(opened, Wanted(item or (), sha256 or (), sources, everywhere))
            out.many(({"sha256": content, "path": path} for content, path in named), ["sha256", "path"])
            note(f"Would erase: {_numbers(planned.counts())}. Nothing was changed.")
            return
        told: dict[str, Any] = {}
        if item or sha256 or source:
            done = run_delete(
                opened, items=item or (), sha256=sha256 or (), sources=sources, reason=reason, everywhere=everywhere
            )
            told = {**done.counts(), "contents": list(done.contents)}
        told |= _clear(opened)
        if certificate is not None and told.get("erasure"):
            _certify(opened, told["erasure"], certificate, key)
    counts = {name: value for name, value in told.items() if name != "contents"}
    if out.format.value == "table":
        counts = {WORDS.get(name, name): value for name, value in counts.items() if value not in (0, [])}
    out.one(told if out.format.value in ("json", "jsonl") else counts)
    if told.get("kept"):
        note(f"{told['kept']:,} items were found elsewhere too, and stay; --everywhere erases them as well")
    if told.get("log_entries"):
        entries = ", ".join(map(str, told["log_entries"][:20]))
        note(
            f"Entries of the audit log that an older version wrote say something of it, and can't be changed: {entries}"
        )
    note(f"What was erased stays out. Take it back by: imgmatch readmit {case} --sha256 SHA256")


def readmit(
    case: CaseArg,
    sha256: Annotated[list[str] | None, typer.Option(help="This content; may be repeated.")] = None,
    erasure: Annotated[int | None, typer.Option(metavar="N", help="Everything that this erasure took out.")] = None,
    reason: Annotated[str, typer.Option(help="Why, for the audit log.")] = "",
    *,
    out: Output,
) -> None:
    """Let contents that were erased into a case again; the next ingest that meets them brings them in."""
    from indexer.care.delete import contents_of
    from indexer.care.delete import readmit as run_readmit

    _require_sha256(sha256)
    with open_case(case) as opened:
        contents = [digest.lower() for digest in sha256 or ()]
        if erasure is not None:
            contents += [each["sha256"] for each in contents_of(opened, erasure) if each["readmitted_utc"] is None]
        if not contents:
            raise UsageError("nothing to readmit is named; give --sha256, or --erasure with something that is kept out")
        out.one({"readmitted": run_readmit(opened, contents, reason)})


def erasures(
    case: CaseArg,
    number: Annotated[int | None, typer.Argument(metavar="[N]", help="The contents of this one.")] = None,
    certificate: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the certificate of N into this new folder.")
    ] = None,
    key: KeyOpt = None,
    *,
    out: Output,
) -> None:
    """List what was erased from a case: when, by whom, why; by hashes alone. Or certify it."""
    from indexer.care.delete import contents_of, erasures_of

    if certificate is not None and number is None:
        raise UsageError("--certificate is of one erasure; name its number")
    with open_case(case) as opened:
        if number is None:
            rows = [{**row._asdict(), **row.told} for row in erasures_of(opened)]
            out.many(rows, ["erasure_id", "erased_utc", "account", "items", "unknown", "reason", "finished_utc"])
            return
        if certificate is not None:
            _certify(opened, number, certificate, key)
            return
        out.many(contents_of(opened, number), ["sha256", "readmitted_utc"], ["sha1", "md5"])


def _clear(case: Case) -> dict[str, Any]:
    from dataclasses import asdict

    from indexer.care.erasure import clear

    with count_progress() as progress:
        done = clear(case, progress=progress)
    for _, spec in case.catalogue.models.all():
        build_when_due(case, spec, 1, threading.Event())
    told = asdict(done)
    return {**told, "log_entries_redacted": list(told.pop("redacted")), "log_entries": list(done.log_entries)}


def _certify(case: Case, number: int, folder: Path, key: Path | None) -> None:
    from indexer.care.certificate import write_certificate

    made = write_certificate(case, number, folder, key)
    note(f"Certificate of erasure: {folder / 'certificate.txt'}; SHA-256 {made['seal']['sha256']}")
    if not made["nothing_left"]:
        raise ImgmatchError(f"{folder / 'certificate.txt'}: something is left of what was erased; it says what")


def _numbers(counts: dict[str, int]) -> str:
    names = ("items", "sightings", "vectors", "issues", "decisions", "records")
    text = ", ".join(f"{counts[name]:,} {name}" for name in names)
    return f"{text}; {counts['kept']:,} stay, found elsewhere too" if counts["kept"] else text


def _require_sha256(given: list[str] | None) -> None:
    for digest in given or ():
        if len(digest) != 64 or not set(digest.lower()) <= set("0123456789abcdef"):
            raise UsageError(f"{digest!r} is no SHA-256; give 64 hexadecimal digits")
