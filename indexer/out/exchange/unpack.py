"""Opening a portable case (indexer.out.exchange.pack): nothing of it is used before its hash has been compared."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from imgmatch.errors import CaseError, ImgmatchError, UsageError
from imgmatch.evidence.formats.zip_directory import directory_bytes
from imgmatch.given import loads
from imgmatch.locator import Locator
from imgmatch.picture.pdq import BITS, Pdq
from imgmatch.streams import Shared
from imgmatch.types import ModelSpec
from imgmatch.vault import memory
from indexer.case.case import Case
from indexer.catalogue import DecisionRow, Writer
from indexer.catalogue.clock import now_utc
from indexer.out.atomic import passing_folder
from indexer.out.exchange import sealed
from indexer.out.exchange.pack import FORMAT, MANIFEST, VERSION
from indexer.out.exchange.packed import DECISIONS, ITEMS, LABELS, SIGHTINGS, SPEC_FIELDS
from indexer.out.exchange.packed_faces import FACES, MODEL, require_faces, restore, shelf_of_faces

MAX_MANIFEST_BYTES = 64 << 20
MAX_LINE_BYTES = 1 << 20
_MOST_SAID = 100
_MAX_DIM = 65_536
_OF_BLOCK = "vectors", "items", "regions"
_MAX_DIRECTORY_BYTES = 24 << 20
_BLOCK = 1 << 20
_HEX = {name: re.compile(rf"[0-9a-f]{{{length}}}\Z") for name, length in (("sha256", 64), ("md5", 32), ("sha1", 40))}
_DAY = re.compile(r"\d{4}-\d\d-\d\d\Z")
_OF_ANONYMOUS = re.compile(rf"{re.escape(ITEMS)}|vectors/.*|pdq\.npy|pdq\.items\.npy")
# Everything that a ZIP or NumPy file of any bytes makes their readers raise.
_UNREADABLE = (
    zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError, struct.error, EOFError, zlib.error,
    ValueError, KeyError, TypeError, OverflowError, SyntaxError, TokenError, MemoryError, AttributeError,
)  # fmt: skip


def told_of(path: Path) -> str | None:
    """What a pack says that it is, in a sentence, with what can be done with it; None of what is no pack. Nothing of it
    is compared.
    """
    if not path.is_file():
        return None
    try:
        if sealed.is_sealed(path):
            return (
                "is an encrypted file; if it is a pack, it can't be searched, reviewed or merged: compare it with a "
                f"case of yours by: imgmatch link CASE {path} --identity FILE"
            )
        with path.open("rb") as file:
            if directory_bytes(Shared(file)) > _MAX_DIRECTORY_BYTES:
                return None
        with zipfile.ZipFile(path) as archive:
            info = archive.getinfo(MANIFEST)
            if info.file_size > MAX_MANIFEST_BYTES or info.compress_type != zipfile.ZIP_STORED:
                return None
            manifest = loads(archive.read(info))
        if manifest["format"] != FORMAT:
            return None
        models = ", ".join(str(model["spec"]["name"]) for model in manifest["models"]) or "no model"
        made, case_id = str(manifest["created_utc"]), str(manifest["case_id"])
        within = [f"{int(manifest['items']):,} items, {int(manifest['vectors']):,} vectors by {models}"]
        within += [f"{manifest['thumbnails']} small pictures"] if manifest["thumbnails"] != "none" else []
        within += [f"to be used until {manifest['expires']}"] if manifest.get("expires") else []
        names = {"locators": "places", "labels": "labels", "decisions": "decisions", "face_vectors": "faces"}
        within += [name for field, name in names.items() if manifest.get(field)]
    except (OSError, ImgmatchError, *_UNREADABLE):
        return None
    return (
        f"is a pack of case {case_id[:80]}, made {made[:40]}: {_line(', '.join(within))}; it holds no pictures, and "
        f"can't be searched, reviewed or merged: compare it with a case of yours by: imgmatch link CASE {path}"
    )


@contextmanager
def open_other(path: str | os.PathLike[str], spec: ModelSpec, identity: Path | None = None) -> Iterator[Case]:
    """Another case to compare with: a case's folder, or a pack, encrypted or not; both are only read."""
    place = Path(path)
    if place.is_file():
        with open_pack(place, spec, identity) as case:
            yield case
        return
    with Case.open(place, read_only=True) as case:
        case.require_believable()
        yield case


