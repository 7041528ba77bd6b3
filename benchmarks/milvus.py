"""A case's index on a Milvus server beside the one in files: what sending, building, searching and filtering cost, and
how much is found.

python -m benchmarks.milvus [--uri https://HOST:19530 | --server [--set NAME=VALUE]] [--rows 20000[,100000...]]
                            [--dim 256] [--kinds hnsw,ivf,diskann] [--files] [--anchors FILE] [--keep FOLDER]
                            [--json FILE]

``--server`` starts that of the package ``milvus``, in a network namespace of its own (benchmarks/server.py); without it
and ``--uri`` Milvus Lite is started on this machine: a stand-in, not for size. The token comes from the environment, as
for every case on a server. Rows are sent to a collection of their own and taken out at the end. Recall is against every
row compared. ``--files`` measures the index in files on the same rows and queries.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks import report
from benchmarks.index import make
from benchmarks.index_fuzz import fill
from benchmarks.lite import lite
from benchmarks.mixtures import BLOCK
from benchmarks.server import server
from imgmatch.errors import CaseError
from imgmatch.types import ModelSpec
from indexer.care.indexing import BuildConfig, build
from indexer.care.move import move
from indexer.case.case import Case
from indexer.index.milvus import Collection
from indexer.index.open import CaseIndex
from indexer.index.remote import empty, place

_SETTLED_S = 20.0
Search = Callable[[Any, int], Any]


def searched(search: Search, asked: Any, truth: Any) -> dict[str, float]:
    """Recall at ten, one query after the other, and all of them together; ``search`` gives rows from 0."""
    search(asked[:2], 10)
    started = time.perf_counter()
    found = search(asked, 10)
    batch = time.perf_counter() - started
    hits = [len(set(a) & set(b)) / 10 for a, b in zip(found.tolist(), truth.tolist(), strict=True)]
    times = []
    for query in asked[:100]:
        started = time.perf_counter()
        search(query[np.newaxis], 10)
        times.append(time.perf_counter() - started)
    return {
        "recall_at_10": round(float(np.mean(hits)), 4),
        "one_query_ms": round(float(np.median(times)) * 1000, 2),
        "one_query_p99_ms": round(float(np.quantile(times, 0.99)) * 1000, 2),
        "batch_queries_per_s": round(len(asked) / batch, 1),
    }


def indexed(collection: Collection, rows: int, limit_s: float) -> None:
    """Wait until the server has sealed and indexed what it was sent. Raises CaseError where that takes too long."""
    started = time.perf_counter()
    collection.settle()
    while left := collection.pending(rows):
        if time.perf_counter() - started > limit_s:
            raise CaseError(f"the server had not indexed {left:,} of {rows:,} rows after {limit_s:,.0f} s")
        time.sleep(0.5)


def case_of(folder: Path, rows: int, arguments: Any) -> dict[str, float]:
    """Vectors, queries, their neighbours and a case, where they are not kept from before; what making it took."""
    if not (folder / "truth.npy").exists():
        make(folder, rows, arguments)
    if (folder / "case").exists():
        return {}
    spec = ModelSpec("benchmark", "objects", arguments.dim, 32, "x", "0" * 64, "", "")
    vectors, started = np.load(folder / "rows.npy", mmap_mode="r"), time.perf_counter()
    with Case.create(folder / "case", model=spec) as case:
        for start in range(0, rows, BLOCK):
            fill(case, vectors[start : start + BLOCK].astype(np.float32), start, spec)
    return {"rows_added_per_s": round(rows / (time.perf_counter() - started), 1)}


def served(uri: str, folder: Path, copy: Path, arguments: Any, taken: Callable[[], dict[str, float]]) -> dict[str, Any]:
    """Send; then for each kind build, and search one at a time, together, and within a tenth; take out again."""
    asked, truth = np.load(folder / "queries.npy"), np.load(folder / "truth.npy")
    figures: dict[str, Any] = {}
    shutil.copytree(folder / "case", copy)
    with Case.open(copy) as case:
        spec, remote = case.default_model, place(uri, "imgmatch_benchmark")
        rows, kinds = case.shelf(spec).count(), arguments.kinds.split(",")
        Collection(remote, spec).make_again(kinds[0], rows)  # an index that is taken away again would be built first
        started = time.perf_counter()
        try:
            move(case, remote)
            figures["rows_sent_per_s"] = round(rows / (time.perf_counter() - started), 1)
            print(f"  sent {rows:,} rows, {figures['rows_sent_per_s']:,} a second", flush=True)
            for number, kind in enumerate(kinds):
                print(f"  {kind}...", flush=True)
                try:
                    began = time.perf_counter()
                    if number:
                        build(case, spec, BuildConfig(kind))
                    collection = Collection(remote, spec)
                    indexed(collection, rows, arguments.limit_s)
                    found: dict[str, float] = {"build_s": round(time.perf_counter() - began, 1)}
                    index = CaseIndex(case.shelf(spec))
                    index.search(asked[:1], 10)
                    time.sleep(_SETTLED_S)  # as a service, or a sitting, that has been open for a while

                    def search(queries: Any, k: int, index: CaseIndex = index) -> Any:
                        return index.search(queries, k)[1] - 1

                    found |= searched(search, asked, truth) | taken()
                    tenth = np.arange(1, rows + 1, 10)
                    started = time.perf_counter()
                    for query in asked[:20]:
                        index.search(query[np.newaxis], 10, within=tenth)
                    found["one_query_within_a_tenth_ms"] = round((time.perf_counter() - started) * 50, 2)
                    figures[kind] = {"index": collection.index.name, **collection.index.breadth(100), **found}
                except CaseError as error:
                    figures[kind] = {"refused": str(error), **taken()}
                print(f"  {kind}: {figures[kind]}", flush=True)
        finally:
            if arguments.uri:
                empty(case.shelves(), remote)
    return figures


def in_files(folder: Path) -> dict[str, Any]:
    """The same of the index in files, on two threads; and what the case takes on disk."""
    asked, truth = np.load(folder / "queries.npy"), np.load(folder / "truth.npy")
    with Case.open(folder / "case") as case:
        spec, started = case.default_model, time.perf_counter()
        made = build(case, spec, BuildConfig(jobs=2))
        seconds = time.perf_counter() - started
        index = CaseIndex(case.shelf(spec))
        setting = f"{made.factory} nprobe {made.nprobe} candidates {made.candidates}" if made else "exact"
        found = searched(lambda queries, k: index.search(queries, k)[1] - 1, asked, truth)
        case.catalogue.checkpoint()
    places = {"catalogue_mb": "catalogue.sqlite", "vectors_mb": "segments", "index_mb": "indexes"}
    return {"index": setting, "build_s": round(seconds, 1), **found, **_sizes(folder / "case", places)}


def _sizes(folder: Path, places: Mapping[str, str]) -> dict[str, float]:
    """Megabytes of files and folders there."""
    found = {}
    for name, below in places.items():
        paths = [folder / below, *(folder / below).rglob("*")]
        found[name] = round(sum(_size(path) for path in paths) / 1e6, 1)
    return found


@contextmanager
def started(folder: Path, arguments: Any) -> Iterator[tuple[str, str, Callable[[], dict[str, float]]]]:
    """The address of a server, what it is, and what it has taken up to now, where that is known."""
    if arguments.uri:
        yield arguments.uri, "given", dict
    elif arguments.server:
        (folder / "server").mkdir()
        settings = dict(each.split("=", 1) for each in arguments.set)
        with server(folder / "server", folder / "binaries", settings) as made:
            yield made.uri, "Milvus 2.3.5 standalone, on this machine", lambda: _taken(folder / "server")
    else:
        with lite(folder) as uri:
            yield uri, "Milvus Lite", dict


def _taken(folder: Path) -> dict[str, float]:
    """Memory, processor time and room on disk of the server below this process; its log of messages goes by itself
    after three days.
    """
    mine = [each for each in psutil.Process().children(recursive=True) if each.name() == "milvus"]
    found: dict[str, float] = {"server_mb": round(sum(each.memory_info().rss for each in mine) / 1e6)}
    found["server_processor_s"] = round(sum(sum(each.cpu_times()[:2]) for each in mine))
    names = [each.name for each in (folder / "data").iterdir()]
    sizes = _sizes(folder / "data", {name: name for name in names})
    found["server_messages_mb"] = round(sizes.pop("rocksmq", 0))
    found["server_catalogue_mb"] = round(sizes.pop("etcd.data", 0))
    found["server_data_mb"] = round(sum(sizes.values()))
    return found


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size if path.is_file() else 0
    except OSError:  # gone since it was listed
        return 0


def measured(rows: int, arguments: Any) -> tuple[str, dict[str, Any]]:
    """What the server is, and all figures at one size."""
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as scratch:
        folder = Path(scratch) if arguments.keep is None else arguments.keep / str(rows)
        folder.mkdir(parents=True, exist_ok=True)
        figures: dict[str, Any] = case_of(folder, rows, arguments)
        if arguments.files:
            figures["files"] = in_files(folder)
        if arguments.kinds:
            with started(Path(scratch), arguments) as (uri, name, taken):
                figures |= served(uri, folder, Path(scratch) / "served", arguments, taken)
        else:
            name = ""
    ways = [way for way, found in figures.items() if isinstance(found, dict) and "refused" not in found]
    names = ("index", "build_s", "recall_at_10", "one_query_ms", "one_query_p99_ms", "batch_queries_per_s")
    report.table(
        f"{rows:,} rows of {arguments.dim} dimensions ({name})",
        ["way", *names],
        [[way, *(figures[way][each] for each in names)] for way in ways],
    )
    return name, {**figures, "load_average": report.load()}


def main() -> None:
    """Measure and report."""
    parser = report.parser("The index on a Milvus server")
    parser.add_argument("--uri", default="", help="address of a server (default: Milvus Lite, started here)")
    parser.add_argument("--server", action="store_true", help="start the server of the package milvus here")
    parser.add_argument("--set", action="append", default=[], help="NAME=VALUE of that server's configuration")
    parser.add_argument("--files", action="store_true", help="measure the index in files too")
    parser.add_argument("--kinds", default="hnsw", help="of index, separated by commas; none: no server")
    parser.add_argument("--rows", default="20000", help="sizes, separated by commas")
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--photographs", type=int, default=600, help="of which real embeddings are made")
    parser.add_argument("--limit-s", type=float, default=1800.0, help="for the server to build an index")
    parser.add_argument("--anchors", type=Path, help="keep the real embeddings in this file between runs")
    parser.add_argument("--keep", type=Path, help="keep vectors and cases in this folder between runs")
    parser.add_argument("--note", default="", help="what else is to be known of this run: kept with the figures")
    parser.add_argument("--scratch", type=Path, help="folder for vectors and server: 10 GB for a million rows")
    arguments: argparse.Namespace = parser.parse_args()
    given = {each: getattr(arguments, each) for each in ("dim", "queries")}
    sizes: dict[str, Any] = {}
    for rows in map(int, arguments.rows.split(",")):
        name, sizes[str(rows)] = measured(rows, arguments)
        figures = {"server": name, "note": arguments.note, "settings": arguments.set, **given, "sizes": sizes}
        report.save("milvus", figures, arguments.json)
    report.finish("milvus", figures, arguments.json)


if __name__ == "__main__":
    main()
