"""The index of a case against hnswlib, usearch and a flat scan, on mixtures of real embeddings.

python -m benchmarks.index [--rows 500000] [--dim 256] [--queries 2000] [--jobs 2] [--anchors FILE] [--json FILE]
python -m benchmarks.index --scale [--largest 1000000] [--json FILE]

Each engine runs in a process of its own, so that its memory is its own, for at most ``--limit-s`` seconds. Every engine
answers at several settings; the figures are those of the fastest that reaches ours' recall (0.99 at ten), or its best
recall where none does. Figures are written to ``--json`` after each engine. ``resident_mb`` is all that is resident,
mapped files with it; ``anonymous_mb`` is what is left of it when the system needs the memory of files elsewhere.

``--scale`` measures ours alone at growing sizes and draws what a query and a build cost.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report
from benchmarks.mixtures import BLOCK, Vectors, anchors, mixture, options, queries
from imgmatch.optional import require

ENGINES = ("ours", "hnswlib", "usearch", "flat")
TARGET = 0.99
Search = Callable[[Vectors, int], Any]


def make(folder: Path, count: int, arguments: argparse.Namespace) -> None:
    """``count`` rows (float16), queries and their true ten neighbours, as files; a block at a time in memory."""
    real = anchors(arguments.anchors, arguments.photographs, arguments.dim)
    rows = np.lib.format.open_memmap(folder / "rows.npy", "w+", np.float16, (count, arguments.dim))
    start = 0
    for block in mixture(real, count, 1):
        rows[start : start + len(block)] = block
        start += len(block)
    rows.flush()
    sample = np.asarray(rows[:: max(1, len(rows) // 200_000)], dtype=np.float32)
    asked = queries(sample, arguments.queries, 2)
    np.save(folder / "queries.npy", asked)
    best = np.full((len(asked), 10), -np.inf, np.float32)
    ids = np.full((len(asked), 10), -1)
    step = BLOCK // 4
    for first in range(0, len(rows), step):
        cosines = asked @ rows[first : first + step].astype(np.float32).T
        kept = min(10, cosines.shape[1])
        near = np.argpartition(-cosines, kept - 1, axis=1)[:, :kept]
        merged = np.concatenate([best, np.take_along_axis(cosines, near, axis=1)], axis=1)
        merged_ids = np.concatenate([ids, near + first], axis=1)
        order = np.argsort(-merged, axis=1)[:, :10]
        best, ids = np.take_along_axis(merged, order, axis=1), np.take_along_axis(merged_ids, order, axis=1)
    np.save(folder / "truth.npy", ids)


def ours(folder: Path, jobs: int) -> tuple[float, Iterator[tuple[str, Search]]]:
    """A case with these vectors: built as a user builds it; ids from 1 brought to rows from 0."""
    from benchmarks.index_fuzz import fill
    from imgmatch.types import ModelSpec
    from indexer.care.indexing import BuildConfig, build
    from indexer.case.case import Case
    from indexer.index import kinds
    from indexer.index.open import CaseIndex

    rows = np.load(folder / "rows.npy", mmap_mode="r")
    spec = ModelSpec("mixture", "objects", rows.shape[1], 32, "x", "0" * 64, "", "")
    with Case.create(folder / "case", model=spec) as case:
        for start in range(0, len(rows), BLOCK):
            fill(case, rows[start : start + BLOCK].astype(np.float32), start, spec)
        started = time.perf_counter()
        made = build(case, spec, BuildConfig(jobs=jobs))
        seconds = time.perf_counter() - started
    kinds.faiss.omp_set_num_threads(jobs)
    started = time.perf_counter()
    index = CaseIndex(Case.open(folder / "case").shelf(spec))
    opened = time.perf_counter() - started
    setting = f"{made.factory} nprobe {made.nprobe} candidates {made.candidates}" if made else "exact"
    print(
        f"  ours: {setting}, recall on its own vectors {made.recall if made else 1}, opened in {opened:.2f} s",
        flush=True,
    )
    return seconds, iter([(setting, lambda asked, k: index.search(asked, k)[1] - 1)])


def hnswlib(folder: Path, jobs: int) -> tuple[float, Iterator[tuple[str, Search]]]:
    """M 32, efConstruction 200, as its documents propose for high recall."""
    library = require("hnswlib", "bench")
    rows = np.load(folder / "rows.npy", mmap_mode="r")
    index = library.Index("ip", rows.shape[1])
    index.init_index(len(rows), M=32, ef_construction=200)
    index.set_num_threads(jobs)
    started = time.perf_counter()
    for start in range(0, len(rows), BLOCK):
        index.add_items(rows[start : start + BLOCK].astype(np.float32), np.arange(start, min(start + BLOCK, len(rows))))
    seconds = time.perf_counter() - started

    def settings() -> Iterator[tuple[str, Search]]:
        for ef in (32, 64, 128, 256, 512, 1024):
            index.set_ef(ef)
            yield f"M 32 ef {ef}", lambda asked, k: index.knn_query(asked, k, num_threads=jobs)[0].astype(np.int64)

    return seconds, settings()


def usearch(folder: Path, jobs: int) -> tuple[float, Iterator[tuple[str, Search]]]:
    """float16, connectivity 32, expansion 200 while adding."""
    library = require("usearch.index", "bench")
    rows = np.load(folder / "rows.npy", mmap_mode="r")
    index = library.Index(ndim=rows.shape[1], metric="ip", dtype="f16", connectivity=32, expansion_add=200)
    started = time.perf_counter()
    for start in range(0, len(rows), BLOCK):
        part = np.asarray(rows[start : start + BLOCK])
        index.add(np.arange(start, start + len(part)), part, threads=jobs)
    seconds = time.perf_counter() - started

    def settings() -> Iterator[tuple[str, Search]]:
        for ef in (32, 64, 128, 256, 512, 1024):
            index.expansion_search = ef

            def search(asked: Vectors, k: int) -> Any:
                found = index.search(asked, k, threads=jobs).keys.astype(np.int64)
                return found.reshape(len(asked), -1)

            yield f"connectivity 32 expansion {ef}", search

    return seconds, settings()


def flat(folder: Path, jobs: int) -> tuple[float, Iterator[tuple[str, Search]]]:
    """Every row compared, float16."""
    from indexer.index import kinds
    from indexer.index.exact import ExactIndex

    rows = np.load(folder / "rows.npy", mmap_mode="r")
    started = time.perf_counter()
    index = ExactIndex(rows.shape[1], [(0, rows)])
    kinds.faiss.omp_set_num_threads(jobs)
    return time.perf_counter() - started, iter([("float16", lambda asked, k: index.search(asked, k)[1])])


def measure(engine: str, folder: Path, jobs: int) -> Iterator[dict[str, Any]]:
    """Build and search at every setting; one record each."""
    asked, truth = np.load(folder / "queries.npy"), np.load(folder / "truth.npy")
    seconds, settings = {"ours": ours, "hnswlib": hnswlib, "usearch": usearch, "flat": flat}[engine](folder, jobs)
    for setting, search in settings:
        search(asked[:50], 10)
        started = time.perf_counter()
        found = search(asked, 10)
        all_s = time.perf_counter() - started
        times = []
        for number in range(min(200, len(asked))):
            started = time.perf_counter()
            search(asked[number : number + 1], 10)
            times.append(time.perf_counter() - started)
        hits = [len(set(a) & set(b)) / 10 for a, b in zip(found.tolist(), truth.tolist(), strict=True)]
        recall = round(float(np.mean(hits)), 4)
        yield {
            "setting": setting,
            "recall_at_10": recall,
            "queries_per_s": round(len(asked) / all_s, 1),
            "one_query_ms": round(float(np.median(times)) * 1000, 3),
            "build_s": round(seconds, 2),
            **_resident(),
        }
        if recall >= 0.998:
            break


def _resident() -> dict[str, float]:
    """Megabytes of memory of this process."""
    import psutil

    memory = psutil.Process().memory_info()
    return {"resident_mb": round(memory.rss / 1e6, 1), "anonymous_mb": round((memory.rss - memory.shared) / 1e6, 1)}


def chosen(records: list[dict[str, Any]], recall: float) -> dict[str, Any]:
    """The fastest setting of at least this recall, or the one of the best recall."""
    enough = [record for record in records if record["recall_at_10"] >= recall]
    if enough:
        return max(enough, key=lambda record: record["queries_per_s"])
    return max(records, key=lambda record: record["recall_at_10"])


def run(engine: str, folder: Path, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """One engine's records, from a process of its own; those it had made when its time was over."""
    command = [sys.executable, "-m", "benchmarks.index", "--engine", engine, "--folder", str(folder)]
    process = subprocess.Popen([*command, "--jobs", str(arguments.jobs)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    clock = threading.Timer(arguments.limit_s, process.kill)
    clock.start()
    records = []
    try:
        for line in process.stdout:
            if line.startswith("{"):
                records.append(json.loads(line))
            else:
                print(line.rstrip(), flush=True)
        if process.wait() and clock.is_alive():
            raise SystemExit(f"{engine} failed")
    finally:
        clock.cancel()
    if not records:
        print(f"  {engine}: not done after {arguments.limit_s:,} s", flush=True)
    return records


def compare(arguments: argparse.Namespace) -> None:
    """All engines at one size."""
    found: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as scratch:
        make(Path(scratch), arguments.rows, arguments)
        for engine in arguments.engines.split(","):
            found[engine] = run(engine, Path(scratch), arguments)
            report.save("index", _figures(arguments, found), arguments.json)
    picked = _picked(found)
    columns = ["setting", "recall_at_10", "queries_per_s", "one_query_ms", "build_s", "resident_mb", "anonymous_mb"]
    rows = [[name, *(record[column] for column in columns)] for name, record in picked.items() if record]
    report.table(f"{arguments.rows:,} x {arguments.dim}, {arguments.jobs} threads", ["engine", *columns], rows)
    report.finish("index", _figures(arguments, found), arguments.json)


def _picked(found: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, Any] | None]:
    """For each engine the record to compare; None where it was not done in time."""
    own = found.get("ours") or [{"recall_at_10": TARGET}]
    recall = min(TARGET, max(record["recall_at_10"] for record in own))
    return {engine: chosen(records, recall) if records else None for engine, records in found.items()}


def _figures(arguments: argparse.Namespace, found: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    named = {name: getattr(arguments, name) for name in ("rows", "dim", "queries", "jobs", "limit_s")}
    return {**named, "load_average": report.load(), **_picked(found), "all_settings": found}


def scale(arguments: argparse.Namespace) -> None:
    """Ours at 10,000 rows, ten times as many, and so on up to ``--largest``; a picture of what that costs."""
    sizes = [size for size in (10**4, 10**5, 10**6, 10**7) if size <= arguments.largest]
    found: dict[str, dict[str, Any]] = {}
    for size in sizes:
        with tempfile.TemporaryDirectory(dir=arguments.scratch) as scratch:
            make(Path(scratch), size, arguments)
            records = run("ours", Path(scratch), arguments)
        if not records:
            break
        found[str(size)] = records[0]
        figures = {"dim": arguments.dim, "queries": arguments.queries, "jobs": arguments.jobs, "sizes": found}
        report.save("index-scale", figures, arguments.json)
        draw(found, report.RESULTS / "index-scale.png")
    columns = ["setting", "recall_at_10", "queries_per_s", "one_query_ms", "build_s", "resident_mb", "anonymous_mb"]
    rows = [[f"{int(size):,}", *(record[column] for column in columns)] for size, record in found.items()]
    report.table("Cost as the case grows", ["rows", *columns], rows)
    figures = {"dim": arguments.dim, "queries": arguments.queries, "jobs": arguments.jobs, "sizes": found}
    report.finish("index-scale", figures, arguments.json)


def draw(found: dict[str, dict[str, Any]], path: Path) -> None:
    """Milliseconds a query and seconds a build against rows, with what would be linear."""
    require("matplotlib", "bench").use("Agg")
    from matplotlib import pyplot

    sizes = np.array([int(size) for size in found])
    one = np.array([record["one_query_ms"] for record in found.values()])
    many = np.array([1000 / record["queries_per_s"] for record in found.values()])
    build_s = np.array([record["build_s"] for record in found.values()])
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    left.plot(sizes, one, "o-", label="one query at a time")
    left.plot(sizes, many, "s-", label="many queries together")
    left.plot(sizes, one[0] * sizes / sizes[0], ":", color="grey", label="linear")
    left.set(xscale="log", yscale="log", xlabel="rows", ylabel="ms a query", title="Search")
    left.legend()
    built = build_s >= 0.1  # small cases need no build
    right.set(xlabel="rows", ylabel="s", title="Build")
    if built.any():
        right.plot(sizes[built], build_s[built], "o-")
        right.set(xscale="log", yscale="log")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def main() -> None:
    """Measure and report."""
    arguments = _arguments()
    if arguments.engine:
        for record in measure(arguments.engine, arguments.folder, arguments.jobs):
            print(json.dumps(record), flush=True)
    elif arguments.scale:
        scale(arguments)
    else:
        compare(arguments)


def _arguments() -> argparse.Namespace:
    parser = report.parser("The index against other engines")
    options(parser, 500_000, "folder for the vectors, 10 GB for 10 million rows")
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--queries", type=int, default=2000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--engines", default=",".join(ENGINES), help="which, separated by commas")
    parser.add_argument("--limit-s", type=float, default=3600.0, help="the longest that one engine may take")
    parser.add_argument("--scale", action="store_true", help="ours alone, at 10,000 rows and up")
    parser.add_argument("--largest", type=int, default=1_000_000, help="where --scale ends: 10000000 takes long")
    parser.add_argument("--engine", choices=ENGINES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
