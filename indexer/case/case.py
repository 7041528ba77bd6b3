"""A case on disk: one folder with everything known about a set of evidence. Owns catalogue, segments and log."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import imgmatch
from imgmatch.errors import CaseError, UsageError
from imgmatch.locator import readable
from imgmatch.types import ModelSpec
from imgmatch.vault import ring as rings
from imgmatch.vault.ring import Secret
from imgmatch.vault.unlock import Unlock, keys_of, remember
from indexer.case import home
from indexer.case.audit import EMPTY, AuditLog
from indexer.case.ending import state_of
from indexer.case.people import MAY_STAND_BY, Member, member_of, role_of, signer_of
from indexer.case.place import AUDIT, CATALOGUE, DRAFT, LOCK, ROOMS, Owner, Place, found
from indexer.case.recorded import Recorded
from indexer.case.signing import key_of_environment
from indexer.case.summary import write_summary
from indexer.case.terms import DATES, DEMANDS, checked, require_future
from indexer.case.use import Entry
from indexer.catalogue import Catalogue, RemoteRow
from indexer.catalogue.clock import now_utc
from indexer.catalogue.foreign import require_believable
from indexer.catalogue.registry import FORMAT, HEAD_KEPT
from indexer.index.disk import locked, sync_folder
from indexer.index.segments import remove_unnamed
from indexer.index.shelf import SEGMENTS, Shelf


class Case(Recorded):
    """An open case. ``create`` or ``open`` one; use it in a ``with`` statement or ``close()`` it."""

    def __init__(self, place: Place, catalogue: Catalogue) -> None:
        super().__init__(place.folder, catalogue, AuditLog(place.room / AUDIT, catalogue))
        self.place = place
        self.member = member_of(place)
        if self.signer is None and place.keys is not None:
            self.signer = place.keys.person_signer()
        self._copied: tempfile.TemporaryDirectory[str] | None = None

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        *,
        model: ModelSpec,
        about: dict[str, str] | None = None,
        remote: RemoteRow | None = None,
        owner: Owner | None = None,
    ) -> Case:
        """Make a case in a folder that is new or empty; only its owner may enter it.

        ``model`` is what ingest and search use unless told otherwise; ``about`` holds its terms;
        ``remote``: which Milvus collection keeps its index (None: files of the case do); ``owner``: who opens it, of
        one that is encrypted. Raises CaseError when something is there already.
        """
        folder = Path(path)
        _require_of_pictures(model)
        _require_kept_here(owner is not None, remote)
        key_of_environment()  # one that can't be used is named before there is a case
        about = checked(about or {})
        require_future(about.get("retain_until", ""))
        _require_people(owner is not None, about)
        case_id = str(uuid.uuid4())
        place = Place(folder) if owner is None else owner.place(folder, case_id)
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _remove_begun(folder)
            if any(folder.iterdir()):
                raise CaseError(f"{folder}: not empty; a case needs a new folder of its own")
            folder.chmod(0o700)
            (place.room / SEGMENTS).mkdir(mode=0o700, parents=True)
            place.room.chmod(0o700)
            return cls._made(place, model, {"case_id": case_id}, about, remote)
        except BaseException as error:
            with contextlib.suppress(OSError):
                _remove_begun(folder)
                folder.rmdir()  # where it is empty
            if isinstance(error, OSError):
                why = f"can't make a case here ({error.strerror}); choose another place"
                raise CaseError(f"{folder}: {why}") from error
            raise

    @classmethod
    def _made(
        cls, place: Place, model: ModelSpec, meta: dict[str, str], about: dict[str, str], remote: RemoteRow | None
    ) -> Case:
        """A case in its empty folder, built under another name, or without its keys: a folder without those is no case,
        whenever this is cut off.
        """
        draft = Catalogue(place.room / DRAFT, keys=place.keys)
        draft.create()
        now = now_utc()
        meta |= {"created_utc": now, "created_by": f"imgmatch {imgmatch.__version__}"}
        meta |= {key: value for key, value in about.items() if value}
        encrypted = {"encrypted": True} if place.ring else {}
        made = Entry("init", {**about, **encrypted}, {"case_id": meta["case_id"]}, model, details=signer_of(place))
        log = AuditLog(place.room / AUDIT, draft)
        with draft.transaction() as writer:
            writer.meta.set(meta)
            writer.models.add(model, spec_json(model), now)
            writer.custody.set_log_state(EMPTY)
            if remote is not None:
                writer.indexes.set_remote("current", remote)
            first = log.add(writer, made.action, made.fields())
        log.write_out()
        draft.checkpoint()  # all of it into the one file that gets the name, or an error: the disk may be full
        draft.close()
        draft.path.rename(place.room / CATALOGUE)
        sync_folder(place.room)
        if place.ring is not None and place.keys is not None:
            place.ring.write(place.folder)
            remember(place.ring, place.keys)
        case = cls(place, place.catalogue())
        case.log.own.append(first.entry)
        return case

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, read_only: bool = False, unlock: Unlock | None = None) -> Case:
        """Open a case; ``read_only``, or where it can't be written, without making or changing anything in its folder.
        ``unlock``: what opens one that is encrypted; None asks as imgmatch.vault.unlock says.

        Raises CaseError when there is none, or when it was written by a newer version, and LockedError.
        """
        folder = Path(path)
        place = found(folder, unlock)
        if read_only or not (os.access(folder, os.W_OK) and os.access(place.room / CATALOGUE, os.W_OK)):
            return cls._as_it_lies(place)
        catalogue = place.catalogue()
        case = cls(place, catalogue)
        if catalogue.migrate() < HEAD_KEPT:
            case.log.adopt()
        if home.has_moved(catalogue, folder):
            with case.change("followed", arguments={"portable": True}) as change:
                change.entry.subject = {"new": readable(os.path.abspath(folder))}
                before, count = home.follow(change.writer, folder, now_utc())
                change.entry.subject["old"] = readable(before)
                change.entry.counts = {"sightings": count}
        return case

    @classmethod
    def _as_it_lies(cls, place: Place) -> Case:
        """A case that is only read: its catalogue as it is, or a copy of it, where it has to be brought up or to take
        in what its write-ahead log holds.
        """
        opened = place.catalogue(read_only=True)
        log = place.room / f"{CATALOGUE}-wal"
        as_it_is = opened.format_version() == FORMAT and not (log.exists() and log.stat().st_size)
        if as_it_is and not home.has_moved(opened, place.folder):
            case = cls(place, opened)
            case.read_only = True
            return case
        opened.close()
        copied = tempfile.TemporaryDirectory(prefix="imgmatch-case-")  # its owner's only; encrypted as the case is
        for file in (place.room / CATALOGUE, log):
            if file.exists():
                shutil.copyfile(file, Path(copied.name) / file.name)
        case = cls(place, place.catalogue(copy=Path(copied.name) / CATALOGUE))
        case._copied, case.read_only = copied, True
        if case._catalogue.migrate() < HEAD_KEPT:
            case.log.adopt()
        if home.has_moved(case._catalogue, place.folder):
            with case._catalogue.transaction() as writer:
                home.follow(writer, place.folder, now_utc())
        return case

    def close(self) -> None:
        """Let go of every file."""
        with contextlib.suppress(CaseError):  # what can't be written now waits in the catalogue for the next use
            self.sign()
            self._sum_up()
            self.log.settle()
        self._catalogue.close()
        if self._copied is not None:
            self._copied.cleanup()

    def _sum_up(self) -> None:
        """Leave the numbers of an encrypted case for who may read its log alone."""
        keys = self.place.keys
        if keys is None or self.read_only or not self.log.wrote:
            return
        meta = self.catalogue.meta.all()
        told = {name: meta[name] for name in ("created_utc", *DATES, DEMANDS) if name in meta}
        write_summary(self.place.room, keys.of("log"), {**self.catalogue.counts(), **told})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- what it is

    def stand_by(self, secret: Secret) -> None:
        """Another person of an encrypted case stands by, for what two must do. Raises UsageError where the case is
        plain, CaseError where it is nobody else, or who may not, and LockedError.
        """
        ring, keys = self.place.ring, self.place.keys
        if ring is None or keys is None:
            raise UsageError(f"{self.path}: is not encrypted, and has no people; two persons go with one that is")
        number = keys_of(ring, self.path, secret).person
        person = next(person for person in ring.people(keys) if person.number == number)
        if number == keys.person or role_of(person) not in MAY_STAND_BY:
            why = "is who opened it" if number == keys.person else f"is {role_of(person)} here"
            raise CaseError(f"{self.path}: {person.name} {why}, and can't stand by; another person must")
        self.second = Member(number, person.name, role_of(person))

    def require_believable(self) -> None:
        """Raises CaseError where its catalogue is not what this program writes: of a case of somebody else."""
        require_believable(self._catalogue)

    def last_run(self, command: str) -> dict[str, Any] | None:
        """The latest run of a command with what became of it: ``state`` (as in ``ending``) and ``why``."""
        run = self.catalogue.last_run(command)
        if run is None:
            return None
        told = state_of(self.path, run)
        return {**run, "state": told.state, "why": told.why}

    def sizes(self) -> dict[str, int]:
        """Bytes on disk: catalogue (with its write-ahead log), segments, audit log."""
        parts = {
            "catalogue_bytes": self.place.room.glob(f"{CATALOGUE}*"),
            "segment_bytes": self.place.room.glob(f"{SEGMENTS}/*/*"),
            "audit_bytes": self.place.room.glob(AUDIT),
        }
        return {name: sum(path.stat().st_size for path in paths) for name, paths in parts.items()}

    # --- writing

    @contextmanager
    def writing(self, waiting: Callable[[], bool] | None = None) -> Iterator[None]:
        """Hold the case's only writer's place; removes what a killed run left. Raises CaseError when it is taken.

        ``waiting``: it is asked for again as long as that, which takes its time, says so.
        """
        self._require_a_log()
        try:
            with (self.path / LOCK).open("ab") as file, ExitStack() as stack:
                while True:
                    try:
                        stack.enter_context(locked(file, wait=False))
                        break
                    except BlockingIOError as error:
                        if waiting is None or not waiting():
                            busy = "another imgmatch is writing to this case; wait until it is done"
                            raise CaseError(f"{self.path}: {busy}") from error
                self.tidy()
                yield
        except PermissionError as error:
            raise CaseError(f"{self.path}: no right to write to this case; ask its owner") from error

    def is_written_to(self) -> bool:
        """Does another program hold the writer's place? Takes it for a moment where none does."""
        try:
            with (self.path / LOCK).open("ab") as file, locked(file, wait=False):
                return False
        except BlockingIOError:
            return True

    def add_shelf(self, spec: ModelSpec) -> Shelf:
        """The place for what a model makes here, noted and recorded now if it is new.

        Raises CaseError when the case knows another model of the same name: their vectors must not be mixed.
        """
        _require_of_pictures(spec)
        found = self.find_shelf(spec)
        if found is not None:
            return found
        if any(shelf.spec.name == spec.name for shelf in self.shelves()):
            raise CaseError(
                f"{self.path}: its vectors were made by a model {spec.name!r} with other weights than the one "
                "installed; their vectors can't be mixed: use the imgmatch version that made it, or make a new case"
            )
        with self.change("model_added", model=spec) as change:
            change.writer.models.add(spec, spec_json(spec), now_utc())
        return self.shelf(spec)

    def tidy(self) -> None:
        """Remove segment files that no committed transaction names. Only by the writer."""
        remove_unnamed(self.place.room / SEGMENTS, self.catalogue.segments.committed())


