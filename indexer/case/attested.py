"""What an audit log has beside its chain: who signed which entries, who is known to sign, time-stamps, the clock.

All of it stands in entries, so that a copy of the log alone has it too. It is looked at line by line, as the chain is
verified (``chain.verify``).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from indexer.case.chain import Head
from indexer.case.redaction import legible
from indexer.case.signing import ACTION, Signature, is_signed, runs_of, words_of

SIGNER = "signer"
STAMP = "stamp"
INTRODUCE = (SIGNER, "init", "encrypt", "granted", "revoke")
"""Entries that may say by which key somebody signs: those of people of an encrypted case are made with it."""
_OURS = re.compile(rb'"action": "(?:%s)"' % "|".join((ACTION, STAMP, *INTRODUCE)).encode())
_TIME = re.compile(rb'"time_utc": "([0-9T:.Z-]{10,40})"')
_SHA256_BYTES = 32


@dataclass(slots=True)
class Signer:
    """Who signed: their public key, what they are called where the case knows them, and what they signed."""

    public_key: str
    name: str
    known: bool
    entries: str


@dataclass(frozen=True, slots=True)
class Stamp:
    """A time-stamp that was attached: which entry it is in, the head that it is of, and its bytes."""

    entry: int
    head: Head
    token: bytes


@dataclass(slots=True)
class Attested:
    """What was found. ``trusted``: public keys that are known whatever the log says; then no others are."""

    trusted: frozenset[str] = frozenset()
    faults: list[str] = field(default_factory=list)
    stamps: list[Stamp] = field(default_factory=list)
    case_id: str = ""
    _first: int = 0
    _last: int = 0
    _hashes: bytearray = field(default_factory=bytearray)
    _signed: dict[tuple[str, bool], set[int]] = field(default_factory=lambda: defaultdict(set))
    _called: dict[str, str] = field(default_factory=dict)
    _removed: set[str] = field(default_factory=set)
    _signatures: set[int] = field(default_factory=set)
    _latest: str = ""
    _back: list[int] = field(default_factory=list)

    def met(self, number: int, sha256: str, line: bytes) -> None:
        """The next line of the log, its number and what it comes to."""
        self._first = self._first or number
        if number == self._first + len(self._hashes) // _SHA256_BYTES:
            self._hashes += bytes.fromhex(sha256)
            self._last = number
        if (time := _TIME.search(line)) is not None:
            said = time[1].decode()
            if said < self._latest:
                self._back.append(number)
            self._latest = max(said, self._latest)
        if _OURS.search(line):
            self._told(number, line)

    def _told(self, number: int, line: bytes) -> None:
        try:
            entry = legible(line)
            action = entry["action"]
            if action == "init" and number == 1:
                self.case_id = str(entry["subject"]["case_id"])
            if action == ACTION:
                self._signatures.add(number)
                self._check(number, entry)
            elif action == SIGNER or (action in INTRODUCE and SIGNER in entry):
                self._introduce(entry[SIGNER])
            elif action == STAMP:
                head = Head(int(entry["stamps"]["entry"]), str(entry["stamps"]["sha256"]))
                if not self._has(head):
                    self.faults.append(f"entry {number}: its time-stamp is of another log than this")
                self.stamps.append(Stamp(number, head, bytes.fromhex(entry["token"])))
        except (ValueError, TypeError, KeyError, RecursionError):
            self.faults.append(f"entry {number}: is no signature, signer or time-stamp as imgmatch writes it")

    def _introduce(self, told: dict[str, Any]) -> None:
        key, name = str(told["public_key"]), str(told["name"])
        self._called[key] = name
        (self._removed.add if told.get("removed") else self._removed.discard)(key)

    def _check(self, number: int, entry: dict[str, Any]) -> None:
        told, key = entry["signs"], str(entry["public_key"])
        runs = tuple((int(first), int(last)) for first, last in told["entries"])
        head = Head(int(told["head"]["entry"]), str(told["head"]["sha256"]))
        signature = Signature(str(told["case_id"]), runs, head)
        if not is_signed(key, str(entry["signature"]), signature.message):
            self.faults.append(f"entry {number}: its signature is wrong")
        elif self.case_id and signature.case_id != self.case_id:
            self.faults.append(f"entry {number}: its signature is of another case")
        elif not runs or any(not 0 < first <= last <= head.entry for first, last in runs) or head.entry >= number:
            self.faults.append(f"entry {number}: signs what did not stand before it")
        elif head.entry < self._first:  # of a part of a log that does not begin at its beginning
            return
        elif not self._has(head):
            self.faults.append(f"entry {number}: what it signs, up to entry {head.entry}, is not as it was then")
        else:
            mine = self._signed[key, key in self._removed]
            for first, last in runs:
                mine.update(range(max(first, self._first), min(last, self._last) + 1))

    def _has(self, head: Head) -> bool:
        place = (head.entry - self._first) * _SHA256_BYTES
        return place < 0 or bytes(self._hashes[place : place + _SHA256_BYTES]).hex() == head.sha256

    # --- what it comes to

    def signers(self) -> list[Signer]:
        """Who signed what, those who are known first."""
        rows = [
            Signer(key, self._called.get(key, ""), self._knows(key, removed), words_of(runs_of(mine)))
            for (key, removed), mine in self._signed.items()
        ]
        return sorted(rows, key=lambda row: (not row.known, row.name, row.public_key))

    def unsigned(self) -> str:
        """Entries that nobody who is known signed; a signature stands for itself."""
        known = (mine for (key, removed), mine in self._signed.items() if self._knows(key, removed))
        signed = set[int]().union(*known, self._signatures)
        return words_of(runs_of(number for number in range(self._first, self._last + 1) if number not in signed))

    def _knows(self, key: str, removed: bool) -> bool:
        """Who was introduced, before or after they signed, and not removed before."""
        return key in self.trusted if self.trusted else key in self._called and not removed

    def is_used(self) -> bool:
        """Is there a signature, somebody who may sign, or a time-stamp at all?"""
        return bool(self._signed or self._called or self.stamps or self._signatures)

    def notes(self) -> Iterator[str]:
        """What is no fault, and is to be known."""
        for signer in self.signers():
            if not signer.known:
                yield f"entries {signer.entries} are signed by a key that the case does not know: {signer.public_key}"
        if self._back:
            some = ", ".join(map(str, self._back[:5]))
            yield f"the clock was set back before entries {some}{' and more' if len(self._back) > 5 else ''}"


def signers_of(entries: Iterable[dict[str, Any]]) -> dict[str, str]:
    """Who may sign, by their public keys, as entries of a log make them known."""
    found: dict[str, str] = {}
    for entry in entries:
        told = entry.get(SIGNER)
        if entry.get("action") in INTRODUCE and isinstance(told, dict):
            found.pop(str(told.get("public_key")), None)
            if not told.get("removed"):
                found[str(told.get("public_key"))] = str(told.get("name"))
    return found
