"""What goes into a pack, member by member."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import IO, Any, cast

import numpy as np
import numpy.typing as npt

from imgmatch.cores import usable_cores
from imgmatch.evidence.read import Finder
from imgmatch.picture.pdq import BITS, LEAST_QUALITY
from indexer.case.use import Use
from indexer.catalogue import opaque
from indexer.catalogue.filters import EVERYTHING, Filter
from indexer.index.protocol import Progress
from indexer.index.segments import MAX_ROWS
from indexer.index.shelf import Shelf
from indexer.out.exchange.snapshot import BATCH, item_batches
from indexer.out.report.pictures import thumbnails

ITEMS = "items.jsonl"
SIGHTINGS = "sightings.jsonl"
LABELS = "labels.jsonl"
DECISIONS = "decisions.jsonl"
SPEC_FIELDS = ("name", "task", "dim", "input_px", "weights_sha256", "licence")
"""What is told of a model: the rest may name a place on this machine."""

_MADE_AT_ONCE = 256
"""Small pictures that may wait in memory to be written."""


@dataclass(slots=True)
class Members:
    """A ZIP under construction, and what its manifest will say of each member."""

    archive: zipfile.ZipFile
    written: dict[str, dict[str, Any]] = field(default_factory=dict)

    @contextmanager
    def member(self, name: str) -> Iterator[_Member]:
        """A member to write."""
        # A fixed time: the same case gives the same bytes.
        with self.archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as file:
            member = _Member(file)
            yield member
        self.written[name] = {"bytes": member.size, "sha256": member.digest.hexdigest()}

    def array(self, name: str, array: np.ndarray[Any, Any]) -> str:
        """Write an array as a member; returns its name."""
        with self.member(name) as member:
            np.save(cast(IO[bytes], member), array, allow_pickle=False)
        return name


class _Member:
    """A file that counts and hashes what is written to it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        self.size += len(data)
        return self._file.write(data)

    def line(self, record: dict[str, Any]) -> None:
        self.write(json.dumps(record, separators=(",", ":")).encode("ascii") + b"\n")


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which items of a case leave it: what passes a filter."""

    wanted: Filter
    ids: Collection[int]

    def __contains__(self, item_id: int) -> bool:
        return self.wanted == EVERYTHING or item_id in self.ids

    @classmethod
    def by(cls, use: Use, wanted: Filter) -> Chosen:
        """What of a case passes; everything is not counted up."""
        ids: set[int] = set()
        after = 0
        while wanted != EVERYTHING and (page := use.catalogue.items.page(after, BATCH, wanted)):
            ids.update(page)
            after = page[-1]
        return cls(wanted, ids)


def write_items(use: Use, members: Members, chosen: Chosen) -> int:
    """Digests, sizes and formats; returns of how many items."""
    after = count = 0
    with members.member(ITEMS) as member:
        while rows := use.catalogue.items.whole_rows(after, BATCH, chosen.wanted):
            for item_id, sha256, md5, sha1, size, format, width, height, orientation, partial in rows:
                member.line(
                    {
                        "item_id": item_id,
                        "sha256": sha256.hex(),
                        "md5": md5.hex(),
                        "sha1": sha1.hex() if sha1 else None,
                        "size_bytes": size,
                        "format": format,
                        "width_px": width,
                        "height_px": height,
                        "orientation": orientation,
                        "partial": partial,
                    }
                )
            after = rows[-1][0]
            count += len(rows)
    return count


def write_sightings(use: Use, members: Members, chosen: Chosen) -> None:
    """Where they were found."""
    with members.member(SIGHTINGS) as member:
        for _, item_id, _, locator, modified, _, _ in use.catalogue.sightings.table():
            if item_id in chosen:
                member.line({"item_id": item_id, "locator": locator, "modified_utc": modified})


def write_labels(use: Use, members: Members, chosen: Chosen) -> None:
    """Columns and values, not the table that says so: its name may be a place."""
    with members.member(LABELS) as member:
        for item_id, _, _, name, value in use.catalogue.labels.table():
            if item_id in chosen:
                member.line({"item_id": item_id, "name": name, "value": value})


def write_decisions(use: Use, members: Members, chosen: Chosen) -> None:
    """The whole history, as it can be told what stands; but of items of the case that stay here."""
    items = use.catalogue.items

    def stays(sha256: str) -> bool:
        item_id = items.id_of(sha256) if chosen.wanted else None
        return item_id is not None and item_id not in chosen

    with members.member(DECISIONS) as member:
        for row in use.catalogue.decisions.all():
            if stays(row.query_sha256) or stays(row.item_sha256):
                continue
            record = asdict(row)
            del record["decision_id"]
            member.line(record)


def write_model(use: Use, members: Members, shelf: Shelf, chosen: Chosen) -> dict[str, Any]:
    """A model's live vectors, a block a segment: rows (n, dim) float16, their items (n,) and regions (n, 4) int64, -1
    where a vector is of the whole picture.
    """
    blocks: list[dict[str, Any]] = []
    for ids, rows in shelf.store().blocks():
        owners = use.catalogue.vectors.owners(ids.tolist())
        if chosen.wanted:
            kept = np.array([owners[number] in chosen for number in ids.tolist()], bool)
            ids, rows = ids[kept], rows[kept]
        if not len(ids):
            continue
        vector_ids = ids.tolist()
        regions = use.catalogue.vectors.regions(vector_ids)
        whole = (-1, -1, -1, -1)
        stem = f"vectors/{shelf.model_id:03d}/{len(blocks) + 1:06d}"
        blocks.append(
            {
                "rows": len(ids),
                "vectors": members.array(f"{stem}.npy", rows),
                "items": members.array(f"{stem}.items.npy", np.array([owners[v] for v in vector_ids], np.int64)),
                "regions": members.array(
                    f"{stem}.regions.npy", np.array([regions.get(v, whole) for v in vector_ids], np.int64)
                ),
            }
        )
    return {"spec": _spec(shelf), "vectors": blocks}


def _spec(shelf: Shelf) -> dict[str, Any]:
    return {name: getattr(shelf.spec, name) for name in SPEC_FIELDS}


@dataclass(frozen=True, slots=True)
class Numbered:
    """Items under opaque numbers, in their order: neither tells what came in before what."""

    numbers: npt.NDArray[np.int64]
    ids: npt.NDArray[np.int64]

    @classmethod
    def of(cls, use: Use, wanted: Filter, key: bytes) -> Numbered:
        """What passes a filter."""
        ids: list[int] = []
        while page := use.catalogue.items.page(ids[-1] if ids else 0, BATCH, wanted):
            ids += page
        numbers = np.array([opaque.number_of(key, item_id) for item_id in ids], np.int64)
        order = np.argsort(numbers)
        return cls(numbers[order], np.array(ids, np.int64)[order])

    def parts(self) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
        """Numbers and ids, as many as a segment holds."""
        for start in range(0, len(self.ids), MAX_ROWS):
            yield self.numbers[start : start + MAX_ROWS], self.ids[start : start + MAX_ROWS]

    def write_items(self, members: Members) -> int:
        """Their numbers alone; returns how many."""
        with members.member(ITEMS) as member:
            for number in self.numbers.tolist():
                member.line({"item_id": number})
        return len(self.numbers)

    def write_model(self, members: Members, shelf: Shelf) -> dict[str, Any]:
        """Vectors of whole pictures: those of parts tell their sizes."""
        blocks: list[dict[str, Any]] = []
        store = shelf.store()
        for numbers, ids in self.parts():
            whole = {row[0]: row[1] for row in shelf.vectors_of(ids.tolist()) if row[2] is None}
            embedded = np.isin(ids, list(whole))
            rows, found = store.gather(np.array([whole[item] for item in ids[embedded].tolist()], np.int64))
            if not found.any():
                continue
            stem = f"vectors/{shelf.model_id:03d}/{len(blocks) + 1:06d}"
            blocks.append(
                {
                    "rows": int(found.sum()),
                    "vectors": members.array(f"{stem}.npy", rows[found]),
                    "items": members.array(f"{stem}.items.npy", numbers[embedded][found]),
                    "regions": members.array(f"{stem}.regions.npy", np.full((int(found.sum()), 4), -1, np.int64)),
                }
            )
        return {"spec": _spec(shelf), "vectors": blocks}

    def write_pdqs(self, use: Use, members: Members) -> dict[str, Any]:
        """PDQ hashes, but those of pictures that show too little."""
        hashes: list[bytes] = []
        owners: list[int] = []
        for numbers, ids in self.parts():
            known = use.catalogue.facts.pdqs(ids.tolist())
            for number, item_id in zip(numbers.tolist(), ids.tolist(), strict=True):
                if item_id in known and known[item_id].quality >= LEAST_QUALITY:
                    hashes.append(known[item_id].hash)
                    owners.append(number)
        array = np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, BITS // 8)
        return {
            "rows": len(hashes),
            "hashes": members.array("pdq.npy", array),
            "items": members.array("pdq.items.npy", np.array(owners, np.int64)),
        }


def write_thumbnails(use: Use, members: Members, chosen: Chosen, reveal: int, progress: Progress | None) -> int:
    """Small pictures; returns how many: sources can be gone."""
    count = 0
    finder = Finder(use.limits)
    with ThreadPoolExecutor(usable_cores(), "pack") as pool:
        for items in item_batches(use, progress):
            seen = use.catalogue.sightings.of(items)
            wanted = [
                (item.sha256, [one.locator for one in seen[item_id]])
                for item_id, item in items.items()
                if item_id in chosen
            ]
            for start in range(0, len(wanted), _MADE_AT_ONCE):
                some = wanted[start : start + _MADE_AT_ONCE]
                # Never on a disk but in the pack: nothing lies around where this is killed.
                made = pool.map(lambda entry: thumbnails(entry[0], entry[1], reveal, finder), some)
                for (sha256, _), pictures in zip(some, made, strict=True):
                    if pictures is None:
                        continue
                    blurred, clear = pictures
                    with members.member(f"thumbnails/{sha256}.jpg") as member:
                        member.write(clear or blurred)
                    count += 1
    return count
