"""Training pictures: found, checked, and packed once into one array that workers map into memory.

A pack holds every readable picture squashed to 256 x 256, its true aspect ratio, the set it came from (batches are
drawn within one set, or a network learns the sets apart instead of the rooms) and its label where there is one.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from imgmatch.errors import EvidenceError, ImgmatchError, UsageError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".heic", ".avif"})
PACKED_PX = 256
MINIMUM = 64
"""Fewer pictures than this make no batch worth training on."""


@dataclass(frozen=True, slots=True)
class Pack:
    """``pixels`` (N, 256, 256, 3) uint8; one entry in each of the others for every picture, in the order of ``files``.

    ``labels`` is -1 where a picture has none. ``skipped`` says which files were not used, and why.
    """

    pixels: npt.NDArray[np.uint8]
    files: tuple[str, ...]
    aspects: npt.NDArray[np.float32]
    groups: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    label_names: tuple[str, ...]
    skipped: tuple[str, ...]
    sha256: str

    def __len__(self) -> int:
        return len(self.files)


def find(roots: Sequence[Path]) -> list[tuple[str, Path, str]]:
    """Every picture under ``roots``, sorted: (name, path, set), the set being the root and its first folder.

    Raises UsageError where a root does not exist or holds no picture.
    """
    found: list[tuple[str, Path, str]] = []
    for root in roots:
        if not root.exists():
            raise UsageError(f"{root}: no such file or folder; pass folders of training pictures")
        paths = [root] if root.is_file() else sorted(p for p in root.rglob("*") if p.is_file())
        pictures = [p for p in paths if p.suffix.lower() in SUFFIXES]
        if not pictures:
            raise UsageError(
                f"{root}: no picture in it ({', '.join(sorted(SUFFIXES))}); pass folders of training pictures"
            )
        for path in pictures:
            name = path.name if root.is_file() else path.relative_to(root).as_posix()
            first = name.split("/")[0] if "/" in name else ""
            found.append((name, path, f"{root}/{first}"))
    names = [name for name, _, _ in found]
    if len(set(names)) != len(names):
        # Two roots hold files of the same name: names alone no longer tell them apart.
        found = [(f"{path.parent.name}/{name}", path, group) for name, path, group in found]
    return found


def read_labels(path: Path) -> dict[str, str]:
    """Read a CSV with the columns ``file`` and ``label`` (a hotel, a room); files are named as below the data folder.

    Raises UsageError that names the file, and the column or line at fault.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            columns = reader.fieldnames or []
            for column in ("file", "label"):
                if column not in columns:
                    raise UsageError(
                        f"{path}: no column {column!r} in its first line ({', '.join(columns) or 'empty'}); "
                        "labels are a CSV with the columns file,label"
                    )
            labels: dict[str, str] = {}
            for row in reader:
                file, label = (row["file"] or "").strip(), (row["label"] or "").strip()
                if not file or not label:
                    raise UsageError(f"{path}: line {reader.line_num} lacks a file or a label; fill it in or remove it")
                labels[file.replace("\\", "/")] = label
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path}: can't be read as a CSV of labels ({error})") from error
    return labels


def _read(path: Path) -> tuple[npt.NDArray[np.uint8], float]:
    """Decode to a square of PACKED_PX and the aspect ratio. Raises EvidenceError."""
    from imgmatch.picture.image import decode

    try:
        pixels = decode(path.read_bytes()).pixels
    except OSError as error:
        raise EvidenceError("unreadable", f"{path}: can't be read ({error.strerror})") from error
    height, width = pixels.shape[:2]
    if min(height, width) < 32:
        raise EvidenceError("too_small", f"{path}: {width} x {height} pixels; training needs at least 32 on each side")
    shrinks = min(height, width) >= PACKED_PX
    size = (PACKED_PX, PACKED_PX)
    squashed = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return squashed, width / height


def pack(
    roots: Sequence[Path],
    cache: Path,
    labels: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Pack:
    """Pack every readable picture under ``roots`` into ``cache`` (reused when the files and labels are the same).

    Raises UsageError where there are no pictures, too few, or labels that fit none of them.
    """
    found = find(roots)
    wanted = read_labels(labels) if labels else {}
    listing = [[name, path.stat().st_size, path.stat().st_mtime_ns, group] for name, path, group in found]
    key = hashlib.sha256(json.dumps([listing, sorted(wanted.items()), PACKED_PX]).encode()).hexdigest()
    array, table = cache / "pictures.npy", cache / "pictures.json"
    if array.exists() and table.exists():
        stored = json.loads(table.read_text())
        if stored["key"] == key:
            return _pack(np.load(array, mmap_mode="r"), stored)
    cache.mkdir(parents=True, exist_ok=True)
    pixels, aspects, kept, skipped, digest = [], [], [], [], hashlib.sha256()
    for done, (name, path, group) in enumerate(found):
        try:
            image, aspect = _read(path)
        except ImgmatchError as error:
            skipped.append(str(error) if str(path) in str(error) else f"{path}: {error}")
            continue
        pixels.append(image)
        aspects.append(aspect)
        kept.append((name, group))
        digest.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\0{wanted.get(name, '')}\n".encode())
        progress(done + 1, len(found))
    if len(kept) < MINIMUM:
        note = f"; {len(skipped)} could not be read, the first: {skipped[0]}" if skipped else ""
        raise UsageError(f"{roots[0]}: {len(kept)} usable pictures; training needs at least {MINIMUM}{note}")
    groups = sorted({group for _, group in kept})
    names = sorted({wanted[name] for name, _ in kept if name in wanted})
    if wanted and not names:
        raise UsageError(
            f"{labels}: none of its {len(wanted)} files is among the pictures (the first: {next(iter(wanted))}; "
            f"a picture's name: {kept[0][0]}); name files relative to the data folder"
        )
    stored = {
        "key": key,
        "sha256": digest.hexdigest(),
        "files": [name for name, _ in kept],
        "aspects": aspects,
        "groups": [groups.index(group) for _, group in kept],
        "labels": [names.index(wanted[name]) if name in wanted else -1 for name, _ in kept],
        "label_names": names,
        "skipped": skipped,
    }
    np.save(array, np.stack(pixels))
    table.write_text(json.dumps(stored))
    return _pack(np.load(array, mmap_mode="r"), stored)


def _pack(pixels: npt.NDArray[np.uint8], stored: dict) -> Pack:
    return Pack(
        pixels=pixels,
        files=tuple(stored["files"]),
        aspects=np.array(stored["aspects"], np.float32),
        groups=np.array(stored["groups"], np.int64),
        labels=np.array(stored["labels"], np.int64),
        label_names=tuple(stored["label_names"]),
        skipped=tuple(stored["skipped"]),
        sha256=stored["sha256"],
    )


def held_out(files: Sequence[str], share: float) -> npt.NDArray[np.bool_]:
    """Which pictures to keep aside for validation: by the hash of the name, so that it never depends on the rest."""
    rank = [int(hashlib.sha256(file.encode()).hexdigest()[:8], 16) / 2**32 for file in files]
    return np.array(rank) < share
