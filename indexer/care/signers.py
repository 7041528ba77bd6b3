"""Who is known to sign in a case: by name and public key, as its log says."""

from __future__ import annotations

from pathlib import Path

from imgmatch.errors import UsageError
from indexer.case.attested import signers_of
from indexer.case.case import Case
from indexer.case.signing import public_key


def introduce(case: Case, name: str, key: Path, *, remove: bool = False) -> dict[str, str]:
    """Make somebody known who signs, by their Ed25519 public key (PEM), or, with ``remove``, known no more: what they
    signed before stays known. Recorded, in the log itself. Only the owner of the case may.

    Raises UsageError where nothing changes by it, or the key is none; CaseError where who asks does not own the case.
    """
    case.require_owner("say who signs in it")
    case.require("signer")
    name = " ".join(name.split())
    if not name or len(name) > 200:
        raise UsageError("--name is empty or too long; say in up to 200 characters who signs")
    digits = public_key(key)
    known = signers_of(case.log.entries())
    if (digits in known) != remove:
        what = "is no signer of this case" if remove else f"is known already, as {known[digits]}"
        raise UsageError(f"{key}: {what}; nothing to change")
    told = {"public_key": digits, "name": name, **({"removed": True} if remove else {})}
    with case.use("signer") as use:
        use.entry.details = {"signer": told}
    return signers_of(case.log.entries())
