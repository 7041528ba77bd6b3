"""The one way to use a case: what names evidence or shows it is had through a use, and a use stands in the log.

A ``Use`` gives the catalogue, all of it; a case alone gives ``Plain``, which names nothing. What a use hands on at its
end is recorded before (one entry, with its numbers); what streams is recorded twice, before the first and after the
last. A ``Change`` and its entry are one transaction; a ``Run`` is a long change in many, recorded when it starts and
when it ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from imgmatch.errors import CaseError
from imgmatch.types import ModelSpec
from imgmatch.workers.choice import isolated
from indexer.case.behalf import behalf
from indexer.case.chain import Head
from indexer.case.gate import require_gate
from indexer.catalogue import Catalogue, ReleasedFile, Writer
from indexer.index.shelf import Shelf

if TYPE_CHECKING:
    from imgmatch.evidence.limits import AllLimits


@dataclass(slots=True)
class Entry:
    """What the log will say of a use: how it was asked for, of what, by which model, with what numbers, and ``details``
    of its own. Whoever uses the case fills in what only becomes known meanwhile.
    """

    action: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    subject: Mapping[str, Any] = field(default_factory=dict)
    model: ModelSpec | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)

    def fields(self) -> dict[str, Any]:
        """What every entry of the audit log has, empty where an action has none of it."""
        return {
            "arguments": {**({} if isolated() else {"isolation": False}), **self.arguments},
            "subject": dict(self.subject),
            "model": self.model.name if self.model else None,
            "weights_sha256": self.model.weights_sha256 if self.model else None,
            "counts": dict(self.counts),
            **behalf(),
            **self.details,
        }


class HandedOut(NamedTuple):
    """What a use made to leave the case: its format, where it was written, and its files."""

    what: str
    target: str
    files: list[ReleasedFile]


class Plain:
    """What a case tells without a use: numbers, models and settings, nothing that names evidence."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.path = catalogue.path
        self.meta = catalogue.meta
        self.models = catalogue.models
        self.segments = catalogue.segments
        self.indexes = catalogue.indexes
        self.counts = catalogue.counts
        self.checkpoint = catalogue.checkpoint
        self.state = catalogue.state
        self.data_version = catalogue.data_version
        self.profiles = catalogue.vectors.profiles
        self.issue_kinds = catalogue.issues.kinds
        self.unsupported = catalogue.issues.unsupported
        self.last_run = catalogue.runs.last
        self.merged_to = catalogue.runs.merged_to
        self.integrity = catalogue.integrity
        self.rewrite = catalogue.rewrite
        self.format_version = catalogue.format_version
        self.face_count = catalogue.faces.count


class Shelves:
    """The shelves of a case's folder and catalogue."""

    def __init__(self, path: Path, catalogue: Catalogue) -> None:
        self.path = path
        self._catalogue = catalogue

    @property
    def default_model(self) -> ModelSpec:
        """The model that the case was made with."""
        return self._catalogue.models.all()[0][1]

    @property
    def limits(self) -> AllLimits:
        """What reading this evidence may cost: what any ingest of it was allowed, and no less than the default."""
        from imgmatch.evidence.limits import AllLimits  # heavy, and not for every use

        return AllLimits().widened(self._catalogue.runs.limits())

    def shelves(self) -> list[Shelf]:
        """What each model of pictures made here, in the order in which they came."""
        return [shelf for shelf in self.every_shelf() if not shelf.spec.of_faces]

    def every_shelf(self) -> list[Shelf]:
        """The same with what a model of faces made: for what looks after files, never for what compares or hands
        out.
        """
        return [Shelf(self.path, self._catalogue, spec, model_id) for model_id, spec in self._catalogue.models.all()]

    def face_shelf(self) -> Shelf:
        """What the model of faces made here. Raises CaseError where the gate of the case is closed."""
        gate = require_gate(self.path, self._catalogue.meta)
        for shelf in self.every_shelf():
            if shelf.spec.of_faces and (shelf.spec.name, shelf.spec.weights_sha256) == (
                gate.model,
                gate.weights_sha256,
            ):
                return shelf
        raise CaseError(f"{self.path}: its gate names a model of faces that it does not know; restore it from a copy")

    def find_shelf(self, spec: ModelSpec) -> Shelf | None:
        """What exactly this model of pictures (same name, same weights) made here; None where the case does not know
        it.
        """
        if spec.of_faces:
            return None
        model_id = self._catalogue.models.id_of(spec)
        return None if model_id is None else Shelf(self.path, self._catalogue, spec, model_id)

    def shelf(self, spec: ModelSpec) -> Shelf:
        """What exactly this model made here. Raises CaseError where the case does not know it."""
        found = self.find_shelf(spec)
        if found is None:
            raise CaseError(
                f"{self.path}: holds no vectors by {spec.name!r} with these weights; ingest it with that model"
            )
        return found


class Use(Shelves):
    """A use of a case. ``entry`` is what will be recorded, ``head`` the log's last entry once it is; ``handed_out`` is
    what leaves the case by it.
    """

    def __init__(self, path: Path, catalogue: Catalogue, entry: Entry) -> None:
        super().__init__(path, catalogue)
        self.catalogue = catalogue
        self.entry = entry
        self.head: Head | None = None
        self.handed_out: HandedOut | None = None


class Change(Use):
    """A use that changes the catalogue: what ``writer`` writes is committed with the entry, or neither is."""

    def __init__(self, path: Path, catalogue: Catalogue, entry: Entry, begin: Callable[[], Writer]) -> None:
        super().__init__(path, catalogue, entry)
        self._begin = begin
        self._writer: Writer | None = None

    @property
    def writer(self) -> Writer:
        """What writes; nobody else can from its first use on."""
        if self._writer is None:
            self._writer = self._begin()
        return self._writer
