"""The keys of an encrypted case: one random key, and those derived from it for one purpose each (HKDF, RFC 5869).

Whoever has the case's key has all others; whoever has one of those has nothing else. Each is bound to the case's id, so
that what one case sealed is nothing in another.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from imgmatch.errors import CaseError
from imgmatch.optional import require

KEY_BYTES = 32
PURPOSES = ("catalogue", "vectors", "log", "pictures", "names", "inbox")
"""What there is a key of its own for: the catalogue; segments and indexes; the audit log; pictures and packs; who the
people are; the private half of the key that anybody may hand something in by.
"""


class LockedError(CaseError):
    """An encrypted case is not opened: nothing was given that opens it, or what was given does not."""


def hkdf(key: bytes, info: str, salt: bytes = b"", length: int = KEY_BYTES) -> bytes:
    """HKDF-SHA256 of a key."""
    hashes: Any = require("cryptography.hazmat.primitives.hashes", "vault")
    kdf: Any = require("cryptography.hazmat.primitives.kdf.hkdf", "vault")
    made: bytes = kdf.HKDF(hashes.SHA256(), length, salt or None, info.encode()).derive(key)
    return made


def aes(key: bytes) -> Any:
    """AES-256-GCM by a key: ``encrypt(nonce, data, associated)`` and ``decrypt``."""
    aead: Any = require("cryptography.hazmat.primitives.ciphers.aead", "vault")
    return aead.AESGCM(key)


def unsealed(key: bytes, data: bytes, associated: str) -> bytes | None:
    """What ``seal`` sealed under this key for this place; None where it is something else, or altered."""
    exceptions: Any = require("cryptography.exceptions", "vault")
    try:
        plain: bytes = aes(key).decrypt(data[:12], data[12:], associated.encode())
    except (exceptions.InvalidTag, ValueError):
        return None
    return plain


def seal(key: bytes, data: bytes, associated: str) -> bytes:
    """A short text under a key, bound to the place that ``associated`` names."""
    nonce = secrets.token_bytes(12)
    sealed: bytes = nonce + aes(key).encrypt(nonce, data, associated.encode())
    return sealed


@dataclass(frozen=True, slots=True)
class Seal:
    """What seals and opens files of one case for one purpose."""

    case_id: str
    purpose: str
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Keys:
    """What somebody can open in a case. ``person``: their number in its ring; ``master``: the case's key, of whoever
    has everything; ``signing``: the secret half of the Ed25519 key by which this person signs, empty where they have
    none.
    """

    case_id: str
    person: str
    held: Mapping[str, bytes] = field(repr=False)
    master: bytes | None = field(default=None, repr=False)
    signing: bytes = field(default=b"", repr=False)

    def of(self, purpose: str) -> Seal:
        """What seals for a purpose. Raises LockedError where that key is not held."""
        key = self.held.get(purpose)
        if key is None:
            raise LockedError(f"your key does not open the {purpose} of this case; ask an owner for the right")
        return Seal(self.case_id, purpose, key)

    def has(self, *purposes: str) -> bool:
        """Are all of these keys held?"""
        return all(purpose in self.held for purpose in purposes)

    def person_signer(self) -> Any:
        """The Ed25519 key by which this person signs; None where they have none in this case."""
        return _ed25519(self.signing) if self.signing else None


def derived(master: bytes, case_id: str, person: str = "", signing: bytes = b"") -> Keys:
    """Every key of a case, by its own."""
    held = {name: hkdf(master, f"imgmatch {case_id} {name}") for name in PURPOSES}
    return Keys(case_id, person, held, master, signing)


def signer(master: bytes, case_id: str) -> Any:
    """The Ed25519 key by which a case's ring is signed: of whoever has the case's key."""
    return _ed25519(hkdf(master, f"imgmatch {case_id} ring"))


def signing_public(signing: bytes) -> str:
    """The public half of a key by which a person signs, as hexadecimal digits."""
    return str(_ed25519(signing).public_key().public_bytes_raw().hex())


def _ed25519(secret: bytes) -> Any:
    ed25519: Any = require("cryptography.hazmat.primitives.asymmetric.ed25519", "vault")
    return ed25519.Ed25519PrivateKey.from_private_bytes(secret)
