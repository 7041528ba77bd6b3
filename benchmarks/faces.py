"""Searching 100,000 faces: seconds to the first answer of a command, and of one more search in the same program.

    python -m benchmarks.faces PORTRAIT [--faces 100000] [--people 1000]

The faces are random unit vectors of that many people in a case of their own; PORTRAIT is the query.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path

import numpy as np

from imgmatch.locator import Locator
from imgmatch.models import model_spec
from imgmatch.models.face import Face, FoundFace
from imgmatch.models.faces.reader import load_faces
from imgmatch.types import Digests, Evidence, Image
from indexer.care.gate import open_gate
from indexer.case.case import Case
from indexer.case.run import Batch, NewItem
from indexer.search.faces.asked import FaceRequest
from indexer.search.faces.people import group_faces
from indexer.search.faces.searcher import FaceSearcher

_BATCH = 5_000
_NOTHING = np.empty((0, 0, 3), np.uint8)


def fill(case: Case, faces: int, people: int) -> None:
    """Items with two faces each, of people who are apart as random vectors are."""
    rng = np.random.default_rng(0)
    middles = rng.normal(size=(people, 128))
    with case.writing(), case.run("ingest", "benchmark") as run:
        shelf = case.shelf(case.default_model)
        for start in range(0, faces // 2, _BATCH):
            items = []
            for number in range(start, min(start + _BATCH, faces // 2)):
                rows = middles[rng.integers(0, people, 2)] + 0.5 * rng.normal(size=(2, 128))
                rows /= np.linalg.norm(rows, axis=1, keepdims=True)
                found = [
                    FoundFace(
                        Face((9, 9, 99, 99), ((9.0, 9.0),) * 5, 0.9, 99.0, 0.5, 0, 0, 0, 0), row.astype(np.float32)
                    )
                    for row in rows
                ]
                name = f"{number:064x}"
                place = Evidence(Locator.file(f"/f/{number}.jpg"), 9, None, None, None, BytesIO)
                whole = np.zeros(shelf.spec.dim, np.float32)
                whole[0] = 1
                image = Image(_NOTHING, (640, 480), 1, "JPEG")
                items.append(NewItem(Digests(name, name[:32], name[:40], 9), image, whole, [place], faces=found))
            run.commit(Batch(items=items), shelf)


def main() -> None:
    """Fill a case, search it, and print the seconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("portrait", type=Path)
    parser.add_argument("--faces", type=int, default=100_000)
    parser.add_argument("--people", type=int, default=1_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case"
        with Case.create(path, model=model_spec("imgmatch-rooms-int8")) as case:
            open_gate(case, "benchmark", "benchmark", model="sface")
            fill(case, given.faces, given.people)
        command = [sys.executable, "-m", "cli.main", "faces", "search", path, given.portrait, "--reason", "benchmark"]
        for turn in ("first", "second"):
            started = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            print(f"the command, {turn} time: {time.perf_counter() - started:.2f} s")
        with Case.open(path) as case:
            searcher = FaceSearcher(case, load_faces())
            for turn in ("first", "warm", "warm"):
                started = time.perf_counter()
                found = searcher.search([[str(given.portrait)]], FaceRequest("benchmark"))
                print(f"in one program, {turn}: {time.perf_counter() - started:.3f} s, {found.compared:,} faces")
            started = time.perf_counter()
            print(f"{group_faces(case, 'benchmark')}, {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main()