@contextmanager
def open_pack(path: Path, spec: ModelSpec, identity: Path | None = None, *, faces: bool = False) -> Iterator[Case]:
    """A pack as a case in a temporary folder of its own, gone when the block ends; an encrypted one, which a secret key
    in the file ``identity`` opens, in memory alone.

    Its ``meta`` has the sender's ``case_id`` and ``pack_sha256`` (of the manifest), ``pack_anonymous`` where items have
    opaque numbers alone, ``pack_pdq`` where it holds PDQ hashes alone. Item ids are the sender's; without locators each
    item is "seen" at ``pack:SHA-256`` or ``pack:NUMBER``. With ``faces``, ``spec`` is a model of faces, and the pack's
    are there too: only for a case whose own gate is open. Raises UsageError, in a line that names the pack and the
    member at fault, where it is no pack, damaged, altered, expired, newer than this version, or without vectors by
    ``spec``.
    """
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(passing_folder("imgmatch-pack-", _place(path)))
            case = stack.enter_context(contextlib.closing(_unpacked(path, identity, spec, folder, faces)))
        except OSError as error:
            raise UsageError(f"{path}: can't be unpacked ({error.strerror}); check rights and disk space") from error
        yield case


def _place(path: Path) -> Path | None:
    """Where a pack is unpacked: an encrypted one in memory, another one where temporary files lie."""
    if not sealed.is_sealed(path):
        return None
    place = memory.folder_in_memory()
    if place is None:
        raise UsageError(
            f"{path}: is encrypted, and this system has no folder in memory to open it in; decrypt it by "
            "age -d onto an encrypted disk, and compare with what that gives"
        )
    return place


def _unpacked(path: Path, identity: Path | None, spec: ModelSpec, folder: Path, faces: bool) -> Case:
    with sealed.opened(path, identity) if sealed.is_sealed(path) else path.open("rb") as file:
        manifest, digest = _verified(path, file, folder)
    models = _models(path, manifest)
    if faces:
        require_faces(path, manifest, spec)
    elif "pdq" not in manifest and not any(
        made.name == spec.name and made.weights_sha256 == spec.weights_sha256 for made, _ in models
    ):
        names = ", ".join(f"{made.name} ({made.weights_sha256[:12]})" for made, _ in models) or "none"
        raise UsageError(
            f"{path}: holds vectors by {names}, not by {spec.name} ({spec.weights_sha256[:12]}); those of two models "
            "can't be compared: choose one with --model, or ask for a pack by this one"
        )
    try:
        return _filled(path, manifest, digest, models or [(spec, {"vectors": []})], folder, spec if faces else None)
    except _UNREADABLE as error:
        raise _damaged(path, f"its content does not fit together ({_line(error)})") from error
    except CaseError as error:
        raise _damaged(path, str(error).replace(str(folder), "")) from error


def _models(path: Path, manifest: dict[str, Any]) -> list[tuple[ModelSpec, dict[str, Any]]]:
    told = manifest.get("models")
    if not isinstance(told, list) or not all(isinstance(model, dict) for model in told):
        raise _damaged(path, f"{MANIFEST} has no list of models")
    return [(_spec(path, model), model) for model in told]


def _verified(path: Path, file: IO[bytes], folder: Path) -> tuple[dict[str, Any], str]:
    """The manifest and its SHA-256; every member has the size and hash that it says, and lies in ``folder``."""
    source = Shared(file)
    size = source.size
    try:
        if directory_bytes(source) > _MAX_DIRECTORY_BYTES:
            raise _damaged(path, f"its directory is longer than {_MAX_DIRECTORY_BYTES >> 20} MiB")
        with zipfile.ZipFile(file) as archive:
            infos = {info.filename: info for info in archive.infolist()}
            if MANIFEST not in infos:
                raise UsageError(f"{path}: no pack of imgmatch (it has no {MANIFEST}); give a case or a pack")
            if len(infos) != len(archive.infolist()):
                raise _damaged(path, "it names a member twice")
            for info in infos.values():
                if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
                    raise _damaged(path, f"{info.filename[:80]!r} is compressed or encrypted, which no pack is")
            if sum(info.file_size for info in infos.values()) > size:
                raise _damaged(path, "its members claim to be larger than the file")
            if infos[MANIFEST].file_size > MAX_MANIFEST_BYTES:
                raise _damaged(path, f"{MANIFEST} is larger than {MAX_MANIFEST_BYTES >> 20} MiB")
            text = archive.read(MANIFEST)
            manifest = loads(text)
            _check_manifest(path, manifest)
            if set(manifest["members"]) != set(infos) - {MANIFEST}:
                raise _damaged(path, f"its members are not those that {MANIFEST} names")
            for number, (name, member) in enumerate(sorted(manifest["members"].items())):
                if infos[name].file_size != member["bytes"]:
                    raise _damaged(path, f"{name!r} has another size than {MANIFEST} says")
                # Names come from elsewhere: on this disk, members have numbers. Thumbnails are compared, not kept.
                kept = None if name.startswith("thumbnails/") else folder / f"{number}.part"
                if _extract(archive, name, kept) != member["sha256"]:
                    raise _damaged(path, f"{name!r} does not have the SHA-256 that {MANIFEST} says")
                member["file"] = kept
    except ImgmatchError:
        raise
    except _UNREADABLE as error:
        raise _damaged(path, _line(error)) from error
    return manifest, hashlib.sha256(text).hexdigest()


