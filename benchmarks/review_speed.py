"""How long the review page takes to show first results in a case of a hundred thousand items.

python -m benchmarks.review_speed QUERY [--rows 100000] [--queries 20] [--scratch FOLDER] [--json FILE]

The case holds vectors in clouds under the default model's name, one item, one sighting and one label a vector, and
the index that its size asks for; it holds no pictures. ``imgmatch review`` runs as a process of its own; what is
timed is what the page does when Search is pressed: the search with the real network and parts of the query, and the
first page of results as HTML. QUERY is a photograph.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import tempfile
import time
import urllib.parse
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks import report
from benchmarks.casestate import inside
from benchmarks.index_fuzz import fill
from imgmatch.models import DEFAULT_MODEL, model_spec
from indexer.care.indexing import BuildConfig, build
from indexer.case.case import Case

_BLOCK = 10_000


class Page:
    """A review that runs, asked as its page asks."""

    def __init__(self, case: Path) -> None:
        command = [sys.executable, "-m", "cli.main", "review", str(case), "--no-browser", "--examiner", "benchmark"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self._address = urllib.parse.urlsplit(self.process.stdout.readline().strip())
        self._secret = ""
        code = self._address.fragment.removeprefix("code=")
        self._secret = json.loads(self.ask("POST", "/session", json.dumps({"code": code}).encode())[0])["secret"]

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[bytes, Any]:
        """One request; body and headers of the answer."""
        connection = http.client.HTTPConnection(self._address.netloc, timeout=600)
        own = {"Sec-Fetch-Site": "same-origin", "Authorization": f"Bearer {self._secret}"}
        own |= {"Origin": f"http://{self._address.netloc}"} if method == "POST" else {}
        connection.request(method, path, body, own)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        if answer.status >= 400:
            raise RuntimeError(data.decode())
        return data, answer.headers


def make(folder: Path, rows: int, jobs: int) -> Path:
    """The case with its index and labels."""
    spec = model_spec(DEFAULT_MODEL)
    centres = np.random.default_rng(0).normal(size=(2000, spec.dim))
    with Case.create(folder / "case", model=spec) as case:
        for start in range(0, rows, _BLOCK):
            rng = np.random.default_rng(start + 1)
            count = min(_BLOCK, rows - start)
            block = centres[rng.integers(0, len(centres), count)] + 0.7 * rng.normal(size=(count, spec.dim))
            fill(case, (block / np.linalg.norm(block, axis=1, keepdims=True)).astype(np.float32), start, spec)
            ids = inside(case).items.page(start, count)
            with case.run("ingest", "benchmark") as run:
                run.set_labels([(item_id, "benchmark", {"label": f"hotel {item_id % 500}"}) for item_id in ids])
        build(case, spec, BuildConfig(jobs=jobs))
    return folder / "case"


def measure(case: Path, query: Path, count: int) -> dict[str, float]:
    """Seconds to the first page of results: the first search, the median and the slowest of the next; and CPU seconds
    of the whole process for one, which tell more where others use the machine too.
    """
    page = Page(case)
    process = psutil.Process(page.process.pid)
    try:
        uploaded = json.loads(page.ask("POST", "/queries?name=query", query.read_bytes())[0])["query"]
        first, cpu, turned, labels = [], [], [], []
        for number in range(count):
            before = process.cpu_times()
            began = time.perf_counter()
            asked = {"query": uploaded, "regions": True, **({"label": "hotel 7"} if number % 5 == 4 else {})}
            found = json.loads(page.ask("POST", "/searches", json.dumps(asked).encode())[0])
            shown = json.loads(page.ask("GET", f"/searches/{found['search']}?page=0")[0])
            first.append(time.perf_counter() - began)
            after = process.cpu_times()
            cpu.append(after.user + after.system - before.user - before.system)
            assert shown["total"] >= 100
            began = time.perf_counter()
            page.ask("GET", f"/searches/{found['search']}?page={number % shown['pages']}")
            turned.append(time.perf_counter() - began)
            began = time.perf_counter()
            page.ask("GET", f"/searches/{found['search']}?by=label&column=label")
            labels.append(time.perf_counter() - began)
    finally:
        page.process.terminate()
        page.process.wait()
    return {
        "first_search_s": round(first[0], 3),
        "search_median_s": round(float(np.median(first[1:])), 3),
        "search_slowest_s": round(max(first[1:]), 3),
        "search_cpu_median_s": round(float(np.median(cpu[1:])), 3),
        "next_page_median_ms": round(float(np.median(turned)) * 1000, 1),
        "by_label_median_ms": round(float(np.median(labels)) * 1000, 1),
    }


def main() -> None:
    """Measure and report."""
    parser = report.parser("First results of the review page")
    parser.add_argument("query", type=Path, help="a photograph to search with")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=2, help="threads of the build")
    parser.add_argument("--scratch", type=Path, help="folder for the case, 200 MB")
    arguments = parser.parse_args()
    figures: dict[str, Any] = {"rows": arguments.rows, "searches": arguments.queries}
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as scratch:
        case = make(Path(scratch), arguments.rows, arguments.jobs)
        figures |= measure(case, arguments.query, arguments.queries)
    report.table("Review page", ["figure", "value"], [[name, value] for name, value in figures.items()])
    report.finish("review_speed", {**figures, "load_average": report.load()}, arguments.json)


if __name__ == "__main__":
    main()
