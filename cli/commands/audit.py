"""``imgmatch audit``: read the log of a case, verify it, and state what a run did."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options.common import CaseArg, TsaOpt, open_case, open_log
from cli.options.output import Output
from cli.render.formats import Format
from cli.render.notes import note
from imgmatch.errors import ImgmatchError

if TYPE_CHECKING:
    from indexer.case.attested import Attested

_COLUMNS = ("entry", "time_utc", "actor", "action", "subject", "arguments", "counts", "model")


def verify(
    case: Annotated[Path, typer.Argument(metavar="CASE|FILE", help="Folder of the case, or a copy of its log.")],
    expect: Annotated[
        list[str] | None, typer.Option(metavar="NUMBER:SHA256", help="A head that was noted: the log must hold it.")
    ] = None,
    receipt: Annotated[
        list[str] | None, typer.Option(metavar="WORDS", help="A receipt that was noted: the log must hold it.")
    ] = None,
    signed: Annotated[
        bool, typer.Option("--signed", help="Every entry must be signed by somebody who is known.")
    ] = False,
    public_key: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Who is known: this Ed25519 public key (PEM), and no others."),
    ] = None,
    tsa: TsaOpt = None,
    *,
    out: Output,
) -> None:
    """Find any edit, cut, reorder or gap in the audit log, its end included; exit with 1 when there is one. Signatures
    and time-stamps are verified too, and it is said who signed which entries.
    """
    from indexer.case.attested import Attested
    from indexer.case.chain import Head, verify_copy
    from indexer.case.receipt import parse
    from indexer.case.signing import public_key as key_in

    heads = [*map(Head.parse, expect or ()), *map(parse, receipt or ())]
    said = Attested(frozenset(map(key_in, public_key or ())))
    if case.is_file():
        found = verify_copy(case, heads, said.met)
    else:
        with open_log(case) as (log, said.case_id):
            found = log.verify(heads, said.met)
    stamps = _stamps(said, tsa or ())
    unsigned = said.unsigned()
    faults, notes = found.faults + said.faults, [*found.notes, *said.notes()]
    if unsigned and signed:
        faults.append(f"entries {unsigned} are signed by nobody who is known")
    elif unsigned and said.is_used():
        notes.append(f"entries {unsigned} are signed by nobody who is known")
    for line in notes:
        note(f"imgmatch: {line}")
    if out.format is Format.table:
        if faults:
            out.many(({"fault": fault} for fault in faults), ["fault"])
        elif signers := said.signers():
            out.many(map(dataclasses.asdict, signers), ["name", "known", "entries", "public_key"])
    else:
        out.one(
            {
                "entries": found.head.entry,
                "sha256": found.head.sha256,
                "faults": faults,
                "notes": notes,
                "signers": [dataclasses.asdict(signer) for signer in said.signers()],
                "unsigned": unsigned,
                "stamps": stamps,
            }
        )
    if faults:
        raise ImgmatchError(f"{case}: {len(faults):,} faults in the audit log; see the list above")
    for stamp in stamps:
        how = "verified" if stamp["verified"] else "not verified: give --tsa"
        note(f"{case}: entries up to {stamp['up_to_entry']} existed on {stamp['stamped_utc']} by a time-stamp ({how})")
    note(f"{case}: {found.head.entry:,} entries, each as it was written; head {found.head}")


def _stamps(said: Attested, certificates: Sequence[Path]) -> list[dict[str, Any]]:
    if not said.stamps:
        return []
    from indexer.care.stamps import verified

    return verified(said, certificates)


def head(case: CaseArg, *, out: Output) -> None:
    """The number and SHA-256 of the last entry: noted elsewhere, they prove later that nothing before was changed."""
    with open_log(case) as (log, _):
        found = log.head()
    out.one({"entry": found.entry, "sha256": found.sha256, "expect": str(found)})


def show(
    case: CaseArg,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Only entries of then or later (UTC).")] = None,
    action: Annotated[str | None, typer.Option(help="Only entries of this action.")] = None,
    last: Annotated[int | None, typer.Option(min=1, metavar="N", help="Only the last N.")] = None,
    *,
    out: Output,
) -> None:
    """List the audit log: when, who, what, to what."""
    from indexer.catalogue import filters

    with open_log(case) as (log, _):
        entries = log.entries(since=filters.date(since) if since else None, action=action, last=last)
        programs = out.format in (Format.json, Format.jsonl)
        wanted = entries if programs else _rows(entries, narrow=out.format is Format.table)
        out.many(wanted, _COLUMNS, ["weights_sha256", "version", "more", "before"])


def _rows(entries: Iterator[dict[str, Any]], narrow: bool) -> Iterator[dict[str, Any]]:
    """Entries for people. What an action has of its own is ``more``; where that is all that it has, as in older ones, a
    ``narrow`` table without that column shows it as what it was done to.
    """
    known = {*_COLUMNS, "weights_sha256", "version", "before"}
    for entry in entries:
        more = {name: value for name, value in entry.items() if name not in known}
        parts = {
            name: {key: value for key, value in entry.get(name, {}).items() if value not in (None, [], {}, "")}
            for name in ("subject", "arguments", "counts")
        }
        if narrow and not any(parts.values()):
            parts["subject"] = more
        called = {"actor": f"{entry.get('actor')}, called {more['declared']}"} if "declared" in more else {}
        if "person" in more:
            called = {"actor": f"{more['person']}, by a service of {entry.get('actor')}"}
        yield {**entry, **parts, **called, "more": more}


def statement(
    case: CaseArg,
    run: Annotated[int, typer.Argument(metavar="RUN", help="Number of an ingest run; status shows the last.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="New folder (default: statement-RUN).")
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="Sign with this Ed25519 private key (PEM); needs imgmatch[sign].")
    ] = None,
) -> None:
    """State what a run read, found and could not use, with totals that add up, bound to the audit log."""
    from indexer.care.statement import write_statement

    folder = output or Path(f"statement-{run}")
    with open_case(case) as opened:
        made = write_statement(opened, run, folder, key)
    note(f"Statement: {folder / 'statement.txt'}; SHA-256 {made['seal']['sha256']}")
    if not made["adds_up"]:
        raise ImgmatchError(f"{case}: run {run}: the totals do not add up; the statement says where")


def verify_statement(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Its statement.json.")],
    case: Annotated[
        Path | None, typer.Option("--case", help="Also check that this case's audit log recorded it.")
    ] = None,
    public_key: Annotated[
        Path | None, typer.Option(help="It must be signed by the owner of this Ed25519 public key (PEM).")
    ] = None,
    *,
    out: Output,
) -> None:
    """Check that a statement and its lists are as they were made, and who signed it; exit with 1 when not."""
    from indexer.care.statement import check_statement

    if case is None:
        found = check_statement(file, None, public_key)
    else:
        with open_case(case) as opened:
            found = check_statement(file, opened, public_key)
    if out.format is not Format.table or found["faults"]:
        out.one(found)
    if found["faults"]:
        raise ImgmatchError(f"{file}: {len(found['faults'])} faults: {'; '.join(found['faults'])}")
    signed = f"signed by {found['public_key']}" if found["public_key"] else "not signed"
    note(f"{file}: as it was made; {signed}")
