"""The ring: the file of an encrypted case that hands its keys to people (``vault.json``).

Every person has an X25519 key. Its public half wraps, in age's format, what keys the person holds: the case's own, or
some of those derived from it. The secret half is the person's own (a file, a token), or lies here sealed by a key
that Argon2id (RFC 9106) makes of name and passphrase together: no name stands here in the clear, and an unknown name
and a wrong passphrase are one thing, in time and in words. Whoever has the case's key signs the ring (Ed25519), and
everybody who opens it finds the key of that signature among their own: no grant, no revocation is anybody else's.
Each person also has an Ed25519 key of their own, made as they are let in and wrapped for them alone: with it they
sign what they do (indexer.case.signing).
"""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imgmatch.errors import CaseError, UsageError
from imgmatch.given import loads
from imgmatch.optional import require
from imgmatch.vault import age
from imgmatch.vault.keys import KEY_BYTES, PURPOSES, Keys, LockedError, derived, seal, signer, signing_public, unsealed
from imgmatch.vault.phrase import stretched

NAME = "vault.json"
FORMAT = 1
_ARGON2ID = {"memory_kib": 65_536, "iterations": 3, "lanes": 4}  # RFC 9106, the second recommended option
_MOST_BYTES = 16 << 20
_MOST_MEMORY_KIB = 4 << 20
_REFUSED = "can't be opened: wrong passphrase or key, or no person of this case"


@dataclass(frozen=True, slots=True)
class Passphrase:
    """What a person knows: their name in the case, and the phrase."""

    person: str
    phrase: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Identity:
    """What a person has: the text of a file of age identities."""

    text: str = field(repr=False)
    name: str = "the identity"


