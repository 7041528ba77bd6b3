"""Seals of documents that leave a case: a digest of all that they say, signed where there is a key."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from imgmatch.errors import UsageError
from imgmatch.optional import require


def canonical(body: dict[str, Any]) -> bytes:
    """Its canonical JSON (RFC 8785 as far as text and whole numbers go): sorted keys, no spaces, UTF-8."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")


def sealed(body: dict[str, Any], signer: Any) -> dict[str, Any]:
    """The seal of all that a document says: SHA-256, and with a key its Ed25519 signature (RFC 8032)."""
    data = canonical(body)
    seal = {"sha256": hashlib.sha256(data).hexdigest()}
    if signer is not None:
        seal |= {
            "algorithm": "Ed25519",
            "public_key": signer.public_key().public_bytes_raw().hex(),
            "signature": signer.sign(data).hex(),
        }
    return seal


def private_key(path: Path) -> Any:
    """An Ed25519 key to sign with. Raises UsageError where the file is none."""
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


def public_key_of(path: Path) -> str:
    """An Ed25519 key to compare with, in hexadecimal. Raises UsageError where the file is none."""
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


def is_signed(public_key: str, signature: str, data: bytes) -> bool:
    """Is this the signature of these bytes, by the owner of this key?"""
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


_MAKE = "make one with: openssl genpkey -algorithm ed25519 -out KEY"
