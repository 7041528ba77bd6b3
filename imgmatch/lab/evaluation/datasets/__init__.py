"""The data sets that can be named, as they are published. imgmatch never downloads: each says how to get it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from imgmatch.errors import UsageError
from imgmatch.lab.evaluation.dataset import Dataset, LayoutError
from imgmatch.lab.evaluation.datasets import copies, hotels, places


@dataclass(frozen=True, slots=True)
class Source:
    """A data set that can be named: who reads it, what its folder must hold, and how to get it."""

    name: str
    title: str
    read: Callable[[Path], Dataset]
    layout: str
    how_to_get: str


def _table(*sources: Source) -> dict[str, Source]:
    return {source.name: source for source in sources}


_REVISITED = (
    "get the pictures from the Visual Geometry Group at Oxford ({pictures}; unpack them into jpg/, without subfolders) "
    "and the ground truth from the revisitop project of the Czech Technical University, and convert it to JSON"
)

DATASETS = _table(
    Source(
        "hotels50k",
        "Hotels-50K",
        hotels.read_hotels50k,
        "dataset/hotel_info.csv, dataset/train_set.csv, dataset/test_set.csv, images/train/CHAIN/HOTEL/SOURCE/ID.jpg, "
        "images/test/unoccluded (low_occlusions, medium_occlusions, high_occlusions)/CHAIN/HOTEL/SOURCE/ID.jpg",
        "follow the README of the repository GWUvision/Hotels-50K on GitHub: unpack dataset.tar.gz and test.tar.gz, "
        "download the training pictures with its script",
    ),
    Source(
        "hotelid2021",
        "Hotel-ID to Combat Human Trafficking 2021",
        hotels.read_hotelid2021,
        "train.csv, train_images/CHAIN/IMAGE",
        "accept the rules of the Kaggle competition hotel-id-2021-fgvc8 and unpack its data",
    ),
    Source(
        "hotelid2022",
        "Hotel-ID to Combat Human Trafficking 2022",
        hotels.read_hotelid2022,
        "train.csv, train_images/HOTEL/IMAGE, train_masks/*.png",
        "accept the rules of the Kaggle competition hotel-id-to-combat-human-trafficking-2022-fgvc9 and unpack its "
        "data",
    ),
    Source(
        "copydays",
        "INRIA Copydays",
        copies.read_copydays,
        "original/200000.jpg, crops/10/200000.jpg, jpeg/3/200000.jpg, strong/200001.jpg",
        "get the four archives from INRIA's page of the Holidays and Copydays data sets (Hervé Jégou) and unpack each "
        "into its folder",
    ),
    Source(
        "disc21",
        "DISC21, Image Similarity Challenge 2021",
        copies.read_disc21,
        "references/R000000.jpg, dev_queries/Q00000.jpg, train/T000000.jpg, dev_queries_groundtruth.csv",
        "accept the licence on Meta AI's DISC21 page and unpack references, queries, their ground truth and, for score "
        "normalisation, all or a part of the training pictures",
    ),
    Source(
        "ukbench",
        "UKBench",
        places.read_ukbench,
        "full/ukbench00000.jpg to ukbench10199.jpg",
        "get ukbench.zip from the page of Henrik Stewénius, or from the copy at the Internet Archive, and unpack it",
    ),
    Source(
        "holidays",
        "INRIA Holidays",
        places.read_holidays,
        "jpg/100000.jpg to 149902.jpg",
        "get jpg1.tar.gz and jpg2.tar.gz from INRIA's page of the Holidays data set (Hervé Jégou) and unpack both",
    ),
    Source(
        "roxford5k",
        "revisited Oxford",
        places.read_roxford5k,
        "gnd_roxford5k.json, jpg/all_souls_000013.jpg",
        _REVISITED.format(pictures="oxbuild_images.tgz"),
    ),
    Source(
        "rparis6k",
        "revisited Paris",
        places.read_rparis6k,
        "gnd_rparis6k.json, jpg/paris_defense_000000.jpg",
        _REVISITED.format(pictures="paris_1.tgz and paris_2.tgz"),
    ),
    Source(
        "folders",
        "a folder for each place",
        places.read_folders,
        "PLACE/picture.jpg",
        "sort photographs of your own into one folder for each place, two or more in each",
    ),
    Source(
        "copies",
        "altered copies",
        copies.read_copies,
        "picture.jpg",
        "put five or more photographs of your own, no two alike, into one folder",
    ),
    Source(
        "places",
        "photographs of places, listed",
        places.read_places,
        "places.csv (file, place, environment), picture.jpg",
        "list photographs of your own in places.csv: file, place, environment (indoor or outdoor)",
    ),
)


def load_dataset(name: str, path: Path) -> Dataset:
    """Read a data set by name from the folder where it lies.

    Raises UsageError: an unknown name (lists the names there are), or a layout that is not the published one (names the
    file that should be there, and says how to get the set).
    """
    source = DATASETS.get(name)
    if source is None:
        raise UsageError(f"no data set {name!r}; there are: {', '.join(DATASETS)}")
    try:
        return source.read(path)
    except LayoutError as error:
        raise UsageError(f"{error}; {source.title} must hold {source.layout}: {source.how_to_get}") from error
    except OSError as error:
        raise UsageError(f"{error.filename or path}: can't be read ({error.strerror}); make it readable") from error
