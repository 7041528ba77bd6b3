"""How long the HTML report takes, how large it is, and whether a browser opens and prints it.

python -m benchmarks.report_size [--files N] [--queries N] [-k N] [--keep DIR] [--json FILE]

Two reports, each blurred and with ``--reveal``: many queries, and one query with many matches. Needs Chromium for the
browser's part; where there is none, that part is left out and named.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import photographs, report
from imgmatch.cores import usable_cores
from imgmatch.models import DEFAULT_MODEL, load_model
from indexer.case.case import Case
from indexer.intake.ingest import ingest
from indexer.out.report import ReportConfig, write_report
from indexer.search.request import SearchRequest, SearchResult
from indexer.search.searcher import Searcher

GOAL_SECONDS, GOAL_MB = 60, 100


def browser() -> str | None:
    """Chromium or Chrome, where there is one."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def headless(tool: str, page: Path, *options: str) -> tuple[float, list[str], str]:
    """Open a page without a screen: seconds, what its console said, what the browser printed."""
    with tempfile.TemporaryDirectory() as profile:
        started = time.perf_counter()
        done = subprocess.run(
            [tool, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--log-level=0",
             f"--user-data-dir={profile}", *options, page.absolute().as_uri()],
            capture_output=True, text=True, timeout=600, check=True, errors="replace",
        )  # fmt: skip
        seconds = time.perf_counter() - started
    return seconds, re.findall(r".*CONSOLE.*", done.stderr), done.stdout


def measure(case: Case, results: list[SearchResult], model: Any, folder: Path, *, reveal: bool) -> dict[str, Any]:
    """Write one report and open it; all that was measured of it."""
    started = time.perf_counter()
    page = write_report(case, results, model, folder, ReportConfig(reveal, True, usable_cores()))
    figures: dict[str, Any] = {
        "queries": len(results),
        "matches": sum(len(result.matches) for result in results),
        "reveal": reveal,
        "seconds": round(time.perf_counter() - started, 2),
        "megabytes": round(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6, 2),
        "page_megabytes": round(page.stat().st_size / 1e6, 2),
        "pictures": sum(1 for path in folder.rglob("*") if path.is_file()) - 1,
    }
    tool = browser()
    if tool is not None:
        seconds, said, dom = headless(tool, page, "--dump-dom")
        assert dom.count("<article") == figures["matches"], "the browser did not read the whole page"
        figures |= {"open_seconds": round(seconds, 2), "console": said}
        pdf = folder.with_suffix(".pdf")
        seconds, said, _ = headless(tool, page, "--no-pdf-header-footer", f"--print-to-pdf={pdf}")
        figures |= {"print_seconds": round(seconds, 2), "pdf_megabytes": round(pdf.stat().st_size / 1e6, 2)}
        figures["console"] += said
    return figures


def main() -> None:
    """Measure and report."""
    arguments = _arguments()
    embedder = load_model(arguments.model, device="cpu", threads=1)
    files = photographs.rooms(arguments.files)
    with tempfile.TemporaryDirectory() as scratch:
        where = arguments.keep or Path(scratch)
        where.mkdir(parents=True, exist_ok=True)
        with Case.create(Path(scratch) / "case", model=embedder.spec) as case:
            ingest(case, files, embedder)
            searcher = Searcher(case, embedder)
            load = report.load()
            many = list(
                searcher.search(
                    files[:: max(1, len(files) // arguments.queries)][: arguments.queries], SearchRequest(arguments.k)
                )
            )
            deep = list(searcher.search(files[:1], SearchRequest(1000)))
            found = {
                f"{name}{', revealed' if reveal else ''}": measure(
                    case,
                    results,
                    embedder.spec,
                    where / f"{name.replace(' ', '-')}{'-revealed' * reveal}",
                    reveal=reveal,
                )
                for name, results in (("many queries", many), ("one query", deep))
                for reveal in (False, True)
            }
    columns = ["queries", "matches", "seconds", "megabytes", "pictures", "open_seconds", "print_seconds"]
    rows = [[name, *(figures.get(column, "") for column in columns)] for name, figures in found.items()]
    report.table("Reports", ["report", *columns], rows)
    for name, figures in found.items():
        for line in figures.get("console", ()):
            print(f"  {name}: {line}")
    if browser() is None:
        print("  left out: opening and printing, for want of Chromium")
    goal = {"seconds": GOAL_SECONDS, "megabytes": GOAL_MB}
    report.finish(
        "report_size", {"files": len(files), "load_before": load, "goal": goal, "reports": found}, arguments.json
    )


def _arguments() -> argparse.Namespace:
    parser = report.parser("Size and speed of the HTML report")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--files", type=int, default=1000, help="photographs of rooms in the case")
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("-k", type=int, default=20, help="matches a query")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave the reports and their PDFs there")
    return parser.parse_args()


if __name__ == "__main__":
    main()
