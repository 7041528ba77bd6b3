"""A shelf: what one model made in a case, and the one place that writes segments."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from imgmatch.errors import CaseError
from imgmatch.match.calibration import Calibration
from imgmatch.types import Evidence, ModelSpec
from indexer.catalogue import CalibrationRow, Catalogue, GenerationRow, SegmentRow, Writer
from indexer.catalogue.clock import now_utc
from indexer.index import segments
from indexer.index.disk import file_sha256
from indexer.index.protocol import Ids
from indexer.index.segments import Rows, first_or_ids, ids_of

if TYPE_CHECKING:
    from indexer.catalogue.filters import Filter
    from indexer.index.store import Store

SEGMENTS = "segments"
INDEXES = "indexes"
_TELLS_NOTHING = "x"

Owner = tuple[int, int | None, int | None, int | None, int | None]
"""Whose vector it is: the item, and the part of its picture (x, y, width, height in pixels; None of a whole one)."""


class Shelf:
    """The vectors of one model in a case: read, searched and written by their ids in the catalogue.

    Holds nothing open and no rows: as cheap to make as to forget. What is written here is committed by the catalogue's
    transaction, the files first: a file that no transaction names is removed by the next writer.
    """

    def __init__(self, path: Path, catalogue: Catalogue, spec: ModelSpec, model_id: int) -> None:
        """``path`` is the case's folder; ``model_id`` is that of ``spec`` in its catalogue."""
        self.path = path
        self._catalogue = catalogue
        self.spec = spec
        self.model_id = model_id
        # Where the files of the case lie, which ``path`` is too unless it is encrypted.
        self.folder = catalogue.called.parent / SEGMENTS
        self.indexes = catalogue.called.parent / INDEXES
        self.seal = catalogue.seal("vectors")

    # --- what it holds

    def count(self, first: int = 0, last: int = 2**62) -> int:
        """How many live vectors there are with ids from ``first`` to ``last``."""
        return self._catalogue.vectors.count(self.model_id, first, last)

    def segments(self) -> list[SegmentRow]:
        """Committed segments in the order of their ids."""
        return self._catalogue.segments.committed(self.model_id)

    def dead(self) -> Ids:
        """Ids of rows that are deleted and not yet compacted away, ascending."""
        return np.array(self._catalogue.segments.tombstones(self.model_id), dtype=np.int64)

    def generation(self) -> GenerationRow | None:
        """The built index in use."""
        return self._catalogue.indexes.generation(self.model_id)

    def index_folder(self, name: str) -> Path:
        """Where a generation of the index lies."""
        return self.indexes / name

    def named(self, number: int, end: str = "") -> str:
        """A new name for a file or folder of this model; of an encrypted case, one that tells nothing."""
        return (
            f"{self.spec.name}/{number:06d}{end}" if self.seal is None else f"{_TELLS_NOTHING}/{secrets.token_hex(16)}"
        )

    def item_count(self, wanted: Filter | None = None) -> int:
        """How many items have a vector here, of those that pass a filter."""
        return self._catalogue.items.count(self.model_id, wanted)

    def matching(self, wanted: Filter) -> Ids:
        """Ids of vectors whose items pass a filter, ascending."""
        return np.fromiter(self._catalogue.vectors.matching(self.model_id, wanted), dtype=np.int64)

    def holds(self, sha256: str, profile: str | None = None) -> bool:
        """Is this content embedded (with ``profile``: in this way)?"""
        return self._catalogue.vectors.has(sha256, self.model_id, profile)

    def unchanged(self, evidence: Evidence, version: str, profile: str | None = None) -> str | None:
        """Was this very file read before? As ``Catalogue.sightings.unchanged``."""
        return self._catalogue.sightings.unchanged(evidence, self.model_id, version, profile)

    def sample(self, count: int) -> list[tuple[int, str]]:
        """Id and SHA-256 of the first items in the order of their SHA-256: the same whatever order they came in."""
        return self._catalogue.items.sample(self.model_id, count)

    def vectors_of(self, items: Sequence[int]) -> list[tuple[Any, ...]]:
        """Item, vector id and region (x, y, width, height or four None) of every vector of some items."""
        return self._catalogue.vectors.of(items, self.model_id)

    def calibration(self) -> CalibrationRow | None:
        """The stored calibration of its scores. Raises CaseError where what is stored is none."""
        try:
            stored = self._catalogue.models.calibration(self.model_id)
            if stored is not None:
                _require_rates(stored.record)
        except (ValueError, TypeError, KeyError) as error:
            what = (
                f"what is stored of false matches by {self.spec.name} is damaged ({' '.join(str(error).split())[:200]})"
            )
            raise CaseError(f"{self.path}: {what}; calibrate it again") from error
        return stored

    # --- reading

    def store(self) -> Store:
        """The live rows, by their ids."""
        from indexer.index.store import Store  # a case is opened without FAISS

        blocks, dead = self.rows_and_dead()
        return Store(self.spec.dim, blocks, dead)

    def rows_and_dead(self) -> tuple[list[tuple[int | Ids, Rows]], Ids]:
        """Every committed row, and the ids of those that are deleted.

        Segments in the order of ids: the ids of its rows (the first, where the others follow without a gap) and its
        (n, dim) float16 rows, mapped. Raises CaseError, naming the file and what it held, when one is not as it was.
        """
        while True:
            committed = self.segments()
            dead = self.dead()
            try:
                blocks: list[tuple[int | Ids, Rows]] = [
                    (first_or_ids(segment), self._read(segment)) for segment in committed
                ]
                self._verify(committed)
                return blocks, dead
            except CaseError:
                if self.segments() == committed:
                    raise  # else: compacted just now, and the files that were read are gone

    def check(self, segment: SegmentRow) -> str | None:
        """Read a whole segment: what is wrong with it, what it held and what to do; or None."""
        fault = segments.check(self.folder, segment, self.seal)
        return None if fault is None else f"{fault}; {self._held(segment)}"

    def _read(self, segment: SegmentRow) -> Rows:
        try:
            return segments.read(self.folder, segment, self.seal)
        except CaseError as error:
            raise CaseError(f"{error}; {self._held(segment)}") from error

    def _verify(self, committed: Sequence[SegmentRow]) -> None:
        """Compare the hash of every segment whose file does not look as when it was last compared."""
        known = self._catalogue.segments.stamps()
        new = {}
        for segment in committed:
            path = self.folder / segment.name
            try:
                looks = segments.stamp(self.folder, segment)
                if known.get(segment.name) == looks:
                    continue
                right = file_sha256(path) == segment.sha256
            except OSError as error:
                raise CaseError(f"{path}: can't be read ({error.strerror}); check the disk") from error
            if not right:
                raise CaseError(
                    f"{path}: damaged segment file, its SHA-256 is not the recorded one; {self._held(segment)}"
                )
            new[segment.name] = looks
        if new:
            with contextlib.suppress(CaseError), self._catalogue.transaction() as writer:  # a case may be read-only
                writer.segments.set_stamps(new)

    def _held(self, segment: SegmentRow) -> str:
        """What a segment held and what to do when it is damaged, for a person."""
        items = sorted(set(self._catalogue.vectors.owners(ids_of(segment).tolist()).values()))
        which = f"items {items[0]} to {items[-1]}" if items else "no item"
        return f"it held {len(items)} items ({which}); run: imgmatch check {self.path} --repair"

    # --- writing

    def append(self, writer: Writer, vectors: npt.NDArray[np.float32] | Rows, owners: Sequence[Owner]) -> list[int]:
        """Add (n, dim) unit vectors of these owners under ids that were never given, which it returns, within a
        transaction.
        """
        given: list[int] = []
        for start in range(0, len(owners), segments.MAX_ROWS):
            part = slice(start, start + segments.MAX_ROWS)
            number, first = writer.segments.next()
            ids = first + np.arange(len(owners[part]), dtype=np.int64)
            self._add(writer, self._written(number, ids, vectors[part]), owners[part])
            given += ids.tolist()
        return given

    def take_over(self, writer: Writer, theirs: Shelf, store: Store, items: Mapping[int, int]) -> int:
        """Add what another case's shelf of the same model holds (``store`` are its rows) of ``items``, its ids to ours,
        where this one holds nothing of them, within a transaction; returns how many vectors. Raises CaseError where
        rows that its catalogue names are missing, or are no unit vectors of this model.
        """
        lacking = [item for item, ours in items.items() if not writer.vectors.has_item(ours, self.model_id)]
        wanted = theirs.vectors_of(lacking)
        for start in range(0, len(wanted), segments.MAX_ROWS):
            part = wanted[start : start + segments.MAX_ROWS]
            vectors, found = store.gather(np.array([row[1] for row in part], dtype=np.int64))
            if not found.all():
                raise CaseError(f"{theirs.path}: {int((~found).sum())} vectors are missing; run imgmatch check on it")
            fault = segments.fault_of(vectors.astype(np.float32))
            if fault is not None or vectors.shape[1] != self.spec.dim:
                raise CaseError(f"{theirs.path}: vectors by {self.spec.name}: {fault or 'of another length'}")
            self.append(writer, vectors, [(items[row[0]], *row[2:]) for row in part])
        profiles = theirs._catalogue.vectors.profiles_of(lacking, theirs.model_id)
        self.set_profiles(writer, ((items[item], profile) for item, profile in profiles))
        return len(wanted)

    def adopt(self, writer: Writer, file: Path, owners: Sequence[Owner]) -> int:
        """Take a file that has the form of a segment as one, within a transaction; returns the id of its first vector.
        Raises CaseError when it is none.
        """
        number, first = writer.segments.next()
        # By the model's number: in what comes from elsewhere, its name may be any.
        name = f"{self.model_id}/{number:06d}.npy"
        target = self.folder / name
        target.parent.mkdir(exist_ok=True)
        file.rename(target)
        made = SegmentRow(self.model_id, name, first, len(owners), file_sha256(target), self.spec.dim)
        fault = segments.check(self.folder, made)
        if fault is not None:
            raise CaseError(fault)
        self._add(writer, made, owners)
        return first

    def bring(self, writer: Writer, theirs: Shelf, segment: SegmentRow) -> str:
        """Write a segment's rows, which lie elsewhere or under another key, into a file of this place, within a
        transaction of a catalogue that names it already; returns its name. Raises CaseError where it is damaged.
        """
        fault = theirs.check(segment)
        if fault is not None:
            raise CaseError(fault)
        rows = segments.read(theirs.folder, segment, theirs.seal)
        name = self.named(writer.meta.next_number("segments"), ".npy")
        sha256 = segments.write(self.folder, name, rows, self.seal)
        writer.segments.rename(segment.name, name, sha256)
        self._stamp(writer, segment._replace(name=name, sha256=sha256))
        return name

    def set_profiles(self, writer: Writer, profiles: Iterable[tuple[int, str]]) -> None:
        """Note in which way beyond the whole picture items were read, within a transaction."""
        writer.vectors.set_profiles((item, self.model_id, profile) for item, profile in profiles)

    def set_generation(self, writer: Writer, name: str | None, manifest_sha256: str) -> None:
        """Put a built index to use instead of the one before (None: none), within a transaction."""
        writer.indexes.set_generation(self.model_id, name, manifest_sha256, now_utc())

    def set_calibration(self, writer: Writer, row: CalibrationRow) -> None:
        """Store a calibration in the place of the one before, within a transaction."""
        writer.models.set_calibration(self.model_id, row)

    def rewrite(self, group: Sequence[SegmentRow], dead: Ids) -> int:
        """Put the live rows of segments into one, as one transaction; returns how many rows are removed for good.

        Ids stay. Raises CaseError, changing nothing, when a segment is damaged: its rows must be repaired first.
        """
        ids, rows = [], []
        for segment in group:
            fault = self.check(segment)
            if fault is not None:
                raise CaseError(fault)
            all_ids = ids_of(segment)
            live = ~np.isin(all_ids, dead, assume_unique=True)
            ids.append(all_ids[live])
            rows.append(segments.read(self.folder, segment, self.seal)[live])
        return self.replace(group, np.concatenate(ids), np.concatenate(rows))

    def replace(
        self,
        group: Sequence[SegmentRow],
        ids: Ids,
        vectors: npt.NDArray[np.float32] | Rows,
        lost: Sequence[int] = (),
    ) -> int:
        """Put (n, dim) vectors of these ids, ascending, in the place of segments, as one transaction; returns how many
        rows that leaves out. ``lost`` are those of them that were live: their items are read again when they are met.
        """
        gone = np.setdiff1d(np.concatenate([ids_of(segment) for segment in group]), ids, assume_unique=True).tolist()
        with self._catalogue.transaction() as writer:
            made = self._written(writer.meta.next_number("segments"), ids, vectors) if len(ids) else None
            if lost:
                writer.vectors.drop(lost)
            writer.replace_segments([segment.name for segment in group], made, gone, now_utc())
            if made is not None:
                self._stamp(writer, made)
        return len(gone)

    def _written(self, number: int, ids: Ids, vectors: npt.NDArray[np.float32] | Rows) -> SegmentRow:
        name = self.named(number, ".npy")
        sha256 = segments.write(self.folder, name, vectors, self.seal)
        gapless = int(ids[-1] - ids[0]) == len(ids) - 1
        blob = None if gapless else ids.astype("<i8").tobytes()
        return SegmentRow(self.model_id, name, int(ids[0]), len(ids), sha256, self.spec.dim, blob)

    def _add(self, writer: Writer, made: SegmentRow, owners: Sequence[Owner]) -> None:
        writer.segments.add(made, now_utc())
        self._stamp(writer, made)
        first = made.first_vector_id
        writer.vectors.add((first + place, item, self.model_id, *box) for place, (item, *box) in enumerate(owners))

    def _stamp(self, writer: Writer, made: SegmentRow) -> None:
        """What was just written need not be read again to know that it is right."""
        writer.segments.set_stamps({made.name: segments.stamp(self.folder, made)})


def _require_rates(record: Mapping[str, Any]) -> None:
    """Raises ValueError, TypeError or KeyError where a record of a calibration, of pictures or of faces, is none."""
    if "by_quality" in record:
        int(record["faces"]), int(record["people"])
        for least, one in record["by_quality"].items():
            float(least)
            Calibration.of(one)
    elif "method" in record:
        Calibration.of({name: value for name, value in record.items() if name not in ("method", "looked_at")})
        int(record["looked_at"])
    else:  # of an older version: made again, of so many pictures
        int(record["pictures"])
