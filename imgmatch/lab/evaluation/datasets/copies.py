"""Copies: INRIA Copydays, DISC21 of the Image Similarity Challenge, and altered copies of a folder of photographs."""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path

import numpy as np

from imgmatch.lab.alterations import ALTERATIONS
from imgmatch.lab.evaluation.dataset import Dataset, Labels, LayoutError, Pairs, Picture, Task
from imgmatch.lab.evaluation.datasets.layout import first_folder, numbered, pictures_in, require_pictures

_COPYDAYS_ID = re.compile(r"\d{6}")
_DISC_NAME = re.compile(r"([QRT])\d+\.jpe?g", re.IGNORECASE)
_OVER_PAIRS = ("micro_ap", "recall_at_precision_90")
_NORMALISED = ("micro_ap_normalised", "recall_at_precision_90_normalised")
SEED = 20_260_101
"""With this seed the copies are those of the project's own benchmark."""


def read_copydays(root: Path) -> Dataset:
    """PATH/original, PATH/crops/PERCENT, PATH/jpeg/QUALITY (or jpegqual), PATH/strong; files such as 200000.jpg, whose
    first four digits are the original's (Douze et al., Evaluation of GIST descriptors, CIVR 2009).
    """
    originals = require_pictures(first_folder(root / "original"))
    parts = {"original": originals}
    if (root / "strong").is_dir():
        parts["strong"] = require_pictures(root / "strong")
    for title, names in (("crop", ("crops",)), ("jpeg", ("jpeg", "jpegqual"))):
        for family in (root / name for name in names if (root / name).is_dir()):
            folders = sorted(
                (f for f in family.iterdir() if f.is_dir() and f.name.isdigit()), key=lambda f: int(f.name)
            )
            parts.update({f"{title} {folder.name}": require_pictures(folder) for folder in folders})
    if len(parts) == 1:
        raise LayoutError(f"{root / 'strong'}: no such folder, nor crops/ or jpeg/: there are no copies to look for")
    paths = [path for files in parts.values() for path in files]
    for path in paths:
        if not _COPYDAYS_ID.fullmatch(path.stem):
            raise LayoutError(f"{path}: must be named by six digits, such as 200000.jpg")
    labels, blocks = numbered((path.stem[:4] for path in originals), (path.stem[:4] for path in paths))
    truth = Labels(blocks, labels)
    tasks, start = [], 0
    for name, files in parts.items():
        numbers = np.arange(start, start + len(files))
        start += len(files)
        if name != "original":
            tasks.append(Task(name, truth, numbers, ("map_trapezoid", "recall_at_1")))
    tasks.append(Task("overall", truth, np.arange(len(paths)), _OVER_PAIRS, depth=100))
    return Dataset(
        "copydays",
        root,
        [Picture(str(path)) for path in originals],
        [Picture(str(path)) for path in paths],
        tasks,
        "Copydays: mean average precision (trapezoid) among the originals for each kind of attack, and micro average "
        "precision over the 100 nearest of all queries, the originals among them",
    )


