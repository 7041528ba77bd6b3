"""What opens an encrypted case, as options, environment or whoever sits here say; never a word of it in an argument."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgmatch.errors import UsageError

if TYPE_CHECKING:
    from imgmatch.vault.ring import Passphrase, Secret
    from indexer.case.place import Owner

KEYRING = "IMGMATCH_KEYRING"
_MOST_BYTES = 1 << 16

PersonOpt = Annotated[
    str | None, typer.Option("--person", metavar="NAME", help="Who opens an encrypted case (default: your account).")
]
IdentityOpt = Annotated[
    Path | None,
    typer.Option("--identity", metavar="FILE", help="Your key for encrypted cases, as age-keygen makes it."),
]
FdOpt = Annotated[
    int | None,
    typer.Option("--passphrase-fd", metavar="N", min=0, help="Read your passphrase from this open file descriptor."),
]
EncryptOpt = Annotated[
    bool, typer.Option("--encrypt", help="Nothing of it lies on the disk in the clear; you alone open it.")
]
RecipientOpt = Annotated[
    str | None,
    typer.Option("--recipient", metavar="AGE1...", help="Public key of who opens it, instead of a passphrase."),
]


@dataclass(slots=True)
class _Given:
    person: str | None = None
    identity: Path | None = None
    descriptor: int | None = None
    phrase: str | None = None
    prepared: bool = False


_given = _Given()


def given(person: str | None, identity: Path | None, descriptor: int | None) -> None:
    """What the command line said."""
    global _given
    _given = _Given(person, identity, descriptor)


def prepare() -> None:
    """From now on what opens a case is asked for in this way, once a case and command."""
    from imgmatch.vault.unlock import ask_by

    if _given.prepared:
        return
    _given.prepared = True
    ask_by(_ask)
    _speak_for_tokens()


def person() -> str:
    """Who this is, in encrypted cases."""
    from imgmatch.vault.unlock import PERSON, account_name

    return _given.person or os.environ.get(PERSON) or account_name()


def new_owner(recipient: str | None, details: Mapping[str, Any] | None = None) -> Owner:
    """Who is to open a case that is now made or encrypted: by a public key, else by the identity that is given, else by
    a passphrase, asked for twice. Raises UsageError where there is nothing of these.
    """
    from imgmatch.vault import age
    from imgmatch.vault.ring import Identity, Passphrase
    from indexer.case.place import Owner

    details = details or {"role": "owner"}
    if recipient is not None:
        age.require_recipient(recipient)
        return Owner(person(), recipient, details)
    secret = _without_asking()
    if isinstance(secret, Identity):
        return Owner(person(), age.recipient_of(secret.text, secret.name), details)
    if secret is None:
        phrase = prompt("New passphrase: ")
        if phrase != prompt("The same again: "):
            raise UsageError("the two passphrases differ; nothing was done")
        secret = Passphrase(person(), phrase)
    if not secret.phrase:
        raise UsageError("an empty passphrase opens to everybody; give another")
    return Owner(person(), secret, details)


def own_phrase(folder: Path) -> Passphrase:
    """The passphrase by which this person opens a case: what they gave, or what they are asked for once more."""
    from imgmatch.vault.ring import Identity, Passphrase

    secret = _without_asking() or _in_keyring(folder)
    if isinstance(secret, Identity):
        raise UsageError(f"{folder}: you open it by a key, and have no passphrase to change")
    return secret or Passphrase(person(), prompt(f"Passphrase of {person()} for {folder}, as it is now: "))


def _ask(folder: Path, attempt: int) -> Secret | None:
    from imgmatch.vault.ring import Passphrase
    from imgmatch.vault.unlock import PASSPHRASE

    secret = None if attempt else _without_asking()
    if secret is None and not attempt:
        secret = _in_keyring(folder)
    if secret is not None:
        return secret
    silent = _given.identity is not None or _given.descriptor is not None or os.environ.get(PASSPHRASE)
    if silent or not _somebody_there():
        return None
    return Passphrase(person(), prompt(f"Passphrase of {person()} for {folder}: "))


def _without_asking() -> Secret | None:
    from imgmatch.vault.ring import Passphrase
    from imgmatch.vault.unlock import IDENTITY, PASSPHRASE, identity_in

    if _given.identity is not None:
        return identity_in(_given.identity)
    if _given.descriptor is not None:
        if _given.phrase is None:
            _given.phrase = read_phrase(_given.descriptor)
        return Passphrase(person(), _given.phrase)
    if path := os.environ.get(IDENTITY):
        return identity_in(path)
    if phrase := os.environ.get(PASSPHRASE):
        return Passphrase(person(), phrase)
    return None


def _speak_for_tokens() -> None:
    """What the plugin of a token says is shown to whoever sits here, and what it asks is asked."""
    from cli.render.notes import note
    from imgmatch.vault.age import Talk, talk_by
    from indexer.intake.csvfile import printable

    class Here(Talk):
        def display_message(self, message: str) -> None:
            note(f"imgmatch: {message}")

        def request_passphrase(self, description: str) -> str | None:
            return prompt(f"imgmatch: {printable(description)}: ") if _somebody_there() else None

    talk_by(Here())


def _in_keyring(folder: Path) -> Secret | None:
    """What the desktop's keyring holds for this case, where it was said to ask it."""
    if not os.environ.get(KEYRING):
        return None
    from imgmatch.optional import require
    from imgmatch.vault.ring import Passphrase

    found = require("keyring", "keyring").get_password(f"imgmatch {folder.absolute()}", person())
    return None if found is None else Passphrase(person(), found)


def read_phrase(descriptor: int) -> str:
    """The first line of an open file."""
    try:
        with os.fdopen(os.dup(descriptor), "rb") as file:
            return file.readline(_MOST_BYTES).rstrip(b"\r\n").decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--passphrase-fd {descriptor}: no text can be read from it; open it for reading") from error


def _somebody_there() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def prompt(says: str) -> str:
    """Ask whoever sits here for a passphrase. Raises UsageError where nobody does."""
    import getpass

    if not _somebody_there():
        raise UsageError("a passphrase is needed, and nobody is here to ask; see: imgmatch --help")
    return getpass.getpass(says)
