"""What more rows cost, as far as results tell, and how large a server room they ask for: the tables of docs/scale.md.

python -m benchmarks.plan [--json FILE]    # writes the tables into docs/scale.md

Measured figures are those of results/milvus.json, milvus-sizes.json, milvus-million.json and index-scale.json. What is
extrapolated: bytes a row by arithmetic (``PER_ROW``, for vectors of 384 dimensions), over all cases of a collection,
and query nodes that give SHARE of NODE_GB each to it. A figure of a larger size is no measurement, and is told apart.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import report

DOCS = Path(__file__).parents[1] / "docs" / "scale.md"
DIM = 384
NODE_GB, SHARE = 64, 0.7
_FIELDS = 370
"""Of a row on a server beside its vector (key, namespace, id, time stamps, filters of keys): what memory grew by from
10,000 to 1,000,000 rows with IVF_SQ8, 766 bytes a row, less its codes.
"""
PER_ROW = {
    "HNSW": (4 * DIM + 2 * 32 * 4 + _FIELDS, 0),
    "IVF_SQ8": (DIM + 8 + _FIELDS, 0),
    "DISKANN": (round(4 * DIM * (0.125 + 0.1)) + _FIELDS, 4 * DIM + 56 * 4),
}
"""Bytes in memory, and on the nodes' own disks: whole vectors with 32 links each way at the lowest level; codes of 8
bits; a budget of an eighth of the vectors for codes and a tenth for the cache (the server's own settings), and vectors
with 56 links on disk.
"""
CASE_BYTES = {"vectors": 2 * DIM, "catalogue": 300, "index": 119}
"""Of a row in a case's folder: half floats; one item with one place and nothing more; its product codes and id."""
_MARK = re.compile(r"(<!-- (measured|plan) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def _results(name: str) -> dict[str, Any]:
    path = report.RESULTS / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def measured() -> Iterator[tuple[Any, ...]]:
    """Rows of the table of what was measured: how many rows, where, index, seconds to build, recall, ms, queries a
    second, MB in memory and on disk.
    """
    for size, found in _results("index-scale").get("sizes", {}).items():
        yield (
            int(size), "files, 256-d", found["setting"].split(" ")[0], found["build_s"], found["recall_at_10"],
            found["one_query_ms"], found["queries_per_s"], found["resident_mb"], None,
        )  # fmt: skip
    for name in ("milvus-sizes", "milvus", "milvus-million"):
        result = _results(name)
        for size, ways in result.get("sizes", {str(result.get("rows", 0)): result}).items():
            for way in ("files", "hnsw", "ivf", "diskann"):
                found = ways.get(way, {})
                if "recall_at_10" in found:
                    yield (
                        int(size), "files, 384-d" if way == "files" else "server, 384-d",
                        found["index"].split(" ")[0], found["build_s"], found["recall_at_10"], found["one_query_ms"],
                        found["batch_queries_per_s"], found.get("server_mb"), _on_disk(found),
                    )  # fmt: skip


def _on_disk(found: dict[str, Any]) -> float | None:
    parts = [value for name, value in found.items() if name in ("catalogue_mb", "vectors_mb", "index_mb")]
    parts += [value for name, value in found.items() if name in ("server_data_mb", "server_messages_mb")]
    return sum(parts) if parts else None


def plan() -> Iterator[dict[str, Any]]:
    """For each size and kind: GB in memory, on the nodes' disks and in the case, and query nodes."""
    for rows in (10_000_000, 100_000_000, 1_000_000_000):
        for kind, (memory, disk) in PER_ROW.items():
            memory_gb = rows * memory / 1e9
            yield {
                "rows": rows,
                "kind": kind,
                "memory_gb": round(memory_gb, 1),
                "node_disk_gb": round(rows * disk / 1e9),
                "query_nodes": math.ceil(memory_gb / (NODE_GB * SHARE)),
                "case_gb": round(rows * sum(CASE_BYTES.values()) / 1e9),
            }


def tables() -> dict[str, str]:
    """Both tables, as Markdown."""
    first = (
        "rows", "where", "index", "build s", "recall@10", "one query ms", "queries/s together", "MB in memory",
        "MB on disk",
    )  # fmt: skip
    second = (
        "rows", "index", "GB in memory", "GB on the nodes' disks", f"query nodes of {NODE_GB} GB", "GB in cases",
    )  # fmt: skip
    return {
        "measured": _markdown(first, sorted(measured(), key=lambda row: (row[0], row[1]))),
        "plan": _markdown(second, [tuple(row.values()) for row in plan()]),
    }


def _markdown(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    lines = [head, ("---",) * len(head), *([_cell(value) for value in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 100 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else value or ""


def with_tables(text: str) -> str:
    """A document with the tables as they are now, between their marks."""
    made = tables()
    return _MARK.sub(lambda met: met[1] + made[met[2]] + met[4], text)


def main() -> None:
    """Write both."""
    parser = report.parser("What more rows cost")
    arguments = parser.parse_args()
    DOCS.write_text(with_tables(DOCS.read_text(encoding="utf-8")), encoding="utf-8")
    report.finish(
        "plan", {"dim": DIM, "per_row": PER_ROW, "case_bytes": CASE_BYTES, "plan": list(plan())}, arguments.json
    )


if __name__ == "__main__":
    main()
