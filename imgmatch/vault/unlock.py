"""Who opens a case: what a program gives, the environment, or whoever is asked; and what wrong answers cost."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from imgmatch.errors import UsageError
from imgmatch.vault.keys import Keys, LockedError
from imgmatch.vault.memory import keep_off_disk
from imgmatch.vault.ring import Identity, Passphrase, Ring, Secret

TRIES = "unlock.tries"
"""A file of a case with a byte for each wrong answer since the last right one."""
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 30.0
_MOST_ASKED = 3

Asked = Callable[[Path, int], Secret | None]
"""Asks for what opens the case in a folder, for the first time (0) or again; None: nothing more to give."""
Unlock = Secret | Keys | Asked

PERSON = "IMGMATCH_PERSON"
PASSPHRASE = "IMGMATCH_PASSPHRASE"
IDENTITY = "IMGMATCH_IDENTITY"
_HOW = f"give your passphrase when asked, in {PASSPHRASE} or by --passphrase-fd, or a key by --identity or {IDENTITY}"


def account_name() -> str:
    """What the system calls the account that this runs under."""
    with contextlib.suppress(ImportError, KeyError, OSError, AttributeError):
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    with contextlib.suppress(OSError):
        return os.getlogin()
    return "owner"


def identity_in(path: str | os.PathLike[str]) -> Identity:
    """The identities in a file. Raises UsageError where it can't be read."""
    try:
        return Identity(Path(path).read_text("ascii"), os.fspath(path))
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise UsageError(f"{os.fspath(path)}: can't be read ({why}); give a file as age-keygen writes it") from error


def from_environment(folder: Path, attempt: int) -> Secret | None:
    """What the environment holds."""
    if attempt:
        return None
    if path := os.environ.get(IDENTITY):
        return identity_in(path)
    if phrase := os.environ.get(PASSPHRASE):
        return Passphrase(os.environ.get(PERSON) or account_name(), phrase)
    return None


class _State:
    asked: Asked = staticmethod(from_environment)
    known: dict[tuple[str, str], Keys] = {}  # noqa: RUF012


def ask_by(asked: Asked) -> None:
    """From now on ask in this way for what opens a case; what was opened before is forgotten."""
    _State.asked = staticmethod(asked)
    _State.known = {}


def keys_of(ring: Ring, folder: Path, unlock: Unlock | None = None) -> Keys:
    """The keys by which somebody opens the case in a folder; from then on this process keeps everything off the disk.

    ``unlock``: None asks as ``ask_by`` says, once a case and process. Raises LockedError where nothing opens it: each
    wrong answer takes half a second, and twice as long after each further one.
    """
    place = (ring.case_id, ring.room)
    keys = unlock if isinstance(unlock, Keys) else _State.known.get(place) if unlock is None else None
    if keys is None:
        keys = _asked_for(ring, folder, unlock)
        if unlock is None:
            _State.known[place] = keys
    keep_off_disk()
    return keys


def remember(ring: Ring, keys: Keys) -> None:
    """These open the case from now on, in this process: it was made or sealed anew by them."""
    _State.known[ring.case_id, ring.room] = keys
    keep_off_disk()


def _asked_for(ring: Ring, folder: Path, unlock: Unlock | None) -> Keys:
    asked: Asked = unlock if callable(unlock) else _State.asked
    refused = LockedError(f"{folder}: is encrypted; {_HOW}")
    for attempt in range(_MOST_ASKED):
        if isinstance(unlock, Passphrase | Identity):
            secret: Secret | None = None if attempt else unlock
        else:
            secret = asked(folder, attempt)
        if secret is None:
            break
        try:
            keys = ring.unlock(secret)
        except LockedError as error:
            refused = error
            _wait(folder)
            continue
        with contextlib.suppress(OSError):
            (folder / TRIES).unlink(missing_ok=True)
        return keys
    raise refused


def _wait(folder: Path) -> None:
    count = 1
    with contextlib.suppress(OSError), (folder / TRIES).open("ab") as file:
        file.write(b".")
        count = file.tell()
    time.sleep(min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** min(count - 1, 16)))
