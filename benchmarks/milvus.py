"""A case's index on a Milvus server: what sending, searching and filtering cost there, and how much is found.

python -m benchmarks.milvus [--uri https://HOST:19530] [--rows 20000] [--dim 256] [--anchors FILE] [--json FILE]

Without ``--uri`` Milvus Lite is started on this machine: a stand-in, not for size (100,000 rows take about 10 s to
send and 42 ms a query). The token comes from the environment, as for every case on a server. Rows are sent to a
collection of their own and taken out at the end. Recall is against every row compared.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report
from benchmarks.index_fuzz import fill
from benchmarks.lite import lite
from benchmarks.mixtures import anchors, mixture, queries
from imgmatch.types import ModelSpec
from indexer.care.move import move
from indexer.case.case import Case
from indexer.index.exact import ExactIndex
from indexer.index.open import CaseIndex
from indexer.index.remote import follow, place


def measure(uri: str, folder: Path, arguments: Any) -> dict[str, float]:
    """Send, search one at a time and together, search within a tenth, take out again."""
    spec = ModelSpec("benchmark", "objects", arguments.dim, 32, "x", "0" * 64, "", "")
    rows = np.concatenate(list(mixture(anchors(arguments.anchors, 2000, arguments.dim), arguments.rows, 1)))
    asked = queries(rows, arguments.queries, 2)
    figures: dict[str, float] = {}
    with Case.create(folder / "case", model=spec, remote=place(uri, "imgmatch_benchmark")) as case:
        try:
            fill(case, rows, 0, spec)
            started = time.perf_counter()
            follow(case.shelves())
            figures["rows_sent_per_s"] = round(len(rows) / (time.perf_counter() - started), 1)
            index = CaseIndex(case.shelf(spec))
            truth = ExactIndex(arguments.dim, [(1, rows.astype(np.float16))]).search(asked, 10)[1]
            started = time.perf_counter()
            found = index.search(asked, 10)[1]
            figures["queries_per_s"] = round(len(asked) / (time.perf_counter() - started), 1)
            hits = [len(set(a) & set(b)) / 10 for a, b in zip(found.tolist(), truth.tolist(), strict=True)]
            figures["recall_at_10"] = round(float(np.mean(hits)), 4)
            tenth = np.arange(1, len(rows) + 1, 10)
            for name, within in (("one_query_ms", None), ("one_query_within_a_tenth_ms", tenth)):
                times = []
                for query in asked[:100]:
                    started = time.perf_counter()
                    index.search(query[np.newaxis], 10, within=within)
                    times.append(time.perf_counter() - started)
                figures[name] = round(float(np.median(times)) * 1000, 2)
        finally:
            move(case, None)
    return figures


def main() -> None:
    """Measure and report."""
    parser = report.parser("The index on a Milvus server")
    parser.add_argument("--uri", default="", help="address of a server (default: Milvus Lite, started here)")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--anchors", type=Path, help="keep the real embeddings in this file between runs")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if arguments.uri:
            figures = measure(arguments.uri, folder, arguments)
        else:
            with lite(folder) as uri:
                figures = measure(uri, folder, arguments)
    server = "given" if arguments.uri else "Milvus Lite"
    report.table(f"{arguments.rows:,} rows on a server ({server})", list(figures), [list(figures.values())])
    named = {name: getattr(arguments, name) for name in ("rows", "dim", "queries")}
    report.finish("milvus", {"server": server, **named, **figures, "load_average": report.load()}, arguments.json)


if __name__ == "__main__":
    main()
