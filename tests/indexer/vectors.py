"""Vectors in clouds, as photographs make them, and cases that hold them without any picture."""

import hashlib

import numpy as np

from imgmatch.locator import Locator
from imgmatch.types import Digests, Evidence, Image, ModelSpec
from indexer.case.run import Batch, NewItem
from indexer.case.use import Entry, Use
from indexer.catalogue import Catalogue

DIM = 32
SPEC = ModelSpec("clouds", "objects", DIM, 32, "x", "0" * 64, "", "")
_NO_PIXELS = np.empty((0, 0, 3), np.uint8)


def clouds(seed, rows, dim=DIM):
    """(rows, dim) float32 unit vectors about fifty centres that are always the same."""
    centres = np.random.default_rng(99).normal(size=(50, dim))
    rng = np.random.default_rng(seed)
    made = centres[rng.integers(0, 50, rows)] + 0.6 * rng.normal(size=(rows, dim))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def digests(number):
    return Digests(hashlib.sha256(b"%d" % number).hexdigest(), "0" * 32, "0" * 40, 1)


def evidence(number, folder="/media/a", modified="2024-01-01T00:00:00Z"):
    def gone():
        raise FileNotFoundError(2, "No such file or directory")

    return Evidence(Locator.file(f"{folder}/{number}.jpg"), 1, modified, 1, 1, gone)


def add(case, vectors, start=0, commit=1000, folder="/media/a", modified="2024-01-01T00:00:00Z", spec=SPEC):
    """Commit vectors as new items, item n being the content ``start`` + n."""
    with case.writing(), case.run("ingest", "test") as run:
        for first in range(0, len(vectors), commit):
            items = [
                NewItem(
                    digests(start + number),
                    Image(_NO_PIXELS, (8, 8), 1, "PNG"),
                    vectors[number],
                    [evidence(start + number, folder, modified)],
                )
                for number in range(first, min(first + commit, len(vectors)))
            ]
            run.commit(Batch(items=items), case.add_shelf(spec))
        run.entry.counts = {"new_items": len(vectors)}


def inside(case):
    """All that a case's catalogue holds, by a connection of its own: what a test looks at leaves no trace."""
    return Catalogue(case.path / "catalogue.sqlite")


def looking(case):
    """A use of a case that leaves no trace, for what asks for one."""
    return Use(case.path, inside(case), Entry("test"))


def label(case, rows):
    """Label items: id, who says so, and the columns."""
    with case.run("labels", "test") as run:
        run.set_labels(rows)
