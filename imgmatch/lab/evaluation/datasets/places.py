"""Places and objects: UKBench, INRIA Holidays, revisited Oxford and Paris, folders, and the project's places."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from imgmatch.lab.evaluation.dataset import Dataset, Labels, LayoutError, Pairs, Picture, Task
from imgmatch.lab.evaluation.datasets.layout import first_folder, numbered, pictures_in, require_pictures, rows

_RETRIEVAL = ("map", "recall_at_1", "recall_at_5", "recall_at_10")
_TO_JSON = (
    "python -c \"import json, pickle; json.dump(pickle.load(open('{name}.pkl', 'rb')), open('{name}.json', 'w'), "
    'default=lambda a: a.tolist())"'
)


def read_ukbench(root: Path) -> Dataset:
    """PATH/full (or PATH): ukbench00000.jpg and on, four in a row of one object (Nistér and Stewénius, CVPR 2006)."""
    folder = root / "full" if (root / "full").is_dir() else root
    numbers = {
        int(match[1]): path
        for path in pictures_in(first_folder(folder))
        if (match := re.fullmatch(r"ukbench(\d{5})\.jpg", path.name))
    }
    if not numbers:
        raise LayoutError(f"{folder / 'ukbench00000.jpg'}: no such file")
    for number in range(max(numbers) // 4 * 4 + 4):
        if number not in numbers:
            raise LayoutError(f"{folder / f'ukbench{number:05}.jpg'}: no such file; an object has four pictures")
    pictures = [Picture(str(path)) for _, path in sorted(numbers.items())]
    labels = np.arange(len(pictures)) // 4
    task = Task("all", Labels(labels, labels), np.arange(len(pictures)), ("top4_score", "recall_at_1"))
    protocol = "UKBench: how many of the first four are of the query's object, itself included; 0 to 4, mean of all"
    return Dataset("ukbench", root, pictures, pictures, [task], protocol)


def read_holidays(root: Path) -> Dataset:
    """PATH/jpg (or PATH): 100000.jpg and on; the first of each hundred is the query (Jégou et al., ECCV 2008)."""
    folder = root / "jpg" if (root / "jpg").is_dir() else root
    paths = [path for path in pictures_in(first_folder(folder)) if re.fullmatch(r"\d{6}", path.stem)]
    if not paths:
        raise LayoutError(f"{folder / '100000.jpg'}: no such file")
    groups = np.array([int(path.stem) // 100 for path in paths])
    own = np.array([n for n, path in enumerate(paths) if int(path.stem) % 100 == 0], np.int64)
    alone = np.setdiff1d(groups, groups[own])
    if alone.size:
        raise LayoutError(f"{folder / f'{alone[0]}00.jpg'}: no such file; it is the query of its group")
    pictures = [Picture(str(path)) for path in paths]
    truth = Labels(groups[own], groups, own)
    task = Task("all", truth, _answerable(truth, len(own)), ("map_trapezoid", "recall_at_1"))
    protocol = "INRIA Holidays: mean average precision (trapezoid), the query itself taken out"
    return Dataset("holidays", root, pictures, [pictures[n] for n in own], [task], protocol)


def read_roxford5k(root: Path) -> Dataset:
    """PATH/gnd_roxford5k.json and PATH/jpg; see ``read_revisited``."""
    return read_revisited(root, "roxford5k")


def read_rparis6k(root: Path) -> Dataset:
    """PATH/gnd_rparis6k.json and PATH/jpg; see ``read_revisited``."""
    return read_revisited(root, "rparis6k")


def read_revisited(root: Path, name: str) -> Dataset:
    """Revisited Oxford or Paris (arXiv 1803.11285): queries are cropped to their box and not in the gallery.

    Right and junk: easy: easy | junk, hard; medium: easy, hard | junk; hard: hard | junk, easy. A query without a right
    picture is left out of the mean. The published ground truth is a pickle, which runs whatever code is in it: it is
    never opened here, and has to be converted to JSON by whoever trusts it.
    """
    path = root / f"gnd_{name}.json"
    if not path.is_file():
        convert = _TO_JSON.format(name=f"gnd_{name}")
        raise LayoutError(
            f"{path}: no such file; imgmatch does not open the published gnd_{name}.pkl, as a pickle can run any code: "
            f"if you trust it, convert it once, in its folder: {convert}"
        )
    images = first_folder(root / "jpg")
    gallery_names, query_names, truths = _revisited_truth(path)
    queries = [
        Picture(str(images / f"{query}.jpg"), crop=_box(path, truth))
        for query, truth in zip(query_names, truths, strict=True)
    ]
    tasks = []
    for difficulty, right, junk in (
        ("easy", ("easy",), ("junk", "hard")),
        ("medium", ("easy", "hard"), ("junk",)),
        ("hard", ("hard",), ("junk", "easy")),
    ):
        pairs = Pairs(
            [_entries(path, truth, right, len(gallery_names)) for truth in truths],
            [_entries(path, truth, junk, len(gallery_names)) for truth in truths],
        )
        tasks.append(Task(difficulty, pairs, _answerable(pairs, len(queries)), ("map_trapezoid", "recall_at_1")))
    return Dataset(
        name,
        root,
        [Picture(str(images / f"{entry}.jpg")) for entry in gallery_names],
        queries,
        [task for task in tasks if task.queries.size],
        "revisited Oxford and Paris: mean average precision (trapezoid) easy, medium, hard; junk taken out of the "
        "ranking",
    )


def _revisited_truth(path: Path) -> tuple[list[str], list[str], list[dict[str, Any]]]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        gallery, queries, truths = found["imlist"], found["qimlist"], found["gnd"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LayoutError(f"{path}: must be a JSON object with imlist, qimlist and gnd ({error})") from error
    if not all(isinstance(name, str) for names in (gallery, queries) for name in names):
        raise LayoutError(f"{path}: imlist and qimlist must hold names of pictures")
    if len(queries) != len(truths) or not all(isinstance(truth, dict) for truth in truths):
        raise LayoutError(f"{path}: gnd must hold an object for each of the {len(queries)} names in qimlist")
    return gallery, queries, truths


def _box(path: Path, truth: dict[str, Any]) -> tuple[float, float, float, float]:
    box = np.ravel(truth.get("bbx", ())).tolist()
    if len(box) != 4 or not all(isinstance(side, int | float) for side in box):
        raise LayoutError(f"{path}: bbx is {box}, must be left, top, right, bottom")
    left, top, right, bottom = (float(side) for side in box)
    return left, top, right, bottom


def _entries(path: Path, truth: dict[str, Any], kinds: Sequence[str], count: int) -> list[int]:
    entries = [entry for kind in kinds for entry in truth.get(kind, ())]
    for entry in entries:
        if not isinstance(entry, int) or not 0 <= entry < count:
            raise LayoutError(
                f"{path}: {kinds[0]} holds {entry!r}, must be a number below {count} (from 0, as in imlist)"
            )
    return entries


def read_folders(root: Path) -> Dataset:
    """PATH/PLACE/picture: each picture is a query for the others of its place. One alone only distracts."""
    places = sorted(folder for folder in first_folder(root).iterdir() if folder.is_dir())
    found = [(path, place.name) for place in places for path in pictures_in(place, deep=True)]
    if not found:
        raise LayoutError(f"{root}: must hold a folder for each place, with pictures in it")
    return _by_place("folders", root, [path for path, _ in found], [place for _, place in found], {})


def read_places(root: Path) -> Dataset:
    """PATH/places.csv (file, place, environment) and the files it names, beside it."""
    folder = root / "places" if (root / "places" / "places.csv").is_file() else root
    listed = list(rows(folder / "places.csv", "file", "place", "environment"))
    environments = np.array([environment for _, _, environment in listed])
    parts = {name: environments == name for name in sorted(set(environments.tolist()))}
    return _by_place("places", root, [folder / file for file, _, _ in listed], [place for _, place, _ in listed], parts)


def read_distractors(folder: Path) -> list[Picture]:
    """All pictures of a folder and its subfolders, to add to a gallery. Raises LayoutError where there are none."""
    return [Picture(str(path)) for path in require_pictures(folder, deep=True)]


def _by_place(name: str, root: Path, paths: list[Path], places: list[str], parts: dict[str, np.ndarray]) -> Dataset:
    (labels,) = numbered(places)
    pictures = [Picture(str(path)) for path in paths]
    truth = Labels(labels, labels, np.arange(len(pictures)))
    queries = _answerable(truth, len(pictures))
    if not queries.size:
        raise LayoutError(f"{root}: no place has two pictures, so there is nothing to ask for")
    tasks = [Task("all", truth, queries, _RETRIEVAL)]
    if len(parts) > 1:
        tasks += [Task(part, truth, queries[flags[queries]], _RETRIEVAL) for part, flags in parts.items()]
    protocol = "each picture of a place sought by each other one; the query itself taken out"
    return Dataset(name, root, pictures, pictures, [task for task in tasks if task.queries.size], protocol)


def _answerable(truth: Labels | Pairs, count: int) -> np.ndarray:
    return np.array([query for query in range(count) if truth.relevant(query).size], np.int64)
