"""What encryption costs: ingest, searches in a case that is open, opening a large one; each against a plain case.

python -m benchmarks.vault [--pictures N] [--pairs N] [--searched N] [--queries N] [--rows N] [--index KIND]
                           [--scratch FOLDER] [--json FILE]

Plain and encrypted take turns, and each figure is the median of such pairs' ratios: what else the machine does meets
both. Processor time is that of a process and of all that it started; wall time is told beside. Ingest is the command,
on photographs; a search is a whole one (read, decoded, found, described, recorded) but for the network, in whose place
a table of vectors stands. A case is opened by a process of its own, up to the end of its first search.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks import photographs, report
from benchmarks.index_fuzz import fill
from benchmarks.search_speed import Table
from imgmatch.models import DEFAULT_MODEL, model_spec
from imgmatch.vault import age, unlock
from indexer.care.indexing import BuildConfig, build
from indexer.case.case import Case
from indexer.case.place import Owner
from indexer.case.sealing import encrypt
from indexer.index.open import CaseIndex
from indexer.search.searcher import Searcher

SEED = 20
BLOCK = 65_536
Timed = tuple[float, float]
"""Seconds of processor and wall."""


class Whole(Table):
    """A table whose pictures have their one vector in each of their parts."""

    def embed_parts(self, picture: Any, cell_weights: Any) -> Any:
        """That vector, for each part."""
        return np.repeat(self.embed(picture[None]), len(cell_weights), axis=0)


def timed(work: Callable[[], object]) -> Timed:
    """What some work of this process takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


