"""Who may ask a service, for what: a file of the operator's, with a hash of each token and never a token."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import stat
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypedDict

from imgmatch import given
from imgmatch.errors import UsageError
from imgmatch.workers.wire import WireError, checked
from indexer.catalogue.clock import now_utc
from indexer.index.disk import locked
from indexer.out.atomic import whole_file

ALL = "*"
"""As a right: every case that the service holds."""
_MOST_BYTES = 8 << 20
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,200}\Z")
_TOKEN = re.compile(r"imt_[A-Za-z0-9_-]{43}\Z")


@dataclass(frozen=True, slots=True)
class Person:
    """One token of a person: the SHA-256 of it, which cases it is for, and whether it may see pictures as they are."""

    name: str
    token_sha256: str
    cases: tuple[str, ...]
    reveal: bool
    made_utc: str
    until: str = ""
    revoked_utc: str = ""

    def may(self, case: str) -> bool:
        """May they search this case?"""
        return ALL in self.cases or case in self.cases

    def state(self, now: str) -> str:
        """Whether the token lets in: valid, or why not."""
        return "revoked" if self.revoked_utc else "expired" if self.until and self.until <= now else "valid"


class _Row(TypedDict):
    name: str
    token_sha256: str
    cases: list[str]
    reveal: bool
    made_utc: str
    until: str
    revoked_utc: str


class _File(TypedDict):
    imgmatch_people: int
    people: list[_Row]


class People:
    """The people of a file, read again whenever it has changed: who is revoked is out with the next request."""

    def __init__(self, path: Path) -> None:
        """Raises UsageError where there is no such file, or it is none, or others may write to it."""
        self.path = path
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._by_token: dict[str, Person] = {}
        self._reread()

    def of(self, token: str) -> Person | None:
        """Whose token this is, where it lets in now. A file that can't be read lets nobody in."""
        try:
            self._reread()
        except UsageError:
            return None
        if not _TOKEN.match(token):
            return None
        # Found by its hash: how long that takes tells nothing of a token, which is 256 bits of chance.
        found = self._by_token.get(_hashed(token))
        return found if found is not None and found.state(now_utc()) == "valid" else None

    def _reread(self) -> None:
        with self._lock:
            try:
                info = self.path.stat()
            except OSError as error:
                raise UsageError(f"{self.path}: can't be read ({error.strerror}); {_MAKE}") from error
            seen = info.st_mtime_ns, info.st_size, info.st_ino
            if seen != self._seen:
                self._by_token = {person.token_sha256: person for person in read(self.path)}
                self._seen = seen


_MAKE = "make one with: imgmatch serve token add FILE NAME"


def read(path: Path) -> list[Person]:
    """Everybody in a file, in the order in which they came. Raises UsageError where it can't be believed."""
    try:
        if os.name == "posix" and (mode := path.stat().st_mode) & (stat.S_IWGRP | stat.S_IWOTH):
            raise UsageError(f"{path}: others may write to it (mode {mode & 0o777:o}); run: chmod 600 {path}")
        told = checked(_File, given.load(path, _MOST_BYTES))
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({error.strerror}); {_MAKE}") from error
    except (ValueError, WireError) as error:
        raise UsageError(f"{path}: is no file of people ({error}); {_MAKE}") from error
    if told["imgmatch_people"] != 1:
        raise UsageError(f"{path}: written by another version of imgmatch; use that one")
    return [Person(**{**row, "cases": tuple(row["cases"])}) for row in told["people"]]


def add(path: Path, name: str, cases: Iterable[str], *, reveal: bool = False, until: str = "") -> str:
    """A new token for a person, who may have several; returned once and kept nowhere. Makes the file where there is
    none. Raises UsageError for what is no name.
    """
    if not _NAME.match(name) or name != name.strip():
        raise UsageError(f"{name!r} is no name; give up to 200 letters that can be read")
    token = f"imt_{secrets.token_urlsafe(32)}"
    with _alone(path):
        people = read(path) if path.exists() else []
        people.append(Person(name, _hashed(token), tuple(sorted(set(cases))), reveal, now_utc(), until))
        _write(path, people)
    return token


def revoke(path: Path, name: str) -> int:
    """End all tokens of a person; returns how many. Raises UsageError where they have none that is valid."""
    with _alone(path):
        now, people = now_utc(), read(path)
        ended = [person.name == name and not person.revoked_utc for person in people]
        if not any(ended):
            known = ", ".join(sorted({person.name for person in people if not person.revoked_utc})) or "nobody"
            raise UsageError(f"{name!r}: has no token in {path}; there: {known}")
        _write(path, [replace(one, revoked_utc=now) if end else one for one, end in zip(people, ended, strict=True)])
    return sum(ended)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Nobody else changes the file meanwhile: of two who read it at once, the one would undo what the other wrote."""
    lock = path.with_name(f".{path.name}.lock")
    try:
        file = os.fdopen(os.open(lock, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
    except OSError as error:
        raise UsageError(f"{path}: can't be written ({error.strerror}); give a file in a folder of yours") from error
    with file, locked(file):
        yield


def _write(path: Path, people: Iterable[Person]) -> None:
    text = json.dumps({"imgmatch_people": 1, "people": [asdict(person) for person in people]}, indent=2)
    with whole_file(path, replace=True) as file:
        file.write(text.encode("ascii") + b"\n")


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode("ascii", "backslashreplace")).hexdigest()
