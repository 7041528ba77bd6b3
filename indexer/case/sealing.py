"""A case encrypted, decrypted, or sealed anew under another key: written beside, then switched to in one step.

The old catalogue is held for writing from before it is copied until the switch, so that nothing is recorded in it that
the new one does not have; whoever had the case open is told then, at the next use. Cut off before the switch, the case
is what it was; after it, what it was to become; what is left over of the other is cleared away by whoever opens the
case next (``place``).
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from imgmatch.errors import CaseError, UsageError
from imgmatch.vault import ring as rings
from imgmatch.vault.unlock import remember
from indexer.case.audit import AuditLog
from indexer.case.case import Case
from indexer.case.people import introduced, signer_of
from indexer.case.place import AUDIT, CATALOGUE, DRAFT, Owner, Place, content, left_over, plain, wipe_all
from indexer.case.use import Entry
from indexer.catalogue import Catalogue, Writer, cipher
from indexer.index import manifest
from indexer.index.build import building
from indexer.index.disk import file_sha256, sync_folder, whole
from indexer.index.protocol import Progress
from indexer.index.shelf import INDEXES, SEGMENTS, Shelf

_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Converted:
    """What was written anew: files and their bytes, those of the catalogue and the log too."""

    files: int
    bytes: int


def encrypt(case: Case, owner: Owner, progress: Progress | None = None) -> Converted:
    """Encrypt a plain case for one person, who can let others in; it is closed then. Raises UsageError where it is
    encrypted already, or its index lies on a server, and CaseError where the disk is too small for it twice.
    """
    if case.place.ring is not None:
        raise UsageError(f"{case.path}: is encrypted already; to seal it by new keys, rotate them")
    if case.catalogue.indexes.remote() is not None:
        raise UsageError(
            f"{case.path}: its index lies on a server, in the clear; first: imgmatch index move {case.path} --to faiss"
        )
    target = owner.place(case.path, case.catalogue.meta.all()["case_id"])
    return _convert(case, target, Entry("encrypt", details=signer_of(target)), progress)


def decrypt(case: Case, progress: Progress | None = None) -> Converted:
    """Make a plain case of an encrypted one, which is closed then. Raises UsageError where it is plain, and CaseError,
    as ``encrypt``; LockedError where the keys are not all there.
    """
    case.require("decrypt")
    _require_everything(case)
    return _convert(case, Place(case.path), Entry("decrypt"), progress)


def rekey(
    case: Case,
    without: Mapping[str, str] | None = None,
    *,
    action: str = "rotate",
    arguments: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Converted:
    """Seal an encrypted case anew under new keys, for all its people but those of some numbers (each with a name, for
    the log); it is closed then. What they copied before still opens by the old ones. Errors as ``decrypt``.
    """
    ring, keys = _require_everything(case)
    target = Place(case.path, *ring.rekeyed(keys, without or {}))
    told = {**(arguments or {}), **({"without": sorted(without.values())} if without else {})}
    left = [introduced(person, removed=True) for person in ring.people(keys) if person.number in (without or {})]
    return _convert(case, target, Entry(action, told, details=left[0] if left else {}), progress)


def _require_everything(case: Case) -> tuple[Any, Any]:
    ring, keys = case.place.ring, case.place.keys
    if ring is None or keys is None:
        raise UsageError(f"{case.path}: is not encrypted; encrypt it with: imgmatch encrypt {case.path}")
    if keys.master is None:
        raise UsageError(f"{case.path}: this needs the case's own key, which you don't hold; ask an owner")
    return ring, keys


def _convert(case: Case, target: Place, entry: Entry, progress: Progress | None) -> Converted:
    case.require(entry.action, entry.arguments)
    with building(case.path), case.writing():
        case.sign()
        case.log.settle()
        try:
            with case._catalogue.transaction():
                written = _Written(case, target, progress)
                done = written.all(entry)
                _switch(target)
        except BaseException as error:
            if case.place.is_current():  # it has not been switched
                wipe_all(_begun(target))
            if isinstance(error, OSError):
                why = f"can't be written anew ({error.strerror}); it is as it was; check disk space and rights"
                raise CaseError(f"{case.path}: {why}") from error
            raise
        if target.ring is not None and target.keys is not None:
            remember(target.ring, target.keys)
        case.close()
        with Case(target, target.catalogue()) as now:  # whoever did it signs it, where it is recorded now
            now.log.own.append(written.entry)
            now.signer = case.signer or now.signer
        wipe_all(left_over(case.path))
        sync_folder(case.path)
    return done


def _switch(target: Place) -> None:
    """The one step that makes the new files the case."""
    ring = target.folder / rings.NAME
    if target.ring is not None:
        target.ring.write(target.folder)
        return
    (target.folder / DRAFT).rename(target.folder / CATALOGUE)
    sync_folder(target.folder)
    ring.rename(target.folder / Place(target.folder, rings.Ring.read(target.folder)).room.name / rings.NAME)
    sync_folder(target.folder)


def _begun(target: Place) -> list[Path]:
    """What was written of a case that is not switched to."""
    return plain(target.folder) if target.ring is None else [target.room] if target.room.exists() else []


class _Written:
    """The files of a case, written anew at another place."""

    def __init__(self, case: Case, target: Place, progress: Progress | None) -> None:
        self._case = case
        self._target = target
        self._progress = progress
        self._files = self._bytes = 0
        self.entry = 0
        """The number of its entry in the log."""
        self._total = sum(len(shelf.segments()) for shelf in case.every_shelf())

    def all(self, entry: Entry) -> Converted:
        """Write everything, and the entry of it into the new log."""
        case, target = self._case, self._target
        wipe_all(_begun(target))
        (target.room / SEGMENTS).mkdir(mode=0o700, parents=True)
        target.room.chmod(0o700)
        path = target.room / (CATALOGUE if target.ring else DRAFT)
        try:
            cipher.copied(case._catalogue.path, case.place.keys, path, target.keys)
        except cipher.errors() as error:
            why = f"can't be copied ({error}); check disk space and rights"
            raise CaseError(f"{case._catalogue.called}: {why}") from error
        made = Catalogue(path, keys=target.keys)
        try:
            with made.transaction() as writer:
                writer.segments.forget_stamps()
                for ours, new in zip(case.every_shelf(), _shelves(target, made), strict=True):
                    self._segments(ours, new, writer)
                    self._index(ours, new, writer)
            self._log(made, entry)
            made.checkpoint()
        finally:
            made.close()
        for folder in (target.room / SEGMENTS, target.room):
            sync_folder(folder)
        return Converted(self._files + 2, self._bytes + sum(f.stat().st_size for f in (path, target.room / AUDIT)))

    def _segments(self, ours: Shelf, new: Shelf, writer: Writer) -> None:
        for segment in ours.segments():
            name = new.bring(writer, ours, segment)
            self._count(new.folder / name)

    def _index(self, ours: Shelf, new: Shelf, writer: Writer) -> None:
        """The index is brought along as it is; where it can't be read, it is built again when it is due."""
        generation = ours.generation()
        if generation is None:
            return
        try:
            about = manifest.of(ours, generation)
            source = manifest.checked_file(ours.index_folder(generation.name), about)
        except manifest.IndexFileError:
            new.set_generation(writer, None, "")
            return
        name = new.named(writer.meta.next_number("generations"))
        folder = new.index_folder(name)
        folder.mkdir(parents=True, mode=0o700)
        file = folder / about.file
        with (
            content(self._case._catalogue, source) as stream,
            whole(file, new.seal, f"{INDEXES}/{name}/{about.file}") as to,
        ):
            shutil.copyfileobj(stream, to, _BLOCK_BYTES)
        about = dataclasses.replace(about, file_bytes=file.stat().st_size, file_sha256=file_sha256(file))
        digest = manifest.write(folder, about, new.seal, f"{INDEXES}/{name}/{manifest.NAME}")
        new.set_generation(writer, name, digest)
        self._count(file)
        self._count(folder / manifest.NAME)

    def _log(self, made: Catalogue, entry: Entry) -> None:
        """The log as it is, byte for byte, and one entry more."""
        log = AuditLog(self._target.room / AUDIT, made)
        size = 0
        if self._case.log.file.exists():
            with self._case.log.file.open() as source, log.file.open(adding=True) as to:
                while block := source.read(_BLOCK_BYTES):
                    to.write(block)
                    size += len(block)
                to.flush()
                os.fsync(to.fileno())
        entry.counts = {"files": self._files + 2}
        entry.subject = {"case_id": made.meta.all()["case_id"]}
        with made.transaction() as writer:
            state = writer.custody.log_state()
            if state is not None and not state.waiting and state.settled_bytes != size:
                writer.custody.set_log_state(replace(state, settled_bytes=size))
            self.entry = log.add(writer, entry.action, entry.fields()).entry
        log.write_out()
        log.settle()

    def _count(self, file: Path) -> None:
        self._files += 1
        self._bytes += file.stat().st_size
        if self._progress:
            self._progress("files", self._files, max(self._files, self._total))


def _shelves(target: Place, made: Catalogue) -> list[Shelf]:
    return [Shelf(target.folder, made, spec, model_id) for model_id, spec in made.models.all()]