def command(*words: object) -> Timed:
    """What a command takes, as a user starts it, with all that it starts."""
    began = time.perf_counter()
    told = [sys.executable, "-m", "cli.main", *map(str, words)]
    child = subprocess.Popen(told, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = status
    assert status == 0, told
    return used.ru_utime + used.ru_stime, time.perf_counter() - began


def opening(case: Path, *, search: bool) -> Timed:
    """What opening a case takes, in a process of its own that has begun already."""
    told = [sys.executable, "-m", "benchmarks.vault", "--opening", str(case), *(["--search"] if search else [])]
    cpu, wall = json.loads(subprocess.run(told, check=True, stdout=subprocess.PIPE).stdout)
    return cpu, wall


def opened_here(folder: Path, search: bool) -> None:
    """That process: the case, its index, and with ``search`` a first search."""

    def work() -> None:
        spec = model_spec(DEFAULT_MODEL)
        with Case.open(folder) as case:
            index = CaseIndex(case.shelf(spec))
            if search:
                index.search(np.eye(1, spec.dim, dtype=np.float32), 10)

    print(json.dumps(timed(work)))


def compared(pairs: list[tuple[Timed, Timed]]) -> dict[str, Any]:
    """Medians of a plain and an encrypted case, and of the pairs' ratios."""
    plain, sealed = (np.array([pair[side] for pair in pairs]) for side in (0, 1))
    ratios = sealed / plain
    named = (("cpu", 0), ("wall", 1))
    return {
        "pairs": len(pairs),
        **{f"plain_{name}_s": round(float(np.median(plain[:, n])), 4) for name, n in named},
        **{f"encrypted_{name}_s": round(float(np.median(sealed[:, n])), 4) for name, n in named},
        **{f"{name}_ratio": round(float(np.median(ratios[:, n])), 3) for name, n in named},
    }


def in_turns(count: int, one: Callable[[int], Timed], other: Callable[[int], Timed]) -> list[tuple[Timed, Timed]]:
    """Pairs of both; who comes first changes."""
    pairs = []
    for number in range(count):
        if number % 2:
            second = other(number)
            pairs.append((one(number), second))
        else:
            pairs.append((one(number), other(number)))
    return pairs


def ingested(folder: Path, pictures: int, pairs: int) -> dict[str, Any]:
    """Ingest of photographs, by the command."""
    (folder / "in").mkdir()
    for number, path in enumerate(photographs.rooms(pictures)):
        shutil.copy(path, folder / "in" / f"{number:05d}{path.suffix}")

    def once(way: str, number: int) -> Timed:
        case = folder / f"{way}-{number}"
        command("init", case, *(["--encrypt"] if way == "encrypted" else []))
        took = command("ingest", case, folder / "in", "--no-index")
        shutil.rmtree(case)
        return took

    found = in_turns(pairs, lambda number: once("plain", number), lambda number: once("encrypted", number))
    return {"pictures": pictures, **compared(found)}


def made(folder: Path, rows: int, owner: Owner, kind: str = "") -> tuple[Path, Path]:
    """A case of so many random vectors, plain, and the same encrypted."""
    spec = model_spec(DEFAULT_MODEL)
    rng = np.random.default_rng(SEED)
    plain, sealed = folder / f"plain{rows}", folder / f"sealed{rows}"
    with Case.create(plain, model=spec) as case:
        for start in range(0, rows, BLOCK):
            block = rng.standard_normal((min(BLOCK, rows - start), spec.dim), np.float32)
            fill(case, block / np.linalg.norm(block, axis=1, keepdims=True), start, spec)
        if kind:
            build(case, spec, BuildConfig(kind, jobs=2))
    shutil.copytree(plain, sealed)
    with Case.open(sealed) as case:
        encrypt(case, owner)
    return plain, sealed


def searched(folder: Path, rows: int, count: int, owner: Owner) -> dict[str, Any]:
    """Whole searches in two open cases, in turns."""
    spec = model_spec(DEFAULT_MODEL)
    vectors = np.random.default_rng(SEED + 1).standard_normal((count, spec.dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    (folder / "queries").mkdir()
    for number in range(count):
        pixels = np.full((16, 16, 3), (0, number % 256, number // 256), np.uint8)  # OpenCV writes BGR
        cv2.imwrite(str(folder / "queries" / f"{number:05d}.png"), pixels)
    paths = sorted((folder / "queries").iterdir())
    one, other = made(folder, rows, owner)
    with Case.open(one) as plain, Case.open(other) as sealed:
        open_ones = [Searcher(case, Whole(spec, vectors)) for case in (plain, sealed)]

        def once(side: int, number: int) -> Timed:
            return timed(lambda: list(open_ones[side].search([paths[number]])))

        for side in (0, 1):
            once(side, 0)
        found = in_turns(count, lambda number: once(0, number), lambda number: once(1, number))
    return {"rows": rows, **compared(found)}


def opened(folder: Path, rows: int, kind: str, pairs: int, owner: Owner) -> dict[str, Any]:
    """Opening a large case, up to its index, and up to the end of its first search."""
    cases = made(folder, rows, owner, kind)
    return {
        "rows": rows,
        "dim": model_spec(DEFAULT_MODEL).dim,
        "index": kind or "none",
        "megabytes": round(sum(file.stat().st_size for file in cases[1].rglob("*") if file.is_file()) / 1e6),
        **{
            name: compared(
                in_turns(pairs, lambda _: opening(cases[0], search=search), lambda _: opening(cases[1], search=search))  # noqa: B023
            )
            for name, search in (("up_to_its_index", False), ("up_to_its_first_search", True))
        },
    }


def main() -> None:
    """Measure and report."""
    parser = report.parser("What encryption costs")
    parser.add_argument("--pictures", type=int, default=300)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--searched", type=int, default=50_000, help="vectors of the case that is searched")
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--rows", type=int, default=1_000_000, help="vectors of the case that is opened")
    parser.add_argument("--index", default="", metavar="KIND", help="build it an index (ivf, hnsw)")
    parser.add_argument("--scratch", type=Path, help="folder for the cases, 5 GB for a million")
    parser.add_argument("--opening", type=Path, metavar="CASE", help="only open this, in this process")
    parser.add_argument("--search", action="store_true", help="and search in it once")
    arguments = parser.parse_args()
    if arguments.opening is not None:
        opened_here(arguments.opening, arguments.search)
        return
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as scratch:
        folder = Path(scratch)
        secret, public = age.new_identity()
        (folder / "key").write_text(secret)
        os.environ[unlock.IDENTITY] = str(folder / "key")
        owner = Owner("Ada", public)
        for name, measure in {
            "ingest": lambda: ingested(folder, arguments.pictures, arguments.pairs),
            "search": lambda: searched(folder, arguments.searched, arguments.queries, owner),
            "open": lambda: opened(folder, arguments.rows, arguments.index, arguments.pairs, owner),
        }.items():
            figures[name] = {**measure(), "load_average": report.load()}
            report.save("vault", figures, arguments.json)
            print(name, figures[name], flush=True)
    report.finish("vault", figures, arguments.json)


if __name__ == "__main__":
    main()
