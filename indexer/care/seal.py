"""Seals of what is handed out: the SHA-256 of canonical JSON (RFC 8785 as far as text and whole numbers go: sorted
keys, no spaces, UTF-8), signed by whoever has a key (Ed25519, RFC 8032).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from imgmatch.errors import UsageError
from imgmatch.optional import require


def digest_of(body: dict[str, Any]) -> str:
    """The SHA-256 that a seal of ``body`` has."""
    return hashlib.sha256(_canonical(body)).hexdigest()


def signature_faults(body: dict[str, Any], seal: dict[str, Any], public_key: Path | None) -> list[str]:
    """What is wrong with the signature; with ``public_key`` it must be of the key that belongs to it."""
    faults = []
    signed = seal.get("public_key")
    if signed is not None:
        if not _signed(str(signed), str(seal.get("signature")), _canonical(body)):
            faults.append("the signature is wrong")
    elif public_key is not None:
        faults.append("it is not signed")
    if public_key is not None and signed is not None and _public(public_key) != signed:
        faults.append(f"it is signed by another key than that of {public_key}")
    return faults


def _canonical(body: dict[str, Any]) -> bytes:
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")


def sealed(body: dict[str, Any], signer: Any = None) -> dict[str, Any]:
    """The seal of ``body``: its SHA-256, and with a key of ``private_key`` its signature."""
    data = _canonical(body)
    seal = {"sha256": hashlib.sha256(data).hexdigest()}
    if signer is not None:
        seal |= {
            "algorithm": "Ed25519",
            "public_key": signer.public_key().public_bytes_raw().hex(),
            "signature": signer.sign(data).hex(),
        }
    return seal


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


def _public(path: Path) -> str:
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


def _signed(public_key: str, signature: str, data: bytes) -> bool:
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
