"""Ed25519 (RFC 8032): keys in files, and the signature of what somebody wrote into an audit log.

Whoever has a key (``IMGMATCH_SIGNING_KEY`` names its file, or the ring of an encrypted case holds it) signs at the end
of a command: which entries are theirs, and the log's head after the last of them. The signature is an entry itself, so
it is chained, goes along with every copy of the log, and is verified without the case.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from imgmatch.errors import UsageError
from imgmatch.optional import require
from indexer.case.chain import Head

KEY = "IMGMATCH_SIGNING_KEY"
ACTION = "signed"
_MAKE = "make one with: openssl genpkey -algorithm ed25519 -out KEY"


class Signature(NamedTuple):
    """What a signature is of: runs of entries (first and last), and the head after them, of one case."""

    case_id: str
    entries: tuple[tuple[int, int], ...]
    head: Head

    @property
    def message(self) -> bytes:
        """The bytes that are signed."""
        told = {"case_id": self.case_id, "entries": self.entries, "head": str(self.head)}
        return b"imgmatch audit log\n" + json.dumps(told, sort_keys=True).encode("ascii")

    def details(self, key: Any) -> dict[str, Any]:
        """The entry's own fields, signed with a private key."""
        return {
            "signs": {
                "case_id": self.case_id,
                "entries": [list(run) for run in self.entries],
                "head": {"entry": self.head.entry, "sha256": self.head.sha256},
            },
            "public_key": public_of(key),
            "signature": key.sign(self.message).hex(),
        }


def runs_of(numbers: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Numbers as runs, first and last of each."""
    runs: list[tuple[int, int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return tuple(runs)


def words_of(runs: Iterable[tuple[int, int]]) -> str:
    """Runs of entries for people: 1-3, 8."""
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def key_of_environment() -> Any:
    """The private key that the environment names; None where it names none. Raises UsageError where that is none."""
    path = os.environ.get(KEY)
    return private_key(Path(path)) if path else None


def private_key(path: Path) -> Any:
    """An Ed25519 private key in PEM, without a password. Raises UsageError."""
    from_pem, ed25519 = _cryptography()
    try:
        key = from_pem.load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({error.strerror}); give an Ed25519 private key") from error
    except Exception as error:
        raise UsageError(
            f"{path}: can't be used as a key without a password ({type(error).__name__}); {_MAKE}"
        ) from error
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise UsageError(f"{path}: is no Ed25519 private key; {_MAKE}")
    return key


def public_key(path: Path) -> str:
    """An Ed25519 public key in PEM, as hexadecimal digits. Raises UsageError."""
    from_pem, ed25519 = _cryptography()
    try:
        key = from_pem.load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({error.strerror}); give an Ed25519 public key") from error
    except Exception as error:
        raise UsageError(f"{path}: is no public key in PEM ({type(error).__name__}); give an Ed25519 one") from error
    if not isinstance(key, ed25519.Ed25519PublicKey):
        raise UsageError(f"{path}: is no Ed25519 public key; give one")
    return str(key.public_bytes_raw().hex())


def public_of(key: Any) -> str:
    """The public half of a private key, as hexadecimal digits."""
    return str(key.public_key().public_bytes_raw().hex())


def is_signed(public_key: str, signature: str, data: bytes) -> bool:
    """Is this the signature of ``data`` by the owner of a public key? Both as hexadecimal digits."""
    _, ed25519 = _cryptography()
    from cryptography.exceptions import InvalidSignature

    try:
        ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key)).verify(bytes.fromhex(signature), data)
    except (InvalidSignature, ValueError):
        return False
    return True


def _cryptography() -> tuple[Any, Any]:
    return (
        require("cryptography.hazmat.primitives.serialization", "sign"),
        require("cryptography.hazmat.primitives.asymmetric.ed25519", "sign"),
    )
