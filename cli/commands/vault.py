"""Encrypted cases: encrypt, decrypt, seal anew under new keys, destroy."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from cli.options.common import CaseArg, open_case
from cli.options.output import Output
from cli.options.unlocking import RecipientOpt, new_owner
from cli.render.notes import note
from cli.render.progress import count_progress
from imgmatch.errors import UsageError


def encrypt(case: CaseArg, recipient: RecipientOpt = None, *, out: Output) -> None:
    """Encrypt a case: nothing of it lies on the disk in the clear from then on, and you alone open it until you let
    others in. A disk may keep parts of what was overwritten: a new case is best made with init --encrypt.
    """
    from indexer.case.sealing import encrypt as run_encrypt

    with open_case(case) as opened:
        owner = new_owner(recipient)
        with count_progress() as progress:
            done = run_encrypt(opened, owner, progress)
    out.one({"case": str(case), "state": "encrypted", **dataclasses.asdict(done)})
    note("Lose the passphrase or key, and nobody opens this case again: let a second person in, or keep a copy safe")


def decrypt(case: CaseArg, *, out: Output) -> None:
    """Make a plain case of an encrypted one: whoever has the disk can read it from then on."""
    from indexer.case.sealing import decrypt as run_decrypt

    with open_case(case) as opened, count_progress() as progress:
        done = run_decrypt(opened, progress)
    out.one({"case": str(case), "state": "plain", **dataclasses.asdict(done)})


def destroy(
    case: CaseArg,
    certificate: Annotated[
        Path, typer.Option(metavar="DIR", help="Write the certificate of destruction into this new folder.")
    ],
    reason: Annotated[str, typer.Option(help="Why, for the log and the certificate.")] = "",
    really: Annotated[bool, typer.Option("--yes", help="It can't be undone.")] = False,
    key: Annotated[
        Path | None, typer.Option("--key", metavar="FILE", help="Sign it with this Ed25519 private key (PEM).")
    ] = None,
    *,
    out: Output,
) -> None:
    """Destroy a case for good: its keys first, then all its files. Evidence is never touched."""
    from indexer.care.destroy import begin, finish, is_begun
    from indexer.out.atomic import refuse_existing

    if not really:
        raise UsageError(f"{case}: nothing of it can be brought back; say --yes where that is meant")
    refuse_existing(certificate)
    if key is not None:
        from indexer.case.signing import private_key

        private_key(key)  # before anything is gone
    told = None
    if not is_begun(case):
        with open_case(case) as opened:
            told = begin(opened, reason)
    made = finish(case, certificate, key, told, reason)
    if not made:
        note(f"imgmatch: {case}: was destroyed before, with a certificate; what was left of it is gone now")
        return
    out.one({"case": made["case"]["case_id"], "certificate": str(certificate), "files_left": made["files_left"]})
