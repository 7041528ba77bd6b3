"""A case on disk: one folder with everything known about a set of evidence. Owns catalogue, segments and log."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

import imgmatch
from imgmatch.errors import CaseError
from imgmatch.picture.facts import Facts
from imgmatch.types import Box, Digests, Embedding, Evidence, Image, Issue, ModelSpec
from imgmatch.workers.choice import isolated
from indexer.case.audit import EMPTY, AuditLog, Head
from indexer.catalogue import Catalogue, ListHit, RemoteRow, Writer
from indexer.catalogue.clock import now_utc
from indexer.index.disk import locked, sync_folder
from indexer.index.segments import remove_unnamed
from indexer.index.shelf import SEGMENTS, Shelf

CATALOGUE = "catalogue.sqlite"
AUDIT = "audit.jsonl"
LOCK = "write.lock"


@dataclass(slots=True)
class NewItem:
    """Content to add, with its whole picture's vector (dim,) float32 and every place where it was found.

    ``regions`` are the vectors of its parts, ``profile`` is how they were chosen (match.regions). ``vector`` is None
    for content whose whole picture the case already has: only its parts are added.
    """

    digests: Digests
    image: Image
    vector: npt.NDArray[np.float32] | None
    found_at: list[Evidence] = field(default_factory=list)
    regions: tuple[Embedding, ...] = ()
    profile: str | None = None

    @property
    def vectors(self) -> list[tuple[npt.NDArray[np.float32], Box | None]]:
        """Every vector with its part of the picture, the whole one first."""
        whole: list[tuple[npt.NDArray[np.float32], Box | None]] = [] if self.vector is None else [(self.vector, None)]
        return whole + [(region.vector, region.region_px) for region in self.regions]


@dataclass(slots=True)
class Batch:
    """What one commit adds, all or nothing. ``seen`` are further sightings of content that the case already has,
    ``listed`` files that hash lists name and that are no items, with whether they were ignored for it, ``facts`` what
    is to be kept of contents that are items by then.
    """

    items: list[NewItem] = field(default_factory=list)
    seen: list[tuple[str, Evidence]] = field(default_factory=list)
    issues: list[tuple[Issue, str | None, Evidence | None]] = field(default_factory=list)
    listed: list[tuple[Digests, Evidence, tuple[ListHit, ...], bool]] = field(default_factory=list)

    facts: list[tuple[str, Facts]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.items) + len(self.seen) + len(self.issues) + len(self.listed)


class Case:
    """An open case. ``create`` or ``open`` one; use it in a ``with`` statement or ``close()`` it."""

    def __init__(self, path: Path, catalogue: Catalogue) -> None:
        self.path = path
        self.catalogue = catalogue
        self.log = AuditLog(path / AUDIT, catalogue)

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        *,
        model: ModelSpec,
        about: dict[str, str] | None = None,
        remote: RemoteRow | None = None,
    ) -> Case:
        """Make a case in a folder that is new or empty; only its owner may enter it.

        ``model`` is what ingest and search use unless told otherwise; ``about`` holds purpose, authority, examiner;
        ``remote``: which Milvus collection keeps its index (None: files of the case do).
        Raises CaseError when something is there already.
        """
        folder = Path(path)
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if any(folder.iterdir()):
                raise CaseError(f"{folder}: not empty; a case needs a new folder of its own")
            folder.chmod(0o700)
            (folder / SEGMENTS).mkdir(mode=0o700)
        except OSError as error:
            raise CaseError(f"{folder}: can't make a case here ({error.strerror}); choose another place") from error
        # Built under another name: a folder without the final one is no case, whenever this is cut off.
        draft = Catalogue(folder / f"{CATALOGUE}.new")
        draft.create()
        now = now_utc()
        meta = {
            "case_id": str(uuid.uuid4()),
            "created_utc": now,
            "created_by": f"imgmatch {imgmatch.__version__}",
            **{key: value for key, value in (about or {}).items() if value},
        }
        with draft.transaction() as writer:
            writer.meta.set(meta)
            writer.models.add(model, _spec_json(model), now)
            writer.custody.set_log_state(EMPTY)
            if remote is not None:
                writer.indexes.set_remote("current", remote)
        draft.close()
        draft.path.rename(folder / CATALOGUE)
        sync_folder(folder)
        case = cls(folder, Catalogue(folder / CATALOGUE))
        case.record("init", arguments=about, subject={"case_id": meta["case_id"]}, model=model)
        return case

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Case:
        """Open a case. Raises CaseError when there is none, or when it was written by a newer version."""
        folder = Path(path)
        if not (folder / CATALOGUE).is_file():
            what = "no such folder" if not folder.exists() else f"not a case (it has no {CATALOGUE})"
            raise CaseError(f"{folder}: {what}; make one with: imgmatch init {folder}")
        catalogue = Catalogue(folder / CATALOGUE)
        catalogue.migrate()
        return cls(folder, catalogue)

    def close(self) -> None:
        """Let go of every file."""
        with contextlib.suppress(CaseError):  # what can't be written now waits in the catalogue for the next use
            self.log.settle()
        self.catalogue.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- what it is made of

    @property
    def default_model(self) -> ModelSpec:
        """The model that the case was made with."""
        return self.catalogue.models.all()[0][1]

    def shelves(self) -> list[Shelf]:
        """What each model made here, in the order in which they came."""
        return [Shelf(self.path, self.catalogue, spec, model_id) for model_id, spec in self.catalogue.models.all()]

    def find_shelf(self, spec: ModelSpec) -> Shelf | None:
        """What exactly this model (same name, same weights) made here; None where the case does not know it."""
        model_id = self.catalogue.models.id_of(spec)
        return None if model_id is None else Shelf(self.path, self.catalogue, spec, model_id)

    def shelf(self, spec: ModelSpec) -> Shelf:
        """What exactly this model made here. Raises CaseError where the case does not know it."""
        found = self.find_shelf(spec)
        if found is None:
            raise CaseError(
                f"{self.path}: holds no vectors by {spec.name!r} with these weights; ingest it with that model"
            )
        return found

    def record(
        self,
        action: str,
        details: Mapping[str, Any] | None = None,
        *,
        arguments: Mapping[str, Any] | None = None,
        subject: Mapping[str, Any] | None = None,
        model: ModelSpec | None = None,
        counts: Mapping[str, int] | None = None,
    ) -> Head:
        """Write to the audit log that something was done: how, to what, by which model, with what numbers, and
        ``details`` of its own. Returns the log's head with it. Raises CaseError where it can't be written.
        """
        return self.log.append(action, _entry(details, arguments, subject, model, counts))

    @contextmanager
    def changing(self) -> Iterator[tuple[Writer, Callable[..., Head]]]:
        """A transaction of the catalogue and its record: what may be written, and ``record`` as above. Both are
        committed together or not at all.
        """

        def record(action: str, details: Mapping[str, Any] | None = None, **fields: Any) -> Head:
            return self.log.add(writer, action, _entry(details, **fields))

        with self.catalogue.transaction() as writer:
            yield writer, record
        self.log.write_out()

    def sizes(self) -> dict[str, int]:
        """Bytes on disk: catalogue (with its write-ahead log), segments, audit log."""
        parts = {
            "catalogue_bytes": self.path.glob(f"{CATALOGUE}*"),
            "segment_bytes": self.path.glob(f"{SEGMENTS}/*/*"),
            "audit_bytes": self.path.glob(AUDIT),
        }
        return {name: sum(path.stat().st_size for path in paths) for name, paths in parts.items()}

    # --- writing

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the case's only writer's place; removes what a killed run left. Raises CaseError when it is taken."""
        try:
            with (self.path / LOCK).open("ab") as file, locked(file, wait=False):
                self.tidy()
                yield
        except BlockingIOError as error:
            raise CaseError(f"{self.path}: another imgmatch is writing to this case; wait until it is done") from error
        except PermissionError as error:
            raise CaseError(f"{self.path}: no right to write to this case; ask its owner") from error

    def add_shelf(self, spec: ModelSpec) -> Shelf:
        """The place for what a model makes here, noted now if it is new.

        Raises CaseError when the case knows another model of the same name: their vectors must not be mixed.
        """
        found = self.find_shelf(spec)
        if found is not None:
            return found
        if any(shelf.spec.name == spec.name for shelf in self.shelves()):
            raise CaseError(
                f"{self.path}: its vectors were made by a model {spec.name!r} with other weights than the one "
                "installed; their vectors can't be mixed: use the imgmatch version that made it, or make a new case"
            )
        with self.catalogue.transaction() as writer:
            writer.models.add(spec, _spec_json(spec), now_utc())
        return self.shelf(spec)

    def tidy(self) -> None:
        """Remove segment files that no committed transaction names. Only by the writer."""
        remove_unnamed(self.path / SEGMENTS, self.catalogue.segments.committed())

    def start_run(self, command: str, runtime: str, arguments: dict[str, Any], model: ModelSpec | None = None) -> int:
        """Open a run: what follows is noted as read by it; recorded as COMMAND_started."""
        with self.changing() as (writer, record):
            run_id = writer.runs.start(command, imgmatch.__version__, runtime, arguments, now_utc())
            record(f"{command}_started", {"run_id": run_id, "runtime": runtime}, arguments=arguments, model=model)
        return run_id

    def finish_run(self, run_id: int, counts: dict[str, int]) -> None:
        """Close a run with its totals."""
        with self.catalogue.transaction() as writer:
            writer.runs.finish(run_id, counts, now_utc())

    def commit(self, batch: Batch, shelf: Shelf, run_id: int) -> dict[str, int]:
        """Add a batch: the segment file first, then one transaction that names it. Returns what was new."""
        now = now_utc()
        counts = {"items": 0, "sightings": 0, "issues": 0}
        with self.catalogue.transaction() as writer:
            item_ids = [writer.items.add(item.digests, item.image) for item in batch.items]
            read_as = list(zip(item_ids, batch.items, strict=True))
            rows = [(item_id, *vector) for item_id, item in read_as for vector in item.vectors]
            if rows:
                owners = [(item_id, *(box or (None,) * 4)) for item_id, _, box in rows]
                shelf.append(writer, np.stack([vector for _, vector, _ in rows]), owners)
            writer.vectors.set_profiles(
                (item_id, shelf.model_id, item.profile) for item_id, item in read_as if item.profile
            )
            counts["items"] = sum(item.vector is not None for item in batch.items)
            for item in batch.items:
                for evidence in item.found_at:
                    counts["sightings"] += writer.sightings.add(item.digests.sha256, evidence, now, run_id)
            for content, evidence in batch.seen:
                counts["sightings"] += writer.sightings.add(content, evidence, now, run_id)
            for issue, content_of, evidence_of in batch.issues:
                counts["issues"] += writer.issues.add(issue, now, run_id, content_of, evidence_of)
            for content, facts in batch.facts:
                writer.facts.add(content, facts)
            for digests, evidence, hits, ignored in batch.listed:
                writer.listed.add(digests, evidence, hits, ignored, now, run_id)
        return counts

    def set_labels(self, labels: Sequence[tuple[int, str, dict[str, str]]]) -> None:
        """Set labels: item id, which source says so, and its columns."""
        with self.catalogue.transaction() as writer:
            for item_id, source, columns in labels:
                writer.labels.set(item_id, source, columns)


def _spec_json(spec: ModelSpec) -> str:
    return json.dumps(dataclasses.asdict(spec), sort_keys=True)


def _entry(
    details: Mapping[str, Any] | None,
    arguments: Mapping[str, Any] | None = None,
    subject: Mapping[str, Any] | None = None,
    model: ModelSpec | None = None,
    counts: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """What every entry of the audit log has, empty where an action has none of it."""
    return {
        "arguments": {**({} if isolated() else {"isolation": False}), **(arguments or {})},
        "subject": dict(subject or {}),
        "model": model.name if model else None,
        "weights_sha256": model.weights_sha256 if model else None,
        "counts": dict(counts or {}),
        **(details or {}),
    }
