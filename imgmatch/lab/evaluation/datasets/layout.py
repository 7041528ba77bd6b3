"""Reading what data sets are published as: folders of pictures and CSV files, with errors that name the file."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from imgmatch.lab.evaluation.dataset import LayoutError

if TYPE_CHECKING:
    from imgmatch.lab.evaluation.dataset import Indices

_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif", ".heic", ".jp2"}


def pictures_in(folder: Path, *, deep: bool = False) -> list[Path]:
    """Files in a folder that are named like pictures, sorted; with ``deep`` those in its subfolders too."""
    try:
        if not deep:
            found = [Path(entry.path) for entry in os.scandir(folder) if _is_picture(entry.name) and entry.is_file()]
        else:
            found = [
                Path(parent, name)
                for parent, _, names in os.walk(folder, onerror=_refuse)
                for name in names
                if _is_picture(name)
            ]
    except OSError as error:
        raise LayoutError(f"{folder}: can't be listed ({error.strerror}), must be a folder of pictures") from error
    return sorted(found)


def require_pictures(folder: Path, *, deep: bool = False) -> list[Path]:
    """As ``pictures_in``. Raises LayoutError where there are none."""
    found = pictures_in(folder, deep=deep)
    if not found:
        raise LayoutError(f"{folder}: no pictures in it")
    return found


def first_folder(*candidates: Path) -> Path:
    """The first of the folders that is there. Raises LayoutError, naming the first, where none is."""
    for folder in candidates:
        if folder.is_dir():
            return folder
    raise LayoutError(f"{candidates[0]}: no such folder")


def rows(path: Path, *columns: str) -> Iterator[tuple[str, ...]]:
    """The named columns of a CSV file with a header, row by row. Raises LayoutError, naming file and line or column."""
    try:
        # Names of hotels hold bytes of several encodings; the columns that are read are plain ASCII.
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            absent = [column for column in columns if column not in header]
            if absent:
                raise LayoutError(f"{path}: has no column {absent[0]!r}, must have {', '.join(columns)}")
            places = [header.index(column) for column in columns]
            for row in reader:
                if not row:
                    continue
                if len(row) <= max(places):
                    raise LayoutError(f"{path}: line {reader.line_num} is too short, must have {len(header)} columns")
                yield tuple(row[place] for place in places)
    except OSError as error:
        raise LayoutError(f"{path}: can't be read ({error.strerror})") from error
    except csv.Error as error:
        raise LayoutError(f"{path}: not a readable CSV file ({error})") from error


def numbered(*groups: Iterable[str]) -> list[Indices]:
    """Labels as numbers, from 0 in order of appearance, the same in every group."""
    seen: dict[str, int] = {}
    return [np.array([seen.setdefault(label, len(seen)) for label in group], np.int64) for group in groups]


def spread(labels: Sequence[int] | Indices) -> dict[int, list[int]]:
    """Positions of each label."""
    found: dict[int, list[int]] = {}
    for position, label in enumerate(labels):
        found.setdefault(int(label), []).append(position)
    return found


def _is_picture(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in _SUFFIXES and not name.startswith(".")


def _refuse(error: OSError) -> None:
    raise error
