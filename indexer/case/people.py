"""The people of an encrypted case: what each is in it, which of its keys that gives them, and who stands by.

A plain case has no people: whoever can read its folder can do everything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from imgmatch.vault.ring import Person
from indexer.case.operations import Role
from indexer.case.place import Place

ROLE = "role"
KEYS: Mapping[Role, Sequence[str] | None] = {
    Role.owner: None,
    Role.examiner: ("catalogue", "vectors", "log", "pictures", "inbox"),
    Role.reviewer: ("catalogue", "vectors", "log"),
    Role.auditor: ("log",),
}
"""The keys that a role holds (imgmatch.vault.keys; None: the case's own, and so all). A contributor holds none: what
they hand in is sealed by the case's public key.
"""
MAY_STAND_BY = frozenset({Role.owner, Role.examiner, Role.reviewer})
"""Who may be the second of two persons."""


class Member(NamedTuple):
    """Whoever has opened an encrypted case."""

    number: str
    name: str
    role: Role


def role_of(person: Person) -> Role:
    """What a person is: the case's own key makes an owner, whatever else is said; what is not said, an auditor."""
    if person.everything:
        return Role.owner
    told = str(person.details.get(ROLE, ""))
    return Role(told) if told in set(Role) and told != Role.owner else Role.auditor


def signer_of(place: Place) -> dict[str, Any]:
    """Details of an entry that says by which key whoever opened an encrypted case signs; nothing of a plain one."""
    if place.ring is None or place.keys is None:
        return {}
    return introduced(place.ring.person(place.keys))


def introduced(person: Person, *, removed: bool = False) -> dict[str, Any]:
    """Details of an entry that makes known by which key a person signs, or that they sign no more."""
    if not person.signs:
        return {}
    told = {"public_key": person.signs, "name": person.name}
    return {"signer": {**told, "removed": True} if removed else told}


def member_of(place: Place) -> Member | None:
    """Whoever opened a case; None of a plain one."""
    if place.ring is None or place.keys is None:
        return None
    person = place.ring.person(place.keys)
    return Member(person.number, person.name, role_of(person))