def _check_manifest(path: Path, manifest: Any) -> None:
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise UsageError(f"{path}: no pack of imgmatch; give a case or a pack")
    version = manifest.get("version")
    if not isinstance(version, int) or version < 1:
        raise _damaged(path, f"{version!r} is no version of a pack")
    if version > VERSION:
        raise UsageError(
            f"{path}: written by a newer imgmatch (pack version {version}, this one knows {VERSION}); update imgmatch"
        )
    if (expires := manifest.get("expires")) is not None:
        if not isinstance(expires, str) or not _DAY.match(expires):
            raise _damaged(path, f"{str(expires)[:40]!r} is no day")
        if expires < now_utc()[:10]:
            raise UsageError(f"{path}: was to be used until {expires} (UTC); ask its sender for a new one")
    if manifest.get("pdq") is None:
        manifest.pop("pdq", None)


def _extract(archive: zipfile.ZipFile, name: str, target: Path | None) -> str:
    digest = hashlib.sha256()
    with archive.open(name) as source, contextlib.ExitStack() as stack:
        file = stack.enter_context(target.open("xb")) if target else None
        while block := source.read(_BLOCK):
            digest.update(block)
            if file:
                file.write(block)
    return digest.hexdigest()


def _spec(path: Path, model: dict[str, Any]) -> ModelSpec:
    empty = {field.name: "" for field in dataclasses.fields(ModelSpec)}
    try:
        spec = ModelSpec(**{**empty, **{name: model["spec"][name] for name in SPEC_FIELDS}})
        good = 0 < spec.dim <= _MAX_DIM and bool(_HEX["sha256"].match(spec.weights_sha256)) and bool(spec.name)
    except (KeyError, TypeError) as error:
        raise _damaged(path, f"{MANIFEST} does not say which model made its vectors") from error
    if not good or not isinstance(spec.dim, int):
        raise _damaged(path, f"{MANIFEST} describes no model")
    return spec


def _filled(
    path: Path,
    manifest: dict[str, Any],
    digest: str,
    models: list[tuple[ModelSpec, dict[str, Any]]],
    folder: Path,
    faces: ModelSpec | None,
) -> Case:
    """A case with the pack's items, sightings and vectors, all checked; and with its faces by the model ``faces``."""
    files = {name: member["file"] for name, member in manifest["members"].items()}
    anonymous = manifest.get("anonymous") is True
    if anonymous and not all(map(_OF_ANONYMOUS.fullmatch, files)):
        raise _damaged(path, "it is anonymous, and says more of its items than their numbers")
    case = Case.create(folder / "case", model=models[0][0])
    try:
        shelves = [(case.add_shelf(spec), model) for spec, model in models]
        shelves += [] if faces is None else [(shelf_of_faces(case, faces), manifest[MODEL])]
        now = now_utc()
        with case.run("pack") as run, run.catalogue.transaction() as writer:
            said = {f"pack_{name}": "yes" for name, so in (("anonymous", anonymous), ("pdq", "pdq" in manifest)) if so}
            writer.meta.set({"case_id": str(manifest["case_id"])[:_MOST_SAID], "pack_sha256": digest, **said})
            known: list[int] = []
            for row in map(_numbered if anonymous else _item, _lines(path, ITEMS, files[ITEMS])):
                writer.items.restore(row)
                known.append(row[0])
                if SIGHTINGS not in files:
                    place = f"pack:{row[0] if anonymous else row[1].hex()}"
                    writer.sightings.restore(row[0], place, None, now, run.run_id)
            if SIGHTINGS in files:
                for record in _lines(path, SIGHTINGS, files[SIGHTINGS]):
                    locator, modified = str(Locator.parse(record["locator"])), record["modified_utc"]
                    writer.sightings.restore(record["item_id"], locator, modified, now, run.run_id)
            _fill_labels(path, files, writer)
            _fill_decisions(path, files, writer)
            if run.catalogue.items.unseen():
                raise _damaged(path, f"{SIGHTINGS} leaves out items")
            all_items = np.array(known, dtype=np.int64)
            for shelf, model in shelves:
                lines = _lines(path, FACES, files[FACES]) if shelf.spec.of_faces else iter(())
                for block in model["vectors"]:
                    items = _array(files[block["items"]], (block["rows"],))
                    regions = _array(files[block["regions"]], (block["rows"], 4))
                    if not np.isin(items, all_items).all():
                        raise _damaged(path, f"{block['items']!r} names items that it does not hold")
                    boxes = ([None] * 4 if box[0] < 0 else box for box in regions.tolist())
                    owners = [(item, *box) for item, box in zip(items.tolist(), boxes, strict=True)]
                    first = shelf.adopt(writer, files[block["vectors"]], owners)
                    if shelf.spec.of_faces:
                        restore(writer, first, owners, lines)
                if next(lines, None) is not None:
                    raise _damaged(path, f"{FACES} has more faces than there are vectors")
            blocks = [*manifest["models"], manifest.get(MODEL, {"vectors": []})]
            named = {block[name] for model in blocks for block in model["vectors"] for name in _OF_BLOCK}
            if left := {name for name in files if name.startswith("vectors/")} - named:
                raise _damaged(path, f"{min(left)!r} is of none of the models that {MANIFEST} names")
            _fill_pdqs(manifest, files, writer, all_items)
        return case
    except BaseException:
        case.close()
        raise


