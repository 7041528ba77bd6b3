"""What a search costs as a whole, beyond the network, in a case of a million items.

python -m benchmarks.search_speed [--rows 1000000] [--queries 200] [--anchors FILE] [--scratch FOLDER] [--json FILE]

The case holds mixtures of real embeddings under the default model's name, one item and one sighting a vector, and the
index that its size asks for. Warm: one open ``Searcher`` is given picture files, each read, hashed and decoded (they
are tiny), found, re-scored, looked up and recorded in the audit log; in the place of the network stands a table of
vectors, so that what is left is all that a search does beyond embedding. Cold: ``imgmatch search`` as a process of its
own with one query, the real network in it, from its start to its end.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from benchmarks import report
from benchmarks.index_fuzz import fill
from benchmarks.mixtures import Vectors, anchors, mixture, options, queries
from imgmatch.models import DEFAULT_MODEL, model_spec
from imgmatch.types import ModelSpec
from indexer.care.indexing import BuildConfig, build
from indexer.case.case import Case
from indexer.search.searcher import Searcher

if TYPE_CHECKING:
    from imgmatch.types import Pixels


class Table:
    """An Embedder in whose pictures it is written which row of a table their vector is."""

    def __init__(self, spec: ModelSpec, vectors: Vectors) -> None:
        self.spec = spec
        self.runtime = "table"
        self.grid = (7, 7)
        self._vectors = vectors

    def prepare(self, pixels: Pixels, side_px: int | None = None) -> Pixels:
        """As it is."""
        return pixels

    def embed(self, batch: Pixels, cell_weights: Any = None) -> Vectors:
        """The vectors that the first pixels name."""
        return self._vectors[batch[:, 0, 0, 0].astype(int) * 256 + batch[:, 0, 0, 1]]

    def embed_parts(self, picture: Pixels, cell_weights: Any) -> Vectors:
        """The same for the whole and for every part."""
        return np.repeat(self.embed(picture[np.newaxis]), len(cell_weights), axis=0)

    def cells(self, batch: Pixels) -> Vectors:
        """No search asks for them."""
        raise NotImplementedError


def make(folder: Path, spec: ModelSpec, rows: int, count: int, real: Vectors, jobs: int) -> tuple[Vectors, float]:
    """The case, and ``count`` query pictures; returns the queries' vectors and the seconds of the build."""
    sample = None
    start = 0
    with Case.create(folder / "case", model=spec) as case:
        for block in mixture(real, rows, 1):
            sample = block if sample is None else sample
            fill(case, block, start, spec)
            start += len(block)
        began = time.perf_counter()
        build(case, spec, BuildConfig(jobs=jobs))
        seconds = time.perf_counter() - began
    assert sample is not None
    (folder / "queries").mkdir()
    for number in range(count):
        pixels = np.full((16, 16, 3), (0, number % 256, number // 256), np.uint8)  # OpenCV writes BGR
        cv2.imwrite(str(folder / "queries" / f"{number:05d}.png"), pixels)
    return queries(sample, count, 2), seconds


def warm(folder: Path, spec: ModelSpec, vectors: Vectors) -> dict[str, float]:
    """Milliseconds a query of an open searcher, and the seconds that opening it takes."""
    began = time.perf_counter()
    with Case.open(folder / "case") as case:
        searcher = Searcher(case, Table(spec, vectors))
        opened = time.perf_counter() - began
        paths = sorted((folder / "queries").iterdir())
        times = []
        for path in paths:
            began = time.perf_counter()
            results = list(searcher.search([path]))
            times.append(time.perf_counter() - began)
            assert len(results) == 1
            assert len(results[0].matches) == 10
    warmed = np.array(times[len(times) // 10 :]) * 1000
    return {
        "open_s": round(opened, 3),
        "warm_median_ms": round(float(np.median(warmed)), 2),
        "warm_p95_ms": round(float(np.percentile(warmed, 95)), 2),
    }


def cold(folder: Path, times: int = 3) -> dict[str, float]:
    """Seconds of a whole process with one query: the first and the median of the next."""
    query = sorted((folder / "queries").iterdir())[0]
    command = [sys.executable, "-m", "cli.main", "search", str(folder / "case"), str(query), "--format", "json"]
    found = []
    for _ in range(times):
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        found.append(time.perf_counter() - began)
    return {"cold_first_s": round(found[0], 2), "cold_s": round(float(np.median(found[1:] or found)), 2)}


def main() -> None:
    """Measure and report."""
    parser = report.parser("A search as a whole")
    options(parser, 1_000_000, "folder for the case, 2 GB for a million items")
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=2, help="threads of the build")
    arguments = parser.parse_args()
    spec = model_spec(DEFAULT_MODEL)
    real = anchors(arguments.anchors, arguments.photographs, spec.dim)
    figures: dict[str, Any] = {"rows": arguments.rows, "dim": spec.dim, "queries": arguments.queries}
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as scratch:
        folder = Path(scratch)
        vectors, seconds = make(folder, spec, arguments.rows, arguments.queries, real, arguments.jobs)
        figures["build_s"] = round(seconds, 1)
        figures |= warm(folder, spec, vectors)
        report.save("search_speed", figures, arguments.json)
        figures |= cold(folder)
    report.table("Search as a whole", ["figure", "value"], [[name, value] for name, value in figures.items()])
    report.finish("search_speed", {**figures, "load_average": report.load()}, arguments.json)


if __name__ == "__main__":
    main()
