"""A portable case: one ZIP file with vectors, digests and what linking needs, to compare with elsewhere.

Members are stored, not compressed: a reader can hold their sizes against the file's. ``manifest.json`` says what the
pack is and gives size and SHA-256 of every other member. Nothing in it needs unpickling, and nothing is a database.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

import imgmatch
from imgmatch.cores import usable_cores
from imgmatch.evidence.read import Finder
from indexer.case.case import Case
from indexer.case.use import Use
from indexer.catalogue.clock import now_utc
from indexer.index.protocol import Progress
from indexer.index.shelf import Shelf
from indexer.out.atomic import whole_file
from indexer.out.exchange.snapshot import BATCH, item_batches, require_items
from indexer.out.released import hand_out
from indexer.out.report.pictures import faces_shown, thumbnails

FORMAT = "imgmatch-pack"
VERSION = 1
MANIFEST = "manifest.json"
ITEMS = "items.jsonl"
SIGHTINGS = "sightings.jsonl"
LABELS = "labels.jsonl"
DECISIONS = "decisions.jsonl"
SPEC_FIELDS = ("name", "task", "dim", "input_px", "weights_sha256", "licence")
"""What is told of a model: the rest may name a place on this machine."""


_MADE_AT_ONCE = 256
"""Small pictures that may wait in memory to be written."""


@dataclass(frozen=True, slots=True)
class PackConfig:
    """What leaves the house beyond vectors and digests: small pictures (blurred, or clear with ``reveal``), where
    pictures were found, labels, and decisions with who made them.
    """

    thumbnails: bool = False
    reveal: int = 0
    locators: bool = False
    labels: bool = False
    decisions: bool = False

    @property
    def shown(self) -> str:
        """What small pictures are."""
        return "none" if not self.thumbnails else "clear" if self.reveal else "blurred"


@dataclass(frozen=True, slots=True)
class Pack:
    """What was written. ``thumbnails`` may be fewer than items: sources can be gone."""

    items: int
    vectors: int
    thumbnails: int
    manifest_sha256: str


@dataclass(slots=True)
class _Members:
    """A ZIP under construction, and what its manifest will say of each member."""

    archive: zipfile.ZipFile
    written: dict[str, dict[str, Any]] = field(default_factory=dict)

    @contextmanager
    def member(self, name: str) -> Iterator[_Member]:
        # A fixed time: the same case gives the same bytes.
        with self.archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as file:
            member = _Member(file)
            yield member
        self.written[name] = {"bytes": member.size, "sha256": member.digest.hexdigest()}

    def array(self, name: str, array: np.ndarray[Any, Any]) -> str:
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


def write_pack(
    case: Case,
    target: str | os.PathLike[str],
    config: PackConfig | None = None,
    *,
    progress: Progress | None = None,
) -> Pack:
    """Write a case's items and vectors, by every model, into one new file.

    Recorded in the audit log before, with what is shown, and after, with the manifest's SHA-256. Paths of this machine
    stay out unless ``config.locators``. Memory stays bounded but for the manifest, which has a line a thumbnail. Raises
    UsageError where the file exists or can't be written, and where the case has no item.
    """
    config = config or PackConfig()
    path = Path(target)
    require_items(case)
    told = {"labels": config.labels, "decisions": config.decisions, "locators": config.locators}
    arguments = {"format": "pack", "thumbnails": config.shown, **told}
    if config.thumbnails and config.reveal:
        arguments["faces"] = faces_shown(config.reveal)
    subject = {"file": str(path.absolute())}
    recorded = case.use("export", arguments=arguments, subject=subject, ends="exported")
    with whole_file(path) as file, recorded as use, use.catalogue.snapshot():
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            members = _Members(archive)
            items = _write_items(use, members)
            if config.locators:
                _write_sightings(use, members)
            if config.labels:
                _write_labels(use, members)
            if config.decisions:
                _write_decisions(use, members)
            models = [_write_model(use, members, shelf) for shelf in case.shelves()]
            pictures = _write_thumbnails(use, members, config.reveal, progress) if config.thumbnails else 0
            vectors = sum(block["rows"] for model in models for block in model["vectors"])
            manifest = {
                "format": FORMAT,
                "version": VERSION,
                "created_utc": now_utc(),
                "created_by": f"imgmatch {imgmatch.__version__}",
                "case_id": case.catalogue.meta.all()["case_id"],
                "items": items,
                "vectors": vectors,
                "thumbnails": config.shown,
                **told,
                "models": models,
                "members": members.written,
            }
            with _Members(archive).member(MANIFEST) as member:
                member.write(json.dumps(manifest, indent=1).encode("ascii"))
        made = Pack(items, vectors, pictures, member.digest.hexdigest())
        use.entry.subject = {**subject, "manifest_sha256": made.manifest_sha256}
        use.entry.counts = {"items": items, "vectors": vectors, "thumbnails": pictures}
        hand_out(use, "pack", path, cast(IO[bytes], file))
    return made


def _write_items(use: Use, members: _Members) -> int:
    after = count = 0
    with members.member(ITEMS) as member:
        while rows := use.catalogue.items.whole_rows(after, BATCH):
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


def _write_sightings(use: Use, members: _Members) -> None:
    with members.member(SIGHTINGS) as member:
        for _, item_id, _, locator, modified, _, _ in use.catalogue.sightings.table():
            member.line({"item_id": item_id, "locator": locator, "modified_utc": modified})


def _write_labels(use: Use, members: _Members) -> None:
    """Columns and values, not the table that says so: its name may be a place."""
    with members.member(LABELS) as member:
        for item_id, _, _, name, value in use.catalogue.labels.table():
            member.line({"item_id": item_id, "name": name, "value": value})


def _write_decisions(use: Use, members: _Members) -> None:
    """The whole history, as it can be told what stands."""
    with members.member(DECISIONS) as member:
        for row in use.catalogue.decisions.all():
            record = asdict(row)
            del record["decision_id"]
            member.line(record)


def _write_model(use: Use, members: _Members, shelf: Shelf) -> dict[str, Any]:
    """A model's live vectors, a block a segment: rows (n, dim) float16, their items (n,) and regions (n, 4) int64, -1
    where a vector is of the whole picture.
    """
    blocks: list[dict[str, Any]] = []
    for ids, rows in shelf.store().blocks():
        if not len(ids):
            continue
        vector_ids = ids.tolist()
        owners = use.catalogue.vectors.owners(vector_ids)
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
    return {"spec": {name: getattr(shelf.spec, name) for name in SPEC_FIELDS}, "vectors": blocks}


def _write_thumbnails(use: Use, members: _Members, reveal: int, progress: Progress | None) -> int:
    count = 0
    finder = Finder(use.limits)
    with ThreadPoolExecutor(usable_cores(), "pack") as pool:
        for items in item_batches(use, progress):
            seen = use.catalogue.sightings.of(items)
            wanted = [(item.sha256, [one.locator for one in seen[item_id]]) for item_id, item in items.items()]
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
