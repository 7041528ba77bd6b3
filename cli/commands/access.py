"""``imgmatch access`` and ``deliver``: who can open an encrypted case, and how pictures are handed in to it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options.common import CaseArg, decode_soon, open_case
from cli.options.intake import TakingOptions
from cli.options.output import Output
from cli.options.sources import InsideOptions, PasswordOptions
from cli.options.unlocking import RecipientOpt, own_phrase, person, prompt, read_phrase
from cli.render.notes import note
from cli.render.progress import count_progress, ingest_progress
from imgmatch.errors import CaseError, UsageError

if TYPE_CHECKING:
    from imgmatch.vault.ring import Passphrase

NameArg = Annotated[str, typer.Argument(metavar="NAME", help="Who: as they are called in the case.")]

NewFdOpt = Annotated[
    int | None,
    typer.Option("--new-passphrase-fd", metavar="N", min=0, help="Read the new passphrase from this descriptor."),
]


def list_(case: CaseArg, *, out: Output) -> None:
    """Who can open an encrypted case, as what, and which of its keys they hold."""
    from indexer.care.access import people

    with open_case(case) as opened:
        rows = people(opened)
    out.many(rows, ["name", "role", "by", "keys"], ["recipient"])


def grant(
    case: CaseArg,
    name: NameArg,
    role: Annotated[str, typer.Option(metavar="ROLE", help="owner, examiner, reviewer, contributor or auditor.")],
    recipient: RecipientOpt = None,
    new_fd: NewFdOpt = None,
) -> None:
    """Let somebody in, by their public key or a passphrase. Only an owner may."""
    from indexer.care.access import grant as run_grant
    from indexer.case.operations import Role

    if role not in set(Role):
        raise UsageError(f"--role {role}: say {', '.join(Role)}")
    wanted = Role(role)
    if recipient is not None and new_fd is not None:
        raise UsageError("--recipient and --new-passphrase-fd exclude each other; give one")
    with open_case(case) as opened:
        opened.require("grant")
        access = None if wanted is Role.contributor else recipient or _new_phrase(name, new_fd)
        key = run_grant(opened, name, wanted, access)
    note(f"{case}: {name} is {role} from now on")
    if wanted is Role.contributor:
        note(f"They hand pictures in by the case's public key: imgmatch deliver --to {key} -o FOLDER PATH")


def passphrase(case: CaseArg, new_fd: NewFdOpt = None) -> None:
    """Change the passphrase by which you open a case: the one before opens it no more."""
    from indexer.care.access import rephrase

    with open_case(case) as opened:
        opened.require("passphrase")
        rephrase(opened, own_phrase(case), _new_phrase(person(), new_fd))
    note(f"{case}: the new passphrase of {person()} opens it from now on")


def revoke(case: CaseArg, name: NameArg, *, out: Output) -> None:
    """Put somebody out: the case is sealed anew by keys that they don't have. What they copied before they can read."""
    from indexer.care.access import revoke as run_revoke

    with open_case(case) as opened, count_progress() as progress:
        done = run_revoke(opened, name, progress)
    out.one({"case": str(case), "revoked": name, **dataclasses.asdict(done)})
    note(f"{name} opens it no more; a copy of it that was made before still opens to them")


def rotate(case: CaseArg, *, out: Output) -> None:
    """Seal the case anew, by new keys, for the same people."""
    from indexer.care.access import rotate as run_rotate

    with open_case(case) as opened, count_progress() as progress:
        done = run_rotate(opened, progress)
    out.one({"case": str(case), "state": "sealed anew", **dataclasses.asdict(done)})


def key(case: CaseArg, *, out: Output) -> None:
    """The public key of an encrypted case: by it anybody may hand pictures in, and read nothing."""
    from indexer.intake.delivery import public_key

    out.one({"case": str(case), "public_key": public_key(case)})


def take_in(
    case: CaseArg,
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[DELIVERY...]", help="Deliveries that came by another way (default: all that wait)."),
    ] = None,
    *,
    out: Output,
) -> None:
    """Add what was handed in to a case; ingest does so too, before anything else."""
    from indexer.care.delivered import records
    from indexer.care.delivered import take_in as run_take_in

    with open_case(case) as opened, count_progress() as progress:
        taken = records(run_take_in(opened, folders or None, progress=progress))
    out.many(taken, ["delivery", "items", "known", "sightings", "issues", "kept_out", "why"])
    if any(row["why"] for row in taken):
        raise CaseError(f"{case}: some deliveries could not be taken in, and stay where they are; see the list above")


def deliver(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files, folders, archives, disk images.")],
    case: Annotated[
        Path | None, typer.Option("--case", metavar="CASE", help="An encrypted case, into whose inbox it goes.")
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="AGE1...", help="The public key of the case, where it lies elsewhere.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="With --to: the folder that it is put into.")
    ] = None,
    *,
    taking: TakingOptions,
    inside: InsideOptions,
    passwords: PasswordOptions,
) -> None:
    """Hand pictures in to an encrypted case, without being able to read anything of it: a sealed delivery."""
    from imgmatch.models import DEFAULT_MODEL, load_model
    from indexer.intake.delivery import INBOX, public_key
    from indexer.intake.delivery import deliver as run_deliver

    if (case is None) == (to is None) or (to is None) != (output is None):
        raise UsageError("say where it goes: --case CASE, or --to KEY with --output DIR")
    for path in paths:
        if not path.exists():
            raise UsageError(f"{path}: no such file or folder; give existing ones")
    config = taking.config(inside, passwords)
    folder = case / INBOX if case is not None else output
    recipient = public_key(case) if case is not None else to
    assert folder is not None
    assert recipient is not None
    decode_soon(taking.isolation)
    embedder = load_model(taking.model or DEFAULT_MODEL, device=taking.device, threads=1)
    with ingest_progress(paths) as progress:
        made = run_deliver(recipient, folder, paths, embedder, config, progress=progress)
    report = made.report
    note(f"{made.folder}: {report.new_items:,} pictures, {report.issues:,} files that can't be used; sealed")


def _new_phrase(name: str, descriptor: int | None) -> Passphrase:
    from imgmatch.vault.ring import Passphrase

    if descriptor is not None:
        phrase = read_phrase(descriptor)
    else:
        phrase = prompt(f"New passphrase of {name}: ")
        if phrase != prompt("The same again: "):
            raise UsageError("the two passphrases differ; nothing was done")
    if not phrase:
        raise UsageError("an empty passphrase opens to everybody; give another")
    return Passphrase(name, phrase)