Secret = Passphrase | Identity


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can open a case. ``purposes``: which keys they hold; ``everything``: the case's own, with which
    people are let in and put out. ``details``: what else is kept of them, signed and for the people of the case alone.
    ``signs``: the public half of the key by which they sign, as hexadecimal digits.
    """

    number: str
    name: str
    recipient: str
    purposes: tuple[str, ...]
    everything: bool
    by_passphrase: bool
    details: Mapping[str, Any]
    signs: str


class Ring:
    """What ``vault.json`` holds. Each change gives another ring, signed; ``write`` puts it in the place of the one
    before, all at once.
    """

    def __init__(self, body: dict[str, Any], signature: str, path: Path | None = None) -> None:
        self._body = body
        self._signature = signature
        self.called = path or Path(NAME)

    @property
    def case_id(self) -> str:
        """The case's id."""
        return str(self._body["case_id"])

    @property
    def room(self) -> str:
        """The folder of the case in which everything sealed by these keys lies: another one after each re-keying."""
        return str(self._body["room"])

    @property
    def inbox(self) -> str:
        """The case's public key (age1...): by it anybody may hand something in, and read nothing."""
        return str(self._body["inbox"])

    # --- making and changing

    @classmethod
    def create(cls, case_id: str) -> tuple[Ring, Keys]:
        """A ring of no people yet, and the new keys of the case."""
        master = secrets.token_bytes(KEY_BYTES)
        keys = derived(master, case_id)
        secret, public = age.new_identity()
        body = {
            "format": FORMAT,
            "case_id": case_id,
            "room": f"sealed-{secrets.token_hex(8)}",
            "argon2id": dict(_ARGON2ID),
            "salt": secrets.token_hex(16),
            "inbox": public,
            "inbox_identity": _text(seal(keys.held["inbox"], secret.encode(), f"{case_id} inbox")),
            "people": [],
            "names": "",
        }
        return cls(body, "")._named(keys, {}), keys

    def granted(
        self,
        keys: Keys,
        name: str,
        access: str | Passphrase,
        purposes: Iterable[str] | None = None,
        details: Mapping[str, Any] | None = None,
        signing: bytes = b"",
    ) -> Ring:
        """With one more person, who opens it by a public key (age1...) or a passphrase, and then holds the keys for
        some purposes (None: the case's own) and one to sign by (a new one, but of whoever makes the ring). Raises
        UsageError where there is one of that name, or the key is none.
        """
        if any(person.name == name for person in self.people(keys)):
            raise UsageError(f"{name!r}: is a person of this case already; revoke the old key first")
        number = secrets.token_hex(8)
        identity = ""
        if isinstance(access, Passphrase):
            secret, recipient = age.new_identity()
            identity = self._locked_up(secret, number, Passphrase(name, access.phrase))
        else:
            recipient = access
        signing = signing or new_signing()
        entry = {"number": number, "recipient": recipient, "identity": identity, "keys": ""}
        entry["signing"] = _text(age.encrypted(signing, recipient))
        held = list(PURPOSES) if purposes is None else sorted({*purposes, "names"})
        entry["keys"] = _wrapped(keys, recipient, number, held, whole=purposes is None)
        body = {**self._body, "people": [*self._body["people"], entry]}
        known = self._members(keys)
        known[number] = {"name": name, "keys": held, "everything": purposes is None, "details": dict(details or {})}
        known[number]["signs"] = signing_public(signing)
        return Ring(body, "", self.called)._named(keys, known)

    def rekeyed(self, keys: Keys, without: Iterable[str] = ()) -> tuple[Ring, Keys]:
        """With a new key of the case, and a new room, for everybody but those of some numbers. Nothing of the old
        room opens by it: that is to be sealed again.
        """
        _master(keys)
        gone = set(without)
        ring, new = Ring.create(self.case_id)
        # What a passphrase is made a key of stays: nobody is asked for theirs.
        body = {**ring._body, "salt": self._body["salt"], "argon2id": self._body["argon2id"]}
        known = {number: row for number, row in self._members(keys).items() if number not in gone}
        body["people"] = [
            {
                **entry,
                "keys": _wrapped(
                    new, entry["recipient"], entry["number"], known[entry["number"]]["keys"],
                    whole=known[entry["number"]]["everything"],
                ),
            }
            for entry in self._body["people"]
            if entry["number"] in known
        ]  # fmt: skip
        person = keys.person if keys.person in known else ""
        return Ring(body, "", self.called)._named(new, known), derived(
            _master(new), self.case_id, person, keys.signing if person else b""
        )

    def rephrased(self, keys: Keys, identity: str, new: Passphrase) -> Ring:
        """With another passphrase for the person of these keys, whose ``identity`` (see ``identity_of``) stays what it
        is: nobody has to sign that.
        """
        body = copy.deepcopy(self._body)
        for entry in body["people"]:
            if entry["number"] == keys.person:
                entry["identity"] = self._locked_up(identity, entry["number"], new)
        return Ring(body, self._signature, self.called)

    # --- opening

    def unlock(self, secret: Secret) -> Keys:
        """The keys that a person holds. Raises LockedError, the same for whatever does not fit, and CaseError where
        the ring is not as it was signed.
        """
        if isinstance(secret, Passphrase):
            text = self.identity_of(secret)
            found = age.identities(text) if text is not None else []
        else:
            found = age.identities(secret.text, secret.name)
        for entry in self._body["people"]:
            bundle = age.decrypted(_bytes(entry["keys"]), found) if found else None
            if bundle is not None:
                signing = age.decrypted(_bytes(entry["signing"]), found) if "signing" in entry else None
                return self._opened(bundle, entry["number"], signing or b"")
        raise LockedError(f"{self.called.parent}: {_REFUSED}")

    def identity_of(self, secret: Passphrase) -> str | None:
        """The secret half of a person's key, by their passphrase; None where that is not it."""
        key = self._stretched(secret)
        for entry in self._body["people"]:
            plain = unsealed(key, _bytes(entry["identity"]), f"{self.case_id} {entry['number']}")
            if plain is not None:
                return plain.decode("ascii")
        return None

    def inbox_identity(self, keys: Keys) -> Identity:
        """What opens what was handed in by the case's public key."""
        plain = unsealed(keys.of("inbox").key, _bytes(self._body["inbox_identity"]), f"{self.case_id} inbox")
        if plain is None:
            raise self._altered()
        return Identity(plain.decode("ascii"), "the case's own key")

    def people(self, keys: Keys) -> list[Person]:
        """Who can open the case, in the order in which they were let in."""
        members = self._members(keys)
        return [
            Person(
                entry["number"],
                members[entry["number"]]["name"],
                entry["recipient"],
                tuple(members[entry["number"]]["keys"]),
                bool(members[entry["number"]]["everything"]),
                bool(entry["identity"]),
                members[entry["number"]]["details"],
                members[entry["number"]].get("signs", ""),
            )
            for entry in self._body["people"]
            if entry["number"] in members
        ]

    def person(self, keys: Keys) -> Person:
        """Whose keys these are."""
        return next(person for person in self.people(keys) if person.number == keys.person)

    # --- the file

    @classmethod
    def read(cls, folder: Path) -> Ring:
        """The ring of a case. Raises CaseError, naming the file, where it can't be read or is damaged."""
        path = folder / NAME
        try:
            with path.open("rb") as file:
                data = file.read(_MOST_BYTES)
        except OSError as error:
            raise CaseError(f"{path}: can't be read ({error.strerror}); check disk and rights") from error
        try:
            told = loads(data)
            ring = cls(told["ring"], str(told["signature"]), path)
            whole = ring._bytes() == data and ring._is_formed()
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            whole = False
        if not whole:
            raise CaseError(
                f"{path}: damaged, its checksum is not the recorded one; restore it from a copy of the case"
            )
        if ring._body["format"] != FORMAT:
            raise CaseError(f"{path}: written by a newer imgmatch; update imgmatch")
        return ring

    def write(self, folder: Path) -> None:
        """Put it in the place of the one before, on disk, all at once."""
        draft = folder / f"{NAME}.new"
        try:
            with draft.open("wb") as file:
                file.write(self._bytes())
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, folder / NAME)
            if os.name == "posix":
                descriptor = os.open(folder, os.O_RDONLY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
        except OSError as error:
            raise CaseError(f"{folder / NAME}: can't be written ({error.strerror}); check disk and rights") from error

    # --- within

    def _bytes(self) -> bytes:
        body = json.dumps(self._body, sort_keys=True)
        digest = hashlib.sha256(f"{body}\n{self._signature}".encode()).hexdigest()
        return f'{{"ring": {body},\n"signature": "{self._signature}",\n"sha256": "{digest}"}}\n'.encode()

    def _is_formed(self) -> bool:
        """Are its fields what this version writes? What they hold is somebody's."""
        body, cost = self._body, self._body["argon2id"]
        texts = [body[name] for name in ("case_id", "room", "salt", "inbox", "inbox_identity", "names")]
        texts += [entry[name] for entry in body["people"] for name in ("number", "recipient", "identity", "keys")]
        room = body["room"]
        return (
            all(isinstance(text, str) for text in texts)
            and Path(room).name == room
            and room.startswith("sealed-")
            and all(type(cost[name]) is int and cost[name] > 0 for name in _ARGON2ID)
            and cost["memory_kib"] <= _MOST_MEMORY_KIB
            and cost["iterations"] * cost["lanes"] <= 4096
        )

    def _named(self, keys: Keys, members: Mapping[str, Any]) -> Ring:
        """With who its people are, signed."""
        names = seal(keys.held["names"], json.dumps(members, sort_keys=True).encode(), f"{self.case_id} names")
        body = {**self._body, "names": _text(names)}
        return Ring(body, signer(_master(keys), self.case_id).sign(_signed(body)).hex(), self.called)

    def _members(self, keys: Keys) -> dict[str, Any]:
        plain = unsealed(keys.of("names").key, _bytes(self._body["names"]), f"{self.case_id} names")
        if plain is None:
            raise self._altered()
        return dict(json.loads(plain))

    def _opened(self, bundle: bytes, number: str, signing: bytes) -> Keys:
        told = json.loads(bundle)
        if told["case_id"] != self.case_id or told["number"] != number:
            raise self._altered()
        self._require_signed(bytes.fromhex(told["signer"]))
        if "master" in told:
            return derived(bytes.fromhex(told["master"]), self.case_id, number, signing)
        held = {name: bytes.fromhex(key) for name, key in told["keys"].items()}
        return Keys(self.case_id, number, held, signing=signing)

    def _require_signed(self, public: bytes) -> None:
        ed25519: Any = require("cryptography.hazmat.primitives.asymmetric.ed25519", "vault")
        exceptions: Any = require("cryptography.exceptions", "vault")
        try:
            key = ed25519.Ed25519PublicKey.from_public_bytes(public)
            key.verify(bytes.fromhex(self._signature), _signed(self._body))
        except (exceptions.InvalidSignature, ValueError) as error:
            raise self._altered() from error

    def _altered(self) -> CaseError:
        return CaseError(f"{self.called}: altered, or of another case: it is not what an owner signed; restore it")

    def _stretched(self, secret: Passphrase) -> bytes:
        return stretched(secret.person, secret.phrase, bytes.fromhex(self._body["salt"]), self._body["argon2id"])

    def _locked_up(self, identity: str, number: str, secret: Passphrase) -> str:
        if not secret.phrase:
            raise UsageError("an empty passphrase opens to everybody; give another")
        return _text(seal(self._stretched(secret), identity.encode("ascii"), f"{self.case_id} {number}"))


def new_signing() -> bytes:
    """The secret half of a new key by which a person signs."""
    return secrets.token_bytes(KEY_BYTES)


def _wrapped(keys: Keys, recipient: str, number: str, purposes: Iterable[str], *, whole: bool) -> str:
    """The keys that a person is to hold, for that person alone."""
    master = _master(keys)
    told: dict[str, Any] = {
        "case_id": keys.case_id,
        "number": number,
        "signer": signer(master, keys.case_id).public_key().public_bytes_raw().hex(),
    }
    if whole:
        told["master"] = master.hex()
    else:
        told["keys"] = {purpose: keys.of(purpose).key.hex() for purpose in purposes}
    return _text(age.encrypted(json.dumps(told).encode(), recipient))


def _master(keys: Keys) -> bytes:
    if keys.master is None:
        raise LockedError("only who holds the case's own key can let people in or put them out; ask an owner")
    return keys.master


def _signed(body: Mapping[str, Any]) -> bytes:
    """What the signature is of: all but the sealed secret halves, which their owners seal again at will."""
    people = [{**entry, "identity": ""} for entry in body["people"]]
    return b"imgmatch ring\n" + json.dumps({**body, "people": people}, sort_keys=True).encode()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""
