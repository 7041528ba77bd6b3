"""Files encrypted to the keys of those who are to read them: age (age-encryption.org/v1), by pyrage.

What is in clear passes through memory only: it is encrypted as it is written, and decrypted, whole and with every
chunk's tag compared, before a byte of it is used.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO

from imgmatch.errors import UsageError
from imgmatch.optional import require
from imgmatch.vault import age, memory

EXTRA = "vault"
_BEGINS = b"age-encryption.org/v1\n"
_HEADER_ENDS = b"\n--- "
_MOST_HEADER_BYTES = 1 << 20
_MOST_KEY_BYTES = 1 << 20
_MOST_SHOWN = 80
_SECRET = "that is a secret key, to be shown to nobody; --to takes the public one, which begins with age1"


def is_sealed(path: Path) -> bool:
    """Is this an encrypted file? OSError where it can't be read."""
    with path.open("rb") as file:
        return file.read(len(_BEGINS)) == _BEGINS


def recipients(given: Sequence[str]) -> dict[str, Any]:
    """Public keys by their texts: each of ``given`` is one (age1.., ssh-ed25519 .., ssh-rsa ..), or a file with one a
    line. Raises UsageError for what is none.
    """
    found: dict[str, Any] = {}
    for text in given:
        if text.upper().startswith("AGE-SECRET-KEY-"):
            raise UsageError(_SECRET)
        if text.startswith(("age1", "ssh-")):
            found[text.strip()] = _recipient(text.strip(), text)
            continue
        lines = _lines(Path(text), "--to takes a public key (age1..., ssh-ed25519 ...) or a file with one a line")
        if not lines:
            raise UsageError(f"{text}: holds no public key; give a file with one a line, or the key itself")
        found |= {line: _recipient(line, text) for line in lines}
    return found


def _recipient(line: str, given: str) -> Any:
    if line.upper().startswith("AGE-SECRET-KEY-"):
        raise UsageError(f"{given}: {_SECRET}")
    found = _ssh_recipient(line) if line.startswith("ssh-") else age.recipient(line)
    if found is None:
        raise UsageError(f"{line[:_MOST_SHOWN]}: is no public key of age or SSH; ask for it again")
    return found


def _ssh_recipient(line: str) -> Any | None:
    pyrage = require("pyrage", EXTRA)
    try:
        return pyrage.ssh.Recipient.from_str(line)
    except (pyrage.RecipientError, pyrage.EncryptError, ValueError, OSError, TypeError):
        return None


def identities(path: Path) -> list[Any]:
    """The secret keys in a file: of age, one a line, or one of SSH without a passphrase. Raises UsageError where there
    is none; nothing of a key stands in its message.
    """
    pyrage = require("pyrage", EXTRA)
    lines = _lines(path, "--identity takes a file with the secret key that the pack was encrypted to")
    if not (lines and lines[0].startswith("-----BEGIN")):
        return age.identities("\n".join(lines), str(path))
    try:
        return [pyrage.ssh.Identity.from_buffer("\n".join([*lines, ""]).encode())]
    except (pyrage.IdentityError, ValueError):
        raise UsageError(f"{path}: is no secret key of SSH that opens without a passphrase; use one of age") from None


def _lines(path: Path, what: str) -> list[str]:
    """The lines of a small text file, without comments."""
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_KEY_BYTES + 1)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: can't be read ({getattr(error, 'strerror', None) or 'no path'}); {what}") from error
    if len(text) > _MOST_KEY_BYTES:
        raise UsageError(f"{path}: is too large for a file of keys; {what}")
    lines = (line.strip() for line in text.decode("utf-8", "replace").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


@contextmanager
def sealing(file: BinaryIO, keys: Sequence[Any]) -> Iterator[BinaryIO]:
    """A file to write, front to back, of which ``file`` gets what is encrypted to ``keys``. OSError as of ``file``."""
    into = _Watched(file)
    encrypt = require("pyrage", EXTRA).encrypt_io
    receiving, giving = os.pipe()
    clear = open(receiving, "rb")  # noqa: SIM115  (closed by who reads it: else who writes waits for ever)

    def encrypted() -> None:
        with clear:
            encrypt(clear, into, keys)

    with ThreadPoolExecutor(1, "seal") as thread:
        done = thread.submit(encrypted)
        try:
            with open(giving, "wb", buffering=1 << 16) as written:
                yield written
        except BrokenPipeError:
            done.result()
            raise
        finally:
            if into.fault is not None:
                raise into.fault
    done.result()


class _Watched:
    """A file to write that keeps what went wrong: of an error in there, pyrage tells a text alone."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.fault: OSError | None = None

    def write(self, data: bytes) -> int:
        try:
            return self._file.write(data)
        except OSError as error:
            self.fault = error
            raise

    def flush(self) -> None:
        self._file.flush()


@contextmanager
def opened(path: Path, identity: Path | None) -> Iterator[IO[bytes]]:
    """What an encrypted file holds, in memory, after all of it has been authenticated. Raises UsageError where no
    identity is given, none opens it, or it is damaged; OSError where there is no room.
    """
    if identity is None:
        raise UsageError(f"{path}: is encrypted; give the file with your secret key: --identity FILE")
    keys = identities(identity)
    pyrage = require("pyrage", EXTRA)
    with path.open("rb") as file:
        if _HEADER_ENDS not in file.read(_MOST_HEADER_BYTES):
            raise UsageError(f"{path}: no encrypted pack: its header does not end; ask the sender for it again")
    memory.keep_off_disk()
    with path.open("rb") as file, os.fdopen(os.memfd_create("imgmatch", os.MFD_CLOEXEC), "w+b") as clear:
        into = _Watched(clear)
        try:
            pyrage.decrypt_io(file, into, keys)
        except (pyrage.DecryptError, OSError, ValueError) as error:
            if into.fault is not None:
                raise into.fault from error
            raise UsageError(f"{path}: {_why(error, identity)}") from error
        clear.seek(0)
        yield clear


def _why(error: Exception, identity: Path) -> str:
    if "No matching keys" in str(error):
        return f"no key in {identity} opens it; it was encrypted to others, ask the sender for one encrypted to you"
    return "damaged, cut off or altered encrypted file; ask the sender for it again"
