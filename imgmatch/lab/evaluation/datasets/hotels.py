"""Hotels: Hotels-50K (arXiv 1901.11397) and the Hotel-ID competitions of 2021 (arXiv 2106.05746) and 2022."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from imgmatch.lab.evaluation.dataset import Dataset, Labels, LayoutError, Picture, Task
from imgmatch.lab.evaluation.datasets.layout import first_folder, numbered, pictures_in, rows, spread

_LEVELS = {
    "unoccluded": "unoccluded",
    "low occlusion": "low_occlusions",
    "medium occlusion": "medium_occlusions",
    "high occlusion": "high_occlusions",
}
_SEED = 20_210_310


def read_hotels50k(root: Path) -> Dataset:
    """PATH/dataset (or PATH/input/dataset): hotel_info.csv, train_set.csv, test_set.csv;
    PATH/images/train/CHAIN/HOTEL/SOURCE/ID.jpg and PATH/images/test/LEVEL/CHAIN/HOTEL/SOURCE/ID.jpg.

    The protocol of the authors' evaluate/retrieval.py: a query is right at k when one of the first k training pictures
    is of the same hotel (instance) or chain; chain counts only queries whose chain is known (not negative).
    """
    tables = first_folder(root / "dataset", root / "input" / "dataset")
    chain_of = {hotel: chain for hotel, chain in rows(tables / "hotel_info.csv", "hotel_id", "chain_id")}  # noqa: C416
    train = list(rows(tables / "train_set.csv", "image_id", "hotel_id", "image_source"))
    test = list(rows(tables / "test_set.csv", "image_id", "hotel_id", "image_source"))
    for table, listed in (("train_set.csv", train), ("test_set.csv", test)):
        unknown = next((hotel for _, hotel, _ in listed if hotel not in chain_of), None)
        if unknown is not None:
            raise LayoutError(f"{tables / table}: hotel {unknown!r} is not in hotel_info.csv")
    images = root / "images"
    gallery = _hotel_pictures(first_folder(images / "train"), train, chain_of)
    levels = {level: images / "test" / folder for level, folder in _LEVELS.items()}
    present = {level: folder for level, folder in levels.items() if folder.is_dir()}
    if not present:
        raise LayoutError(f"{levels['unoccluded']}: no such folder")
    hotels, train_hotels = numbered((hotel for _, hotel, _ in test), (hotel for _, hotel, _ in train))
    chains, train_chains = numbered(
        (chain_of[hotel] for _, hotel, _ in test), (chain_of[hotel] for _, hotel, _ in train)
    )
    known = np.array([not chain_of[hotel].startswith("-") for _, hotel, _ in test], np.bool_)
    by_hotel = Labels(np.tile(hotels, len(present)), train_hotels)
    by_chain = Labels(np.tile(chains, len(present)), train_chains)
    queries: list[Picture] = []
    tasks = []
    for level, folder in present.items():
        numbers = np.arange(len(test)) + len(queries)
        queries += _hotel_pictures(folder, test, chain_of)
        tasks.append(
            Task(f"instance, {level}", by_hotel, numbers, ("recall_at_1", "recall_at_10", "recall_at_100"), 100)
        )
        if known.any():
            tasks.append(
                Task(f"chain, {level}", by_chain, numbers[known], ("recall_at_1", "recall_at_3", "recall_at_5"))
            )
    protocol = (
        "Hotels-50K retrieval: a training picture of the same hotel (instance) or chain, known chains only, "
        "among the first k; a picture that is missing or broken counts as a miss"
    )
    return Dataset("hotels50k", root, gallery, queries, tasks, protocol)


def _hotel_pictures(folder: Path, listed: list[tuple[str, ...]], chain_of: dict[str, str]) -> list[Picture]:
    """The listed pictures under a folder; those not there keep the path where they should be, and count as missing."""
    found: dict[str, str] = {}
    for parent, folders, names in os.walk(folder):
        # Beside the occluded pictures lie their masks, under the same numbers.
        folders[:] = sorted(name for name in folders if name != "masks")
        # The suffix is that of the picture's address: .jpg as a rule.
        found.update((os.path.splitext(name)[0], os.path.join(parent, name)) for name in names)
    if not found:
        raise LayoutError(f"{folder}: no pictures in it")
    return [
        Picture(found.get(image) or os.path.join(folder, chain_of[hotel], hotel, source, f"{image}.jpg"))
        for image, hotel, source in listed
    ]


def read_hotelid2021(root: Path) -> Dataset:
    """PATH/train.csv (image, chain, hotel_id, timestamp) and PATH/train_images/CHAIN/IMAGE."""
    listed = list(rows(root / "train.csv", "image", "chain", "hotel_id"))
    folder = first_folder(root / "train_images")
    return _hotelid("hotelid2021", root, [(str(folder / chain / image), hotel) for image, chain, hotel in listed])


def read_hotelid2022(root: Path) -> Dataset:
    """PATH/train.csv (image_id, hotel_id), PATH/train_images/HOTEL/IMAGE and, for a second task whose queries are
    covered as the competition's test pictures are, PATH/train_masks.
    """
    listed = list(rows(root / "train.csv", "image_id", "hotel_id"))
    folder = first_folder(root / "train_images")
    dataset = _hotelid("hotelid2022", root, [(str(folder / hotel / image), hotel) for image, hotel in listed])
    masks = pictures_in(root / "train_masks") if (root / "train_masks").is_dir() else []
    if not masks:
        return dataset
    drawn = np.random.default_rng(_SEED).integers(len(masks), size=len(dataset.queries))
    covered = [replace(picture, mask=str(masks[mask])) for picture, mask in zip(dataset.queries, drawn, strict=True)]
    task = dataset.tasks[0]
    if not isinstance(task.truth, Labels):
        raise TypeError("a hotel is a label")
    truth = Labels(np.tile(task.truth.queries, 2), task.truth.gallery_labels)
    tasks = [
        replace(task, truth=truth),
        replace(task, name="hotel, masked", truth=truth, queries=task.queries + len(dataset.queries)),
    ]
    return replace(dataset, queries=[*dataset.queries, *covered], tasks=tasks)


def _hotelid(name: str, root: Path, listed: list[tuple[str, str]]) -> Dataset:
    listed.sort()
    (labels,) = numbered(hotel for _, hotel in listed)
    rng = np.random.default_rng(_SEED)
    held_out = np.zeros(len(listed), bool)
    for positions in spread(labels).values():
        if len(positions) > 1:
            held_out[positions[int(rng.integers(len(positions)))]] = True
    if not held_out.any():
        raise LayoutError(f"{root / 'train.csv'}: no hotel has two pictures, so there is nothing to ask for")
    pictures = [Picture(path) for path, _ in listed]
    truth = Labels(labels[held_out], labels[~held_out])
    task = Task("hotel", truth, np.arange(int(held_out.sum())), ("map_at_5", "recall_at_1"))
    return Dataset(
        name,
        root,
        [pictures[n] for n in np.flatnonzero(~held_out)],
        [pictures[n] for n in np.flatnonzero(held_out)],
        [task],
        "MAP@5 over different hotels, each by its nearest picture. The labels of the competition's test pictures are "
        "not public: one training picture of each hotel that has two or more is held out, drawn with a fixed seed, so "
        "figures can be compared with each other, not with the leaderboard",
    )
