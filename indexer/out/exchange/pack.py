"""A portable case: one ZIP file with vectors, digests and what linking needs, to compare with elsewhere.

Members are stored, not compressed: a reader can hold their sizes against the file's. ``manifest.json`` says what the
pack is and gives size and SHA-256 of every other member. Nothing in it needs unpickling, and nothing is a database.
"""

from __future__ import annotations

import datetime
import json
import os
import secrets
import zipfile
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import imgmatch
from imgmatch.errors import UsageError
from indexer.case.case import Case
from indexer.case.use import Use
from indexer.catalogue import opaque
from indexer.catalogue.clock import now_utc
from indexer.catalogue.filters import EVERYTHING, Filter
from indexer.index.protocol import Progress
from indexer.out.atomic import whole_file
from indexer.out.exchange import packed, packed_faces, sealed
from indexer.out.exchange.packed import Chosen, Members, Numbered
from indexer.out.exchange.snapshot import require_items
from indexer.out.released import hand_out
from indexer.out.report.pictures import faces_shown
from indexer.search.faces.asked import require_reason

FORMAT = "imgmatch-pack"
VERSION = 3
"""2: packs may be anonymous, may hold PDQ hashes alone, and may expire. 3: those that hold faces."""
MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class PackConfig:
    """What leaves the house, and to whom.

    Of items ``within`` a filter. Beyond vectors and digests: small pictures (blurred, or clear with ``reveal``), where
    pictures were found, labels, and decisions with who made them. Without ``metadata`` vectors of whole pictures alone,
    under opaque numbers; ``pdq_only``: PDQ hashes alone, under such numbers. ``expires``: the last day, in UTC, as
    2027-05-31, that imgmatch opens it ("": any). ``to``: public keys that it is encrypted to, or files of such (none:
    it is in clear). ``faces``: vectors of faces too, with boxes and points, of a case whose gate is open.
    """

    thumbnails: bool = False
    reveal: int = 0
    locators: bool = False
    labels: bool = False
    decisions: bool = False
    within: Filter = EVERYTHING
    metadata: bool = True
    pdq_only: bool = False
    expires: str = ""
    to: tuple[str, ...] = ()
    faces: bool = False

    @property
    def shown(self) -> str:
        """What small pictures are."""
        return "none" if not self.thumbnails else "clear" if self.reveal else "blurred"

    @property
    def anonymous(self) -> bool:
        """Are items told by opaque numbers alone?"""
        return self.pdq_only or not self.metadata

    def require_fit(self) -> None:
        """Raises UsageError where one choice contradicts another, or the day is none that comes."""
        if self.anonymous and (self.thumbnails or self.locators or self.labels or self.decisions or self.faces):
            what = "--pdq-only" if self.pdq_only else "--no-metadata"
            raise UsageError(
                f"{what} leaves out thumbnails, locators, labels, decisions and faces; don't ask for them too"
            )
        if self.expires and day_of(self.expires) < now_utc()[:10]:
            raise UsageError(f"{self.expires}: is over; a pack that expires then would open nowhere")

    def told(self) -> dict[str, Any]:
        """What a pack is said to hold, in its manifest and in the log."""
        names = ("labels", "decisions", "locators", "anonymous", "pdq_only")
        held = {"face_vectors": True} if self.faces else {}
        return {**{name: getattr(self, name) for name in names}, **held, "expires": self.expires or None}


def day_of(text: str) -> str:
    """A day as 2027-05-31. Raises UsageError on anything else."""
    try:
        if len(text) == 10:
            return datetime.date.fromisoformat(text).isoformat()
    except ValueError:
        pass
    raise UsageError(f"{text[:40]!r} is no day; write it as 2027-05-31")


@dataclass(frozen=True, slots=True)
class Pack:
    """What was written. ``thumbnails`` may be fewer than items: sources can be gone. ``faces`` are not among the
    ``vectors``.
    """

    items: int
    vectors: int
    thumbnails: int
    hashes: int
    faces: int
    manifest_sha256: str


