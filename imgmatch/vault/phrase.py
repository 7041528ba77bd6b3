"""Keys out of passphrases: Argon2id (RFC 9106)."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping
from typing import Any

from imgmatch.optional import require
from imgmatch.vault.keys import KEY_BYTES


def stretched(person: str, phrase: str, salt: bytes, cost: Mapping[str, int]) -> bytes:
    """The key that a person's name and passphrase make together, however their letters are composed. ``cost``:
    ``memory_kib``, ``iterations`` and ``lanes``.
    """
    kdf: Any = require("cryptography.hazmat.primitives.kdf.argon2", "vault")
    name, secret = (unicodedata.normalize("NFC", text).encode("utf-8", "surrogatepass") for text in (person, phrase))
    made: bytes = kdf.Argon2id(
        salt=hashlib.sha256(salt + name).digest(),
        length=KEY_BYTES,
        iterations=cost["iterations"],
        lanes=cost["lanes"],
        memory_cost=cost["memory_kib"],
    ).derive(secret)
    return made