def read_disc21(root: Path) -> Dataset:
    """Folders of R*.jpg (references), Q*.jpg (queries) and T*.jpg (training, the background; may be left out), and CSV
    files of query_id,reference_id, empty where a query has no reference. Each folder of queries that a CSV file speaks
    of is a task (development, final). arXiv 2106.09672.
    """
    folders = _disc_folders(root)
    if not folders["R"]:
        raise LayoutError(f"{root / 'references'}: no folder with pictures such as R000000.jpg")
    if not folders["Q"]:
        raise LayoutError(f"{root / 'dev_queries'}: no folder with pictures such as Q00000.jpg")
    answers = _disc_answers(root)
    references = [path for folder in folders["R"] for path in _disc_pictures(folder)]
    number = {path.stem.upper(): n for n, path in enumerate(references)}
    background = [Picture(str(path)) for folder in folders["T"] for path in _disc_pictures(folder)]
    measures = ("recall_at_1", *_OVER_PAIRS, *(_NORMALISED if background else ()))
    queries: list[Picture] = []
    right: list[list[int]] = []
    spans = []
    for folder in folders["Q"]:
        paths = _disc_pictures(folder)
        named = {path.stem.upper() for path in paths}
        for table, pairs in answers.items():
            if named.isdisjoint(pairs):
                continue
            # A table that lists queries without a reference lists all that count; one that does not holds matches only,
            # and the other pictures of its folder are queries without a match.
            complete = not all(pairs.values())
            ids = sorted(pairs) if complete else sorted(named | set(pairs))
            place = {path.stem.upper(): path for path in paths}
            for query in ids:
                queries.append(Picture(str(place.get(query, folder / f"{query}.jpg"))))
                # A reference that is not there can't be found, and counts as one that was missed.
                right.append([number.setdefault(ref, len(number)) for ref in pairs.get(query, [])])
            spans.append((f"{folder.name} ({table.name})" if len(answers) > 1 else folder.name, len(ids)))
    if not spans:
        listed = ", ".join(table.name for table in answers)
        raise LayoutError(f"{folders['Q'][0]}: none of its pictures is in {listed}")
    gallery = [Picture(str(path)) for path in references]
    absent = sorted((n, name) for name, n in number.items() if n >= len(references))
    gallery += [Picture(str(folders["R"][0] / f"{name}.jpg")) for _, name in absent]
    truth = Pairs(right)
    tasks, start = [], 0
    for name, count in spans:
        tasks.append(Task(name, truth, np.arange(start, start + count), measures))
        start += count
    return Dataset(
        "disc21",
        root,
        gallery,
        queries,
        tasks,
        "Image Similarity Challenge: micro average precision and recall at 90 % precision over the 10 nearest "
        "references of all queries; normalised: less the mean of the query's three highest similarities to the "
        "background, as SSCD does it",
        background,
    )


def _disc_folders(root: Path) -> dict[str, list[Path]]:
    """Folders by the kind of picture in them, at most two deep."""
    found: dict[str, list[Path]] = {"Q": [], "R": [], "T": []}
    level = [first_folder(root)]
    for _ in range(3):
        below: list[Path] = []
        for folder in level:
            kinds = set()
            for entry in os.scandir(folder):
                if match := _DISC_NAME.fullmatch(entry.name):
                    kinds.add(match[1].upper())
                elif entry.is_dir():
                    below.append(Path(entry.path))
            for kind in kinds:
                found[kind].append(folder)
        level = sorted(below)
    return found


def _disc_pictures(folder: Path) -> list[Path]:
    return sorted(Path(entry.path) for entry in os.scandir(folder) if _DISC_NAME.fullmatch(entry.name))


def _disc_answers(root: Path) -> dict[Path, dict[str, list[str]]]:
    """Every CSV file of query_id,reference_id under the folder; its header may be absent, as in the first release."""
    found: dict[Path, dict[str, list[str]]] = {}
    for path in sorted([*root.glob("*.csv"), *root.glob("*/*.csv")]):
        pairs: dict[str, list[str]] = {}
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            for row in csv.reader(file):
                if len(row) == 2 and re.fullmatch(r"Q\d+", row[0]):
                    pairs.setdefault(row[0], [])
                    if row[1]:
                        pairs[row[0]].append(row[1])
        if any(pairs.values()):
            found[path] = pairs
    if not found:
        raise LayoutError(f"{root / 'dev_queries_groundtruth.csv'}: no CSV file of query_id,reference_id there")
    return found


def read_copies(root: Path) -> Dataset:
    """A folder of photographs: each is altered in every way of ``ALTERATIONS`` and sought among all of them."""
    folder = root / "houses" if (root / "houses").is_dir() else root
    paths = [str(path) for path in pictures_in(first_folder(folder))]
    if len(paths) < 5:
        raise LayoutError(f"{folder}: {len(paths)} pictures; collages take five or more")
    names = list(ALTERATIONS)
    # One photograph after the other, so that each is decoded once for all its copies.
    queries = [
        Picture(
            path,
            alteration=name,
            seed=SEED + number,
            others=tuple(paths[number - other] for other in range(1, 5)),
        )
        for number, path in enumerate(paths)
        for name in names
    ]
    truth = Pairs([(number,) for number in range(len(paths)) for _ in names])
    measures = ("recall_at_1", "recall_at_10", "map")
    tasks = [Task(name, truth, np.arange(at, len(queries), len(names)), measures) for at, name in enumerate(names)]
    return Dataset(
        "copies",
        root,
        [Picture(path) for path in paths],
        queries,
        tasks,
        "every photograph altered with a fixed seed, the original sought among all photographs; two files of one "
        "content are wrong answers for each other",
    )
