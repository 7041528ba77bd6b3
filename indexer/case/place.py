"""Where the files of a case lie, and what opens them: in its folder, or encrypted, in the room that its ring names.

``vault.json`` decides alone: where there is one, what lies in its room is the case, and anything plain beside it is
what an encryption or decryption that was cut off has left; where there is none, it is the other way round. So each of
these is one step, whenever it is cut off, and whoever opens the case next clears away what is left.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from imgmatch.errors import CaseError
from imgmatch.vault import ring as rings
from imgmatch.vault import sealed
from imgmatch.vault.keys import Keys
from imgmatch.vault.lines import LogFile
from imgmatch.vault.ring import Passphrase, Ring
from imgmatch.vault.unlock import Unlock, keys_of
from indexer.catalogue import Catalogue
from indexer.catalogue.cipher import Pages
from indexer.index.disk import locked, wipe
from indexer.index.shelf import INDEXES, SEGMENTS

CATALOGUE = "catalogue.sqlite"
AUDIT = "audit.jsonl"
LOCK = "write.lock"
DRAFT = f"{CATALOGUE}.new"
DESTROYED = "destroyed.json"
ROOMS = "sealed-"


@dataclass(frozen=True, slots=True)
class Owner:
    """Who is to open a case that is made or encrypted: a name, and a public key (age1...) or a passphrase."""

    name: str
    access: str | Passphrase
    details: Mapping[str, Any] = field(default_factory=dict)

    def place(self, folder: Path, case_id: str) -> Place:
        """A new room for a case, with new keys that this person holds."""
        ring, keys = Ring.create(case_id)
        signing = rings.new_signing()
        ring = ring.granted(keys, self.name, self.access, details=self.details, signing=signing)
        return Place(folder, ring, replace(keys, person=ring.people(keys)[0].number, signing=signing))


@dataclass(frozen=True, slots=True)
class Place:
    """A case's folder; of an encrypted one, its ring and what whoever opened it holds of its keys."""

    folder: Path
    ring: Ring | None = None
    keys: Keys | None = None

    @property
    def room(self) -> Path:
        """The folder that catalogue, segments, indexes and log lie in."""
        return self.folder / self.ring.room if self.ring else self.folder

    def catalogue(self, *, read_only: bool = False, copy: Path | None = None) -> Catalogue:
        """The catalogue, or a ``copy`` of it."""
        path = self.room / CATALOGUE
        return Catalogue(
            copy or path,
            read_only=read_only,
            copy_of=path if copy else None,
            keys=self.keys,
            require_current=self.require_current,
        )

    def is_current(self) -> bool:
        """Is it still where the case lies?"""
        if (self.folder / DESTROYED).exists():
            return False
        try:
            now = Ring.read(self.folder).room if (self.folder / rings.NAME).exists() else None
        except CaseError:
            return False
        return now == (self.ring.room if self.ring else None)

    def require_current(self) -> None:
        """Raises CaseError where the case was encrypted, decrypted or re-keyed since it was opened."""
        if not self.is_current():
            raise CaseError(f"{self.folder}: was encrypted, decrypted, re-keyed or destroyed meanwhile; run it again")


def is_case(folder: Path) -> bool:
    """Does a case lie here, of whatever state?"""
    return any((folder / name).is_file() for name in (CATALOGUE, rings.NAME, DESTROYED))


def found(folder: Path, unlock: Unlock | None = None) -> Place:
    """Where the case in a folder lies, opened. Raises CaseError where there is none, and LockedError."""
    if (folder / DESTROYED).is_file():
        raise CaseError(f"{folder}: was destroyed; finish it with: imgmatch destroy {folder}")
    _clear(folder)
    if (folder / rings.NAME).is_file():
        ring = Ring.read(folder)
        place = Place(folder, ring, keys_of(ring, folder, unlock))
        if not (place.room / CATALOGUE).is_file():
            raise CaseError(f"{place.room}: has no {CATALOGUE}; restore it from a copy of the case")
        return place
    if not (folder / CATALOGUE).is_file():
        if folder.is_dir() and any(folder.glob(f"{ROOMS}*")):
            raise CaseError(f"{folder}: its keys ({rings.NAME}) are missing; restore the file from a copy of the case")
        what = "no such folder" if not folder.exists() else f"not a case (it has no {CATALOGUE})"
        raise CaseError(f"{folder}: {what}; make one with: imgmatch init {folder}")
    return Place(folder)


def plain(folder: Path) -> list[Path]:
    """What of a plain case lies in a folder."""
    catalogues = sorted(folder.glob(f"{CATALOGUE}*"))
    return [*catalogues, *(folder / name for name in (AUDIT, SEGMENTS, INDEXES) if (folder / name).exists())]


def left_over(folder: Path) -> list[Path]:
    """What an encryption, a decryption or a re-keying has left that was cut off, or not cleared away yet."""
    if (folder / rings.NAME).is_file():
        with contextlib.suppress(CaseError):  # damaged: nothing is known to be left
            room = Ring.read(folder).room
            return [*plain(folder), *(path for path in folder.glob(f"{ROOMS}*") if path.name != room)]
    elif (folder / CATALOGUE).is_file():
        return sorted(folder.glob(f"{ROOMS}*"))
    return []


def wipe_all(paths: list[Path]) -> None:
    """Overwrite and remove files, and folders with all that they hold."""
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            for below, _, names in os.walk(path):
                for name in names:
                    wipe(Path(below) / name)
            shutil.rmtree(path, ignore_errors=True)
        else:
            wipe(path)


def _clear(folder: Path) -> None:
    """Clear away what was left over, unless somebody is just at work on it, or nothing may be changed here."""
    if not left_over(folder) or not os.access(folder, os.W_OK):
        return
    with (
        contextlib.suppress(BlockingIOError, PermissionError),
        (folder / LOCK).open("ab") as file,
        locked(file, wait=False),
    ):
        wipe_all(left_over(folder))


def content(catalogue: Catalogue, path: Path) -> IO[bytes]:
    """What a file of a case holds, decrypted where the case is encrypted: to look for something in it. Raises OSError,
    and SealError where it is damaged.
    """
    room, keys = catalogue.called.parent, catalogue.keys
    if keys is not None and room in path.parents:
        name = path.relative_to(room).as_posix()
        if name.startswith(CATALOGUE) and not name.endswith("-shm"):
            return Pages(path, keys)  # type: ignore[return-value]
        if name == AUDIT:
            return LogFile(path, keys.of("log")).open()
        if name.startswith((SEGMENTS, INDEXES)):
            return sealed.opened(path, keys.of("vectors"), name)  # type: ignore[return-value]
    return path.open("rb")
