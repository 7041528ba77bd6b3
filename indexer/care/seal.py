"""Seals of what is handed out: the SHA-256 of canonical JSON (RFC 8785 as far as text and whole numbers go: sorted
keys, no spaces, UTF-8), signed by whoever has a key (Ed25519, RFC 8032).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from indexer.case.signing import is_signed, public_key, public_of


def digest_of(body: dict[str, Any]) -> str:
    """The SHA-256 that a seal of ``body`` has."""
    return hashlib.sha256(_canonical(body)).hexdigest()


def signature_faults(body: dict[str, Any], seal: dict[str, Any], public: Path | None) -> list[str]:
    """What is wrong with the signature; with ``public`` it must be of the key that belongs to it."""
    faults = []
    signed = seal.get("public_key")
    if signed is not None:
        if not is_signed(str(signed), str(seal.get("signature")), _canonical(body)):
            faults.append("the signature is wrong")
    elif public is not None:
        faults.append("it is not signed")
    if public is not None and signed is not None and public_key(public) != signed:
        faults.append(f"it is signed by another key than that of {public}")
    return faults


def _canonical(body: dict[str, Any]) -> bytes:
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")


def sealed(body: dict[str, Any], signer: Any = None) -> dict[str, Any]:
    """The seal of ``body``: its SHA-256, and with a private key its signature."""
    data = _canonical(body)
    seal = {"sha256": hashlib.sha256(data).hexdigest()}
    if signer is not None:
        seal |= {
            "algorithm": "Ed25519",
            "public_key": public_of(signer),
            "signature": signer.sign(data).hex(),
        }
    return seal