def _remove_begun(folder: Path) -> None:
    """Remove what an init that was cut off has left, of a folder that holds nothing else."""
    left = {path.name for path in folder.iterdir()}
    rooms = {name for name in left if name.startswith(ROOMS)}  # without keys
    begun = {DRAFT, f"{DRAFT}-wal", f"{DRAFT}-shm", f"{DRAFT}-journal", SEGMENTS, f"{rings.NAME}.new"}
    if left - begun - rooms - ({AUDIT} if DRAFT in left else set()):  # a log alone is what is left of a case
        return
    for name in rooms:
        shutil.rmtree(folder / name, ignore_errors=True)
    if (folder / SEGMENTS).exists():
        (folder / SEGMENTS).rmdir()
    for name in sorted(left - rooms - {SEGMENTS}):
        (folder / name).unlink()


def _require_kept_here(encrypted: bool, remote: RemoteRow | None) -> None:
    if encrypted and remote is not None:
        raise UsageError("a server of vectors keeps them in the clear: the index of an encrypted case stays its own")


def _require_people(encrypted: bool, about: dict[str, str]) -> None:
    if not encrypted and "two-persons" in about.get("demands", ""):
        raise UsageError("two-persons: a plain case has no people; encrypt it (--encrypt)")


def _require_of_pictures(spec: ModelSpec) -> None:
    if spec.of_faces:
        raise UsageError(f"{spec.name}: a model of faces; choose one of pictures (imgmatch models list)")


def spec_json(spec: ModelSpec) -> str:
    """A model as a catalogue keeps it."""
    return json.dumps(dataclasses.asdict(spec), sort_keys=True)
