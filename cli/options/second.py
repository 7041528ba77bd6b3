"""A second person, who stands by with a key of their own where a case demands two."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options.unlocking import prompt, read_phrase
from imgmatch.errors import UsageError

if TYPE_CHECKING:
    from indexer.case.case import Case

PHRASE = "IMGMATCH_SECOND_PASSPHRASE"
NameOpt = Annotated[
    str | None, typer.Option("--second", metavar="NAME", help="Who stands by, where a case demands two persons.")
]
IdentityOpt = Annotated[
    Path | None, typer.Option("--second-identity", metavar="FILE", help="Their key, as age-keygen makes it.")
]
FdOpt = Annotated[
    int | None,
    typer.Option("--second-fd", metavar="N", min=0, help="Read their passphrase from this open file descriptor."),
]


@dataclass(slots=True)
class _Given:
    name: str | None = None
    identity: Path | None = None
    descriptor: int | None = None


_given = _Given()


def given(name: str | None, identity: Path | None, descriptor: int | None) -> None:
    """What the command line said."""
    global _given
    if descriptor is not None and name is None:
        raise UsageError("--second-fd: whose passphrase is it? give --second NAME")
    _given = _Given(name, identity, descriptor)


def stand_by(case: Case) -> None:
    """Let the second person stand by, where one was named and the case demands two; what opens it to them is asked for
    where it was not given.
    """
    from imgmatch.vault.ring import Passphrase
    from imgmatch.vault.unlock import identity_in
    from indexer.case.terms import Terms

    if _given.name is None and _given.identity is None:
        return
    if "two-persons" not in Terms.of(case.catalogue.meta.all()).demands:
        return
    if _given.identity is not None:
        case.stand_by(identity_in(_given.identity))
        return
    assert _given.name is not None
    if _given.descriptor is not None:
        phrase = read_phrase(_given.descriptor)
    else:
        phrase = os.environ.get(PHRASE) or prompt(f"Passphrase of {_given.name}, who stands by for {case.path}: ")
    case.stand_by(Passphrase(_given.name, phrase))