def write_pack(
    case: Case,
    target: str | os.PathLike[str],
    config: PackConfig | None = None,
    *,
    progress: Progress | None = None,
) -> Pack:
    """Write a case's items and vectors, by every model, into one new file.

    Recorded in the audit log before, with what is shown and to whom it is encrypted, and after, with the manifest's
    SHA-256. Paths of this machine stay out unless ``config.locators``. Memory stays bounded but for the manifest, which
    has a line a thumbnail, and some bytes an item where not all of them go. Raises UsageError where the file exists or
    can't be written, where choices contradict each other, where no item is left, and where faces are to go without a
    reason; CaseError where they are and the gate of the case is closed.
    """
    config = config or PackConfig()
    config.require_fit()
    path = Path(target)
    require_items(case)
    keys = sealed.recipients(config.to)
    arguments: dict[str, Any] = {"format": "pack", "thumbnails": config.shown, **config.told(), "to": list(keys)}
    if config.faces:
        case.face_shelf()
        arguments["reason"] = require_reason(case.asked.reason)
    if config.within:
        arguments["within"] = {name: value for name, value in asdict(config.within).items() if value}
    if config.thumbnails and config.reveal:
        arguments["faces"] = faces_shown(config.reveal)
    subject = {"file": str(path.absolute())}
    own = _own_key(case) if config.anonymous else b""
    recorded = case.use("export", arguments=arguments, subject=subject, ends="exported")
    with whole_file(path) as file, recorded as use, use.catalogue.snapshot():
        with sealed.sealing(file, list(keys.values())) if keys else nullcontext(file) as into:
            made = _write(case, use, config, own, zipfile.ZipFile(into, "w", zipfile.ZIP_STORED), progress)
        use.entry.subject = {**subject, "manifest_sha256": made.manifest_sha256}
        counts = {"items": made.items, "vectors": made.vectors, "thumbnails": made.thumbnails, "hashes": made.hashes}
        use.entry.counts = counts | ({"faces": made.faces} if config.faces else {})
        hand_out(use, "pack", path, file)
    return made


def _own_key(case: Case) -> bytes:
    """The key of the numbers by which packs name this case's items, made when it is first asked for."""
    if (known := case.catalogue.meta.own(opaque.KEY)) is None:
        with case.change("pack_key") as change:
            known = change.writer.meta.own(opaque.KEY) or secrets.token_hex(32)
            change.writer.meta.set_own(opaque.KEY, known)
    return bytes.fromhex(known)


def _write(
    case: Case, use: Use, config: PackConfig, own: bytes, made: zipfile.ZipFile, progress: Progress | None
) -> Pack:
    with made as archive:
        members = Members(archive)
        pdq: dict[str, Any] | None = None
        models: list[dict[str, Any]] = []
        pictures = 0
        faces: dict[str, Any] = {}
        if config.anonymous:
            numbered = Numbered.of(use, config.within, own)
            items = numbered.write_items(members)
            if config.pdq_only:
                pdq = numbered.write_pdqs(use, members)
            else:
                models = [numbered.write_model(members, shelf) for shelf in case.shelves()]
        else:
            chosen = Chosen.by(use, config.within)
            items = packed.write_items(use, members, chosen)
            if config.locators:
                packed.write_sightings(use, members, chosen)
            if config.labels:
                packed.write_labels(use, members, chosen)
            if config.decisions:
                packed.write_decisions(use, members, chosen)
            models = [packed.write_model(use, members, shelf, chosen) for shelf in case.shelves()]
            if config.faces:
                faces = {packed_faces.MODEL: packed_faces.write_faces(use, members, chosen)}
            if config.thumbnails:
                pictures = packed.write_thumbnails(use, members, chosen, config.reveal, progress)
        hashes = pdq["rows"] if pdq else 0
        if not items or (config.pdq_only and not hashes):
            lacking = "has a PDQ hash that can be compared" if items else "passes the filter"
            raise UsageError(f"{case.path}: no item {lacking}; nothing is written")
        vectors = sum(block["rows"] for model in models for block in model["vectors"])
        manifest = {
            "format": FORMAT,
            "version": VERSION if faces else 2,
            "created_utc": now_utc(),
            "created_by": f"imgmatch {imgmatch.__version__}",
            "case_id": case.catalogue.meta.all()["case_id"],
            "items": items,
            "vectors": vectors,
            "thumbnails": config.shown,
            **config.told(),
            "models": models,
            **faces,
            "pdq": pdq,
            "members": members.written,
        }
        with Members(archive).member(MANIFEST) as member:
            member.write(json.dumps(manifest, indent=1).encode("ascii"))
    held = sum(block["rows"] for model in faces.values() for block in model["vectors"])
    return Pack(items, vectors, pictures, hashes, held, member.digest.hexdigest())