def _fill_pdqs(manifest: dict[str, Any], files: dict[str, Path], writer: Writer, known: npt.NDArray[np.int64]) -> None:
    if "pdq" not in manifest:
        return
    told = manifest["pdq"]
    items = _array(files[told["items"]], (told["rows"],))
    hashes = _array(files[told["hashes"]], (told["rows"], BITS // 8), np.uint8)
    if not np.isin(items, known).all():
        raise ValueError("PDQ hashes of items that it does not hold")
    for item_id, hash in zip(items.tolist(), hashes, strict=True):
        writer.facts.restore(item_id, Pdq(hash.tobytes(), 100))


def _fill_labels(path: Path, files: dict[str, Path], writer: Writer) -> None:
    labels: dict[int, dict[str, list[str]]] = {}
    for record in _lines(path, LABELS, files[LABELS]) if LABELS in files else ():
        labels.setdefault(int(record["item_id"]), {}).setdefault(str(record["name"]), []).append(str(record["value"]))
    for item_id, columns in labels.items():
        for number in range(max(map(len, columns.values()))):
            own = {name: values[number] for name, values in columns.items() if number < len(values)}
            writer.labels.set(item_id, f"pack {number + 1}", own)


def _fill_decisions(path: Path, files: dict[str, Path], writer: Writer) -> None:
    for record in _lines(path, DECISIONS, files[DECISIONS]) if DECISIONS in files else ():
        row = DecisionRow(0, **{name: str(record[name]) for name in record})
        if not all(_HEX["sha256"].match(content) for content in (row.query_sha256, row.item_sha256)):
            raise ValueError("a decision is on what is no SHA-256")
        writer.decisions.add(row)


def _array(file: Path, shape: tuple[int, ...], kind: npt.DTypeLike = np.int64) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = np.load(file, allow_pickle=False, mmap_mode="r")
    if array.dtype != kind or array.shape != shape:
        raise ValueError(f"an array of {array.dtype} {array.shape} where {np.dtype(kind)} {shape} belongs")
    return array


def _lines(path: Path, name: str, file: Path) -> Iterator[dict[str, Any]]:
    with file.open("rb") as lines:
        number = 0
        while line := lines.readline(MAX_LINE_BYTES):
            number += 1
            try:
                record = loads(line)
                if not isinstance(record, dict):
                    raise ValueError("no object")
            except ValueError as error:
                raise _damaged(path, f"{name}, line {number}: {_line(error)}") from error
            yield record


def _item(record: dict[str, Any]) -> tuple[Any, ...]:
    """A row of items; ValueError, KeyError or TypeError where a field is not what it must be."""
    for name, pattern in _HEX.items():
        if not (name == "sha1" and record[name] is None) and not pattern.match(record[name]):
            raise ValueError(f"{str(record[name])[:80]!r} is no {name}")
    for name in ("item_id", "size_bytes", "width_px", "height_px", "orientation"):
        if not isinstance(record[name], int) or not 0 < record[name] < 2**62:
            raise ValueError(f"{str(record[name])[:80]!r} is no {name}")
    return (
        record["item_id"],
        bytes.fromhex(record["sha256"]),
        bytes.fromhex(record["md5"]),
        bytes.fromhex(record["sha1"]) if record["sha1"] else None,
        record["size_bytes"],
        str(record["format"]),
        record["width_px"],
        record["height_px"],
        record["orientation"],
        None if record["partial"] is None else str(record["partial"]),
    )


def _numbered(record: dict[str, Any]) -> tuple[Any, ...]:
    """A row of items for one of which the number is all that is known: its content is nobody's."""
    number = record["item_id"]
    if not isinstance(number, int) or not 0 < number < 2**62 or len(record) != 1:
        raise ValueError("an item of an anonymous pack is a number")
    return (number, hashlib.sha256(b"pack:%d" % number).digest(), bytes(16), None, 0, "", 0, 0, 1, None)


def _damaged(path: Path, what: str) -> UsageError:
    return UsageError(f"{path}: damaged or altered pack: {what}; ask the sender for it again")


def _line(error: BaseException | str) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]
