"""Who can open an encrypted case, and as what: letting people in, and putting them out by new keys."""

from __future__ import annotations

import dataclasses
from typing import Any

from imgmatch.errors import UsageError
from imgmatch.vault.keys import Keys
from imgmatch.vault.ring import Passphrase, Ring
from imgmatch.vault.unlock import remember
from indexer.case.case import Case
from indexer.case.operations import Role
from indexer.case.people import KEYS, ROLE, introduced, role_of
from indexer.case.sealing import Converted, rekey
from indexer.index.protocol import Progress
from indexer.intake.delivery import deliveries


def people(case: Case) -> list[dict[str, Any]]:
    """Who can open a case: name, role, how, and which keys that gives, in the order in which they came. Recorded.

    Raises UsageError of a plain case, which has no people.
    """
    ring, keys = opened(case)
    with case.use("list access") as use:
        rows = [
            {
                "name": person.name,
                "role": role_of(person).value,
                "by": "passphrase" if person.by_passphrase else "key",
                "keys": ["everything"] if person.everything else sorted({*person.purposes} - {"names"}),
                "recipient": person.recipient,
            }
            for person in ring.people(keys)
        ]
        use.entry.counts = {"people": len(rows)}
    return rows


def grant(case: Case, name: str, role: Role, access: str | Passphrase | None) -> str:
    """Let somebody in as what they are to be, by their public key (age1...) or a passphrase; returns the case's public
    key, which is all that a contributor needs (``access`` None). Recorded, before and after. Only an owner may.

    Raises UsageError of a plain case, where there is one of that name, or where ``access`` does not fit the role.
    """
    name = " ".join(name.split())
    if not name or len(name) > 200:
        raise UsageError("NAME is empty or too long; give up to 200 characters")
    if (access is None) != (role is Role.contributor):
        raise UsageError(
            "a contributor needs the case's public key alone, and has no other"
            if role is Role.contributor
            else f"a key or a passphrase is needed for {role}"
        )
    opened(case)
    with case.writing(), case.use("grant", arguments={"name": name, "role": role.value}, ends="granted") as use:
        ring, keys = opened(case)
        if access is not None:
            _write(case, Ring.read(case.path).granted(keys, name, access, KEYS[role], {ROLE: role.value}), keys)
            use.entry.details = introduced(opened(case)[0].people(keys)[-1])
    return ring.inbox


def rephrase(case: Case, old: Passphrase, new: Passphrase) -> None:
    """Another passphrase for whoever opened a case, who says the one before once more. Recorded.

    Raises UsageError where they open it by a key, LockedError where ``old`` is not theirs.
    """
    ring, keys = opened(case)
    case.require("passphrase")
    if not ring.person(keys).by_passphrase:
        raise UsageError(f"{case.path}: you open it by a key, and have no passphrase to change")
    identity = ring.identity_of(old) if ring.unlock(old).person == keys.person else None
    if identity is None:
        raise UsageError(f"{case.path}: that is somebody else's passphrase; give your own")
    with case.writing(), case.use("passphrase"):
        _write(case, Ring.read(case.path).rephrased(keys, identity, new), keys)


def revoke(case: Case, name: str, progress: Progress | None = None) -> Converted:
    """Put somebody out: the case is sealed anew, by keys that they don't have. It is closed then.

    Raises UsageError where there is none of that name, no owner would be left, or deliveries wait, which new keys would
    not open.
    """
    ring, keys = opened(case)
    case.require("revoke")
    everyone = ring.people(keys)
    gone = {person.number: person.name for person in everyone if person.name == name}
    if not gone:
        raise UsageError(f"{name!r}: nobody of that name opens {case.path}; see: imgmatch access list {case.path}")
    if not any(person.everything for person in everyone if person.number not in gone):
        raise UsageError(f"{name!r}: is the only owner; first let another in: imgmatch access grant {case.path}")
    require_taken_in(case)
    return rekey(case, gone, action="revoke", arguments={"name": name}, progress=progress)


def rotate(case: Case, progress: Progress | None = None) -> Converted:
    """Seal the case anew, by new keys, for the same people; it is closed then. Errors as ``revoke``."""
    opened(case)
    case.require("rotate")
    require_taken_in(case)
    return rekey(case, progress=progress)


def require_taken_in(case: Case) -> None:
    """Raises UsageError where deliveries wait that new keys would not open."""
    if waiting := deliveries(case.path):
        raise UsageError(
            f"{case.path}: {len(waiting)} deliveries wait, which new keys would not open; first: "
            f"imgmatch access take-in {case.path}"
        )


def opened(case: Case) -> tuple[Ring, Keys]:
    """The ring of a case, and the keys of whoever opened it. Raises UsageError where it is plain."""
    ring, keys = case.place.ring, case.place.keys
    if ring is None or keys is None:
        raise UsageError(f"{case.path}: is not encrypted, and has no people; first: imgmatch encrypt {case.path}")
    return ring, keys


def _write(case: Case, ring: Ring, keys: Keys) -> None:
    ring.write(case.path)
    case.place = dataclasses.replace(case.place, ring=ring)
    remember(ring, keys)
